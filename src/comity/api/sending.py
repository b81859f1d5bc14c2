"""Bytes from an answer of `dataplane.serve` to the wire: for partners' requests for data, and for our own people's.

An answer takes as long as its reader does. Once it has begun, whatever goes wrong ends in an aborted connection: a
reader must never take a short or mixed body for a whole one.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

from starlette.types import Receive, Scope, Send

from comity.api.connection import ABORT
from comity.dataplane import flows, serve


class Started:
    """Sends messages and remembers whether an answer has begun and whether it is complete."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.begun = False
        self.complete = False

    async def start(self, reply: serve.Answer) -> None:
        """Send status and headers."""
        self.begun = True
        headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers]
        await self._send({"type": "http.response.start", "status": reply.status, "headers": headers})

    async def body(self, chunk: bytes) -> None:
        """Send a part of the body."""
        await self._send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def end(self, body: bytes = b"") -> None:
        """Send the rest of the body."""
        await self._send({"type": "http.response.body", "body": body, "more_body": False})
        self.complete = True


async def send(reply: serve.Answer, started: Started, flow: flows.Flow) -> None:
    """Send an answer, and note on its flow that bytes move."""
    if isinstance(reply.body, bytes):
        await started.start(reply)
        await started.end(reply.body)
    else:
        async with aclosing(reply.body) as chunks:
            await _stream(reply, chunks, started, flow)


async def _stream(
    reply: serve.Answer, chunks: AsyncGenerator[bytes, None], started: Started, flow: flows.Flow
) -> None:
    await started.start(reply)
    async for chunk in chunks:
        await flow.take(len(chunk))
        await started.body(chunk)
        flow.bytes_sent += len(chunk)
    await started.end()


async def watch_leaving(receive: Receive, flow: flows.Flow) -> None:
    """End the flow when the receiver leaves: servers swallow what is sent to a closed connection."""
    while (await receive())["type"] != "http.disconnect":
        pass
    flow.end("left")


async def abort(scope: Scope, started: Started) -> None:
    """Drop the connection of an answer that has begun and cannot be completed."""
    found: Callable[[], Awaitable[None]] | None = (scope.get("extensions") or {}).get(ABORT)
    if found is not None and not started.complete:
        await found()
