"""What a run has: two connectors that know each other, a back end with the data; described for a client's script."""

from __future__ import annotations

import contextlib
import functools
import http.server
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from support import processes
from support.ports import free_port

DATA_BYTES = 300_000


@contextlib.contextmanager
def world(folder: Path) -> Iterator[dict[str, Any]]:
    """Start everything, yield the description, end everything.

    Raises:
        AssertionError: a connector does not start.
    """
    file = folder / "back-end" / "drawing.bin"
    file.parent.mkdir()
    file.write_bytes(os.urandom(DATA_BYTES))
    sides = {name: processes.make(folder, name) for name in ("provider", "consumer")}
    with serving(file.parent) as source:
        try:
            for side in sides.values():
                side.start()
            processes.introduce(*sides.values())
            yield {
                **{name: described(side) for name, side in sides.items()},
                "source": source,
                "file": str(file),
                "nobody": f"http://127.0.0.1:{free_port()}/dsp/2025-1",
            }
        finally:
            for side in sides.values():
                side.end()


def described(side: processes.Served) -> dict[str, str]:
    """Return what somebody must know to use a connector."""
    own = side.conf.management_address
    return {
        "did": side.did,
        "dsp": side.dsp,
        "address": own,
        "management": f"{own}/management",
        "checks": f"{own}/api",
        "key": side.conf.management_key,
    }


class _Quiet(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve the files of a folder on a free loopback port; yield the address."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=folder))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
