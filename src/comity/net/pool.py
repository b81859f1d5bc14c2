"""Makes connections for short requests, and keeps those that can be used again for a moment.

Every socket is checked by the guard before it connects, and so is every address that a name resolves to (`resolver`).
A name's addresses are tried one after the other, each with its share of the time.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable
from typing import Final

from aiohttp.abc import AbstractResolver
from yarl import URL

from comity.net.connection import Connection
from comity.net.guard import Guard
from comity.net.resolver import Answers

KEPT_S: Final = 4.0
"""How long a connection is kept: servers close theirs after 5 s and more, and a request must not meet that."""
AGE_S: Final = 60.0
"""How old a connection may be when a request goes over it: a name that moves is followed in the end."""


class Connections:
    """Makes connections, checked by the guard, and keeps those that can be used again for a moment."""

    def __init__(
        self,
        guard: Guard,
        tls: ssl.SSLContext,
        resolver: AbstractResolver,
        *,
        checked: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Resolve names with `resolver`; `checked`: the guard is asked about each socket."""
        self._guard, self._tls, self._checked, self._clock = guard, tls, checked, clock
        self._answers = Answers(resolver, clock)
        self._kept: dict[tuple[str, str, int], list[Connection]] = {}
        self._tidying: asyncio.TimerHandle | None = None

    async def take(self, target: URL, connect_s: float) -> Connection:
        """Return a connection to the server of a URL, a new one if none is kept.

        Raises:
            OSError: there is none; nothing was sent.
            RefusedAddressError: the guard does not let it be.
        """
        kept = self._kept.get(_origin(target), [])
        while kept:
            connection = kept.pop()
            if self._usable(connection):
                return connection
            connection.close()
        try:
            async with asyncio.timeout(connect_s):
                return await self._connect(target, connect_s)
        except OSError:
            self._answers.forget(target.raw_host or "")
            raise

    def give_back(self, target: URL, connection: Connection) -> None:
        """Keep a connection for the next request, or drop it."""
        if not connection.reusable:
            connection.close()
            return
        connection.rest()
        connection.kept_since_s = self._clock()
        self._kept.setdefault(_origin(target), []).append(connection)
        if self._tidying is None:
            self._tidying = asyncio.get_running_loop().call_later(KEPT_S, self._tidy)

    def _usable(self, connection: Connection) -> bool:
        now_s = self._clock()
        young = now_s - connection.kept_since_s < KEPT_S and now_s - connection.made_s < AGE_S
        return young and connection.reusable

    async def _connect(self, target: URL, connect_s: float) -> Connection:
        scheme, host, port = _origin(target)
        addresses = await self._find(host, port)
        failure: OSError = OSError("its name has no address")
        for at, address in enumerate(addresses):
            try:
                async with asyncio.timeout(connect_s / (len(addresses) - at)):
                    opened = await self._open(address)
            except OSError as error:  # TimeoutError is one
                failure = error
                continue
            try:
                _, made = await asyncio.get_running_loop().create_connection(
                    Connection,
                    sock=opened,
                    ssl=self._tls if scheme == "https" else None,
                    server_hostname=host.rstrip(".") if scheme == "https" else None,
                )
            except BaseException:
                opened.close()
                raise
            made.made_s = self._clock()
            return made
        raise failure

    async def _find(self, host: str, port: int) -> list[tuple[int, tuple[object, ...]]]:
        try:
            ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            addresses = await self._answers.find(host)
        else:
            addresses = [host]
        return [
            (socket.AF_INET6, (each, port, 0, 0)) if ":" in each else (socket.AF_INET, (each, port))
            for each in addresses
        ]

    async def _open(self, address: tuple[int, tuple[object, ...]]) -> socket.socket:
        family, place = address
        if self._checked:
            opened = self._guard.open_socket((family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", place))
        else:
            opened = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            opened.setblocking(False)
            await asyncio.get_running_loop().sock_connect(opened, place)
        except BaseException:
            opened.close()
            raise
        return opened

    def _tidy(self) -> None:
        """Close what was kept for long enough."""
        self._tidying = None
        for origin, kept in list(self._kept.items()):
            young = [each for each in kept if self._usable(each)]
            for each in kept:
                if each not in young:
                    each.close()
            if young:
                self._kept[origin] = young
            else:
                del self._kept[origin]
        if self._kept:
            self._tidying = asyncio.get_running_loop().call_later(KEPT_S, self._tidy)

    def close(self) -> None:
        """Drop every connection that is kept, and wait for no name any more."""
        self._answers.close()
        if self._tidying is not None:
            self._tidying.cancel()
            self._tidying = None
        for kept in self._kept.values():
            for each in kept:
                each.close()
        self._kept.clear()


def _origin(target: URL) -> tuple[str, str, int]:
    return target.scheme, target.raw_host or "", target.port or 0
