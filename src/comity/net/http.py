"""The one guarded HTTP client: limits on time, size and redirects, and no address that `guard` refuses.

Nothing is taken from the environment (proxies, netrc), nothing is remembered (cookies), no redirect is followed. What
fails on the way is a TransientDeliveryError, which says whether the request may have arrived; what must not be sent or
cannot be read is a PermanentDeliveryError. Statuses are the caller's to judge.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver
from msgspec import Struct
from multidict import CIMultiDictProxy
from yarl import URL

from comity import errors
from comity.net import answer
from comity.net.connection import Connection
from comity.net.guard import Guard, RefusedAddressError
from comity.net.pool import Connections
from comity.net.resolver import CheckedResolver, Threads

__all__ = ["Guard", "HttpClient", "RefusedAddressError", "Response", "StreamResponse"]

CONNECT_S: Final = 10.0
TIMEOUT_S: Final = 30.0
MAX_BYTES: Final = 16 * 1024 * 1024
CHUNK_BYTES: Final = 1024 * 1024
_PER_HOST: Final = 128
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_TEXT: Final = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]*")
_FAILURES: Final = (aiohttp.ClientError, OSError, ValueError)  # TimeoutError is an OSError
_DEFAULT_HEADERS: Final = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "comity"}
_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})


class Response(Struct, frozen=True):
    """A whole answer; `headers` are looked up without regard to case.

    `packed_sha256` is the hex digest of its content as it came, where that was packed and `body` is not.
    """

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes
    packed_sha256: str = ""


class StreamResponse:
    """An answer whose body is read piece by piece; made by `HttpClient.stream`."""

    def __init__(self, response: aiohttp.ClientResponse, url: str) -> None:
        self.status = response.status
        self.headers = response.headers
        self._content = response.content
        self._url = url

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes, at most 1 MiB at a time, all of what came also when it breaks off.

        Raises:
            TransientDeliveryError: it broke off, or nothing came for the time that `stream` was given.
        """
        while True:
            try:
                chunk = await self._content.read(CHUNK_BYTES)
            except _FAILURES as error:
                while rest := self._content._read_nowait(CHUNK_BYTES):  # noqa: SLF001  no public way is left then
                    yield rest
                raise _translated(error, self._url) from error
            if not chunk:
                return
            yield chunk


class HttpClient:
    """Sends requests to where the guard allows; made anywhere, used in one event loop, closed with `close`."""

    def __init__(
        self,
        guard: Guard,
        *,
        timeout_s: float = TIMEOUT_S,
        max_bytes: int = MAX_BYTES,
        tls_ca_file: str | None = None,
        resolver: AbstractResolver | None = None,
    ) -> None:
        """Use `tls_ca_file` (PEM) besides the system's authorities; `resolver` replaces DNS in tests.

        Raises:
            SettingsError: the file cannot be read or holds no certificate.
        """
        self.guard = guard
        self._timeout_s = timeout_s
        self._max_bytes = max_bytes
        self._tls = _tls(tls_ca_file)
        self._resolver = resolver or Threads()
        self._sessions: dict[bool, aiohttp.ClientSession] = {}
        self._connections: dict[bool, Connections] = {}

    async def request(  # noqa: PLR0913  # the parts and limits of one request, by name
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        timeout_s: float | None = None,
        max_bytes: int | None = None,
    ) -> Response:
        """Send a request and read the whole answer; an error's body (status 400 and up) is cut at 64 KiB.

        Raises:
            TransientDeliveryError: no connection, no answer in time, or it broke off.
            PermanentDeliveryError: the guard refuses, or the answer is too large or unreadable.
        """
        target = self.guard.check_url(url)
        limit = self._max_bytes if max_bytes is None else max_bytes
        written = _written(method, target, _checked_headers(headers), body)
        wait_s = self._timeout_s if timeout_s is None else timeout_s
        until_s = asyncio.get_running_loop().time() + wait_s
        connections = self._connections_to(target)
        connection = await _connected(connections, target, min(CONNECT_S, wait_s))
        try:
            await connection.ask(method, written, until_s=until_s)
            content, packed_sha256 = await answer.read(connection, target, limit)
            return Response(connection.status, connection.headers, content, packed_sha256)
        except _FAILURES as error:
            raise _translated(error, target) from error
        finally:
            connections.give_back(target, connection)  # which drops it unless the answer was read to its end

    @contextlib.asynccontextmanager
    async def stream(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
        body: AsyncIterator[bytes] | None = None,
    ) -> AsyncIterator[StreamResponse]:
        """Send a request and hand over the answer while it comes, of any size.

        `timeout_s` limits the wait for the answer's head and then for each piece. How long a `body` may take is the
        caller's to watch; its length is Content-Length, else it goes in chunks. An answer in a Content-Encoding is
        refused. Leaving early drops the connection.

        Raises:
            TransientDeliveryError: no connection, no answer in time.
            PermanentDeliveryError: the guard refuses, or the body is encoded.
        """
        target = self.guard.check_url(url)
        wait_s = self._timeout_s if timeout_s is None else timeout_s
        timing = aiohttp.ClientTimeout(total=None, connect=wait_s, sock_connect=CONNECT_S, sock_read=wait_s)
        try:
            async with asyncio.timeout(None if body is not None else wait_s):
                response = await self._session(target).request(
                    method,
                    target,
                    headers=_checked_headers(headers),
                    data=body,
                    allow_redirects=False,
                    timeout=timing,
                    read_bufsize=CHUNK_BYTES,
                )
        except _FAILURES as error:
            raise _translated(error, target) from error
        try:
            if answer.encoding(response) and response.status < answer.ERROR:
                raise answer.encoded(target, response)
            yield StreamResponse(response, answer.shown(target))
        finally:
            if response.content.at_eof():
                response.release()
            else:
                response.close()

    async def close(self) -> None:
        """Close every connection; the client can be used again afterwards."""
        for connections in self._connections.values():
            connections.close()
        self._connections.clear()
        sessions = list(self._sessions.values())
        self._sessions.clear()
        for session in sessions:
            await session.close()

    def _connections_to(self, target: URL) -> Connections:
        """Return the connections of which every socket is checked, or for a host that the operator listed, others."""
        listed = self.guard.lists_host(target.raw_host or "")
        connections = self._connections.get(listed)
        if connections is None:
            resolver = self._resolver_for(checked=not listed)
            connections = Connections(self.guard, self._tls, resolver, checked=not listed)
            self._connections[listed] = connections
        return connections

    def _session(self, target: URL) -> aiohttp.ClientSession:
        """Return the session that checks every socket, or for a host that the operator listed, the one without."""
        listed = self.guard.lists_host(target.raw_host or "")
        session = self._sessions.get(listed)
        if session is None:
            session = self._sessions[listed] = self._open(checked=not listed)
        return session

    def _resolver_for(self, *, checked: bool) -> AbstractResolver:
        return CheckedResolver(self._resolver, self.guard) if checked else self._resolver

    def _open(self, *, checked: bool) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            ssl=self._tls,
            limit=0,
            limit_per_host=_PER_HOST,
            resolver=self._resolver_for(checked=checked),
            socket_factory=self.guard.open_socket if checked else None,
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
        )


