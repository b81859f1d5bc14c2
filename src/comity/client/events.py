"""Following the log of events: a stream that is taken up again where it broke, without gap or repeat.

A connector that is restarted meanwhile is waited for. Clock and sleep are the caller's.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from comity.client import problems
from comity.client.records import Event

if TYPE_CHECKING:
    from comity.client.aio import Streaming
    from comity.client.blocking import Transport

Document = dict[str, Any]
SILENCE_S = 45.0
"""A stream says something every 15 s; after this it is taken for dead."""
AGAIN_S = 1.0
PATIENCE_S = 20.0
STREAM = "text/event-stream"


class Place:
    """How far the log was read, and what of it is wanted; `after` is None for new events only."""

    def __init__(self, after: int | None, process_id: str = "", types: Sequence[str] = ()) -> None:
        self.after = after
        wanted = {"processId": process_id, "types": ",".join(types)}
        asked = urlencode({name: value for name, value in wanted.items() if value})
        self.path = f"events?{asked}" if asked else "events"

    @property
    def headers(self) -> dict[str, str]:
        """What is said to go on from here."""
        return {"Accept": STREAM, **({"Last-Event-ID": str(self.after)} if self.after is not None else {})}


class Lines:
    """Lines of a stream, put together to events; half an event at its end is lost."""

    def __init__(self) -> None:
        self._place, self._data = "", ""

    def take(self, raw: bytes) -> tuple[int, Event | None] | None:
        """Return (place, event) when a line ends one, with None for what only moves the place; else None."""
        line = raw.decode("utf-8").rstrip("\r\n")
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "id":
            self._place = value
        elif name == "data":
            self._data += value
        elif not line and self._place:
            data, self._data = self._data, ""
            return int(self._place), Event(json.loads(data)) if data else None
        return None


def parse(lines: Iterable[bytes]) -> Iterator[tuple[int, Event | None]]:
    """Yield (place, event) of a stream, with None for what only moves the place."""
    reading = Lines()
    for raw in lines:
        found = reading.take(raw)
        if found is not None:
            yield found


def follow(  # noqa: PLR0913  clock and sleep are given
    connector: Transport,
    *,
    after: int | None,
    process_id: str = "",
    types: Sequence[str] = (),
    clock_s: Callable[[], float],
    sleep: Callable[[float], object],
    patience_s: float = PATIENCE_S,
) -> Iterator[Event]:
    """Yield events (CloudEvents) as they happen, those after `after` first (None: only new ones).

    Raises:
        UnreachableError: the connector did not answer for longer than `patience_s`.
        ComityError: what the connector answered, say that the events after that place are not kept any more.
    """
    place = Place(after, process_id, types)
    heard = clock_s()
    while True:
        try:
            with connector.stream(place.path, place.headers, timeout_s=SILENCE_S) as response:
                for seen, event in parse(response):
                    place.after, heard = seen, clock_s()
                    if event is not None:
                        yield event
        except problems.UnreachableError:
            if clock_s() - heard > patience_s:
                raise
        sleep(AGAIN_S)


async def follow_async(
    stream: Callable[..., AbstractAsyncContextManager[Streaming]],
    place: Place,
    *,
    clock_s: Callable[[], float],
    patience_s: float = PATIENCE_S,
) -> AsyncIterator[Event]:
    """Yield events as `follow` does, from a stream of `aio`."""
    import asyncio  # noqa: PLC0415  start-up time

    heard = clock_s()
    while True:
        reading = Lines()
        try:
            async with stream(place.path, place.headers, timeout_s=SILENCE_S) as answer:
                async for raw in answer.lines():
                    found = reading.take(raw)
                    if found is None:
                        continue
                    (place.after, event), heard = found, clock_s()
                    if event is not None:
                        yield event
        except problems.UnreachableError:
            if clock_s() - heard > patience_s:
                raise
        await asyncio.sleep(AGAIN_S)
