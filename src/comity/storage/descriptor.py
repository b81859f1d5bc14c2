"""An open file whose blocking calls run in threads and which is never closed while a thread still uses it.

A stream may be cancelled at any moment, a thread cannot. Closing its descriptor then would let the thread
read or write whatever file gets the same number next. So `close` waits, without blocking, for the last call
to end. Below it: folders, and files that are written whole, so that a power loss leaves them.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import functools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

T = TypeVar("T")

_OPEN_FOLDER: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC


class Descriptor:
    """A file descriptor, owned: use `run` for blocking calls and `close` exactly once."""

    def __init__(self, number: int) -> None:
        self.number = number
        self._running: asyncio.Future[Any] | None = None

    async def run(self, call: Callable[[], T]) -> T:
        """Run a blocking call in a thread; if the caller is cancelled the call still ends undisturbed."""
        running = asyncio.get_running_loop().run_in_executor(None, call)
        self._running = running
        return await asyncio.shield(running)

    def close(self) -> None:
        """Close now, or as soon as the call that still runs has ended."""
        if self._running is None or self._running.done():
            os.close(self.number)
        else:
            self._running.add_done_callback(self._close_after)

    def _close_after(self, running: asyncio.Future[Any]) -> None:
        running.exception()  # nobody waits for it any more
        os.close(self.number)


def open_folder(root: str, segments: list[str], *, create: bool = False) -> int:
    """Open a folder below `root`, one segment at a time and following no link; the root itself may be a link.

    Raises:
        OSError: a segment is missing (and `create` is False), a link, or not a folder.
    """
    here = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for segment in segments:
        try:
            if segment in {"", ".", ".."}:
                raise OSError(f"{segment!r} is not the name of a folder")
            below = _open_below(here, segment, create=create)
        finally:
            os.close(here)
        here = below
    return here


def _open_below(here: int, segment: str, *, create: bool) -> int:
    try:
        return os.open(segment, _OPEN_FOLDER, dir_fd=here)
    except FileNotFoundError:
        if not create:
            raise
    with contextlib.suppress(FileExistsError):  # another thread made it meanwhile; it may not be synced yet
        os.mkdir(segment, 0o755, dir_fd=here)
    os.fsync(here)  # else the folder, with all that will be synced in it, may be lost with the power
    return os.open(segment, _OPEN_FOLDER, dir_fd=here)


def make_folder(path: str, mode: int = 0o777) -> None:
    """Make a folder, and those above it that are missing, so that a power loss leaves them; it may be there already.

    Raises:
        OSError: it cannot be made.
    """
    above = os.path.dirname(path)
    if not os.path.lexists(above):
        make_folder(above)
    try:
        os.mkdir(path, mode)
    except FileExistsError:
        if not os.path.isdir(path):
            raise
    else:
        sync_folder(above)


@contextlib.contextmanager
def whole(path: Path, mode: int = 0o600) -> Iterator[Path]:
    """Give a place to write a file to; the file has its name, and is on the disk, when the block has ended well.

    Raises:
        OSError: it cannot be written: what had the name has it still, and nothing is left of the new one.
    """
    unfinished = path.with_name(path.name + ".new")
    unfinished.unlink(missing_ok=True)
    os.close(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode))
    try:
        yield unfinished
        _sync(unfinished)
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_whole(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Write a file whole or not at all, and have it on the disk when this returns.

    Raises:
        OSError: as `whole`.
    """
    with whole(path, mode) as unfinished:
        unfinished.write_bytes(content)


def sync_folder(path: str | os.PathLike[str]) -> None:
    """Make the names in a folder durable: what was made, renamed or removed there.

    Raises:
        OSError: the disk does not take it.
    """
    _sync(path, os.O_DIRECTORY)


@functools.cache
def syncfs() -> Callable[[int], int]:
    """Return the call that makes durable all of the file system of an open folder; 0, or -1 with ctypes' errno."""
    found: Callable[[int], int] = ctypes.CDLL(None, use_errno=True).syncfs
    return found


def sync_file_system(path: str) -> None:
    """Make durable all of the file system that a folder is on: for many files faster than one by one.

    Raises:
        OSError: the disk does not take it.
    """
    number = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if syncfs()(number):
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
    finally:
        os.close(number)


def _sync(path: str | os.PathLike[str], flags: int = 0) -> None:
    number = os.open(path, os.O_RDONLY | os.O_CLOEXEC | flags)
    try:
        os.fsync(number)
    finally:
        os.close(number)
