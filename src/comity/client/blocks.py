"""Bytes of partners' files that were read a moment ago: in memory, by agreement and content, the oldest go first.

Nothing here says that they may still be given: who asks for them has asked the connector before (`distant`).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from typing import Final, NamedTuple

BLOCK_BYTES: Final = 32 * 1024


class Content(NamedTuple):
    """What blocks are of: the agreement under which they came, and the entity tag of the file."""

    agreement_id: str
    tag: str


class Blocks:
    """At most `limit_bytes` of blocks, for threads and event loops at once."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.size_bytes = 0
        self._blocks: OrderedDict[tuple[Content, int], bytes] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, of: Content, number: int) -> bytes | None:
        """Return a block, None if it is not there."""
        with self._lock:
            found = self._blocks.get((of, number))
            if found is not None:
                self._blocks.move_to_end((of, number))
            return found

    def keep(self, of: Content, number: int, block: bytes) -> None:
        """Keep a block, in the place of the oldest ones."""
        with self._lock:
            before = self._blocks.pop((of, number), b"")
            self._blocks[of, number] = block
            self.size_bytes += len(block) - len(before)
            while self.size_bytes > self.limit_bytes:
                self.size_bytes -= len(self._blocks.popitem(last=False)[1])

    def forget(self, agreement_id: str = "") -> None:
        """Drop what came under an agreement, or all."""
        with self._lock:
            for key in [key for key in self._blocks if agreement_id in {"", key[0].agreement_id}]:
                self.size_bytes -= len(self._blocks.pop(key))


def numbers(start: int, end: int) -> range:
    """Return the numbers of the blocks that hold bytes `start` to `end` (exclusive)."""
    return range(start // BLOCK_BYTES, -(-end // BLOCK_BYTES))


def runs(wanted: list[int]) -> Iterator[tuple[int, int]]:
    """Yield blocks that follow each other as (first, one after the last)."""
    first = before = None
    for number in wanted:
        if before is not None and number != before + 1:
            yield first or 0, before + 1
            first = None
        first, before = number if first is None else first, number
    if before is not None:
        yield first or 0, before + 1
