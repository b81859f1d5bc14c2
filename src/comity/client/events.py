"""Following the log of events: a stream that is taken up again where it broke, without gap or repeat.

A connector that is restarted meanwhile is waited for. Clock and sleep are the caller's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any
from urllib.parse import urlencode

from comity.client import problems
from comity.client.connector import Connector

Document = dict[str, Any]
SILENCE_S = 45.0
"""A stream says something every 15 s; after this it is taken for dead."""
AGAIN_S = 1.0
PATIENCE_S = 20.0
STREAM = "text/event-stream"


def follow(  # noqa: PLR0913  clock and sleep are given
    connector: Connector,
    *,
    after: int | None,
    process_id: str = "",
    types: Sequence[str] = (),
    clock_s: Callable[[], float],
    sleep: Callable[[float], object],
    patience_s: float = PATIENCE_S,
) -> Iterator[Document]:
    """Yield events (CloudEvents) as they happen, those after `after` first (None: only new ones).

    Raises:
        UnreachableError: the connector did not answer for longer than `patience_s`.
        ComityError: what the connector answered, say that the events after that place are not kept any more.
    """
    place = after
    heard = clock_s()
    while True:
        try:
            for seen, event in _read(connector, place, process_id, types):
                place, heard = seen, clock_s()
                if event is not None:
                    yield event
        except problems.UnreachableError:
            if clock_s() - heard > patience_s:
                raise
        sleep(AGAIN_S)


def _read(
    connector: Connector, place: int | None, process_id: str, types: Sequence[str]
) -> Iterator[tuple[int, Document | None]]:
    wanted = {"processId": process_id, "types": ",".join(types)}
    asked = urlencode({name: value for name, value in wanted.items() if value})
    headers = {"Accept": STREAM, **({"Last-Event-ID": str(place)} if place is not None else {})}
    path = f"events?{asked}" if asked else "events"
    with connector.stream(path, headers, timeout_s=SILENCE_S) as response:
        yield from parse(response)


def parse(lines: Iterable[bytes]) -> Iterator[tuple[int, Document | None]]:
    """Yield (place, event) of a stream, with None for what only moves the place; half an event at the end is lost."""
    place, data = "", ""
    for raw in lines:
        line = raw.decode("utf-8").rstrip("\r\n")
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "id":
            place = value
        elif name == "data":
            data += value
        elif not line and place:
            yield int(place), json.loads(data) if data else None
            data = ""
