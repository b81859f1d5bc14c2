"""What is being published now: how many files and bytes of it are hashed, for whoever waits for the answer.

It is in memory, and only of this process: a publishing that a process leaves unfinished has published nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from msgspec import Struct


class Publishing(Struct, rename="camel"):
    """A folder that is being hashed; it is told from threads."""

    folder: str
    started_at: int
    files_done: int = 0
    files_total: int = 0
    bytes_done: int = 0
    bytes_total: int = 0

    def tell(self, files_done: int, files_total: int, bytes_done: int, bytes_total: int) -> None:
        """Take how far it is."""
        self.files_done, self.files_total = files_done, files_total
        self.bytes_done, self.bytes_total = bytes_done, bytes_total


class UnderWay:
    """Every publishing that has begun and not ended."""

    def __init__(self) -> None:
        self._begun: list[Publishing] = []

    @contextlib.contextmanager
    def begin(self, folder: str, now_ms: int) -> Iterator[Publishing]:
        """Show a publishing until the block ends."""
        begun = Publishing(folder=folder, started_at=now_ms)
        self._begun.append(begun)
        try:
            yield begun
        finally:
            self._begun = [each for each in self._begun if each is not begun]

    def find(self) -> list[Publishing]:
        """Return them, in the order in which they began."""
        return list(self._begun)
