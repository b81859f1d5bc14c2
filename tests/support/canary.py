"""A listener at an address that a connector must not connect to, though the machine could: 0.0.0.0 is this machine."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass


@dataclass
class Heard:
    address: str
    count: int = 0


@contextlib.asynccontextmanager
async def listening():
    """Listen, and count who comes."""
    heard = Heard("")

    async def came(_reader, writer):
        heard.count += 1
        writer.close()

    server = await asyncio.start_server(came, "127.0.0.1", 0)
    heard.address = f"http://0.0.0.0:{server.sockets[0].getsockname()[1]}"
    try:
        yield heard
    finally:
        server.close()
        await server.wait_closed()
