"""The place of a transfer that is pushed to us, open for as long as its requests come close together.

They share it, and the parts that they go on with: opening a part means to hash all that is in it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final
from weakref import WeakValueDictionary

from comity.dataplane import places, resources
from comity.dataplane.attempt import Attempt
from comity.dataplane.turns import Turns

LINGER_S: Final = 5.0
"""How long a place stays open for the next request."""
TURN_S: Final = 50.0
"""How long a block waits for the next of those before it."""


class Reception:
    """An open place, and what grows in it. Whoever uses a part has the lock of its path."""

    def __init__(self, where: places.Target, turns: Turns, ahead_bytes: int) -> None:
        """Take blocks into memory that come at most `ahead_bytes` before their turn."""
        self.where = where
        self.ahead_bytes = ahead_bytes
        self.keeping = asyncio.Lock()
        self._turns = turns
        self._parts: dict[str, places.Part] = {}
        self._resource: resources.Resource | None = None
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @property
    def growing_bytes(self) -> int:
        """How many bytes the parts have together."""
        return sum(each.size for each in self._parts.values())

    def lock(self, path: str) -> asyncio.Lock:
        """Return the lock of a path."""
        return self._locks.setdefault(path, asyncio.Lock())

    def size(self, path: str) -> int | None:
        """Return how much is here of something that is open, None if it is not."""
        if path:
            part = self._parts.get(path)
            return part.size if part is not None else None
        return self._resource.part_size if self._resource is not None else None

    async def part(self, wanted: places.Wanted, *, keep: bool = True) -> places.Part:
        """Return the part of a file, with what is right of it unless not to `keep` it."""
        part = self._parts.get(wanted.path)
        if part is not None and keep:
            return part
        self.let_go(wanted.path)

        def opened() -> places.Part:  # it is known to us, whatever becomes of the request
            self._parts[wanted.path] = self.where.part(wanted, keep=keep)
            return self._parts[wanted.path]

        return await self.where.run(opened)

    async def resource(self, attempt: Attempt, expected_sha256: str) -> resources.Resource:
        """Return the single resource, with what is here of it."""
        if self._resource is None:
            begun = await resources.open_(attempt, expected_sha256, fresh=False)
            self._resource = begun
        self._resource.go_on(attempt, expected_sha256)
        return self._resource

    async def turn(self, path: str, offset: int) -> None:
        """Wait until something has come to where a block of it begins, or will not come to it any more."""
        with contextlib.suppress(TimeoutError):
            while (size := self.size(path)) is not None and size < offset:
                async with asyncio.timeout(TURN_S):
                    await self._turns.until(lambda size=size: self.size(path) != size)  # type: ignore[misc]

    def tell(self) -> None:
        """Let those who wait for their turn look again."""
        self._turns.tell()

    def forget(self, path: str) -> places.Part | None:
        """Take a part out, whoever has it closes it."""
        return self._parts.pop(path, None)

    def let_go(self, path: str) -> None:
        """Close what grows at a path, keeping what it holds."""
        if path:
            part = self.forget(path)
            if part is not None:
                part.close()
        elif self._resource is not None:
            self._resource.close()
            self._resource = None

    def let_all_go(self) -> None:
        """Close all that grows."""
        for path in ("", *self._parts):
            self.let_go(path)

    def close(self) -> None:
        """Give the place free."""
        self.let_all_go()
        self.where.close()


class Opened:
    """A transfer with requests, or that had some a moment ago, and its place once that is open."""

    def __init__(self) -> None:
        self.turns = Turns()
        self.opening = asyncio.Lock()
        self.reception: Reception | None = None
        self.ended = False
        self._closing: asyncio.TimerHandle | None = None
        self._saved_at_s = 0.0

    def is_time(self, every_s: float) -> bool:
        """Say whether figures may be saved again: of blocks there are many."""
        now_s = asyncio.get_running_loop().time()
        if now_s < self._saved_at_s + every_s:
            return False
        self._saved_at_s = now_s
        return True

    def go_on(self) -> None:
        """Stay open: there is another request."""
        if self._closing is not None:
            self._closing.cancel()

    def let_rest(self, close: Callable[[], None], *, at_once: bool) -> None:
        """Let it be closed soon: at once where nothing comes after."""
        if at_once or self.ended or self.reception is None:
            close()
        else:
            self._closing = asyncio.get_running_loop().call_later(LINGER_S, close)

    def close(self) -> None:
        """Give the place free."""
        self.go_on()
        if self.reception is not None:
            self.reception.close()
            self.reception = None
