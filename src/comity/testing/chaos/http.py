"""HTTP on both sides of the proxy: reading what comes, passing it on as it came, and answering, also badly.

Path, headers and bytes are passed on unchanged, but for what belongs to one connection only (RFC 9110, section 7.6.1).
"""

from __future__ import annotations

import socket
import struct
from collections.abc import AsyncIterator, Mapping

import aiohttp
from aiohttp import web
from msgspec import Struct
from multidict import CIMultiDict
from yarl import URL

HELD_BYTES = 1024 * 1024
"""What is held in memory of one body; a longer request has no fault, a longer answer to one with a fault is cut."""
BLOCK = 64 * 1024
HOP = frozenset(
    {
        "connection",
        "content-length",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
RESET = struct.pack("ii", 1, 0)  # SO_LINGER without time: closing sends RST


class Request(Struct, frozen=True):
    """A request as it came; `rest` is what was not read of a body that is too long to be held."""

    method: str
    target: str
    headers: CIMultiDict[str]
    body: bytes
    rest: aiohttp.StreamReader | None = None


class Reply(Struct, frozen=True):
    """An answer; `cut` when there was more than is held."""

    status: int
    headers: CIMultiDict[str] = CIMultiDict()
    body: bytes = b""
    cut: bool = False

    @property
    def raw(self) -> bytes:
        """The answer as it stands on the wire."""
        lines = [f"HTTP/1.1 {self.status} -", *(f"{name}: {value}" for name, value in self.headers.items())]
        head = "\r\n".join((*lines, f"Content-Length: {len(self.body)}", "", "")).encode("latin-1", "replace")
        return head + self.body


async def read(request: web.BaseRequest) -> Request:
    """Read a request, as much of it as is held."""
    body = bytearray()
    while len(body) <= HELD_BYTES and (block := await request.content.read(BLOCK)):
        body += block
    rest = request.content if len(body) > HELD_BYTES else None
    return Request(request.method, request.raw_path, _end_to_end(request.headers), bytes(body), rest)


async def _body(request: Request) -> AsyncIterator[bytes]:
    yield request.body
    while request.rest is not None and (block := await request.rest.read(BLOCK)):
        yield block


def session() -> aiohttp.ClientSession:
    """Return a client that adds nothing to what it passes on."""
    return aiohttp.ClientSession(
        # connectors close idle connections after 5 s and more: one that may be closed just now is not used
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=2),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=120),
        auto_decompress=False,
        skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
    )


def send(client: aiohttp.ClientSession, to: str, request: Request) -> aiohttp.client._RequestContextManager:
    """Pass a request on to the connector at `to`."""
    return client.request(
        request.method,
        URL(to + request.target, encoded=True),
        headers=request.headers,
        data=_body(request) if request.rest is not None else request.body or None,
        allow_redirects=False,
    )


async def hold(answer: aiohttp.ClientResponse) -> Reply:
    """Read an answer, as much of it as is held."""
    body = bytearray()
    while len(body) <= HELD_BYTES and (block := await answer.content.read(BLOCK)):
        body += block
    return Reply(answer.status, _end_to_end(answer.headers), bytes(body), len(body) > HELD_BYTES)


async def relay(request: web.BaseRequest, answer: aiohttp.ClientResponse) -> tuple[Reply, web.StreamResponse]:
    """Pass an answer on as it comes and return it, as much of it as is held."""
    reply = web.StreamResponse(status=answer.status, headers=_end_to_end(answer.headers))
    if (length := answer.headers.get("Content-Length")) is not None:
        reply.headers["Content-Length"] = length
    await reply.prepare(request)
    body = bytearray()
    while block := await answer.content.read(BLOCK):
        await reply.write(block)
        body += block[: max(0, HELD_BYTES - len(body))]
    await reply.write_eof()
    return Reply(answer.status, reply.headers, bytes(body)), reply


def respond(reply: Reply) -> web.Response:
    """Answer."""
    return web.Response(status=reply.status, headers=reply.headers, body=reply.body)


def close(request: web.BaseRequest, *, first: bytes = b"", reset: bool = False) -> web.Response:
    """Close the connection instead of answering, after some bytes, or with a reset."""
    transport = request.transport
    if transport is not None:
        transport.write(first)
        if reset:
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            transport.abort()
        transport.close()
    return web.Response()


def _end_to_end(headers: Mapping[str, str]) -> CIMultiDict[str]:
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in HOP)
