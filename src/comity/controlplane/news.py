"""Wakes those who read the log of events when it has grown, and lets go of them when the connector stops.

A reader keeps nothing here but its place in the queue: what is new it reads from the store.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence

from comity.db.events import Recorded


class News:
    """Counts the commits with events; listens to the store, see `Database.subscribe`."""

    def __init__(self) -> None:
        self.count = 0
        self.readers = 0
        self._closed = asyncio.Event()
        self._waiting: set[asyncio.Future[None]] = set()

    @property
    def closed(self) -> bool:
        """Whether the connector stops."""
        return self._closed.is_set()

    async def wait_closed(self) -> None:
        """Wait until the connector stops."""
        await self._closed.wait()

    def notice(self, announced: Sequence[object]) -> None:
        """Take what committed steps announced; called in the event loop."""
        if any(isinstance(each, Recorded) for each in announced):
            self.count += 1
            self._wake()

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Count who reads in the block as one of the `readers`."""
        self.readers += 1
        try:
            yield
        finally:
            self.readers -= 1

    def close(self) -> None:
        """Let all who wait go, now and from now on."""
        self._closed.set()
        self._wake()

    def _wake(self) -> None:
        for each in self._waiting:
            if not each.done():
                each.set_result(None)

    async def wait(self, seen: int, timeout_s: float | None = None) -> None:
        """Wait until there is more than at `seen`, an earlier `count`, or it is closed, or the time is over."""
        if self.closed or self.count != seen:
            return
        woken = asyncio.get_running_loop().create_future()
        self._waiting.add(woken)
        try:
            await asyncio.wait([woken], timeout=timeout_s)
        finally:
            self._waiting.discard(woken)
            woken.cancel()
