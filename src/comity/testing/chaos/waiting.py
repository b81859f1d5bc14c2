"""What waits in the proxy: messages that are to be overtaken, and copies that come after the end of their process.

Both are found by the ids that a message names; what waits for none of them waits until it is told to come.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable

KEPT_BYTES = 32 * 1024 * 1024


class Overtaking:
    """Messages that wait until a later one of their process has passed."""

    def __init__(self) -> None:
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    def passed(self, pids: Iterable[str]) -> None:
        """Take that a message about these ids has passed."""
        for pid in pids:
            for overtaken in self._waiting.get(pid, ()):
                overtaken.set()

    async def wait(self, pids: Iterable[str]) -> None:
        """Wait until another message about one of these ids has passed."""
        overtaken = asyncio.Event()
        for pid in pids:
            self._waiting[pid].add(overtaken)
        try:
            await overtaken.wait()
        finally:
            for pid in pids:
                self._waiting[pid].discard(overtaken)
                if not self._waiting[pid]:
                    del self._waiting[pid]


class Copies:
    """Copies that are sent once their process has ended; the oldest go at once when there are too many."""

    def __init__(self) -> None:
        self._kept: OrderedDict[int, tuple[tuple[str, ...], int, Callable[[], None]]] = OrderedDict()
        self._size = 0
        self._numbers = itertools.count()

    def keep(self, pids: tuple[str, ...], size: int, send: Callable[[], None]) -> None:
        """Keep a copy of `size` bytes, which `send` sends."""
        self._kept[next(self._numbers)] = (pids, size, send)
        self._size += size
        while self._size > KEPT_BYTES:
            self._send(next(iter(self._kept)))

    def ended(self, pids: Iterable[str]) -> None:
        """Send the copies of a process that has ended."""
        over = set(pids)
        for number in [each for each, (about, _, _) in self._kept.items() if over.intersection(about)]:
            self._send(number)

    def send_all(self) -> None:
        """Send all, whatever their processes do."""
        for number in list(self._kept):
            self._send(number)

    def _send(self, number: int) -> None:
        _, size, send = self._kept.pop(number)
        self._size -= size
        send()
