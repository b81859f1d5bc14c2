"""A connection for requests whose answers are short: one request and its answer at a time, then the next.

HTTP/1.1 (RFC 9112) as a client needs it, parsed by httptools; docs/decisions/0016 says why not by the library that
streams. A body comes in pieces and waits in the socket while nobody reads. `pool` makes and keeps connections; limits
on bodies and time, and what an error means, are `http`'s part.
"""

from __future__ import annotations

import asyncio
from typing import Final

import httptools
from multidict import CIMultiDict, CIMultiDictProxy

HEAD_BYTES: Final = 64 * 1024
"""How long the head of an answer may be, with heads that go before it; its trailers, about."""
_UNREAD_BYTES: Final = 256 * 1024
_NO_BODY: Final = "HEAD"
_INTERIM = range(100, 200)


class BrokenError(ConnectionError):
    """The connection ended, or what came is no answer."""


class Connection(asyncio.Protocol):
    """A connection to one server; `status` and `headers` are those of the answer that is being read."""

    def __init__(self) -> None:
        self.status = 0
        self.method = ""
        self.made_s = 0.0
        self.kept_since_s = 0.0
        self._headers: CIMultiDict[str] = CIMultiDict()
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._pieces: list[bytes] = []
        self._unread = 0
        self._idle_bytes = 0
        self._in_head = True
        self._complete = True
        self._reusable = False
        self._error: Exception | None = None
        self._deadline: asyncio.TimerHandle | None = None

    @property
    def content(self) -> Connection:
        """The body of the answer: this itself, which has `readany`."""
        return self

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        """The headers of the answer."""
        return CIMultiDictProxy(self._headers)

    @property
    def content_length(self) -> int | None:
        """The length that the answer says its body has."""
        told = self._headers.get("Content-Length", "")
        return int(told) if told.isascii() and told.isdigit() else None

    @property
    def reusable(self) -> bool:
        """Whether another request may go over it: the answer was read to its end, and both sides keep it open."""
        open_ = self._transport is not None and not self._transport.is_closing()
        return open_ and self._complete and self._reusable and not self._pieces

    async def ask(self, method: str, request: bytes, *, until_s: float) -> None:
        """Send a request, head and body, and wait for the head of its answer; all of it has to come until a time.

        Raises:
            BrokenError: the connection ended before that, or what came is no head of an answer.
            TimeoutError: it took too long.
        """
        self.method, self._parser = method, httptools.HttpResponseParser(self)
        self._begin_head()
        self._idle_bytes = 0
        self._complete, self._reusable = False, False
        if self._transport is None:
            raise BrokenError("it was closed")
        self._deadline = asyncio.get_running_loop().call_at(until_s, self._fail, TimeoutError())
        self._transport.write(request)
        while self._in_head and self._error is None:
            await self._wait()
        if self._error is not None and self._in_head:
            raise self._error

    async def readany(self) -> bytes:
        """Return what has come of the body, or wait for it; nothing at its end.

        Raises:
            BrokenError: it ended before it was whole.
            TimeoutError: it took too long.
        """
        while not self._complete:
            if self._error is not None:
                raise self._error
            if self._pieces:
                break
            await self._wait()
        came, self._pieces = b"".join(self._pieces), []
        if self._unread > _UNREAD_BYTES and self._transport is not None:
            self._transport.resume_reading()
        self._unread = 0
        return came

    def close(self) -> None:
        """Drop the connection with all that may still come."""
        self.rest()
        if self._transport is not None:
            self._transport.abort()

    def rest(self) -> None:
        """Wait for nothing any more."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, error: Exception) -> None:
        self._error = self._error or error
        self.close()
        self._wake()

    # what asyncio calls

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Be ready for a request."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Take what came; what nobody asked for ends the connection."""
        if self._parser is None or self._complete:
            self.close()
            return
        room = HEAD_BYTES - self._idle_bytes if self._in_head else len(data)
        taken, rest = data[:room], data[room:]
        self._idle_bytes += len(taken)  # until the head ends or a piece of the body comes
        try:
            self._parser.feed_data(taken)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(BrokenError(f"what came is no HTTP/1.1 answer ({str(error)[:100]})"))
            return
        if self._idle_bytes > HEAD_BYTES or (rest and self._in_head):
            what = "head of the answer has" if self._in_head else "trailers of the answer have"
            self._fail(BrokenError(f"the {what} more than {HEAD_BYTES} bytes"))
        elif rest:
            self.data_received(rest)
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the end: that of the body too, where it has no other."""
        self._transport = None
        if self._complete:
            return
        framed = "Content-Length" in self._headers or "Transfer-Encoding" in self._headers
        if exc is None and not self._in_head and not framed and self._error is None:
            self._complete = True
        elif self._error is None:
            what = "before it answered" if self._in_head else "before the answer was whole"
            self._error = BrokenError(f"it ended {what}" if exc is None else str(exc) or type(exc).__name__)
        self._wake()

    # what the parser calls

    def _begin_head(self) -> None:
        self._headers, self._in_head = CIMultiDict(), True

    def on_message_begin(self) -> None:
        """Take no second answer."""
        if self._complete:
            raise BrokenError("it answers twice")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; what comes behind a body is none."""
        if self._in_head:
            self._headers.add(name.decode("latin-1"), value.decode("utf-8", "surrogateescape"))

    def on_headers_complete(self) -> None:
        """Take the head as whole, if it is not one that goes before the answer."""
        if self._parser is None or self._error is not None:
            return
        self.status = self._parser.get_status_code()
        if self.status not in _INTERIM:
            self._in_head, self._idle_bytes = False, 0
            if self.method == _NO_BODY:
                self._complete, self._reusable = True, self._parser.should_keep_alive()

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body, and read no more while too much is unread."""
        if self._complete:
            return
        self._idle_bytes = 0
        self._pieces.append(body)
        before, self._unread = self._unread, self._unread + len(body)
        if before <= _UNREAD_BYTES < self._unread and self._transport is not None:
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        """Take the end of the answer."""
        if self._in_head:
            self._begin_head()
        elif self._parser is not None and not self._complete:
            self._complete, self._reusable = True, self._parser.should_keep_alive()