def same_origin(one: URL, other: URL) -> bool:
    """Say whether scheme, host and port are equal, a default port written out or not, hosts in any case."""
    hosts = ((one.raw_host or "").lower(), (other.raw_host or "").lower())
    return hosts[0] == hosts[1] and (one.scheme, one.port) == (other.scheme, other.port)


def _checked_headers(headers: Mapping[str, str] | None) -> Mapping[str, str]:
    """Add what every request has; refuse a value that would begin another header (CR, LF, NUL)."""
    if not headers:
        return _DEFAULT_HEADERS
    for name, text in headers.items():
        if not _HEADER_NAME.fullmatch(name) or not (text.isprintable() or _HEADER_TEXT.fullmatch(text)):
            raise errors.PermanentDeliveryError(
                f"the header {name[:50]!r} cannot be sent: it has control characters"
            )
    return {**_DEFAULT_HEADERS, **headers}


async def _connected(connections: Connections, target: URL, connect_s: float) -> Connection:
    """Return a connection; only when none came about is it sure that nothing arrived.

    Raises:
        TransientDeliveryError: there is none.
    """
    try:
        return await connections.take(target, connect_s)
    except (OSError, ValueError) as error:
        raise _unreached(target, _words_of_connecting(error)) from error


def _words_of_connecting(error: OSError | ValueError) -> str:
    if isinstance(error, TimeoutError):
        return "no connection came about in time"
    if isinstance(error, socket.gaierror):
        return "its name cannot be resolved"
    if isinstance(error, OSError) and error.errno and not isinstance(error, ssl.SSLError):
        return os.strerror(error.errno)
    return _words(error)


def _written(method: str, target: URL, headers: Mapping[str, str], body: bytes) -> bytes:
    """Return a request as it goes over the wire; its headers have been checked."""
    lines = [f"{method} {target.raw_path_qs} HTTP/1.1", f"Host: {target.host_port_subcomponent}"]
    lines += [f"{name}: {text}" for name, text in headers.items()]
    if body or method in _WITH_BODY:
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def _tls(ca_file: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except (OSError, ssl.SSLError) as error:
            raise errors.SettingsError(
                f"the TLS authorities in {ca_file!r} cannot be read: {error}"
            ) from error
    return context


def _translated(error: Exception, target: URL | str) -> errors.TransientDeliveryError:
    """Turn one of `_FAILURES` into ours; only where no connection came about is it sure that nothing arrived."""
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return _unreached(target, _words(error))
    if isinstance(error, TimeoutError):
        return _no_answer(target)
    message = f"the connection to {answer.shown(target)} broke: {_words(error)}"
    return errors.TransientDeliveryError(message, outcome_unknown=True)


def _unreached(target: URL | str, words: str) -> errors.TransientDeliveryError:
    return errors.TransientDeliveryError(f"{answer.shown(target)} cannot be reached: {words}")


def _words(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name cannot be resolved"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "the answer ended before it was whole"
    tls = isinstance(error, aiohttp.ClientSSLError | aiohttp.ClientConnectorCertificateError)
    if isinstance(error, aiohttp.ClientConnectorError) and not tls and error.os_error.strerror:
        return error.os_error.strerror.partition("[")[0].strip() or "connection refused"
    text = str(error) or type(error).__name__
    return "".join(char if char.isprintable() else " " for char in text)[:200]


def _no_answer(target: URL | str) -> errors.TransientDeliveryError:
    return errors.TransientDeliveryError(
        f"{answer.shown(target)} did not answer in time", outcome_unknown=True
    )
