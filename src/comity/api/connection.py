"""uvicorn's HTTP connection with one thing added: an application can abort it.

ASGI knows no abort. Leaving an answer unfinished makes uvicorn close the connection politely, which first
waits for a slow reader to take what is buffered: up to a chunk more than it may have. `api.dataplane` looks
for the abort in the scope and does without where there is none. Given to uvicorn by `runtime`
(`http=connection.AbortableConnection`).
"""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

ABORT = "comity.abort"


class AbortableConnection(HttpToolsProtocol):
    """An HTTP/1.1 connection whose scope carries the extension `comity.abort`: an async callable."""

    def on_message_begin(self) -> None:
        """Add the extension to the scope that uvicorn has just made."""
        super().on_message_begin()
        scope: dict[str, object] = self.scope  # type: ignore[assignment]
        scope["extensions"] = {ABORT: self._abort}

    async def _abort(self) -> None:
        """Drop the connection and all that is buffered, now."""
        self.transport.abort()
        if self.cycle is not None:
            self.cycle.disconnected = True
