"""One file's place in a folder: its open folder, its name there, and the small files beside it.

No link is followed. Whatever has the name and was not put there by us is left alone.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Collection
from typing import Self

from comity.dataplane import disk
from comity.dataplane.disk import failures
from comity.errors import StorageError


class Place:
    """One file's place: its open folder and its name there."""

    def __init__(self, number: int, name: str, shown: str, stopped: Callable[[], bool]) -> None:
        self.number = number
        self.name = name
        self.shown = shown
        self._stopped = stopped

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the folder, once."""
        if self.number >= 0:
            os.close(self.number)
            self.number = -1

    def open(self, name: str, flags: int) -> int:
        """Open a file of the folder, following no link."""
        return os.open(name, flags | disk.FILE_FLAGS, 0o644, dir_fd=self.number)

    def digest_of_whole(self, size_bytes: int | None, name: str | None = None) -> str:
        """SHA-256 (hex) of the file at its final name if it is regular and of this size, else ""."""
        try:
            number = self.open(name or self.name, os.O_RDONLY)
        except OSError:
            return ""
        try:
            status = os.fstat(number)
            if not stat.S_ISREG(status.st_mode) or status.st_size != size_bytes:
                return ""
            with failures(self.shown):
                return disk.digest(number, status.st_size, self._stopped)
        finally:
            os.close(number)

    def exists(self) -> bool:
        """Say whether anything has its final name."""
        try:
            os.stat(self.name, dir_fd=self.number, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def size(self, name: str) -> int:
        """Size of a regular file of the folder, 0 if it is none."""
        return disk.size_of(self.number, name)

    def check_free(self, known: Callable[[], Collection[str]], sha256: str, name: str | None = None) -> None:
        """Refuse to replace a file that we did not put there: it has the SHA-256 (hex), or one of those that are known.

        Raises:
            StorageError: there is a file of somebody else's, or one that was changed, or something that is no file.
        """
        try:
            status = os.stat(name or self.name, dir_fd=self.number, follow_symlinks=False)
        except FileNotFoundError:
            return
        received, found = known(), self.digest_of_whole(status.st_size, name)
        if found != sha256 and found not in received:
            shown = os.path.join(os.path.dirname(self.shown), name or self.name)
            what = "and was changed since it was received" if received else "and was not received here"
            raise StorageError(
                f"{shown!r} is there already {what}; it is not replaced",
                hint="move it away, or receive into another folder",
            )

    def put(self, name: str, data: bytes, *, durable: bool = True) -> None:
        """Write a small file whole; one that is not durable may be lost with the power."""
        with failures(self.shown):
            number = self.open(name + "~", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            try:
                disk.write_all(number, data)
                if durable:
                    os.fsync(number)
            finally:
                os.close(number)
            os.replace(name + "~", name, src_dir_fd=self.number, dst_dir_fd=self.number)
            if durable:
                os.fsync(self.number)

    def get(self, name: str, limit: int = 4096) -> bytes:
        """Read a small file that `put` wrote; b"" if there is none."""
        try:
            number = self.open(name, os.O_RDONLY)
        except OSError:
            return b""
        try:
            return disk.read_all(number, limit)
        finally:
            os.close(number)

    def drop(self, name: str) -> None:
        """Remove a file of the folder, if it is there."""
        with failures(self.shown), contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self.number)
