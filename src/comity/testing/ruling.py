"""What comes of a check: each invariant held, violated or not decided, and of each violation what contradicts what.

A contradiction counts whatever is missing; without cases, or without what it needs, nothing is held.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

HELD, VIOLATED, NOT_DECIDED = "held", "violated", "not decided"
SHOWN = 20


class Violation(Struct, frozen=True):
    """One contradiction: which invariant, which process (or message, or figure), and what contradicts what."""

    invariant: str
    process: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.invariant} {self.process}: {self.sentence}"


class Verdict(Struct, frozen=True):
    """What was decided of an invariant, over how many `cases`; `why` not, or not all of it."""

    status: str
    cases: int
    why: str = ""


class Ruling:
    """Collects what is found of one invariant."""

    def __init__(self, invariant: str) -> None:
        self.invariant = invariant
        self.cases = 0
        self.violations: list[Violation] = []
        self._missing: list[str] = []

    def breaks(self, process: str, sentence: str) -> None:
        """Note a contradiction."""
        self.violations.append(Violation(self.invariant, process, sentence))

    def lacks(self, what: str) -> None:
        """Note that something was not recorded without which the invariant is not decided."""
        if what not in self._missing:
            self._missing.append(what)

    def verdict(self) -> Verdict:
        """Return what is decided: a contradiction counts whatever is missing, and nothing is held for want of cases."""
        if self.violations:
            return Verdict(VIOLATED, self.cases)
        if self._missing:
            return Verdict(NOT_DECIDED, self.cases, "; ".join(self._missing))
        if not self.cases:
            return Verdict(NOT_DECIDED, 0, "nothing happened that could have broken it")
        return Verdict(HELD, self.cases)


class Report(Struct, frozen=True):
    """All violations, and the verdict on each invariant by its name (`I1` to `I16`)."""

    violations: tuple[Violation, ...]
    verdicts: Mapping[str, Verdict]

    def of(self, invariant: str) -> tuple[Violation, ...]:
        """Return the violations of one invariant."""
        return tuple(each for each in self.violations if each.invariant == invariant)

    def expect(self, *invariants: str) -> None:
        """Require that nothing was violated, and that these invariants were decided.

        Raises:
            AssertionError: says what was violated or not decided.
        """
        undecided = [name for name in invariants if self.verdicts[name].status == NOT_DECIDED]
        if self.violations or undecided:
            raise AssertionError(f"{self!s}\nexpected: {' '.join(invariants) or 'no violation'}")

    def __str__(self) -> str:
        lines = [
            f"{name:4} {each.status} ({each.cases} cases){': ' + each.why if each.why else ''}"
            for name, each in self.verdicts.items()
        ]
        shown = [str(each) for each in self.violations[:SHOWN]]
        rest = len(self.violations) - len(shown)
        return "\n".join([*lines, *shown, *([f"... and {rest} more"] if rest else [])])
