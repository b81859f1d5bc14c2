"""An open file whose blocking calls run in threads and which is never closed while a thread still uses it.

A stream may be cancelled at any moment, a thread cannot. Closing its descriptor then would let the thread
read or write whatever file gets the same number next. So `close` waits, without blocking, for the last call
to end.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
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


def sync_folder(path: str | os.PathLike[str]) -> None:
    """Make the names in a folder durable: what was made, renamed or removed there.

    Raises:
        OSError: the disk does not take it.
    """
    number = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    finally:
        os.close(number)
