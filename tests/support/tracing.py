"""What a process asks of the operating system, by strace: every change of its files with the bytes, every sync, and
every byte of its sockets, in one order.

`Traced` is a connector that runs so; `calls` reads what was written down; `exchanges` finds the HTTP requests that it
answered, and where in that order each was whole and its answer begun.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from support import processes

FILES = (
    "openat",
    "write",
    "pwrite64",
    "ftruncate",
    "fsync",
    "fdatasync",
    "mkdir",
    "mkdirat",
    "unlink",
    "unlinkat",
)
FILES += ("rename", "renameat", "renameat2")
SOCKETS = ("read", "recvfrom", "recvmsg", "sendto", "sendmsg", "writev")
MOST_BYTES = 1 << 21  # of one call: what is longer would be cut off

missing = pytest.mark.skipif(
    shutil.which("strace") is None and os.environ.get("CI") != "true", reason="strace is not installed"
)

_CALL = re.compile(r"(\d+) +(\w+)\((.*)", re.DOTALL)
_RESUMED = re.compile(r"(\d+) +<\.\.\. (\w+) resumed>(.*)", re.DOTALL)
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_PLACE = re.compile(r"<((?:\\x[0-9a-f]{2})+)>")
_SOCKET = re.compile(r"<TCP(?:v6)?:\[(.*?)->(.*?)\]>")
_ENDS = re.compile(r"\) += (-?\d+)")


@dataclass(slots=True)
class Call:
    """A system call: its name, the text of its arguments, what it returned, and the lines where it began and ended."""

    name: str
    arguments: str
    returned: int
    began: int
    ended: int
    rest: str = ""

    @property
    def data(self) -> bytes:
        """The bytes that were written or read."""
        if self.name in {"write", "pwrite64"}:
            begin, end = self.arguments.find('"'), self.arguments.rfind('"')
            found = _bytes(self.arguments[begin + 1 : end]) if begin < end else b""
        else:
            given = self.arguments.partition(">, ")[2]  # the descriptor of a Unix socket has a path in quotes
            found = b"".join(_bytes(each) for each in _TEXT.findall(given))
        return found[: self.returned] if self.returned >= 0 else b""

    @property
    def paths(self) -> list[str]:
        """The paths among the arguments, whole: those of descriptors, and names below the descriptor before them."""
        found: list[str] = []
        folder = ""
        for place, text in re.findall(r'<((?:\\x[0-9a-f]{2})+)>|"((?:\\x[0-9a-f]{2})*)"', self.arguments):
            if place:
                folder = _bytes(place).decode(errors="replace")
            else:
                found.append(str(Path(folder) / _bytes(text).decode(errors="replace")))
        return found

    @property
    def place(self) -> str:
        """The path of the first descriptor."""
        found = _PLACE.match(self.arguments, self.arguments.find("<"))
        return _bytes(found[1]).decode(errors="replace") if found else ""

    @property
    def opened(self) -> str:
        """The path of the descriptor that was returned."""
        found = _PLACE.search(self.rest)
        return _bytes(found[1]).decode(errors="replace") if found else ""

    @property
    def descriptor(self) -> int:
        return int(re.match(r"-?\d+", self.arguments)[0])

    @property
    def last_number(self) -> int:
        return int(self.arguments.rpartition(",")[2])


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


def calls(trace: Path) -> list[Call]:
    """Read a trace; what the process was in the middle of when it ended is left out."""
    found: list[Call] = []
    begun: dict[str, tuple[str, str, int]] = {}
    with trace.open(encoding="ascii", errors="replace") as lines:
        for number, line in enumerate(lines):
            if resumed := _RESUMED.match(line):
                if resumed[1] in begun:
                    name, arguments, began = begun.pop(resumed[1])
                    _add(found, name, arguments + resumed[3], began, number)
            elif call := _CALL.match(line):
                if call[3].endswith("<unfinished ...>\n"):
                    begun[call[1]] = (call[2], call[3].removesuffix("<unfinished ...>\n"), number)
                else:
                    _add(found, call[2], call[3], number, number)
    return sorted(found, key=lambda each: each.began)


def _add(found: list[Call], name: str, text: str, began: int, ended: int) -> None:
    for end in _ENDS.finditer(text):
        returned = int(end[1])
        if returned >= 0:
            found.append(
                Call(name, text[: end.start()].rstrip(" ,"), returned, began, ended, text[end.end() :])
            )
        return


class Traced(processes.Served):
    """A connector that runs under strace; its trace is beside its log."""

    @property
    def trace(self) -> Path:
        return self.conf.folder.with_suffix(".trace")

    def words(self, *more: str) -> list[str]:
        return [*under_strace(self.trace), *super().words(*more)]

    def stop(self) -> float:
        took_s = super().stop()
        wait_written(self.trace)
        return took_s


def under_strace(trace: Path, *, sockets: bool = True) -> list[str]:
    """Words before a command; strace adds to no file, so one trace is of one process."""
    wanted = ",".join(FILES + SOCKETS * sockets)
    kept = f"|grep -av 'read([0-9]*<\\\\' >{shlex.quote(str(trace))}"  # not what is read from files: programs, mostly
    # -D: the command is our own child, and gets our signals
    return ["strace", "-D", "-f", "-yy", "-xx", "-s", str(MOST_BYTES), "-e", f"trace={wanted}", "-o", kept]


def wait_written(trace: Path, seconds: float = 20) -> None:
    """Wait until strace has written down the end of the process."""
    deadline = time.monotonic() + seconds
    while b"+++ exited with" not in _tail(trace).splitlines()[-1:][0]:
        if time.monotonic() > deadline:
            raise AssertionError(f"{trace} has no end: {_tail(trace)[-300:]!r}")
        time.sleep(0.01)


def _tail(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 4096))
        return file.read() or b"\n"


def run(trace: Path, words: Sequence[str], **more: Any) -> list[Call]:
    """Run a command to its end and return its calls."""
    subprocess.run([*under_strace(trace), *words], check=True, capture_output=True, timeout=60, **more)
    wait_written(trace)
    return calls(trace)


@dataclass(slots=True)
class Exchange:
    """A request that was answered: the line where it was whole, and that where its answer began."""

    method: str
    path: str
    request: bytes
    asked_at: int
    status: int = 0
    answer: bytes = b""
    answered_at: int = 0


@dataclass(slots=True)
class _Connection:
    """Bytes of one connection, each way, with the lines where pieces of them ended (received) or began (sent)."""

    received: bytearray = field(default_factory=bytearray)
    sent: bytearray = field(default_factory=bytearray)
    received_at: list[tuple[int, int]] = field(default_factory=list)
    sent_at: list[tuple[int, int]] = field(default_factory=list)


def exchanges(made: Sequence[Call], *ports: int) -> list[Exchange]:
    """Return what was asked at our `ports` and answered, in the order of the answers."""
    connections: dict[tuple[str, str], _Connection] = {}
    for call in made:
        ends = (
            _SOCKET.match(call.arguments, call.arguments.find("<")) if "<TCP" in call.arguments[:40] else None
        )
        if ends is None or call.name == "openat" or int(ends[1].rpartition(":")[2]) not in ports:
            continue
        connection = connections.setdefault((ends[1], ends[2]), _Connection())
        if call.name in {"read", "recvfrom", "recvmsg"}:
            connection.received += call.data
            connection.received_at.append((len(connection.received), call.ended))
        else:
            connection.sent_at.append((len(connection.sent), call.began))
            connection.sent += call.data
    found = [each for one in connections.values() for each in _paired(one)]
    return sorted(found, key=lambda each: each.answered_at)


def _paired(connection: _Connection) -> Iterator[Exchange]:
    answers = _messages(bytes(connection.sent), answers=True)
    for _, line, body, end in _messages(bytes(connection.received)):
        method, path, _ = line.split(" ", 2)
        asked_at = next(at for size, at in connection.received_at if size >= end)
        made = Exchange(method, path, body, asked_at)
        answer = next(answers, None)
        if answer is None:
            return
        begin, status, made.answer, _ = answer
        made.status = int(status.split(" ")[1])
        made.answered_at = max(at for size, at in connection.sent_at if size <= begin)
        yield made


def _messages(data: bytes, *, answers: bool = False) -> Iterator[tuple[int, str, bytes, int]]:
    """Yield (beginning, first line, body, end) of each HTTP/1.1 message."""
    at = 0
    while (head_end := data.find(b"\r\n\r\n", at)) >= 0:
        first, *lines = data[at:head_end].decode("latin-1").split("\r\n")
        named = {
            name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
        }
        body_at = head_end + 4
        if answers and first.split(" ")[1] == "100":
            at = body_at
            continue
        if "chunked" in named.get("transfer-encoding", ""):
            body, end = _unchunked(data, body_at)
        else:
            end = body_at + int(named.get("content-length", "0"))
            body = data[body_at:end]
        if end > len(data):
            return
        yield at, first, body, end
        at = end


def _unchunked(data: bytes, at: int) -> tuple[bytes, int]:
    body = b""
    while (line_end := data.find(b"\r\n", at)) >= 0:
        size = int(data[at:line_end].split(b";")[0], 16)
        body += data[line_end + 2 : line_end + 2 + size]
        at = line_end + 2 + size + 2
        if size == 0:
            return body, at
    return body, len(data) + 1
