"""uvicorn's HTTP connection with limits added: on time, on size, and on how many may be open.

An application can abort a connection. ASGI knows no abort: leaving an answer unfinished makes uvicorn close it, which
first waits for a slow reader. `api.dataplane` looks for the abort in the scope and does without where there is none.
uvicorn waits for ever for the head of a request, of any length, for the rest of a body that nobody reads, and for
whoever does not read an answer; here each of these ends, and trailers are dropped. `Places` says how many connections
may be open: the one that has waited longest for a request makes room. Given to uvicorn by `runtime`.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections import Counter
from typing import ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from comity.api.together import Together

ABORT = "comity.abort"
WHOLE = "comity.whole"
"""Extension of a scope whose body has come to its end: nobody needs to wait for it."""
HEAD_S = 10.0
HEAD_BYTES = 64 * 1024
PIPELINED = 16
"""How many requests may wait on a connection for the answers of those before them."""
UNREAD_S = 60.0
UNREAD_BYTES = 64 * 1024
"""How much of an answer that is written, and how soon, a reader must take."""
_IPV6_SITE = 64


class Places:
    """The connections of one listener: at most `most`, and of one address (IPv6: one /64) at most `per_address`."""

    def __init__(self, most: int, per_address: int) -> None:
        self._most = most
        self._per_address = per_address
        self._open: Counter[str] = Counter()
        self._of: dict[AbortableConnection, str] = {}
        self._waiting: dict[str, dict[AbortableConnection, None]] = {}

    def enter(self, connection: AbortableConnection) -> bool:
        """Give a new connection a place, if need be that of one that only waits; return whether it has one."""
        if connection in self._of:
            return True
        address = _address(connection)
        if self._open[address] >= self._per_address and not self._make_room(address):
            return False
        if len(self._of) >= self._most and not self._make_room(max(self._open, key=self._open.__getitem__)):
            return False
        self._of[connection] = address
        self._open[address] += 1
        return True

    def wait(self, connection: AbortableConnection) -> None:
        """Note that a connection waits for a request, from now on."""
        address = self._of.get(connection)
        if address is not None:
            self._waiting.setdefault(address, {})[connection] = None

    def work(self, connection: AbortableConnection) -> None:
        """Note that a connection does not wait: a request is there."""
        address = self._of.get(connection, "")
        waiting = self._waiting.get(address, {})
        waiting.pop(connection, None)
        if not waiting:
            self._waiting.pop(address, None)

    def leave(self, connection: AbortableConnection) -> None:
        """Take back the place of a connection that has ended."""
        self.work(connection)
        address = self._of.pop(connection, None)
        if address is not None:
            self._open[address] -= 1
            if not self._open[address]:
                del self._open[address]

    def _make_room(self, address: str) -> bool:
        """Drop the connection of an address that has waited longest; return whether there was one."""
        oldest = next(iter(self._waiting.get(address, ())), None)
        if oldest is None:
            return False
        oldest.transport.abort()
        self.leave(oldest)
        return True


def _address(connection: AbortableConnection) -> str:
    """Return what counts as one address: with IPv6 a whole network is one customer's, but not that of all IPv4."""
    host = connection.client[0] if connection.client else ""
    if ":" not in host:
        return host
    address = ipaddress.IPv6Address(host.partition("%")[0])
    return str(address.ipv4_mapped or ipaddress.ip_network((address, _IPV6_SITE), strict=False))


class AbortableConnection(HttpToolsProtocol):
    """An HTTP/1.1 connection whose scope carries the extension `comity.abort`: an async callable."""

    places: ClassVar[Places | None] = None
    _deadline: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None
    _in_head = True
    _headway = False
    _idle_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first head."""
        super().connection_made(Together(transport, self.loop))
        if self.places is not None and not self.places.enter(self):
            transport.abort()
            return
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._stop_waiting()
        if self._unread is not None:
            self._unread.cancel()
        if self.places is not None:
            self.places.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what comes while no message gets on: in a head, or in a trailer, that does not end."""
        self._headway = False
        super().data_received(data)
        self._idle_bytes = 0 if self._headway else self._idle_bytes + len(data)
        if self._idle_bytes > HEAD_BYTES:  # the parser copies all of an unfinished line for each piece of it
            self.transport.abort()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; what comes behind a body is no header, whatever it is called, and has no end."""
        if self._in_head:
            super().on_header(name, value)
        else:
            self._headway = True

    def on_headers_complete(self) -> None:
        """Take the head as whole."""
        self._stop_waiting()
        self._in_head = False
        self._headway = True
        if len(self.pipeline) >= PIPELINED:
            self.transport.abort()
            raise ConnectionAbortedError  # the parser stops at what it has been given
        if self.places is not None:
            self.places.work(self)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Note that the body gets on."""
        self._headway = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that the body has come."""
        self._headway = True
        super().on_message_complete()
        extensions: dict[str, object] = self.scope["extensions"]  # type: ignore[assignment]
        extensions[WHOLE] = True

    def on_response_complete(self) -> None:
        """Wait for the next head, and for no rest of a body whose answer is written; see that the answer is read."""
        super().on_response_complete()
        if self.cycle.response_complete and not self.transport.is_closing():
            self._wait_for_head()
        if self._unread is None and (unread := self.transport.get_write_buffer_size()):
            self._see_that_it_is_read(unread)

    def _see_that_it_is_read(self, unread: int) -> None:
        self._unread = self.loop.call_later(UNREAD_S, self._look_again, unread)

    def _look_again(self, before: int) -> None:
        self._unread = None
        unread = self.transport.get_write_buffer_size()
        if unread > before - UNREAD_BYTES and unread:
            self.transport.abort()
        elif unread:
            self._see_that_it_is_read(unread)

    def _wait_for_head(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_S, self._give_up)
            if self.places is not None and (self.cycle is None or self.cycle.response_complete):
                self.places.wait(self)

    def _give_up(self) -> None:
        self._deadline = None
        if self._unread is None:
            self.transport.abort()
        else:  # an answer is still being read, which has its own end; the head has to come after it
            self._wait_for_head()

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def on_message_begin(self) -> None:
        """Add the extension to the scope that uvicorn has just made."""
        super().on_message_begin()
        self._in_head = self._headway = True
        if self.cycle is not None:  # a further head has a time of its own, from its first byte
            self._stop_waiting()
        self._wait_for_head()
        scope: dict[str, object] = self.scope  # type: ignore[assignment]
        scope["extensions"] = {ABORT: self._abort}

    async def _abort(self) -> None:
        """Drop the connection and all that is buffered, now."""
        self.transport.abort()
        if self.cycle is not None:
            self.cycle.disconnected = True


def limited(most: int, per_address: int) -> type[AbortableConnection]:
    """Return the connection of one listener with at most `most` of them, and `per_address` of one address."""

    class LimitedConnection(AbortableConnection):
        places = Places(most, per_address)

    return LimitedConnection
