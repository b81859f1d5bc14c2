"""Decides sixteen invariants over what was seen of connectors: what was acknowledged is kept, nothing twice, no more.

`check(history)` returns a `Report`: for each invariant whether it held, was violated or could not be decided, and each
violation in one sentence. A time-out is unknown, never failed; what was not recorded is not decided, never held. The
inputs are the plain structs of `record`: `wire` records messages, `collect` reads stores of ours, and whoever tests
another connector fills them himself. The time it takes grows with the length of the history and no faster.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from comity.testing.book import Book
from comity.testing.invariants import agreements, data, limits, parties, states, trails
from comity.testing.record import History
from comity.testing.ruling import Report, Ruling, Verdict, Violation

__all__ = ["INVARIANTS", "History", "Report", "Verdict", "Violation", "check"]

INVARIANTS: Mapping[str, tuple[str, Callable[[Book, Ruling], None]]] = {
    "I1": ("both sides come to the same state, and nothing is stuck", states.convergence),
    "I2": ("only legal paths, and never back", states.legal_paths),
    "I3": ("no agreement is lost", agreements.none_lost),
    "I4": ("nothing is done twice", agreements.none_twice),
    "I5": ("no agreement is altered", agreements.none_altered),
    "I6": ("what was acknowledged is kept", states.durable),
    "I7": ("no data without right", data.only_by_right),
    "I8": ("data is exact", data.exact),
    "I9": ("only the parties", parties.only_parties),
    "I10": ("events once and in order", trails.effects_once),
    "I11": ("the evidence is complete", trails.evidence_complete),
    "I12": ("bounded", limits.bounded),
    "I13": ("in doubt, no", limits.fail_closed),
    "I14": ("no end in silence", states.no_silent_end),
    "I15": ("no connection where none is allowed", limits.no_egress),
    "I16": ("no secret shows", limits.no_secret),
}
"""Name -> what it says, and what decides it."""


def check(history: History) -> Report:
    """Decide every invariant over a history."""
    book = Book(history)
    verdicts: dict[str, Verdict] = {}
    violations: list[Violation] = []
    for name, (_, decide) in INVARIANTS.items():
        ruling = Ruling(name)
        decide(book, ruling)
        verdicts[name] = ruling.verdict()
        violations += ruling.violations
    return Report(tuple(violations), verdicts)
