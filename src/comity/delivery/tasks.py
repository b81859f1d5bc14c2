"""One task for each name, such as a transfer's or a webhook's: begun when there may be something to do for it.

What it does is its owner's part; here is that no name has two tasks, and that news that came while one was at work is
looked at once more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


class Tasks:
    """Tasks by name, each doing `work(name)` to its end."""

    def __init__(self, work: Callable[[str], Awaitable[None]]) -> None:
        self._work = work
        self.running: dict[str, asyncio.Task[None]] = {}
        self._again: set[str] = set()
        self._closing = False

    def begin(self, name: str) -> None:
        """Do the work for a name, once more if it is being done: it may have looked just before there was news."""
        if name in self.running:
            self._again.add(name)
        elif not self._closing:
            self.running[name] = asyncio.create_task(self._run(name))

    def cancel(self, name: str) -> None:
        """Stop the work for a name, unless it is that work which asks for it."""
        if (task := self.running.get(name)) is not None and task is not asyncio.current_task():
            task.cancel()

    def cancel_all(self) -> None:
        """Stop the work that is being done."""
        for name in list(self.running):
            self.cancel(name)

    async def close(self) -> None:
        """Stop all work, and begin none any more."""
        self._closing = True
        tasks = list(self.running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, name: str) -> None:
        try:
            await self._work(name)
        finally:
            del self.running[name]
            if name in self._again:
                self._again.discard(name)
                self.begin(name)
