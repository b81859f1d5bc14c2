"""The state of a folder into which another system drops files: whether it is at rest, and whether it is another one.

A state is what can be seen without reading: names, sizes, times, and which files they are (a renamed one is another).
Nothing is at rest that has a name by which programs tell what they have not finished, or that somebody writes to.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import stat
from dataclasses import dataclass
from typing import Final

UNFINISHED: Final = (".part", ".partial", ".tmp", ".temp", ".filepart", ".crdownload", ".download", "~")
"""How names end that copying programs give to what is not whole yet."""
_MOST: Final = 500_000


@dataclass(frozen=True, slots=True)
class State:
    """A folder as it was seen: `mark` tells it from any other state; `busy` is a file that is not finished, or ""."""

    mark: str
    files: int
    busy: str = ""


def look(folder: str) -> State | None:
    """Return the state of a folder; None where it is not there, or went while it was looked at.

    Hidden names do not count: they are no part of what is published.
    """
    seen = hashlib.sha256()
    files, busy = 0, ""
    waiting = [folder]
    try:
        while waiting:
            with os.scandir(waiting.pop()) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
            for entry in listed:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                    continue
                files += 1
                if files > _MOST:
                    return State("too many", files)
                found = entry.stat()
                told = (entry.path, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
                seen.update(repr(told).encode())
                if not busy and _is_busy(entry, found):
                    busy = os.path.relpath(entry.path, folder)
    except OSError:
        return None
    return State(seen.hexdigest(), files, busy)


def _is_busy(entry: os.DirEntry[str], found: os.stat_result) -> bool:
    return entry.name.lower().endswith(UNFINISHED) or (
        stat.S_ISREG(found.st_mode) and _is_written(entry.path)
    )


def _is_written(path: str) -> bool:
    """Say whether somebody has a file open for writing, as far as the system tells us.

    A lease for reading is given only while nobody does; it is for the owner of a file, and for local file systems.
    """
    if not hasattr(fcntl, "F_SETLEASE"):
        return False
    with contextlib.suppress(OSError):
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            fcntl.fcntl(number, fcntl.F_SETLEASE, fcntl.F_RDLCK)
            fcntl.fcntl(number, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        except BlockingIOError:
            return True
        finally:
            os.close(number)
    return False
