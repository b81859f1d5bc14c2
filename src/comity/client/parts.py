"""A file that is fetched: it grows beside its place as `.<name>.part` and takes it when its hash is right.

The hash is that of the bytes on the disk, all of which are read again before the part gets the name of the file. What
is there already and right is not fetched, a part that a break left is gone on with; if that was of another revision, it
is fetched once more from its beginning. All of it blocks: `aio` calls it in threads.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from collections.abc import Iterator
from io import BufferedRandom
from pathlib import Path

from comity import errors
from comity.client.problems import HashError
from comity.client.steps import Download, Removals

CHUNK_BYTES = 1 << 20
AT_ONCE = 4
_PARTIAL = 206
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class Part:
    """The part of a file; close it whatever happens."""

    def __init__(self, wanted: Download) -> None:
        self._wanted = wanted
        self._place = Path(wanted.target)
        self._file: BufferedRandom | None = None
        self._size_bytes = 0
        self._is_gone_on_with = False

    def begin(self) -> dict[str, str] | None:
        """Return the headers with which the rest is asked for; None if nothing is missing.

        Raises:
            StorageError: it cannot be written there.
        """
        with failures(self._place):
            if _is_there(self._wanted):
                self._wanted.told(self._wanted.size_bytes)
                return None
            self._place.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(_part(self._place), "a+b", opener=_no_link)  # noqa: SIM115  closed with the part
            self._size_bytes = os.fstat(self._file.fileno()).st_size
        if self._size_bytes > self._wanted.size_bytes:
            self._start_over()
        self._is_gone_on_with = self._size_bytes > 0
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
            StorageError: they cannot be written; code `disk-full` where there is no room.
        """
        if self._size_bytes + len(chunk) > self._wanted.size_bytes:
            self._refuse(f"more than its {self._wanted.size_bytes} bytes came")
        with failures(self._place):
            self._open_file.write(chunk)
        self._size_bytes += len(chunk)
        self._wanted.told(len(chunk))

    def finish(self) -> dict[str, str] | None:
        """Check the hash of what is on the disk and put the file into its place.

        Return None then; where an earlier attempt had left the beginning of something else, return the headers with
        which all of it is asked for.

        Raises:
            HashError: these are not the bytes that were published.
            StorageError: it cannot be put there.
        """
        with failures(self._place):
            self._open_file.flush()
            self._open_file.seek(0)
            digest = hashlib.file_digest(self._open_file, "sha256").hexdigest()
            if digest == self._wanted.sha256:
                _part(self._place).replace(self._place)
                self._open_file.close()
                return None
        if not self._is_gone_on_with:
            self._refuse(f"its SHA-256 is {digest} and not {self._wanted.sha256}")
        self._wanted.told(-self._size_bytes)
        self._start_over()
        return {}

    def close(self) -> None:
        """Keep what came."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()

    def _start_over(self) -> None:
        self._size_bytes, self._is_gone_on_with = 0, False
        with failures(self._place):
            self._open_file.truncate(0)

    def _refuse(self, why: str) -> None:
        self._wanted.told(-self._size_bytes)
        self._start_over()
        self.close()
        _part(self._place).unlink(missing_ok=True)
        raise HashError(
            f"{self._place.name} does not hold: {why}; it was thrown away",
            hint="get it again; if it stays so, its evidence and the partner's say who is right",
        )

    @property
    def _open_file(self) -> BufferedRandom:
        if self._file is None:
            raise errors.StorageError(f"{self._place} is not open")
        return self._file


def _part(place: Path) -> Path:
    return place.with_name(f".{place.name}.part")


def _no_link(path: str, flags: int) -> int:
    """Open a part, never what a link in its place leads to, and without waiting for what is no file."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0), 0o666)


@contextlib.contextmanager
def failures(place: Path) -> Iterator[None]:
    """Turn the operating system's errors about a place into StorageError."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise full(place, "the disk is full") from None
        raise errors.StorageError(f"{place} cannot be written: {error.strerror or error}") from None


def full(place: Path, why: str) -> errors.StorageError:
    """Make the error that says that there is no room; its code is `disk-full`."""
    error = errors.StorageError(
        f"no room to write {place}: {why}", hint="make room and get it again: it goes on where it stopped"
    )
    error.code = "disk-full"
    return error


def digest(place: Path) -> str:
    """Return the SHA-256 (hex) of a regular file, empty for anything else."""
    if place.is_symlink() or not place.is_file():
        return ""
    with place.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def begun_bytes(wanted: Download) -> int:
    """Return how many bytes of a file an earlier attempt left."""
    part = _part(Path(wanted.target))
    return part.stat().st_size if part.is_file() else 0


def _is_there(wanted: Download) -> bool:
    place = Path(wanted.target)
    return place.is_file() and place.stat().st_size == wanted.size_bytes and digest(place) == wanted.sha256


def remove(wanted: Removals) -> list[str]:
    """Remove files that are as they were fetched, and folders that are empty then; return the targets that stay.

    Raises:
        StorageError: one cannot be removed.
    """
    stay = []
    for each in wanted.files:
        place = Path(each.target)
        with failures(place):
            if _is_there(each):
                place.unlink()
                with contextlib.suppress(OSError):  # something else is in it
                    for folder in place.relative_to(wanted.folder).parents[:-1]:
                        (Path(wanted.folder) / folder).rmdir()
            elif place.exists():
                stay.append(each.target)
    return stay
