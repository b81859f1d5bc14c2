"""Wakes those who read the log of events when it has grown, and lets go of them when the connector stops.

A reader keeps nothing here but its place in the queue: what is new it reads from the store. How far transfers have come
is in no log: who asks for that reads the newest figures here, those of this process.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence

from comity.db.events import Recorded
from comity.management.events import ProgressData


class News:
    """Counts the commits with events; listens to the store, see `Database.subscribe`."""

    def __init__(self) -> None:
        self.count = 0
        self.readers = 0
        self.moves = 0
        self._moved: dict[str, tuple[int, ProgressData]] = {}
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

    def move(self, figures: ProgressData) -> None:
        """Take how far a transfer has come."""
        self.moves += 1
        self._moved[figures.transfer_process_id] = (self.moves, figures)
        self._wake()

    def forget(self, transfer_id: str) -> None:
        """Take that a transfer's bytes have come to their end."""
        self._moved.pop(transfer_id, None)

    def moved_since(self, move: int, transfer_id: str) -> list[ProgressData]:
        """Return the newest figures of what moved after `moves` was so many, of one transfer if it is named."""
        return [
            figures
            for number, figures in self._moved.values()
            if number > move and transfer_id in {"", figures.transfer_process_id}
        ]

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
