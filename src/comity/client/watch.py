"""Following an exchange until it has ended: the connector works, this only looks.

A connector that is restarted meanwhile is waited for; it goes on by itself. Clock and sleep are the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from comity import errors
from comity.client import problems
from comity.client.connector import Connector

Document = dict[str, Any]
NEGOTIATING, REQUESTING, PULLING, COMPLETED, FAILED = (
    "NEGOTIATING",
    "REQUESTING",
    "PULLING",
    "COMPLETED",
    "FAILED",
)
ENDED = frozenset({COMPLETED, FAILED})
INTERVAL_S = 0.25
PATIENCE_S = 20.0


class UnfinishedError(errors.ComityError):
    """The watching ended, the work did not: the connector goes on."""

    code = "unfinished"


def watch(  # noqa: PLR0913  clock and sleep are given
    connector: Connector,
    exchange_id: str,
    *,
    clock_s: Callable[[], float],
    sleep: Callable[[float], object],
    timeout_s: float | None = None,
    patience_s: float = PATIENCE_S,
) -> Iterator[Document]:
    """Yield how far an exchange has come, a few times a second, the last time when it is completed or failed.

    Raises:
        UnfinishedError: it has not ended within `timeout_s`.
        UnreachableError: the connector did not answer for longer than `patience_s`.
    """
    begun = answered = clock_s()
    while True:
        try:
            status = connector.exchange(exchange_id)
        except problems.UnreachableError:
            if clock_s() - answered > patience_s:
                raise
        else:
            answered = clock_s()
            yield status
            if status.get("stage") in ENDED:
                return
        if timeout_s is not None and clock_s() - begun >= timeout_s:
            raise UnfinishedError(f"not finished after {timeout_s:g} s")
        sleep(INTERVAL_S)
