"""Which fault happens to which message: shares of each kind, drawn from a seed.

The n-th message through a door gets the n-th entry of that door's plan. So a run can be repeated with its seed as far
as the two connectors send in the same order.
"""

from __future__ import annotations

import random

import msgspec
from msgspec import Struct

DROP_REQUEST = "drop_request"
DROP_REPLY = "drop_reply"
DUPLICATE_NOW = "duplicate_now"
DUPLICATE_LATER = "duplicate_later"
DUPLICATE_AFTER_END = "duplicate_after_end"
DELAY = "delay"
REORDER = "reorder"
STATUS_500 = "status_500"
STATUS_503 = "status_503"
STATUS_429 = "status_429"
TRUNCATE = "truncate"
RESET = "reset"
GARBAGE = "garbage"
CUT = "cut"
UNREACHABLE = "unreachable"


class Profile(Struct, frozen=True, kw_only=True):
    """The share of each fault (0 to 1, together at most 1), and how long things take. A message has one fault or none.

    - `drop_request`: it is not passed on, and nobody answers.
    - `drop_reply`: it is passed on, and the sender gets no answer.
    - `duplicate_now`: it is passed on twice at the same time.
    - `duplicate_later`: it is passed on, and again up to `later_s` later.
    - `duplicate_after_end`: it is passed on, and again after its process has ended.
    - `delay`: it, or the answer to it, waits up to `delay_s`.
    - `reorder`: it, or the answer to it, waits until a later message of its process has passed, `hold_s` at most.
    - `status_500`: the answer is a 500; half of the time it was passed on before.
    - `status_503`, `status_429`: the answer, with Retry-After; it is not passed on.
    - `truncate`: it is passed on, and the answer stops in the middle.
    - `reset`: the connection is reset; half of the time it was passed on before.
    - `garbage`: the answer is a 200 with something that no connector says; half of the time it was passed on before.
    """

    drop_request: float = 0.0
    drop_reply: float = 0.0
    duplicate_now: float = 0.0
    duplicate_later: float = 0.0
    duplicate_after_end: float = 0.0
    delay: float = 0.0
    reorder: float = 0.0
    status_500: float = 0.0
    status_503: float = 0.0
    status_429: float = 0.0
    truncate: float = 0.0
    reset: float = 0.0
    garbage: float = 0.0
    delay_s: float = 5.0
    later_s: float = 30.0
    hold_s: float = 2.0
    silence_s: float = 0.0
    """How long a sender whose message or answer is dropped hears nothing before the connection is closed."""
    retry_after_s: int = 2
    """The most that Retry-After asks for; the least is one second."""

    def __post_init__(self) -> None:
        shares = self.shares()
        if min(shares.values()) < 0 or sum(shares.values()) > 1 + 1e-9:
            raise ValueError("each share is at least 0, and all of them together are at most 1")

    def shares(self) -> dict[str, float]:
        """Return the share of each fault."""
        return {name: getattr(self, name) for name in FAULTS}


FAULTS = tuple(each.name for each in msgspec.structs.fields(Profile) if not each.name.endswith("_s"))
QUIET = Profile()
PROFILES = {
    "quiet": QUIET,
    "loss5": Profile(drop_request=0.025, drop_reply=0.025),
    "mixed": Profile(
        drop_request=0.05,
        drop_reply=0.05,
        duplicate_now=0.02,
        duplicate_later=0.015,
        duplicate_after_end=0.015,
        delay=0.09,
        reorder=0.05,
        status_500=0.01,
        status_503=0.01,
        status_429=0.01,
        truncate=0.01,
        reset=0.01,
        garbage=0.01,
    ),
    "loss90": Profile(drop_request=0.45, drop_reply=0.45),
    "delays": Profile(delay=0.4, reorder=0.2),
    "duplicates": Profile(duplicate_now=0.3, duplicate_later=0.1, duplicate_after_end=0.1),
}
"""Profiles by name; `mixed` has 35 % faults."""


class Draw(Struct, frozen=True):
    """What happens to one message: the fault (empty: none), and the chance that its details are drawn from."""

    fault: str
    chance: random.Random

    def coin(self) -> bool:
        """Return one of two ways that a fault may happen."""
        return self.chance.random() < 0.5  # noqa: PLR2004  a coin

    def up_to(self, most_s: float) -> float:
        """Return a time up to `most_s`."""
        return self.chance.random() * most_s


def draw(seed: int, door: str, number: int, profile: Profile) -> Draw:
    """Return what happens to the message with this number at a door."""
    chance = random.Random(f"{seed}/{door}/{number}")  # noqa: S311  faults, no secrets
    at = chance.random()
    for fault, share in profile.shares().items():
        if at < share:
            return Draw(fault, chance)
        at -= share
    return Draw("", chance)
