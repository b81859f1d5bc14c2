"""DNS with the guard's eye on every answer, for the client in `http`.

A name is refused if any of its addresses is; the socket is checked once more when it connects.
"""

from __future__ import annotations

import socket

from aiohttp.abc import AbstractResolver, ResolveResult

from comity.net.guard import Guard


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
