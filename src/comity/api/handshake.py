"""TLS at a listener: who connects is counted from the first moment, and has little time to agree on it.

uvicorn hears of a connection when its handshake is over, for which asyncio gives a minute: who says nothing would be
counted nowhere until then. Here it has a place (`connection.Places`) meanwhile, and as long as for a head.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import socket
import ssl
from typing import Any

from uvicorn.protocols.utils import get_remote_addr

from comity.api import connection

log = logging.getLogger(__name__)


class Handshake(asyncio.Protocol):
    """A connection on which TLS is not agreed on yet; one of `http` goes on with it."""

    def __init__(
        self, tls: ssl.SSLContext, http: type[connection.AbortableConnection], *given: Any, **more: Any
    ) -> None:
        self._tls = tls
        self._http = http(*given, **more)
        self._agreeing: asyncio.Task[Any] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a place, and begin."""
        self._http.client = get_remote_addr(transport)
        with contextlib.suppress(OSError):  # no descriptor is left: it is dropped
            self._begin(transport.get_extra_info("socket").dup())
        transport.abort()  # it would read the first bytes, which are the handshake's

    def abort(self) -> None:
        """End it."""
        if self._agreeing is not None:
            self._agreeing.cancel()

    def _begin(self, begun: socket.socket) -> None:
        http = self._http
        if http.places is not None and not http.places.enter(http):
            begun.close()
            return
        loop = asyncio.get_running_loop()
        self._agreeing = loop.create_task(
            loop.connect_accepted_socket(
                lambda: http, begun, ssl=self._tls, ssl_handshake_timeout=connection.HEAD_S
            )
        )
        self._agreeing.add_done_callback(functools.partial(self._ended, begun))
        # by which it can be dropped until it has its own
        http.transport = self  # type: ignore[assignment]
        if http.places is not None:
            http.places.wait(http)

    def _ended(self, begun: socket.socket, agreeing: asyncio.Task[Any]) -> None:
        error = None if agreeing.cancelled() else agreeing.exception()
        of_caller = isinstance(error, OSError)  # no TLS, too late, gone
        if error is not None and not of_caller:
            log.error("a TLS handshake cannot be made: %s", error, exc_info=error)
        if agreeing.cancelled() or error is not None:
            begun.close()
            if self._http.places is not None:
                self._http.places.leave(self._http)
