"""Stands between two connectors and keeps every request and answer that crosses it, in order.

Each connector's public address is a relay's; the connector itself listens behind it. What is passed on is what came:
same path, headers and bytes. `repeat` sends a recorded request once more, as a network that delivers twice would.
"""

from __future__ import annotations

import gzip
import http.client
import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "upgrade", "te", "trailer"}
TIMEOUT_S = 60.0


@dataclass
class Crossing:
    """One request with its answer; `sender` and `receiver` are the names of the two sides."""

    number: int
    sender: str
    receiver: str
    method: str
    path: str
    headers: list[tuple[str, str]]
    request: bytes
    at_s: float
    chunked: bool = False
    repeated: bool = False
    status: int = 0
    answer_headers: list[tuple[str, str]] = field(default_factory=list)
    answer: bytes = b""

    @property
    def message(self) -> Any:
        """The request's JSON, None where it has none."""
        return _json(self.request)

    @property
    def answered(self) -> Any:
        """The answer's JSON, None where it has none."""
        packed = any(
            (name.lower(), text) == ("content-encoding", "gzip") for name, text in self.answer_headers
        )
        return _json(gzip.decompress(self.answer) if packed else self.answer)

    def mentions(self, pid: str) -> bool:
        """Tell whether the request or its answer is about a process."""
        quoted = pid.encode()
        return quoted in self.request or quoted in self.answer or pid in self.path


@dataclass
class Capture:
    """All crossings of one run, of every relay."""

    crossings: list[Crossing] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    began_s: float = field(default_factory=time.monotonic)

    def add(self, **said: Any) -> Crossing:
        """Keep a request before it is passed on."""
        with self.lock:
            crossing = Crossing(number=len(self.crossings) + 1, at_s=time.monotonic() - self.began_s, **said)
            self.crossings.append(crossing)
        return crossing

    def of(self, *pids: str) -> list[Crossing]:
        """Return the crossings about any of some processes, in order."""
        return [each for each in list(self.crossings) if any(pid and each.mentions(pid) for pid in pids)]


class Relay:
    """A listener on a free loopback port that passes everything on to 127.0.0.1:`target`."""

    def __init__(self, capture: Capture, *, target: int, sender: str, receiver: str) -> None:
        self.capture = capture
        self.target = target
        self.sender = sender
        self.receiver = receiver
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _requests(self))
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def address(self) -> str:
        """Where the relay is reached."""
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def pass_on(
        self,
        method: str,
        path: str,
        headers: list[tuple[str, str]],
        body: bytes,
        *,
        chunked: bool = False,
        repeated: bool = False,
    ) -> Crossing:
        """Send a request to the connector behind and keep both it and the answer."""
        crossing = self.capture.add(
            sender=self.sender,
            receiver=self.receiver,
            method=method,
            path=path,
            headers=headers,
            request=body,
            chunked=chunked,
            repeated=repeated,
        )
        connection = http.client.HTTPConnection("127.0.0.1", self.target, timeout=TIMEOUT_S)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in headers:
                connection.putheader(name, value)
            if chunked:
                connection.putheader("Transfer-Encoding", "chunked")
            elif body or method in {"POST", "PUT"}:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body or None, encode_chunked=chunked)
            response = connection.getresponse()
            crossing.answer = response.read()
            crossing.answer_headers = response.getheaders()
            crossing.status = response.status
        except (OSError, http.client.HTTPException) as error:
            crossing.status, crossing.answer = 502, str(error).encode()
        finally:
            connection.close()
        return crossing

    def repeat(self, crossing: Crossing) -> Crossing:
        """Deliver a request of this relay once more, with the same bytes."""
        said = (crossing.method, crossing.path, crossing.headers, crossing.request)
        return self.pass_on(*said, chunked=crossing.chunked, repeated=True)


def _requests(relay: Relay) -> type[BaseHTTPRequestHandler]:
    class Requests(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _relay(self) -> None:
            chunked = "chunked" in self.headers.get("Transfer-Encoding", "").lower()
            length = int(self.headers.get("Content-Length") or 0)
            body = read_chunks(self.rfile) if chunked else self.rfile.read(length)
            headers = [(name, value) for name, value in self.headers.items() if name.lower() not in HOP]
            crossing = relay.pass_on(self.command, self.path, headers, body, chunked=chunked)
            self.send_response_only(crossing.status)
            for name, value in crossing.answer_headers:
                if name.lower() not in HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(crossing.answer)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(crossing.answer)

        do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _relay  # noqa: N815  the base class's names

        def log_message(self, *_: Any) -> None:
            """Say nothing: the capture has it."""

    return Requests


def read_chunks(stream: Any) -> bytes:
    """Read a chunked body to its end."""
    found = b""
    while size := int(stream.readline().split(b";")[0], 16):
        found += stream.read(size)
        stream.readline()
    while stream.readline().strip():
        pass
    return found


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None
