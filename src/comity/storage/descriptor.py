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
    return os.open(segment, _OPEN_FOLDER, dir_fd=here)
