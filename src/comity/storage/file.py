"""Local files below the operator's folders: hashed at publishing, read by range afterwards.

Nothing outside the roots is ever opened: paths are resolved, compared with the roots and then opened one
segment at a time without following links, so that a link swapped in between leads nowhere. All blocking
calls run in threads. A file whose size or modification time is not what was published is refused, also in
the middle of a stream.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Final

from comity.errors import StorageError
from comity.storage import descriptor, media_types
from comity.storage.source import AT_REST, CHUNK_BYTES, Source, changed

BytesMore = Callable[[int], None]

ROOTS_HINT: Final = "take a path below one of storage.roots in the settings, or add its folder to them"

_CACHED_BYTES: Final = 256 * CHUNK_BYTES
_FORGET_BYTES: Final = 16 * CHUNK_BYTES
OPEN_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Files:
    """The back end for files below `roots`, the folders that the operator allows.

    What lies in `private` (the connector's own data folder: keys, database) is refused, but for a root deeper in it.
    """

    def __init__(self, roots: Sequence[str], *, private: str = "") -> None:
        self._roots = tuple(os.path.realpath(root) for root in roots)
        self._private = os.path.realpath(private) if private else ""

    def resolve(self, path: str) -> str:
        """Return the real path of a file or folder below a root; blocks on the disk.

        Raises:
            StorageError: the path is relative, holds NUL, does not exist or leads outside the roots.
        """
        if "\0" in path or not os.path.isabs(path):
            raise StorageError(f"{path!r} is not an absolute path", hint=ROOTS_HINT)
        try:
            real = os.path.realpath(path, strict=True)
        except (OSError, ValueError) as error:  # ValueError: half a surrogate pair
            raise unreadable(path, error) from error
        if self._root_of(real) is None:
            raise self._refusal(path, real, "be published")
        return real

    def check_destination(self, path: str) -> str:
        """Return the real path of a folder below a root that may be received into; it need not exist yet.

        Raises:
            StorageError: the path is relative, holds NUL or leads outside the roots.
        """
        if "\0" in path or not os.path.isabs(path):
            raise StorageError(f"{path!r} is not an absolute path", hint=ROOTS_HINT)
        real = os.path.realpath(path)
        if self._root_of(real) is None:
            raise self._refusal(path, real, "be received into")
        return real

    async def publish(self, path: str) -> Source:
        """Hash one file and return it as the source to be written down.

        Raises:
            StorageError: it is not a regular file below a root, or it changed meanwhile.
        """
        given_up = threading.Event()
        try:
            return await asyncio.to_thread(self.measure, path, given_up=given_up.is_set)
        finally:
            given_up.set()

    def measure(
        self,
        path: str,
        on_progress: BytesMore | None = None,
        given_up: Callable[[], bool] | None = None,
    ) -> Source:
        """As `publish`, but blocking; `on_progress` is told how many more bytes are hashed.

        Raises:
            StorageError: as `publish`; or nobody wants it any more.
        """
        real = self.resolve(path)
        number = self._open(real)
        try:
            status = os.fstat(number)
            digest = _digest(number, real, status.st_size, on_progress, given_up)
            source = Source(
                kind="file",
                address=real,
                size_bytes=status.st_size,
                sha256=digest,
                mtime_ns=status.st_mtime_ns,
                media_type=media_types.of(real),
                name=os.path.basename(real),
            )
            if not _is_unchanged(source, os.fstat(number)):
                raise changed(f"{real!r} changed while it was hashed", hint=AT_REST)
        finally:
            os.close(number)
        return source

    async def open_range(
        self, source: Source, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Open bytes `start` to `end` (exclusive) of a published file, in chunks of 1 MiB.

        Raises:
            StorageError: the file is gone, outside the roots, or changed since it was published.
        """
        opened = descriptor.Descriptor(await asyncio.to_thread(self._open, source.address))
        try:
            _check_unchanged(source, os.fstat(opened.number))
        except StorageError:
            opened.close()
            raise
        stop = source.size_bytes if end is None else end
        return _chunks(opened, source, start, stop or 0)

    def has(self, source: Source) -> bool:
        """Return whether a published file still lies there as it was; blocks on the disk."""
        try:
            number = self._open(source.address)
        except StorageError:
            return False
        try:
            _check_unchanged(source, os.fstat(number))
        except StorageError:
            return False
        finally:
            os.close(number)
        return True

    def _open(self, real: str) -> int:
        """Open a real path below a root, following no link, and only if it is a regular file."""
        root = self._root_of(real)
        if root is None or "\0" in real:
            raise StorageError(f"{real!r} lies outside the folders that may be published", hint=ROOTS_HINT)
        try:
            number = _open_file(root, os.path.relpath(real, root))
        except FileNotFoundError as error:
            raise changed(f"{real!r} is gone since it was published") from error
        except (OSError, ValueError) as error:
            raise unreadable(real, error) from error
        if not stat.S_ISREG(os.fstat(number).st_mode):
            os.close(number)
            raise StorageError(f"{real!r} is not a regular file")
        return number

    def _refusal(self, path: str, real: str, what: str) -> StorageError:
        """Make the error for a path that is below no root, or is ours alone."""
        if not any(_within(real, root) for root in self._roots):
            said = f"{path!r} leads to {real!r}," if path != real else f"{path!r} lies"
            return StorageError(f"{said} outside the folders that may {what}", hint=ROOTS_HINT)
        where = "lies in" if _within(real, self._private) else "holds"
        return StorageError(
            f"{path!r} {'is' if real == self._private else where} the connector's own data folder, "
            f"which may not {what}",
            hint="take a folder that holds nothing of the connector's",
        )

    def _root_of(self, real: str) -> str | None:
        return next(
            (root for root in self._roots if _within(real, root) and not self._is_private(real, root)), None
        )

    def _is_private(self, real: str, root: str) -> bool:
        """Say whether a path below `root` is ours alone; so is a folder around our own: both would be published."""
        if not self._private:
            return False
        deeper = root != self._private and _within(root, self._private)
        return not deeper and (_within(real, self._private) or _within(self._private, real))


def _within(real: str, folder: str) -> bool:
    return real == folder or real.startswith(folder.rstrip("/") + "/")


def unreadable(path: str, error: OSError | ValueError) -> StorageError:
    """Make the error that says why the operating system does not give a path."""
    return StorageError(f"{path!r} cannot be read: {getattr(error, 'strerror', None) or error}")


def _open_file(root: str, relative: str) -> int:
    *folders, name = relative.split("/")
    folder = descriptor.open_folder(root, folders)
    try:
        return os.open(name, OPEN_FILE, dir_fd=folder)
    finally:
        os.close(folder)


def _is_unchanged(source: Source, status: os.stat_result) -> bool:
    return (status.st_size, status.st_mtime_ns) == (source.size_bytes, source.mtime_ns)


def _check_unchanged(source: Source, status: os.stat_result) -> None:
    if not _is_unchanged(source, status):
        raise changed(f"{source.address!r} changed since it was published")


def _digest(
    number: int,
    real: str,
    size: int,
    on_progress: BytesMore | None,
    given_up: Callable[[], bool] | None,
) -> str:
    digest, position = hashlib.sha256(), 0
    while position < size:
        if given_up is not None and given_up():
            raise StorageError("nobody waits for its hash any more")
        try:
            chunk = os.pread(number, min(CHUNK_BYTES, size - position), position)
        except OSError as error:
            raise unreadable(real, error) from error
        if not chunk:
            raise changed(f"{real!r} became shorter while it was hashed", hint=AT_REST)
        digest.update(chunk)
        position += len(chunk)
        _forget_behind(number, position, position, size)
        if on_progress is not None:
            on_progress(len(chunk))
    return digest.hexdigest()


async def _chunks(
    opened: descriptor.Descriptor, source: Source, start: int, stop: int
) -> AsyncGenerator[bytes, None]:
    def read(position: int) -> bytes:
        """Read first and compare then, so that no byte of a changed file leaves."""
        try:
            chunk = os.pread(opened.number, min(CHUNK_BYTES, stop - position), position)
            status = os.fstat(opened.number)
        except OSError as error:
            raise unreadable(source.address, error) from error
        _check_unchanged(source, status)
        if not chunk:
            raise changed(f"{source.address!r} ends at byte {position}")
        behind = position + len(chunk)
        _forget_behind(opened.number, behind - start, behind, source.size_bytes or 0)
        return chunk

    try:
        position = start
        while position < stop:
            chunk = await opened.run(lambda at=position: read(at))  # type: ignore[misc]
            position += len(chunk)
            yield chunk
    finally:
        opened.close()


def _forget_behind(number: int, done: int, position: int, size: int) -> None:
    """Let the system drop what was read of a large file.

    Kept, it would push the database out of the page cache, and filling the cache was measured to cost up to
    2 s of CPU a GiB where reusing the same pages costs 0.1.
    """
    if size > _CACHED_BYTES and done and done % _FORGET_BYTES == 0 and hasattr(os, "posix_fadvise"):
        os.posix_fadvise(number, position - _FORGET_BYTES, _FORGET_BYTES, os.POSIX_FADV_DONTNEED)
