"""A server that others wrote, which the tests of a process share: on loopback, in a folder of its own.

It ends with the process that started it, also when that is killed: a small process waits for the end of a pipe.
"""

from __future__ import annotations

import atexit
import contextlib
import http.client
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import pytest

from support.ports import free_port

READY_S = 60.0

_WATCH = """
import glob, os, shutil, subprocess, sys
folder, leaves, command = sys.argv[1], sys.argv[2], sys.argv[3:]
with open(folder + '/log', 'wb') as log:
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
sys.stdin.buffer.read()
server.kill()
server.wait()
shutil.rmtree(folder, ignore_errors=True)
for each in leaves.split():
    for path in glob.glob(each):
        os.unlink(path)
"""


class Server:
    """Answers HTTP at `port`, and has `folder` for itself."""

    def __init__(self, name: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"comity-{name}-"))
        self.port = free_port()

    def start(
        self,
        *command: str | Path,
        environment: Mapping[str, str] | None = None,
        leaves: Sequence[str] = (),
    ) -> None:
        """Start it and wait until it is ready; `leaves` are patterns of what it leaves behind when it is killed."""
        self._watch = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _WATCH, self.folder, " ".join(leaves), *command],
            stdin=subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, **(environment or {})},
        )
        atexit.register(self.close)
        deadline = time.monotonic() + READY_S
        while True:
            with contextlib.suppress(OSError):
                if self.is_ready():
                    return
            assert time.monotonic() < deadline, self.log()
            assert self._watch.poll() is None
            time.sleep(0.02)

    def is_ready(self) -> bool:
        """Say whether it can be used: by default, whether it answers."""
        return bool(self.ask("GET", "/"))

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        port: int = 0,
    ) -> int:
        """Send a request and return the status of its answer."""
        return self.answer(method, path, body, headers, port)[0]

    def answer(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str] | None, port: int
    ) -> tuple[int, bytes]:
        """Send a request and return status and body of its answer."""
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=10)
        with contextlib.closing(connection):
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return answer.status, answer.read()

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def close(self) -> None:
        """End it and remove its folder."""
        assert self._watch.stdin is not None
        self._watch.stdin.close()
        self._watch.wait(timeout=20)


def missing(reason: str) -> NoReturn:
    """End the test: a failure where CI is set, a skip on a machine that just has no such server."""
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
