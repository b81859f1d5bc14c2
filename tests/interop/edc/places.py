"""Ports, endpoints and figures of this machine: a file server, a place that takes what is pushed, resident memory."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from interop.edc.relay import read_chunks


def resident_mib(pid: int) -> float:
    """Return the resident memory of a process now, in MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")) / 1024


def sha256(body: bytes) -> str:
    """Return the hex SHA-256 of some bytes."""
    return hashlib.sha256(body).hexdigest()


@dataclass
class Endpoint:
    """An HTTP endpoint on a free loopback port: serves `served` by path and keeps what is sent to it."""

    served: dict[str, bytes] = field(default_factory=dict)
    received: list[tuple[str, str, bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _requests(self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def address(self) -> str:
        """Where it is reached."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def at(self, path: str) -> list[bytes]:
        """Return the bodies that were sent to a path."""
        return [body for _, there, body in list(self.received) if there.partition("?")[0].rstrip("/") == path]


def _requests(endpoint: Endpoint) -> type[BaseHTTPRequestHandler]:
    class Requests(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = endpoint.served.get(self.path)
            self.send_response_only(200 if body is not None else 404)
            self.send_header("Content-Type", "application/octet-stream")
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def do_POST(self) -> None:
            chunked = "chunked" in self.headers.get("Transfer-Encoding", "").lower()
            length = int(self.headers.get("Content-Length") or 0)
            body = read_chunks(self.rfile) if chunked else self.rfile.read(length)
            endpoint.received.append((self.command, self.path, body))
            self.send_response_only(204)
            self.end_headers()

        do_PUT = do_POST  # noqa: N815  the base class's name

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    return Requests
