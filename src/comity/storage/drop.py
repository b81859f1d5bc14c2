"""The state of a folder into which another system drops files: whether it is at rest, and whether it is another one.

A state is what can be seen without reading: names, sizes, times, and which files they are (a renamed one is another).
Nothing is at rest that has a name by which programs tell what they have not finished, or that somebody writes to.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

UNFINISHED: Final = (".part", ".partial", ".tmp", ".temp", ".filepart", ".crdownload", ".download", "~")
"""How names end that copying programs give to what is not whole yet."""
_MOST: Final = 500_000


@dataclass(frozen=True, slots=True)
class State:
    """A folder as it was seen: `mark` tells it from any other state."""

    mark: str
    files: int


def look(folder: str) -> State | None:
    """Return the state of a folder; None where it is not there, or went while it was looked at.

    Hidden names do not count: they are no part of what is published.
    """
    seen, files = hashlib.sha256(), 0
    try:
        for entry in _entries(folder):
            found = entry.stat()
            told = (entry.path, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
            seen.update(repr(told).encode(errors="surrogateescape"))
            files += 1
            if files > _MOST:  # publishing it will say so
                break
    except OSError:
        return None
    return State(seen.hexdigest(), files)


def busy(folder: str) -> str:
    """Return a file that is not finished: by its name, or because somebody writes to it; empty for none."""
    try:
        for entry in _entries(folder):
            if entry.name.lower().endswith(UNFINISHED) or _is_written(entry.path):
                return os.path.relpath(entry.path, folder)
    except OSError:
        return ""  # it has another state by now
    return ""


def _entries(folder: str) -> Iterator[os.DirEntry[str]]:
    """Return what is no folder, in an order that does not depend on the disk's."""
    waiting = [folder]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
        for entry in listed:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
            else:
                yield entry


def _is_written(path: str) -> bool:
    """Say whether somebody has a file open for writing, as far as the system tells us.

    A lease for reading is given only while nobody does; it is for the owner of a file, and for local file systems.
    """
    if not hasattr(fcntl, "F_SETLEASE"):
        return False
    with contextlib.suppress(OSError):
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            # whoever opens it to write meanwhile has us told by a signal: by one that nobody has to handle
            fcntl.fcntl(number, fcntl.F_SETSIG, signal.SIGURG)
            fcntl.fcntl(number, fcntl.F_SETLEASE, fcntl.F_RDLCK)
            fcntl.fcntl(number, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        except BlockingIOError:
            return True
        finally:
            os.close(number)
    return False
