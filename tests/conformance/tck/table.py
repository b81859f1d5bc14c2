"""What the kit expects a connector to do by itself: one row for each of its datasets and agreements.

A row is state -> move, made `PAUSE_S` after the state was reached; a state that is missing means: stay there. `AGAIN`
before a state is for the second time. Read beside the kit's own tests (the row ACN0103 is the test CN:01-03) and
Dataspace Protocol 2025-1. A pause is needed because the kit begins to listen for the next message only after it has
answered the last one.
"""

from __future__ import annotations

from collections.abc import Mapping

from comity.controlplane import decide
from comity.controlplane.decide import Move
from comity.dsp.terms import ACCEPTED, AGREED, OFFERED, REQUESTED, STARTED, SUSPENDED, VERIFIED

PAUSE_S = 0.4
AGAIN = "again "
USE = {"permission": [{"action": "use"}]}
"""The terms of everything here, as the kit's own offers and agreements have them."""

OFFER = Move(kind=decide.OFFER, policy=USE, after_s=PAUSE_S)
AGREE = Move(kind=decide.AGREE, after_s=PAUSE_S)
FINALIZE = Move(kind=decide.FINALIZE, after_s=PAUSE_S)
COUNTER = Move(kind=decide.REQUEST, policy=USE, after_s=PAUSE_S)
ACCEPT = Move(kind=decide.ACCEPT, after_s=PAUSE_S)
VERIFY = Move(kind=decide.VERIFY, after_s=PAUSE_S)
START = Move(kind=decide.START, after_s=PAUSE_S)
SUSPEND = Move(kind=decide.SUSPEND, reason="by the script", after_s=PAUSE_S)
COMPLETE = Move(kind=decide.COMPLETE, after_s=PAUSE_S)
TERMINATE = Move(kind=decide.TERMINATE, reason="by the script", after_s=PAUSE_S)

Script = Mapping[str, Move]

PROVIDER_NEGOTIATIONS: Mapping[str, Script] = {
    "ACN0101": {REQUESTED: OFFER},
    "ACN0102": {REQUESTED: OFFER, AGAIN + REQUESTED: TERMINATE},
    "ACN0103": {REQUESTED: OFFER, ACCEPTED: AGREE, VERIFIED: FINALIZE},
    "ACN0104": {REQUESTED: AGREE, VERIFIED: FINALIZE},
    "ACN0201": {REQUESTED: TERMINATE},
    "ACN0202": {},
    "ACN0203": {REQUESTED: AGREE},
    "ACN0204": {REQUESTED: OFFER},
    "ACN0205": {REQUESTED: OFFER, OFFERED: TERMINATE},
    "ACN0206": {REQUESTED: OFFER, ACCEPTED: TERMINATE},
    "ACN0207": {REQUESTED: AGREE, VERIFIED: TERMINATE},
    "ACN0301": {REQUESTED: AGREE, VERIFIED: FINALIZE},
    "ACN0302": {REQUESTED: OFFER},
    "ACN0303": {REQUESTED: OFFER},
    "ACN0304": {REQUESTED: OFFER},
}

CONSUMER_NEGOTIATIONS: Mapping[str, Script] = {
    "ACNC0101": {OFFERED: ACCEPT, AGREED: VERIFY},
    "ACNC0102": {OFFERED: COUNTER},
    "ACNC0103": {OFFERED: TERMINATE},
    "ACNC0104": {AGREED: VERIFY},
    "ACNC0201": {},
    "ACNC0202": {REQUESTED: TERMINATE},
    "ACNC0203": {AGREED: TERMINATE},
    "ACNC0204": {},
    "ACNC0205": {OFFERED: ACCEPT},
    "ACNC0206": {AGREED: VERIFY},
    "ACNC0301": {},
    "ACNC0302": {},
    "ACNC0303": {},
    "ACNC0304": {OFFERED: ACCEPT},
    "ACNC0305": {OFFERED: ACCEPT},
    "ACNC0306": {OFFERED: ACCEPT},
}

PROVIDER_TRANSFERS: Mapping[str, Script] = {
    "ATP0101": {REQUESTED: START, STARTED: TERMINATE},
    "ATP0102": {REQUESTED: START, STARTED: COMPLETE},
    "ATP0103": {REQUESTED: START, STARTED: SUSPEND, SUSPENDED: TERMINATE},
    "ATP0104": {REQUESTED: START, STARTED: SUSPEND, SUSPENDED: START, AGAIN + STARTED: COMPLETE},
    "ATP0105": {REQUESTED: TERMINATE},
    "ATP0201": {REQUESTED: START},
    "ATP0202": {REQUESTED: START},
    "ATP0203": {REQUESTED: START},
    "ATP0204": {REQUESTED: START},
    "ATP0205": {},
    "ATP0301": {},
    "ATP0302": {},
    "ATP0303": {REQUESTED: START},
    "ATP0304": {REQUESTED: START},
    "ATP0305": {REQUESTED: START},
    "ATP0306": {REQUESTED: START},
}

CONSUMER_TRANSFERS: Mapping[str, Script] = {
    "ATPC0101": {},
    "ATPC0102": {},
    "ATPC0103": {},
    "ATPC0104": {},
    "ATPC0105": {},
    "ATPC0201": {STARTED: TERMINATE},
    "ATPC0202": {STARTED: COMPLETE},
    "ATPC0203": {STARTED: SUSPEND, SUSPENDED: TERMINATE},
    "ATPC0204": {STARTED: SUSPEND, SUSPENDED: START, AGAIN + STARTED: COMPLETE},
    "ATPC0205": {REQUESTED: TERMINATE},
    "ATPC0301": {},
    "ATPC0302": {},
    "ATPC0303": {},
    "ATPC0304": {},
    "ATPC0305": {},
    "ATPC0306": {},
}

CATALOG = ("CAT0101", "CAT0102", "CAT0103")
UNKNOWN = "CAT0103"
"""The dataset that must not be there."""
DISABLED = ("TP:02-04", "TP_C:02-04")
"""Switched off in the kit itself."""

GROUPS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "CAT": ("CAT", CATALOG),
    "CN": ("ACN", tuple(PROVIDER_NEGOTIATIONS)),
    "CN_C": ("ACNC", tuple(CONSUMER_NEGOTIATIONS)),
    "TP": ("ATP", tuple(PROVIDER_TRANSFERS)),
    "TP_C": ("ATPC", tuple(CONSUMER_TRANSFERS)),
}
"""Group of tests -> what the ids of its datasets or agreements begin with, and the ids."""


def _test_of(group: str, beginning: str, subject: str) -> str:
    number = subject.removeprefix(beginning)
    return f"{group}:{number[:2]}-{number[2:]}"


SUBJECTS: Mapping[str, str] = {
    _test_of(group, beginning, subject): subject
    for group, (beginning, subjects) in GROUPS.items()
    for subject in subjects
}
"""Test -> its dataset or agreement."""
TESTS = frozenset({"MET:01-01", *SUBJECTS} - set(DISABLED))
"""Every test that the kit runs: 65."""
