"""How far asking for bytes, or sending them, goes ahead of what is kept: so many bytes at most, over so many streams.

Only what was asked for and is not kept has to be sent again after a cut, so this is what a cut may cost. A block is
what one request asks for: half of that on a quick line; on a slow one as much as comes in a moment, so that more
streams share it, each of which a lost packet holds up alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from types import TracebackType
from typing import Any, Final, Self

MIB: Final = 1024 * 1024
AHEAD_BYTES: Final = MIB
STREAMS: Final = 8
MIN_BLOCK_BYTES: Final = 64 * 1024
_BLOCK_S: Final = 0.25
_GRACE_S: Final = 5.0
"""How long streams that still run may go on once another one broke."""


class Ahead:
    """Runs what fetches blocks; used as a block (`async with`), at whose end all of it has ended.

    The first failure ends it: nothing new begins, what runs may end, and the failure is raised.
    """

    def __init__(
        self,
        *,
        bytes_ahead: int = AHEAD_BYTES,
        streams: int = STREAMS,
        pace: Callable[[int], Awaitable[None]] | None = None,
        bytes_per_s: int = 0,
        grace_s: float = _GRACE_S,
    ) -> None:
        """Ask for at most `bytes_ahead` over at most `streams`; `pace` waits until so many bytes may be asked for.

        `bytes_per_s` is what it lets pass in the long run, 0 if that is not known. What still runs when something broke
        has `grace_s` to end.
        """
        self._bytes_ahead = bytes_ahead
        self._streams = streams
        self._pace = pace
        self._grace_s = grace_s
        self._most = max(MIN_BLOCK_BYTES, bytes_ahead // 2)
        if bytes_per_s:  # no block takes longer than a second
            self._most = max(MIN_BLOCK_BYTES, min(self._most, bytes_per_s))
        self._asked = 0
        self._running: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._failure: BaseException | None = None
        self._stream_bytes_per_s = 0.0

    @property
    def block_bytes(self) -> int:
        """How much the next request is to ask for."""
        if not self._stream_bytes_per_s:
            return self._most
        wanted = int(self._stream_bytes_per_s * _BLOCK_S)
        least = max(MIN_BLOCK_BYTES, self._bytes_ahead // self._streams // MIN_BLOCK_BYTES * MIN_BLOCK_BYTES)
        return min(self._most, max(least, wanted // MIN_BLOCK_BYTES * MIN_BLOCK_BYTES))

    async def begin(self, size_bytes: int, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Begin to fetch a block once there is room for it; `kept` gives its room back.

        Raises:
            ComityError: the failure of a block before it.
        """
        while not self._has_room(size_bytes):
            self._changed.clear()
            await self._changed.wait()
        if self._pace is not None and self._failure is None:
            await self._pace(size_bytes)
        if self._failure is not None:
            raise self._failure
        self._asked += size_bytes
        task = asyncio.create_task(self._timed(size_bytes, work()))
        self._running.add(task)
        task.add_done_callback(self._ended)

    def kept(self, size_bytes: int) -> None:
        """Take that so many of the bytes asked for need not be asked for again."""
        self._asked -= size_bytes
        self._changed.set()

    def _has_room(self, size_bytes: int) -> bool:
        if self._failure is not None:
            return True
        fits = not self._asked or self._asked + size_bytes <= self._bytes_ahead
        return fits and len(self._running) < self._streams

    async def _timed(self, size_bytes: int, work: Coroutine[Any, Any, None]) -> None:
        clock = asyncio.get_running_loop().time
        begun_s = clock()
        await work
        rate = size_bytes / max(clock() - begun_s, 1e-6)
        if size_bytes >= MIN_BLOCK_BYTES:  # small files say more of the way there and back than of the line
            before = self._stream_bytes_per_s or rate
            self._stream_bytes_per_s = before + (rate - before) / 4

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and task.exception() is not None and self._failure is None:
            self._failure = task.exception()
        self._changed.set()

    async def rest(self) -> None:
        """Wait until nothing runs any more.

        Raises:
            ComityError: what failed first.
        """
        while self._running and self._failure is None:
            await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
        if self._failure is not None:
            raise self._failure

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                await self.rest()
            elif self._running and self._failure is error:
                await asyncio.wait(self._running, timeout=self._grace_s)
        except BaseException:
            if self._running and self._failure is not None:
                await asyncio.wait(self._running, timeout=self._grace_s)
            raise
        finally:
            running = list(self._running)
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
