"""Following what the connector does until it has ended: the connector works, this only looks.

A connector that is restarted meanwhile is waited for; it goes on by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from comity import errors
from comity.client import problems
from comity.client.records import Record
from comity.client.steps import Call, Flow, Pause

R = TypeVar("R", bound=Record)
NEGOTIATING, REQUESTING, PULLING, COMPLETED, FAILED = (
    "NEGOTIATING",
    "REQUESTING",
    "PULLING",
    "COMPLETED",
    "FAILED",
)
ENDED = frozenset({COMPLETED, FAILED})
FIRST_S, INTERVAL_S = 0.01, 0.25
PATIENCE_S = 20.0


class UnfinishedError(errors.ComityError):
    """The watching ended, the work did not: the connector goes on."""

    code = "unfinished"


def has_ended(status: Record) -> bool:
    """Tell whether an exchange is completed or failed."""
    return status.get("stage") in ENDED


def follow(
    look: Call[R],
    *,
    told: Callable[[R], object],
    ended: Callable[[R], bool] = has_ended,
    timeout_s: float | None = None,
    patience_s: float = PATIENCE_S,
) -> Flow[R]:
    """Look a few times a second how far something has come, tell it each time, and return how it ended.

    Raises:
        UnfinishedError: it has not ended within `timeout_s`.
        UnreachableError: the connector did not answer for longer than `patience_s`.
    """
    pause_s = FIRST_S
    begun = answered = yield Pause()
    while True:
        try:
            status = yield from look
        except problems.UnreachableError:
            if (yield Pause()) - answered > patience_s:
                raise
        else:
            answered = yield Pause()
            told(status)
            if ended(status):
                return status
        if timeout_s is not None and (yield Pause()) - begun >= timeout_s:
            raise UnfinishedError(f"not finished after {timeout_s:g} s")
        pause_s = min(2 * pause_s, INTERVAL_S)
        yield Pause(pause_s)
