"""What a folder that receives a transfer has already under another path: it is copied, and checked, not fetched.

A copy is the file system's where it can share blocks (`copy_file_range`), else one of bytes. Its SHA-256 is computed
from the copy, so what somebody changed meanwhile is found and fetched.
"""

from __future__ import annotations

import contextlib
import os

from comity.dataplane import disk
from comity.dataplane.part import FilePart
from comity.dataplane.places import Wanted
from comity.storage import descriptor


class Copies:
    """Paths of a folder by the SHA-256 (hex) of what was put there."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._paths: dict[str, list[str]] = {}

    def add(self, sha256: str, path: str) -> None:
        """Note that a path has, or had, these contents."""
        paths = self._paths.setdefault(sha256, [])
        if path not in paths:
            paths.append(path)

    def has(self, wanted: Wanted) -> bool:
        """Say whether there is something to copy: a file of the right size where these contents were put."""
        return any(self._size(path) == wanted.size_bytes for path in self._others(wanted))

    def fill(self, part: FilePart) -> None:
        """Fill a part that is not whole with a copy, if there is one and it is right."""
        wanted = part.wanted
        if part.size == wanted.size_bytes or not wanted.size_bytes:
            return
        for path in self._others(wanted):
            with contextlib.suppress(OSError):
                if self._copied(part, path):
                    return

    def _copied(self, part: FilePart, path: str) -> bool:
        *folders, name = path.split("/")
        folder = descriptor.open_folder(self._folder, folders)
        try:
            number = os.open(name, os.O_RDONLY | disk.FILE_FLAGS, dir_fd=folder)
        finally:
            os.close(folder)
        try:
            if os.fstat(number).st_size != part.wanted.size_bytes:
                return False
            part.fill(number)
        finally:
            os.close(number)
        if part.finish() == part.wanted.sha256:
            return True
        part.start_over()
        return False

    def _others(self, wanted: Wanted) -> list[str]:
        return [each for each in self._paths.get(wanted.sha256, ()) if each != wanted.path]

    def _size(self, path: str) -> int:
        *folders, name = path.split("/")
        try:
            number = descriptor.open_folder(self._folder, folders)
        except OSError:
            return -1
        try:
            return disk.size_of(number, name)
        finally:
            os.close(number)
