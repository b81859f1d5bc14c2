"""A medium that is carried: a folder `comity-carry` with one folder for each package, all of it encrypted.

A package is written beside and gets its name when all of it is on the medium, so that one that was not finished is
never found; what it left is removed by the next write. Its header says in plain text from whom and for whom it is,
nothing else. Its files are named by numbers and are those of `kept`: a chunk that was changed, cut or swapped does not
open. Nothing on a medium is trusted: names are looked for, never followed, and a link is no file. All of it blocks.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
from collections.abc import AsyncGenerator, Iterator
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from comity.errors import ConflictError, StorageError
from comity.storage import descriptor, kept
from comity.storage.source import CHUNK_BYTES, Source

ROOT: Final = "comity-carry"
HEADER: Final = "carry.json"
LETTER: Final = "letter"
MANIFEST: Final = "manifest"
RECEIPTS: Final = "receipts"
UNFINISHED: Final = ".writing-"
FORMAT: Final = "comity-carry/1"
BAD: Final = "bad-medium"
MAX_LETTER: Final = 16 * 1024 * 1024
MAX_HEADER: Final = 16 * 1024
RESERVE_BYTES: Final = 4 * 1024 * 1024
_MOST_PACKAGES: Final = 10_000
_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NAME: Final = 32


class Header(Struct, frozen=True, kw_only=True, rename="camel"):
    """What a package on a medium says in plain text: the provider's id of its transfer, who sends and who gets it."""

    type: str = msgspec.field(name="@type", default=FORMAT)
    provider_pid: Annotated[str, Meta(max_length=1024)]
    provider_id: Annotated[str, Meta(max_length=1024)]
    consumer_id: Annotated[str, Meta(max_length=1024)]


