"""A response that goes on: server-sent events (WHATWG HTML, "Server-sent events"), until either side has enough.

Nothing is buffered here: the next page is read when the last one was taken. When the connector stops the stream ends;
a reader who takes nothing then is cut off (`api.connection`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from comity import errors
from comity.api.connection import ABORT

MEDIA_TYPE = "text/event-stream"
RETRY_MS = 2000
LAST_WORDS_S = 1.0
MOST = 100
"""How many streams may be open at once: each of them reads the store after every commit that has events."""

log = logging.getLogger(__name__)


class EventStream(Response):
    """Sends `chunks` as they come; `closing` returns when the connector stops."""

    media_type = MEDIA_TYPE

    def __init__(self, chunks: AsyncGenerator[bytes, None], closing: Callable[[], Awaitable[object]]) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._chunks = chunks
        self._closing = closing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the chunks end, the reader leaves or the connector stops."""
        sending = asyncio.create_task(self._send(send))
        others = [asyncio.create_task(_left(receive)), asyncio.ensure_future(self._closing())]
        try:
            await asyncio.wait((sending, *others), return_when=asyncio.FIRST_COMPLETED)
            if others[1].done():
                await asyncio.wait((sending,), timeout=LAST_WORDS_S)
            if others[1].done() and not sending.done() and (abort := _abort(scope)) is not None:
                await abort()
        finally:
            for task in (sending, *others):
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(*others, return_exceptions=True)
                await sending

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        try:
            async with aclosing(self._chunks) as chunks:
                async for chunk in chunks:
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
        except errors.ComityError as error:  # the reader comes again, and is told then
            log.info("a stream of events ends: %s", error.message)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _abort(scope: Scope) -> Callable[[], Awaitable[None]] | None:
    found: Callable[[], Awaitable[None]] | None = (scope.get("extensions") or {}).get(ABORT)
    return found


def frame(place: int, data: bytes) -> bytes:
    """Return one event whose id is its place; data is one line."""
    return b"id: %d\ndata: %b\n\n" % (place, data)


def passing(data: bytes) -> bytes:
    """Return one event that has no place in the log; data is one line."""
    return b"data: %b\n\n" % data


def mark(place: int) -> bytes:
    """Return what moves a reader's place without an event, and keeps its connection alive."""
    return b":\nid: %d\n\n" % place


def opening(place: int) -> bytes:
    """Return what a stream begins with: how soon to come again, and the place to go on from."""
    return b"retry: %d\nid: %d\n\n" % (RETRY_MS, place)
