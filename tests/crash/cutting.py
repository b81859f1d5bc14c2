"""A wire between two connectors that counts what the provider sends, and is cut; and what of it lies on the disk.

`Wire` forwards connections to the provider, or (`asked`) its connections to the consumer. When it has passed on as many
bytes as it is told it says so at once, and the bytes go on meanwhile: a cut comes at no special moment. While it is
`closed`, new connections are reset.
"""

from __future__ import annotations

import contextlib
import functools
import socket
import struct
import threading
from pathlib import Path

MIB = 2**20
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: closing drops what is not sent, and tells the other side so."""


class Wire:
    """Forwards connections to a port and counts the bytes of all answers, over all lives of both sides.

    `asked`: the bytes of all requests in their place.
    """

    def __init__(self, to_port: int, *, asked: bool = False) -> None:
        self._to_port = to_port
        self._asked = asked
        self._server = socket.create_server(("127.0.0.1", 0))
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._lock = threading.Lock()
        self._open = threading.Event()
        self._open.set()
        self._limit = -1
        self.port = self._server.getsockname()[1]
        self.answered = 0
        self.reached = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def tell_after(self, size_bytes: int) -> None:
        """Set `reached` when so many more bytes were answered."""
        with self._lock:
            self.reached.clear()
            self._limit = self.answered + size_bytes

    def close(self) -> None:
        """Reset new connections: whatever an attempt still loses, it loses before the wire is open again."""
        self._open.clear()

    def open(self) -> None:
        """Let connections pass again."""
        self._open.set()

    def cut(self) -> None:
        """Reset every connection."""
        with self._lock:
            pairs = list(self._pairs)
        for pair in pairs:
            for each in pair:
                with contextlib.suppress(OSError):
                    each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                    each.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        """Take no more connections."""
        self._server.close()
        self.cut()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._server.accept()
                threading.Thread(target=self._forward, args=(client,), daemon=True).start()

    def _forward(self, client: socket.socket) -> None:
        with client:
            if not self._open.is_set():
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                return
            try:
                provider = socket.create_connection(("127.0.0.1", self._to_port), timeout=5)
            except OSError:
                return
            with provider:
                provider.settimeout(None)
                pair = (client, provider)
                with self._lock:
                    self._pairs.add(pair)
                there = functools.partial(self._pump, *pair, counts=self._asked)
                threading.Thread(target=there, daemon=True).start()
                self._pump(provider, client, counts=not self._asked)
                with self._lock:
                    self._pairs.discard(pair)

    def _pump(self, source: socket.socket, sink: socket.socket, *, counts: bool = False) -> None:
        buffer = bytearray(MIB)
        with contextlib.suppress(OSError):
            while size := source.recv_into(buffer):
                if counts:
                    self._count(size)
                sink.sendall(memoryview(buffer)[:size])
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _count(self, size: int) -> None:
        with self._lock:
            self.answered += size
            if 0 <= self._limit <= self.answered:
                self._limit = -1
                self.reached.set()


def on_disk(folder: Path) -> int:
    """Bytes of content in a folder that receives: of parts what their journals tell, of files all."""
    total = 0
    for path in folder.rglob("*") if folder.exists() else ():
        with contextlib.suppress(FileNotFoundError):
            if path.name.endswith(".part"):
                total += _in_journal(path)
            elif not path.name.startswith(".") and path.is_file():
                total += path.stat().st_size
    return total


def _in_journal(part: Path) -> int:
    journal = part.with_name(part.name.removesuffix(".part") + ".runs")
    if not journal.exists():
        return part.stat().st_size
    data = journal.read_bytes()
    return sum(length for length, _ in struct.iter_unpack(">II", data[: len(data) // 8 * 8]))
