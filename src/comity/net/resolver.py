"""DNS with the guard's eye on every answer, for the client in `http`, and answers that are kept for a moment.

A name is refused if any of its addresses is; the socket is checked once more when it connects. Few threads ask the
nameservers for all partners, so a name is asked for by one at a time, however many connections want it.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Sequence
from typing import Final

from aiohttp.abc import AbstractResolver, ResolveResult

from comity.net.guard import Guard

ANSWER_S: Final = 10.0
ANSWERS: Final = 1000
"""For how long, and of how many names, answers are kept."""


class CheckedResolver(AbstractResolver):
    """Refuses a name as soon as one of its addresses is refused; the socket's own check stays the last word."""

    def __init__(self, resolver: AbstractResolver, guard: Guard) -> None:
        self._resolver = resolver
        self._guard = guard

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Resolve `host` and check every answer.

        Raises:
            RefusedAddressError: one of them is refused.
        """
        found = await self._resolver.resolve(host, port, family)
        for one in found:
            self._guard.check_address(one["host"])
        return found

    async def close(self) -> None:
        """Close the resolver that is asked."""
        await self._resolver.close()


class Answers:
    """The addresses of names: who asks for a name meanwhile waits for the same answer, who asks soon after gets it."""

    def __init__(self, resolver: AbstractResolver, clock: Callable[[], float] = time.monotonic) -> None:
        self._resolver, self._clock = resolver, clock
        self._asking: dict[str, asyncio.Task[Sequence[str]]] = {}
        self._kept: dict[str, tuple[float, Sequence[str]]] = {}

    async def find(self, host: str) -> Sequence[str]:
        """Return the addresses of a name; a question goes on when who asked it gives up.

        Raises:
            OSError: it has none.
            RefusedAddressError: the guard refuses one of them.
        """
        until_s, addresses = self._kept.get(host, (0.0, ()))
        if self._clock() < until_s:
            return addresses
        asking = self._asking.get(host)
        if asking is None:
            asking = self._asking[host] = asyncio.create_task(self._ask(host))
        return await asyncio.shield(asking)

    async def _ask(self, host: str) -> Sequence[str]:
        try:
            found = await self._resolver.resolve(host, 0, socket.AF_UNSPEC)
        finally:
            del self._asking[host]
        addresses = tuple(str(each["host"]) for each in found)
        self._kept.pop(host, None)
        if len(self._kept) >= ANSWERS:
            del self._kept[next(iter(self._kept))]
        self._kept[host] = self._clock() + ANSWER_S, addresses
        return addresses

    def forget(self, host: str) -> None:
        """Ask for a name anew: nobody could be reached at its addresses."""
        self._kept.pop(host, None)

    def close(self) -> None:
        """Wait for no answer any more."""
        for asking in self._asking.values():
            asking.cancel()