class Package:
    """A package on a medium, opened with its secret or without: then only its header can be read."""

    def __init__(self, medium: Medium, name: str, header: Header) -> None:
        self.medium, self.name, self.header = medium, name, header

    def read(self, secret: bytes, what: str, limit: int) -> bytes:
        """Return a small file of it whole.

        Raises:
            StorageError: it is not there, longer than `limit`, or does not open with this secret.
        """
        opened = self.open(secret, what, self._size(what, limit))
        try:
            return b"".join(opened.pieces(0, opened.size_bytes))
        finally:
            opened.close()

    def has(self, what: str) -> bool:
        """Say whether there is a file of this name."""
        return os.path.lexists(os.path.join(self.medium.path(self.name), what))

    def open(self, secret: bytes, what: str, size_bytes: int) -> kept.Sealed:
        """Open a file of it of known size.

        Raises:
            StorageError: it is not there, or not of that size.
        """
        path, shown = os.path.join(self.medium.path(self.name), what), self.shown(what)
        try:
            number = os.open(path, _FLAGS)
        except OSError as error:
            raise bad(f"{shown} is missing or cannot be read: {error.strerror}") from None
        try:
            found, salt = os.fstat(number).st_size, os.pread(number, kept.HEAD_BYTES, 0)[len(kept.MARK) :]
        except OSError as error:
            os.close(number)
            raise bad(f"{shown} cannot be read: {error.strerror}") from None
        if found != kept.sealed_size(size_bytes):
            os.close(number)
            raise bad(f"{shown} is shorter or longer than what was written")
        name = _bound(self.header.provider_pid, what)
        return _Sealed(shown, number, name, kept.key_of(secret, name, salt), size_bytes)

    def shown(self, what: str) -> str:
        """Return how messages call a file of it."""
        return f"{ROOT}/{self.name}/{what}"

    def _size(self, what: str, limit: int) -> int:
        """Return how long a file is, from what it takes on the medium."""
        try:
            status = os.stat(os.path.join(self.medium.path(self.name), what), follow_symlinks=False)
        except OSError as error:
            raise bad(f"{self.shown(what)} is missing: {error.strerror}") from None
        body = status.st_size - kept.HEAD_BYTES
        size = body - -(-body // kept.SEALED_BYTES) * kept.MORE_BYTES
        if not 0 <= size <= limit:
            raise bad(f"{self.shown(what)} is no such file as is carried")
        return size

    def write(self, secret: bytes, what: str, data: bytes) -> None:
        """Write a small file of it whole or not at all, in the place of one that is there.

        Raises:
            StorageError: the medium does not take it.
        """
        folder = self.medium.path(self.name)
        with _failures(self.medium.root):
            new = os.path.join(folder, f"{what}.new")
            with contextlib.suppress(FileNotFoundError):
                os.unlink(new)
            _write(new, _bound(self.header.provider_pid, what), secret, _chunks_of(data))
            os.replace(new, os.path.join(folder, what))
            descriptor.sync_folder(folder)


class _Sealed(kept.Sealed):
    """A file of a medium; what is wrong with it is said in words of the medium."""

    def __init__(self, shown: str, number: int, name: str, key: bytes, size_bytes: int) -> None:
        super().__init__(number, name, key, size_bytes)
        self._shown = shown

    def read(self, index: int) -> bytes:
        """Return a chunk.

        Raises:
            StorageError: it was changed since it was written, or is another file's, or the secret is another one.
        """
        try:
            return super().read(index)
        except StorageError:
            raise bad(f"{self._shown} is not what was written there, or the code is another one") from None


class Medium:
    """A folder of the operator's choice, such as where a stick is mounted."""

    def __init__(self, root: str) -> None:
        self.root = root

    def path(self, name: str = "") -> str:
        """Return where a package lies, or all of them."""
        return os.path.join(self.root, ROOT, name) if name else os.path.join(self.root, ROOT)

    def check(self) -> None:
        """Refuse a medium that is not there: nothing is written where it would be.

        Raises:
            StorageError: it is no folder.
        """
        if not os.path.isdir(self.root):
            raise StorageError(f"{self.root!r} is no folder", hint="is the medium in, and mounted there?")

    def packages(self) -> Iterator[Package | StorageError]:
        """Yield the packages on it, and what is wrong with those that cannot be read."""
        self.check()
        try:
            found = sorted(os.listdir(self.path()))
        except FileNotFoundError:
            return
        except OSError as error:
            raise bad(f"{self.path()!r} cannot be read: {error.strerror}") from None
        for name in found[:_MOST_PACKAGES]:
            if len(name) != _NAME or not name.isalnum():
                continue  # a write that was cut, or something of somebody else's
            try:
                yield Package(self, name, self._header(name))
            except StorageError as error:
                yield error

    def _header(self, name: str) -> Header:
        folder = self.path(name)
        if os.path.islink(folder) or os.path.islink(self.path()):
            raise bad(f"{ROOT}/{name} is a link: nothing outside of the medium is read")
        try:
            number = os.open(os.path.join(folder, HEADER), _FLAGS)
            try:
                data = os.read(number, MAX_HEADER)
            finally:
                os.close(number)
            header = msgspec.json.decode(data, type=Header)
        except OSError as error:
            raise bad(f"{ROOT}/{name}/{HEADER} is missing or cannot be read: {error.strerror}") from None
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise bad(f"{ROOT}/{name}/{HEADER} is no header of a package that is carried") from None
        if header.type != FORMAT or name != name_of(header.provider_pid):
            raise bad(f"{ROOT}/{name} is not a package of the form {FORMAT}")
        return header

    def begin(self, header: Header, size_bytes: int, count: int) -> Writing:
        """Begin to write a package of so many bytes in so many files; it is not there before it is finished.

        Raises:
            StorageError: there is no room for it (code `disk-full`), or it cannot be written.
            ConflictError: it is there.
        """
        self.check()
        with _failures(self.root):
            name = name_of(header.provider_pid)
            if os.path.lexists(self.path(name)):
                raise ConflictError(f"{ROOT}/{name} is on this medium already")
            if os.path.islink(self.path()):
                raise bad(f"{self.path()!r} is a link: nothing outside of the medium is written")
            if os.path.isdir(self.path()):
                for each in os.listdir(self.path()):
                    if each.startswith(UNFINISHED):
                        shutil.rmtree(os.path.join(self.path(), each))
            needed = (
                kept.sealed_size(size_bytes) + count * (kept.HEAD_BYTES + kept.MORE_BYTES) + RESERVE_BYTES
            )
            free = shutil.disk_usage(self.root).free
            if needed > free:
                raise full(self.root, needed, free)
            descriptor.make_folder(self.path())
            unfinished = os.path.join(self.path(), UNFINISHED + name)
            os.mkdir(unfinished)
        return Writing(self, name, unfinished, header)


class Writing:
    """A package that is being written."""

    def __init__(self, medium: Medium, name: str, folder: str, header: Header) -> None:
        self._medium, self._name, self._folder, self._header = medium, name, folder, header

    def create(self, secret: bytes, what: str) -> kept.Growing:
        """Begin a file of it.

        Raises:
            StorageError: the medium does not take it.
        """
        with _failures(self._medium.root):
            return _Growing(os.path.join(self._folder, what), _bound(self._header.provider_pid, what), secret)

    def put(self, growing: kept.Growing, index: int, chunk: bytes) -> None:
        """Write a chunk of a file.

        Raises:
            StorageError: the medium does not take it; code `disk-full` where there is no room.
        """
        with _failures(self._medium.root):
            growing.write(index, chunk)

    def close(self, growing: kept.Growing) -> None:
        """End a file; that it is on the medium is seen to for all of them at the end."""
        growing.close()

    def finish(self, secret: bytes, letter: bytes) -> Package:
        """Write the letter and the header, and give it its name: from now on it is there.

        Raises:
            StorageError: the medium does not take it.
        """
        with _failures(self._medium.root):
            bound = _bound(self._header.provider_pid, LETTER)
            _write(os.path.join(self._folder, LETTER), bound, secret, _chunks_of(letter))
            with open(os.path.join(self._folder, HEADER), "xb") as file:
                file.write(msgspec.json.encode(self._header))
                file.flush()
                os.fsync(file.fileno())
            descriptor.sync_file_system(self._folder)
            os.rename(self._folder, self._medium.path(self._name))
            descriptor.sync_folder(self._medium.path())
        return Package(self._medium, self._name, self._header)

    def abandon(self) -> None:
        """Remove what was written of it."""
        shutil.rmtree(self._folder, ignore_errors=True)


class _Growing(kept.Growing):
    """A new file of a medium."""

    def __init__(self, path: str, name: str, secret: bytes) -> None:  # not in a store, else as there
        self.name = name
        self._secret = secret
        self.number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        self.start_over()


class Storage:
    """Hands out the bytes of a package of a medium as sources of the kind `carried`, whose address is a number."""

    def __init__(self, package: Package, secret: bytes) -> None:
        self._package, self._secret = package, secret

    async def open_range(
        self, source: Source, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Open bytes `start` to `end` (exclusive) of a file.

        Raises:
            StorageError: it is not there, or not what was written.
        """
        size = source.size_bytes or 0
        opened = self._package.open(self._secret, source.address, size)
        return _pieces(opened, start, size if end is None else end)


async def _pieces(opened: kept.Sealed, start: int, end: int) -> AsyncGenerator[bytes, None]:
    file = descriptor.Descriptor(opened.number)
    try:
        while start < end:
            index, within = divmod(start, CHUNK_BYTES)
            plain = await file.run(lambda at=index: opened.read(at))  # type: ignore[misc]
            piece = plain[within : within + end - start]
            start += len(piece)
            yield piece
    finally:
        file.close()


def name_of(provider_pid: str) -> str:
    """Return the name of the folder of a package, which says nothing to others."""
    return hashlib.sha256(provider_pid.encode(errors="replace")).hexdigest()[:_NAME]


def bad(message: str) -> StorageError:
    """Make the error for what is wrong on a medium; its code is `bad-medium`."""
    error = StorageError(message, hint="ask for it to be written again, on a medium that is whole")
    error.code = BAD
    return error


def full(root: str, needed: int, free: int) -> StorageError:
    """Make the error for a package that is larger than what is free; its code is `disk-full`."""
    error = StorageError(
        f"the package needs {needed} bytes on {root!r}, and {free} are free",
        hint="take a larger medium: a package is not divided over several",
    )
    error.code = "disk-full"
    return error


def _bound(provider_pid: str, what: str) -> str:
    """Return the name that a file's chunks are bound to: they open at no other place, of no other package."""
    return f"{provider_pid}/{what}"


def _chunks_of(data: bytes) -> Iterator[bytes]:
    return (data[at : at + CHUNK_BYTES] for at in range(0, len(data), CHUNK_BYTES))


def _write(path: str, name: str, secret: bytes, chunks: Iterator[bytes]) -> None:
    growing = _Growing(path, name, secret)
    try:
        for index, chunk in enumerate(chunks):
            growing.write(index, chunk)
        os.fsync(growing.number)
    finally:
        growing.close()


@contextlib.contextmanager
def _failures(root: str) -> Iterator[None]:
    """Turn what the operating system says of a medium into one sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            made = StorageError(f"there is no room left on {root!r}", hint="take a larger medium")
            made.code = "disk-full"
            raise made from error
        if error.errno == errno.EFBIG:
            raise StorageError(
                f"the medium at {root!r} does not take a file of this size",
                hint="FAT32 ends at 4 GiB a file: format it as exFAT",
            ) from error
        raise StorageError(f"the medium at {root!r} cannot be written: {error.strerror}") from error
