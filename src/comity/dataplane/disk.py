"""What receiving into a folder asks of the disk: errors that say what to do, whole reads and writes, groups synced.

Nothing here decides anything. `look` is what a folder is asked about all files of a package at once.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from comity.dataplane.places import Wanted
from comity.errors import StorageError
from comity.storage import descriptor
from comity.storage.source import CHUNK_BYTES

FILE_FLAGS: Final = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
DISK_FULL: Final = "disk-full"
HOLE_BYTES: Final = 4096
ONE_BY_ONE: Final = 8
"""A group of more files is made durable by one call for their whole file system."""
_IN_MB: Final = 100_000
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class Seen(NamedTuple):
    """What the disk says of a file: who changes it changes this. `sha256` is what it had then."""

    size_bytes: int
    mtime_ns: int
    inode: int
    sha256: str


def seen(status: os.stat_result, sha256: str) -> Seen:
    """Return what the disk says of a file."""
    return Seen(status.st_size, status.st_mtime_ns, status.st_ino, sha256)


def free_bytes(folder: str) -> int:
    """Bytes that may still be written where a folder lies."""
    return shutil.disk_usage(folder).free


@contextlib.contextmanager
def failures(path: str, needed_bytes: int = 0) -> Iterator[None]:
    """Turn the operating system's errors about a path into StorageError."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise full(path, needed_bytes) from error
        raise StorageError(f"{path!r} cannot be written: {error.strerror or error}") from error


def full(path: str, needed_bytes: int, free: int | None = None, *, reserve_bytes: int = 0) -> StorageError:
    """Make the error that says a disk has no room; `reserve_bytes` of what is free stay so. Its code is `disk-full`."""
    told = [
        f"at least {_size(needed_bytes)} more are needed" if needed_bytes else "",
        f"{_size(reserve_bytes)} are kept free" if reserve_bytes else "",
        "" if free is None else f"{_size(free)} are free",
    ]
    error = StorageError(
        f"no room to write {path!r}: {', '.join(filter(None, told)) or 'the disk is full'}",
        hint="make room: the transfer then goes on where it stopped",
    )
    error.code = DISK_FULL
    return error


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:,.1f} MB" if size_bytes >= _IN_MB else f"{size_bytes:,} bytes"


def pieces(number: int, size: int, piece_bytes: int, stopped: Callable[[], bool]) -> Iterator[bytes]:
    """Read the first `size` bytes of a file, as far as there are so many, until it is to be stopped."""
    position = 0
    while position < size:
        if stopped():
            raise OSError(errno.ECANCELED, os.strerror(errno.ECANCELED))
        piece = os.pread(number, min(piece_bytes, size - position), position)
        if not piece:
            return
        yield piece
        position += len(piece)


def digest(number: int, size: int, stopped: Callable[[], bool]) -> str:
    """Return the SHA-256 (hex) of a file's first bytes."""
    hashed = hashlib.sha256()
    for piece in pieces(number, size, CHUNK_BYTES, stopped):
        hashed.update(piece)
    return hashed.hexdigest()


def read_all(number: int, limit: int) -> bytes:
    """Read a file from its beginning, at most `limit` bytes."""
    return b"".join(pieces(number, min(limit, os.fstat(number).st_size), CHUNK_BYTES, lambda: False))


def write_all(number: int, data: bytes, position: int | None = None) -> None:
    """Write all of it, at a position or at the file's own."""
    view = memoryview(data)
    while view:
        if position is None:
            written = os.write(number, view)
        else:
            written = os.pwrite(number, view, position)
            position += written
        view = view[written:]


def copy(source: int, into: int, size: int) -> None:
    """Copy a file's first bytes; the file system shares its blocks where it can."""
    position = 0
    while position < size:
        try:
            copied = os.copy_file_range(source, into, size - position, position, position)
        except OSError as error:
            if error.errno not in {errno.EXDEV, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP}:
                raise
            data = os.pread(source, min(CHUNK_BYTES, size - position), position)
            write_all(into, data, position)
            copied = len(data)
        if not copied:
            return
        position += copied


def size_of(folder: int, name: str) -> int:
    """Return the size of a regular file, 0 if it is none."""
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0


def sync_files(numbers: Sequence[int], place: int) -> None:
    """Make open files durable; of many, all of the file system that `place` is an open folder of."""
    if len(numbers) <= ONE_BY_ONE:
        for number in numbers:
            os.fsync(number)
    elif _syncfs()(place):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


_syncfs = descriptor.syncfs


def sync_folders(numbers: Iterable[int]) -> None:
    """Make the names in open folders durable, each folder once."""
    done = set()
    for number in numbers:
        status = os.fstat(number)
        if (status.st_dev, status.st_ino) not in done:
            done.add((status.st_dev, status.st_ino))
            os.fsync(number)


def log_lines(files: Mapping[str, Seen]) -> bytes:
    """Write what the disk says of files, a line for each."""
    return b"".join(msgspec.json.encode((path, *found)) + b"\n" for path, found in files.items())


def read_log(data: bytes) -> dict[str, Seen]:
    """Read what `log_lines` wrote; the last line of a path counts, one that is not whole does not."""
    found: dict[str, Seen] = {}
    for line in data.splitlines():
        with contextlib.suppress(msgspec.MsgspecError):
            written = msgspec.json.decode(line, type=tuple[str, int, int, int, str])
            found[written[0]] = Seen(*written[1:])
    return found


def look(
    root: str, files: Sequence[Wanted], before: Mapping[str, Seen], stopped: Callable[[], bool]
) -> tuple[set[str], dict[str, int]]:
    """Return which of the files lie whole and right below a folder, and the sizes of parts of the others.

    A file that is as the log says is right; any other of its size is hashed. Each folder is opened once.
    """
    whole: set[str] = set()
    begun: dict[str, int] = {}
    by_folder: dict[str, list[Wanted]] = {}
    for file in files:
        by_folder.setdefault(file.path.rpartition("/")[0], []).append(file)
    for path, listed in by_folder.items():
        try:
            folder = descriptor.open_folder(root, path.split("/") if path else [])
        except OSError:
            continue
        try:
            names = {each.name for each in os.scandir(folder)}
            for file in listed:
                name = file.path.rpartition("/")[2]
                if name in names and _is_right(folder, name, file, before.get(file.path), stopped):
                    whole.add(file.path)
                elif f".{name}.part" in names and (size := size_of(folder, f".{name}.part")):
                    begun[file.path] = size
        finally:
            os.close(folder)
    return whole, begun


def _is_right(folder: int, name: str, file: Wanted, before: Seen | None, stopped: Callable[[], bool]) -> bool:
    try:
        number = os.open(name, os.O_RDONLY | FILE_FLAGS, dir_fd=folder)
    except OSError:
        return False
    try:
        status = os.fstat(number)
        if not stat.S_ISREG(status.st_mode) or status.st_size != file.size_bytes:
            return False
        return before == seen(status, file.sha256) or digest(number, status.st_size, stopped) == file.sha256
    finally:
        os.close(number)
