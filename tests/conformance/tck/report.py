"""Reads what the kit prints: it ends with status 0 whatever happened, so every line counts.

A test passed if the kit says so by its name; the kit's own sums must agree. Anything else is a failure.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_NOISE = re.compile(r"^(SLF4J.*|WARNING:.*|Picked up .*)\n", re.MULTILINE)
_STAMP = r"^\[[^\]]*\] "
_RESULT = re.compile(_STAMP + r"([A-Z]+): ([A-Z_]+:\d\d-\d\d)\s*$", re.MULTILINE)
_SUM = re.compile(_STAMP + r"(Passed|Failed) tests: (\d+)\s*$", re.MULTILINE)
_FAILURE = re.compile(_STAMP + r" +\[([A-Z_]+:\d\d-\d\d)[^\n]*\]\n" + _STAMP + r" +([^\n]*)", re.MULTILINE)
_HOST = re.compile(r"\b(?:127\.0\.0\.1|localhost)(:\d+)?")
_PATH = re.compile(r"(?<![\w:/.>])/(?:[\w.+@-]+/)+[\w.+@-]*")


@dataclass
class Outcome:
    """What the kit said: the result of each test by its name, its own sums, and its words about failures."""

    results: dict[str, str] = field(default_factory=dict)
    sums: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)

    @property
    def passed(self) -> set[str]:
        """The tests that passed."""
        return {name for name, result in self.results.items() if result == "SUCCESSFUL"}


def parse(text: str) -> Outcome:
    """Read the kit's output."""
    plain = _COLOURS.sub("", text)
    found = Outcome(sums={word: int(count) for word, count in _SUM.findall(plain)})
    for result, name in _RESULT.findall(plain):
        if found.results.setdefault(name, result) != result:
            found.results[name] = "AMBIGUOUS"
    found.reasons = dict(_FAILURE.findall(plain))
    return found


def problems(outcome: Outcome, wanted: Collection[str]) -> list[str]:
    """Return in words what keeps this from being a pass of every `wanted` test; empty: it is one."""
    found = [
        f"{name}: {outcome.results.get(name, 'was not run').lower()}; {outcome.reasons.get(name, 'no reason given')}"
        for name in sorted(set(wanted) - outcome.passed)
    ]
    found += [f"{name}: is not in our table" for name in sorted(set(outcome.results) - set(wanted))]
    if outcome.sums != {"Passed": len(wanted), "Failed": 0}:
        found.append(f"the kit's own sums are {outcome.sums or 'missing'}")
    return found


def closing_line(outcome: Outcome, wanted: Collection[str]) -> str:
    """Return `N passed, N failed`; what was not run failed, and so did a run whose sums are wrong."""
    passed = len(outcome.passed & set(wanted))
    failed = len(wanted) - passed
    if not failed and problems(outcome, wanted):
        failed = 1
    return f"{passed} passed, {failed} failed"


def clean(text: str) -> str:
    """Return the kit's text without what belongs to the machine: colours, hosts, ports, paths."""
    plain = _NOISE.sub("", _COLOURS.sub("", text).replace("\r\n", "\n"))
    plain = _PATH.sub("<path>", _HOST.sub("<host>", plain))
    return re.sub(r"\n{3,}", "\n\n", plain).strip() + "\n"
