"""How fast bytes may move: so many a second, shared fairly by the transfers that want them.

Who has been given the fewest bytes is next, whatever number of streams it has open. Whoever begins, or comes back
after a while, has no claim to what it did not take.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

_BURST_S: Final = 0.1
Clock = Callable[[], float]
Sleep = Callable[[float], Awaitable[object]]


class Pace:
    """Gives out bytes, at most `bytes_per_s` in the long run; 0 gives without a limit."""

    def __init__(
        self, bytes_per_s: int = 0, *, clock: Clock | None = None, sleep: Sleep = asyncio.sleep
    ) -> None:
        self.bytes_per_s = bytes_per_s
        self._clock = clock
        self._sleep = sleep
        self._waiting: dict[str, deque[tuple[int, asyncio.Future[None]]]] = {}
        self._given: dict[str, int] = {}
        self._free_at_s = 0.0
        self._giving: asyncio.Task[None] | None = None

    async def take(self, who: str, size_bytes: int) -> None:
        """Wait until `who` may move so many bytes."""
        if not self.bytes_per_s:
            return
        turn = asyncio.get_running_loop().create_future()
        if who not in self._waiting:
            least = min((self._given[each] for each in self._waiting), default=0)
            self._given[who] = max(self._given.get(who, 0), least)
            self._waiting[who] = deque()
        self._waiting[who].append((size_bytes, turn))
        if self._giving is None:
            self._giving = asyncio.create_task(self._give())
        await turn

    async def _give(self) -> None:
        try:
            while self._waiting:
                now_s = self._now_s()
                if self._free_at_s > now_s + _BURST_S:
                    await self._sleep(self._free_at_s - now_s - _BURST_S)
                    continue
                self._give_one(now_s)
        finally:
            self._giving = None
            if not self._waiting:
                self._given.clear()

    def _give_one(self, now_s: float) -> None:
        who = min(self._waiting, key=self._given.__getitem__)
        size_bytes, turn = self._waiting[who].popleft()
        if not self._waiting[who]:
            del self._waiting[who]
        if turn.done():  # it waits no more
            return
        self._given[who] += size_bytes
        self._free_at_s = max(self._free_at_s, now_s) + size_bytes / self.bytes_per_s
        turn.set_result(None)

    def _now_s(self) -> float:
        return (self._clock or asyncio.get_running_loop().time)()
