"""Many files hashed at once: as many threads as there are processors, small files in batches.

Hashing and reading let go of Python's lock, so that threads do use all processors. Their order does not show: what
comes back is in the order of what was asked for.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from comity.storage.source import CHUNK_BYTES, Source

Progress = Callable[[int, int, int, int], None]
"""Is told (files done, files in all, bytes done, bytes in all), in threads, one call at a time."""
Measure = Callable[[str, Callable[[int], None], Callable[[], bool]], Source]
"""Hashes the file at a path, tells how many more bytes are done, and asks whether anybody still waits."""

_BATCH_BYTES: Final = 16 * CHUNK_BYTES
_BATCH_FILES: Final = 256
_MOST_THREADS: Final = 8


@dataclass(frozen=True, slots=True)
class Listed:
    """A file that is to be hashed: its path in the manifest, the real one, size and time when it was listed."""

    path: str
    real: str
    size_bytes: int
    mtime_ns: int = 0


async def hash_all(
    measure: Measure, files: Sequence[Listed], on_progress: Progress | None = None, *, threads: int = 0
) -> list[Source]:
    """Return the source of each file, in their order; `threads` of 0: one for each processor.

    Raises:
        StorageError: what `measure` raised first.
    """
    found: dict[int, Source] = {}
    tally, given_up = _Tally(files, on_progress), threading.Event()
    waiting = _batches(files)
    loop = asyncio.get_running_loop()
    threads = threads or _processors()
    pool = ThreadPoolExecutor(
        threads, thread_name_prefix="hashing"
    )  # its own: it must not keep others waiting

    def hash_batch(batch: Sequence[int]) -> None:
        for index in batch:
            found[index] = measure(files[index].real, tally.add_bytes, given_up.is_set)
            tally.add_file()

    async def work() -> None:
        for batch in waiting:
            await loop.run_in_executor(pool, hash_batch, batch)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(threads):
                group.create_task(work())
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    finally:
        given_up.set()
        pool.shutdown(wait=False, cancel_futures=True)
    return [found[index] for index in range(len(files))]


def _processors() -> int:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, _MOST_THREADS)


def _batches(files: Sequence[Listed]) -> Iterator[list[int]]:
    """Return the places of files, the largest first: one that is left for the end would be waited for alone."""
    batch: list[int] = []
    size = 0
    for index in sorted(range(len(files)), key=lambda index: -files[index].size_bytes):
        batch.append(index)
        size += files[index].size_bytes
        if size >= _BATCH_BYTES or len(batch) >= _BATCH_FILES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


class _Tally:
    """Counts what threads have done."""

    def __init__(self, files: Sequence[Listed], on_progress: Progress | None) -> None:
        self._lock = threading.Lock()
        self._on_progress = on_progress
        self._files, self._files_total = 0, len(files)
        self._bytes, self._bytes_total = 0, sum(each.size_bytes for each in files)
        self._tell()

    def add_bytes(self, more: int) -> None:
        """Count bytes."""
        with self._lock:
            self._bytes += more
            self._tell()

    def add_file(self) -> None:
        """Count a file."""
        with self._lock:
            self._files += 1
            self._tell()

    def _tell(self) -> None:
        if self._on_progress is not None:
            self._on_progress(self._files, self._files_total, self._bytes, self._bytes_total)
