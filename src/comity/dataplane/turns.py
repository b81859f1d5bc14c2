"""Whose turn it is among the requests that push one transfer to us.

Requests for different files go side by side, and so do those that bring the rest of one file in several blocks: each
waits until the file has come to where its block begins. What changes which files there are (a manifest) goes alone.
Requests whose sender has come back have lost it and end: those for the same path, before a manifest all.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

from comity.dataplane.flows import Flow


@dataclass(eq=False, slots=True)
class _Request:
    path: str
    offset: int | None
    alone: bool
    flow: Flow
    task: asyncio.Task[object] | None
    runs: bool = False


class Turns:
    """The requests of one transfer, those that run and those that wait."""

    def __init__(self) -> None:
        self._requests: list[_Request] = []
        self._waiting: list[asyncio.Future[None]] = []

    @property
    def idle(self) -> bool:
        """Say whether there is no request."""
        return not self._requests

    @contextlib.asynccontextmanager
    async def take(
        self, path: str, offset: int | None, flow: Flow, *, alone: bool, anew: bool = False
    ) -> AsyncGenerator[None, None]:
        """Wait for the requests before this one; `offset` is where a block of a path begins, None for all of it.

        `alone`: no other runs meanwhile. `anew`: the sender begins anew, so all others have lost it.
        """
        request = _Request(path, offset, alone, flow, asyncio.current_task())
        for other in self._requests:
            if anew or (other.path == path and (offset is None or other.offset in {None, offset})):
                other.flow.end("left")
        self._requests.append(request)
        try:
            await self.until(lambda: self._may(request))
            request.runs = True
            yield
        finally:
            self._requests.remove(request)
            self.tell()

    def _may(self, request: _Request) -> bool:
        for other in self._requests:
            if other.runs and (request.alone or other.alone):
                return False
            if other.runs and other.path == request.path and None in {request.offset, other.offset}:
                return False
        return True

    async def until(self, ready: Callable[[], bool]) -> None:
        """Wait until something is so; it is looked at whenever `tell` is called."""
        while not ready():
            waiting = asyncio.get_running_loop().create_future()
            self._waiting.append(waiting)
            await waiting

    def tell(self) -> None:
        """Let all who wait look again."""
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            if not each.done():
                each.set_result(None)

    def settle(self) -> None:
        """Let the request that asks still have its answer, whatever ends its transfer now."""
        for each in self._requests:
            if each.task is asyncio.current_task():
                each.flow.settle()
