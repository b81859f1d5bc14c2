"""The folder that receives a transfer: where parts grow, and where a whole and checked file appears.

`.<name>.part` grows beside its place and is renamed over it only when its hash is right, so a name without
a dot is always a whole file. Every folder is opened segment by segment without following links: a manifest
path, checked before by `techdata.manifest`, cannot leave the folder even if somebody plants a link in it.
The folder is locked meanwhile. All functions but `run` block; `pull` runs them in threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import hashlib
import os
import stat
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Final, TypeVar

from comity.errors import ConflictError, StorageError
from comity.storage import descriptor
from comity.storage.source import CHUNK_BYTES

T = TypeVar("T")

_FILE_FLAGS: Final = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_ZEROS: Final = bytes(4 * CHUNK_BYTES)
DISK_FULL: Final = "disk-full"
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class Target:
    """A locked folder; close it when the transfer ends or pauses."""

    def __init__(self, folder: str | Path) -> None:
        """Create the folder if it is missing and lock it.

        Raises:
            ConflictError: another transfer is being received into it.
            StorageError: it cannot be made or used.
        """
        self.folder = os.path.abspath(folder)
        self.stopped = False
        with failures(self.folder):
            descriptor.make_folder(self.folder)
            self._lock = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise ConflictError(f"another transfer is being received into {self.folder!r}") from error

    def close(self) -> None:
        """Give the folder free."""
        os.close(self._lock)

    async def run(self, call: Callable[[], T]) -> T:
        """Run a blocking call in a thread; if cancelled, wait until it has stopped touching the folder."""
        running = asyncio.get_running_loop().run_in_executor(None, call)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            self.stopped = True
            await asyncio.wait([running])
            if not running.cancelled():
                running.exception()
            raise

    def place(self, path: str) -> Place:
        """Open (and make) the folders of a checked manifest path.

        Raises:
            StorageError: a segment is a link or a file.
        """
        *folders, name = path.split("/")
        with failures(os.path.join(self.folder, path)):
            return Place(self, descriptor.open_folder(self.folder, folders, create=True), name, path)

    def received_bytes(self, path: str) -> int:
        """Size of what lies at a path or in its part already; 0 if nothing does."""
        *folders, name = path.split("/")
        try:
            number = descriptor.open_folder(self.folder, folders)
        except OSError:
            return 0
        try:
            return max(_size(number, name), _size(number, part_name(name)))
        finally:
            os.close(number)


class Place:
    """One file's place in the target: its final name and its part."""

    def __init__(self, target: Target, folder: int, name: str, path: str) -> None:
        self.path = path
        self._target = target
        self._shown = os.path.join(target.folder, path)
        self._folder = folder
        self._name = name

    def close(self) -> None:
        """Close the folder."""
        os.close(self._folder)

    def digest_of_whole(self, size_bytes: int, name: str | None = None) -> str:
        """SHA-256 (hex) of the file at its final name if it is regular and of this size, else ""."""
        try:
            number = os.open(name or self._name, os.O_RDONLY | _FILE_FLAGS, dir_fd=self._folder)
        except OSError:
            return ""
        try:
            status = os.fstat(number)
            if not stat.S_ISREG(status.st_mode) or status.st_size != size_bytes:
                return ""
            with failures(self._shown):
                return _digest(number, size_bytes, self._target)[0].hexdigest()
        finally:
            os.close(number)

    def exists(self) -> bool:
        """Say whether anything has its final name."""
        try:
            os.stat(self._name, dir_fd=self._folder, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def check_free(self, known: Collection[str], name: str | None = None) -> None:
        """Refuse to replace a file that we did not put there: its SHA-256 (hex) must be a known one.

        Raises:
            StorageError: there is a file of somebody else's, or something that is no file.
        """
        try:
            status = os.stat(name or self._name, dir_fd=self._folder, follow_symlinks=False)
        except FileNotFoundError:
            return
        if self.digest_of_whole(status.st_size, name) not in known:
            raise StorageError(
                f"{self._shown!r} is there already and was not received here; it is not replaced",
                hint="move it away, or receive into another folder",
            )

    def open_part(self, *, keep: bool = True) -> Part:
        """Open the part, with what an earlier attempt left in it hashed again, or thrown away.

        Raises:
            StorageError: the disk does not allow it.
        """
        name = part_name(self._name)
        with failures(self._shown):
            number = self._open_regular(name)
            if not keep:
                os.ftruncate(number, 0)
            digest, size = _digest(number, os.fstat(number).st_size, self._target)
        return Part(number, self._shown, digest, size)

    def put(self, name: str, data: bytes, *, durable: bool = True) -> None:
        """Write a small file whole, beside the part; one that is not durable may be lost with the power."""
        with failures(self._shown):
            number = os.open(
                name + "~", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _FILE_FLAGS, 0o644, dir_fd=self._folder
            )
            try:
                _write_all(number, data, 0)
                if durable:
                    os.fsync(number)
            finally:
                os.close(number)
            os.replace(name + "~", name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
            if durable:
                os.fsync(self._folder)

    def get(self, name: str, limit: int = 4096) -> bytes:
        """Read a small file that `put` wrote; b"" if there is none."""
        try:
            number = os.open(name, os.O_RDONLY | _FILE_FLAGS, dir_fd=self._folder)
        except OSError:
            return b""
        try:
            return os.read(number, limit)
        finally:
            os.close(number)

    def part_bytes(self) -> int:
        """Size of the part; 0 if there is none."""
        return _size(self._folder, part_name(self._name))

    def sync(self, part: Part) -> None:
        """Make durable what a part holds so far, and that it is there."""
        part.sync()
        with failures(self._shown):
            os.fsync(self._folder)

    def drop_part(self) -> None:
        """Remove the part, if it is there."""
        self.drop(part_name(self._name))

    def drop(self, name: str) -> None:
        """Remove a file beside the part, if it is there."""
        with failures(self._shown), contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._folder)

    def keep(self, as_name: str | None = None) -> None:
        """Give the part, already synced, its final name, and make that durable."""
        with failures(self._shown):
            os.replace(
                part_name(self._name), as_name or self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder
            )
            os.fsync(self._folder)

    def _open_regular(self, name: str) -> int:
        """Open a part; whatever else has its name (a link, a pipe, another file) is removed first."""
        flags = os.O_RDWR | os.O_CREAT | _FILE_FLAGS
        for _ in range(2):
            try:
                number = os.open(name, flags, 0o644, dir_fd=self._folder)
            except OSError as error:
                if error.errno not in {errno.ELOOP, errno.ENXIO}:
                    raise
            else:
                status = os.fstat(number)
                if stat.S_ISREG(status.st_mode) and status.st_nlink == 1:
                    return number
                os.close(number)
            os.unlink(name, dir_fd=self._folder)
        raise OSError(errno.EEXIST, "the place of the part is taken again and again")


class Part:
    """A file that is being received: append, start over, finish, close."""

    def __init__(self, number: int, shown: str, digest: hashlib._Hash, size: int) -> None:
        self.size = size
        self.number = number
        self._shown = shown
        self._digest = digest

    def append(self, chunk: bytes) -> None:
        """Write a chunk at the end and hash it; a chunk of zeros becomes a hole.

        Raises:
            StorageError: the disk is full or fails.
        """
        with failures(self._shown, len(chunk)):
            if _ZEROS.startswith(chunk):
                os.ftruncate(self.number, self.size + len(chunk))
            else:
                _write_all(self.number, chunk, self.size)
        self._digest.update(chunk)
        self.size += len(chunk)

    def start_over(self) -> None:
        """Forget all that was received."""
        with failures(self._shown):
            os.ftruncate(self.number, 0)
        self._digest = hashlib.sha256()
        self.size = 0

    def close(self) -> None:
        """Close it, keeping what it holds."""
        os.close(self.number)

    def sync(self) -> None:
        """Make what it holds durable."""
        with failures(self._shown):
            os.fsync(self.number)

    def finish(self) -> str:
        """Make the contents durable and return their SHA-256 in hex."""
        self.sync()
        return self._digest.hexdigest()


def part_name(name: str) -> str:
    """Name under which a file grows until it is whole."""
    return f".{name}.part"


@contextlib.contextmanager
def failures(path: str, needed_bytes: int = 0) -> Iterator[None]:
    """Turn the operating system's errors about a path into StorageError."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise full(path, needed_bytes) from error
        raise StorageError(f"{path!r} cannot be written: {error.strerror or error}") from error


def full(path: str, needed_bytes: int, free_bytes: int | None = None) -> StorageError:
    """Make the error that says a disk has no room; its code is `disk-full`."""
    free = "" if free_bytes is None else f", and {free_bytes} are free"
    error = StorageError(
        f"no room to write {path!r}: at least {needed_bytes} more bytes are needed{free}",
        hint="make room: the transfer then goes on where it stopped",
    )
    error.code = DISK_FULL
    return error


def _digest(number: int, size: int, target: Target) -> tuple[hashlib._Hash, int]:
    digest, position = hashlib.sha256(), 0
    while position < size:
        if target.stopped:
            raise OSError(errno.ECANCELED, os.strerror(errno.ECANCELED))
        chunk = os.pread(number, min(CHUNK_BYTES, size - position), position)
        if not chunk:
            break
        digest.update(chunk)
        position += len(chunk)
    return digest, position


def _write_all(number: int, data: bytes, position: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(number, view, position)
        view, position = view[written:], position + written


def _size(folder: int, name: str) -> int:
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0
