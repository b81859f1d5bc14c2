"""A file that is fetched: it grows beside its place as `.<name>.part` and takes it when its hash is right.

What is there already and right is not fetched, a part that a break left is gone on with. All of it blocks: `aio` calls
it in threads.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from comity import errors
from comity.client.problems import HashError
from comity.client.steps import Download, Removals

CHUNK_BYTES = 1 << 20
_PARTIAL = 206


class Part:
    """The part of a file; close it whatever happens."""

    def __init__(self, wanted: Download) -> None:
        self._wanted = wanted
        self._place = Path(wanted.target)
        self._path = self._place.with_name(f".{self._place.name}.part")
        self._digest = hashlib.sha256()
        self._file: BinaryIO | None = None
        self._size_bytes = 0

    def begin(self) -> dict[str, str] | None:
        """Return the headers with which the rest is asked for; None if nothing is missing.

        Raises:
            StorageError: it cannot be written there.
        """
        with _failures(self._place):
            if _is_there(self._wanted):
                self._wanted.told(self._wanted.size_bytes)
                return None
            self._place.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(self._path, "a+b", opener=_no_link)  # noqa: SIM115  it is closed with the part
            self._read()
        if self._size_bytes > self._wanted.size_bytes:
            self._start_over()
        self._wanted.told(self._size_bytes)
        if self._size_bytes in {0, self._wanted.size_bytes}:
            return {}
        return {"Range": f"bytes={self._size_bytes}-", "If-Range": f'"sha256-{self._wanted.sha256}"'}

    @property
    def is_whole(self) -> bool:
        """Whether all bytes are there, so that only their hash is in question."""
        return self._size_bytes == self._wanted.size_bytes and self._file is not None

    def answered(self, status: int) -> None:
        """Go on after the bytes that are there if the answer does so, else from the beginning."""
        if status != _PARTIAL and self._size_bytes:
            self._wanted.told(-self._size_bytes)
            self._start_over()

    def write(self, chunk: bytes) -> None:
        """Add bytes.

        Raises:
            HashError: there are more than the file has.
            StorageError: they cannot be written.
        """
        if self._size_bytes + len(chunk) > self._wanted.size_bytes:
            self._refuse(f"more than its {self._wanted.size_bytes} bytes came")
        self._add(chunk)
        with _failures(self._place):
            self._open_file.write(chunk)
        self._wanted.told(len(chunk))

    def finish(self) -> None:
        """Check the hash and put the file into its place.

        Raises:
            HashError: these are not the bytes that were published.
            StorageError: it cannot be put there.
        """
        if self._digest.hexdigest() != self._wanted.sha256:
            self._refuse(f"its SHA-256 is {self._digest.hexdigest()} and not {self._wanted.sha256}")
        with _failures(self._place):
            self._open_file.close()
            self._path.replace(self._place)

    def close(self) -> None:
        """Keep what came."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()

    def _read(self) -> None:
        self._open_file.seek(0)
        while chunk := self._open_file.read(CHUNK_BYTES):
            self._add(chunk)

    def _add(self, chunk: bytes) -> None:
        self._digest.update(chunk)
        self._size_bytes += len(chunk)

    def _start_over(self) -> None:
        self._digest, self._size_bytes = hashlib.sha256(), 0
        with _failures(self._place):
            self._open_file.truncate(0)

    def _refuse(self, why: str) -> None:
        self._wanted.told(-self._size_bytes)
        self._start_over()
        self.close()
        self._path.unlink(missing_ok=True)
        raise HashError(
            f"{self._place.name} does not hold: {why}; it was thrown away",
            hint="get it again; if it stays so, its evidence and the partner's say who is right",
        )

    @property
    def _open_file(self) -> BinaryIO:
        if self._file is None:
            raise errors.StorageError(f"{self._place} is not open")
        return self._file


def _no_link(path: str, flags: int) -> int:
    """Open a part, never what a link in its place leads to, and without waiting for what is no file."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0), 0o666)


@contextlib.contextmanager
def _failures(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise errors.StorageError(f"{place} cannot be written: {error.strerror or error}") from None


def _is_there(wanted: Download) -> bool:
    place = Path(wanted.target)
    if not place.is_file() or place.stat().st_size != wanted.size_bytes:
        return False
    with place.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == wanted.sha256


def remove(wanted: Removals) -> list[str]:
    """Remove files that are as they were fetched, and folders that are empty then; return the targets that stay.

    Raises:
        StorageError: one cannot be removed.
    """
    stay = []
    for each in wanted.files:
        place = Path(each.target)
        with _failures(place):
            if _is_there(each):
                place.unlink()
                with contextlib.suppress(OSError):  # something else is in it
                    for folder in place.relative_to(wanted.folder).parents[:-1]:
                        (Path(wanted.folder) / folder).rmdir()
            elif place.exists():
                stay.append(each.target)
    return stay
