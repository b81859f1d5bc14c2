"""uvicorn's HTTP connection with two things added: an application can abort it, and a request's head has limits.

ASGI knows no abort. Leaving an answer unfinished makes uvicorn close the connection politely, which first waits for a
slow reader to take what is buffered. `api.dataplane` looks for the abort in the scope and does without where there is
none. uvicorn waits for ever for the head of a request, of any length; here the connection is dropped after 10 s or
64 KiB. Given to uvicorn by `runtime` (`http=connection.AbortableConnection`).
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

ABORT = "comity.abort"
HEAD_S = 10.0
HEAD_BYTES = 64 * 1024


class AbortableConnection(HttpToolsProtocol):
    """An HTTP/1.1 connection whose scope carries the extension `comity.abort`: an async callable."""

    _deadline: asyncio.TimerHandle | None = None
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what comes while a head is not whole; what comes with its first bytes may be another's body."""
        super().data_received(data)
        if self._deadline is not None:
            if self._head_bytes > HEAD_BYTES:
                self.transport.abort()
            self._head_bytes += len(data)

    def on_headers_complete(self) -> None:
        """Take the head as whole."""
        self._stop_waiting()
        super().on_headers_complete()

    def _wait_for_head(self) -> None:
        if self._deadline is None:
            self._head_bytes = 0
            self._deadline = self.loop.call_later(HEAD_S, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def on_message_begin(self) -> None:
        """Add the extension to the scope that uvicorn has just made."""
        super().on_message_begin()
        self._wait_for_head()
        scope: dict[str, object] = self.scope  # type: ignore[assignment]
        scope["extensions"] = {ABORT: self._abort}

    async def _abort(self) -> None:
        """Drop the connection and all that is buffered, now."""
        self.transport.abort()
        if self.cycle is not None:
            self.cycle.disconnected = True
