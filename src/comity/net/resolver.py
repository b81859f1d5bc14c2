"""DNS with the guard's eye on every answer, for the client in `http`, and answers that are kept for a moment.

A name is refused if any of its addresses is; the socket is checked once more when it connects. Partners choose names,
and whoever owns a domain decides how long nothing is answered of it: so the names of one domain get few of the threads
that ask, and a name is asked for by one at a time, however many connections want it.
"""

from __future__ import annotations

import asyncio
import functools
import socket
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Final
from weakref import WeakValueDictionary

from aiohttp.abc import AbstractResolver, ResolveResult

from comity.net.guard import Guard

ANSWER_S: Final = 10.0
ANSWERS: Final = 1000
"""For how long, and of how many names, answers are kept."""
SLOW_S: Final = 1.0
"""How long a new answer is waited for where there is an older one."""
THREADS: Final = 64
OF_A_DOMAIN: Final = 8
"""How many names are asked for at a time, and how many of one domain: those that end in the same two labels."""
PLACE_S: Final = 10.0
"""How long a name waits until it may be asked for."""
_NUMERIC: Final = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV


class Threads(AbstractResolver):
    """Asks the system for names, each in a thread that holds nobody up: none can be ended, nor is one waited for."""

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(THREADS)
        self._of_domains: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a name; who gives up leaves the thread, and its place, to the end of the question.

        Raises:
            OSError: it has none, or too many names are being asked for.
        """
        return await asyncio.shield(asyncio.create_task(self._ask(host, port, family)))

    async def _ask(self, host: str, port: int, family: socket.AddressFamily) -> list[ResolveResult]:
        domain = ".".join(host.lower().rstrip(".").split(".")[-2:])
        of_domain = self._of_domains.setdefault(domain, asyncio.Semaphore(OF_A_DOMAIN))
        async with asyncio.timeout(PLACE_S) as waiting, of_domain, self._places:
            waiting.reschedule(None)
            return await _in_thread(functools.partial(_addresses, host, port, family))

    async def close(self) -> None:
        """Nothing is kept."""


async def _in_thread(call: Callable[[], list[ResolveResult]]) -> list[ResolveResult]:
    outcome: Future[list[ResolveResult]] = Future()
    outcome.set_running_or_notify_cancel()

    def run() -> None:
        try:
            outcome.set_result(call())
        except Exception as error:  # noqa: BLE001  it is for who asked
            outcome.set_exception(error)

    threading.Thread(target=run, daemon=True).start()  # the end of the process does not wait for a nameserver
    return await asyncio.wrap_future(outcome)


def _addresses(host: str, port: int, family: socket.AddressFamily) -> list[ResolveResult]:
    found = socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return [
        ResolveResult(
            hostname=host,
            host=socket.getnameinfo(address, _NUMERIC)[0],
            port=port,
            family=kind,
            proto=protocol,
            flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
        )
        for kind, _, protocol, _, address in found
    ]


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
        try:
            async with asyncio.timeout(SLOW_S if addresses else None):
                return await asyncio.shield(asking)
        except TimeoutError:
            if not addresses:
                raise
            return addresses  # the last that are known: who holds up the nameservers holds up no known name

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
        if host in self._kept:
            self._kept[host] = 0.0, self._kept[host][1]

    def close(self) -> None:
        """Wait for no answer any more."""
        for asking in self._asking.values():
            asking.cancel()
