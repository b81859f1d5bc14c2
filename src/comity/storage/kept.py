"""Encrypted files of the store of what was received: AES-256-GCM in chunks of 1 MiB, each read and checked by itself.

A file begins with a mark and a salt; its key is made of these and a secret that lies elsewhere, sealed. Each chunk has
a nonce of its own, and its number and the file's name are authenticated with it: chunks and files that were swapped,
changed or cut are found by the first read of them. How long the file is, and the SHA-256 of all of it, are bound to the
sealed key (`controlplane.kept`). A chunk is there when it opens, so what a crash left half written counts for nothing.
All of it blocks.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import hmac
import os
import shutil
from collections.abc import Collection, Iterator
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from comity.errors import ConflictError, StorageError
from comity.storage import descriptor
from comity.storage.source import CHUNK_BYTES

MARK: Final = b"comity1\n"
SALT_BYTES: Final = 16
HEAD_BYTES: Final = len(MARK) + SALT_BYTES
NONCE_BYTES: Final = 12
MORE_BYTES: Final = NONCE_BYTES + 16
SEALED_BYTES: Final = CHUNK_BYTES + MORE_BYTES
KEY_BYTES: Final = 32
DAMAGED: Final = "kept-damaged"
MISSING: Final = "kept-missing"
NAME: Final = "id"
_FLAGS: Final = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Folder:
    """The folder of the store, readable by nobody else; `name` tells it from those of other replicas."""

    def __init__(self, root: str) -> None:
        """Use a folder; it is made when something is put there."""
        self.root = root
        self._name = ""

    def name(self) -> str:
        """Return the folder's own name; it is made with its first use.

        Raises:
            StorageError: it cannot be made or read.
        """
        path = os.path.join(self.root, NAME)
        if self._name and os.path.isfile(path):
            return self._name
        try:
            descriptor.make_folder(self.root, 0o700)
            if not os.path.exists(path):
                _write_first(path, os.urandom(8).hex().encode())
            with open(path, "rb") as file:
                self._name = file.read(64).decode("ascii", "replace")
        except OSError as error:
            raise StorageError(f"the store {self.root!r} cannot be used: {error.strerror}") from error
        if not self._name:
            raise StorageError(f"the store {self.root!r} cannot be used: {path!r} is empty")
        return self._name

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keep all others, of this process or another one, from sharing or removing files meanwhile.

        Raises:
            StorageError: the folder cannot be used.
        """
        self.name()
        try:
            number = os.open(os.path.join(self.root, NAME), os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise StorageError(f"the store {self.root!r} cannot be used: {error.strerror}") from error
        try:
            fcntl.flock(number, fcntl.LOCK_EX)
            yield
        finally:
            os.close(number)

    def is_here(self, name: str) -> bool:
        """Say whether this is the folder of that name, without making it."""
        return os.path.isfile(os.path.join(self.root, NAME)) and self.name() == name

    def make(self, shelf: str) -> str:
        """Make the folder of one transfer, if it is not there, and return its path.

        Raises:
            OSError: it cannot be made.
        """
        path = self.shelf(shelf)
        for each in (self.root, path):
            descriptor.make_folder(each, 0o700)
        return path

    def shelf(self, shelf: str) -> str:
        """Return the path of the folder of one transfer."""
        return os.path.join(self.root, shelf)

    def path(self, object_name: str) -> str:
        """Return the path of a file, whose name has the shelf's before it."""
        return os.path.join(self.root, *object_name.split("/"))

    def open(self, object_name: str, key: bytes, size_bytes: int) -> Sealed:
        """Open a file that is whole, with its own key.

        Raises:
            StorageError: it is not there (code `kept-missing`), or is not of that size (`kept-damaged`).
        """
        path = self.path(object_name)
        try:
            number = os.open(path, os.O_RDONLY | _FLAGS)
        except FileNotFoundError:
            raise missing(object_name) from None
        except OSError as error:
            raise StorageError(f"{path!r} cannot be read: {error.strerror}") from error
        try:
            what = _seen(number, size_bytes)
        except BaseException:
            os.close(number)
            raise
        if what:
            os.close(number)
            raise damaged(object_name, what)
        return Sealed(number, object_name, key, size_bytes)

    def names(self, shelves: Collection[str]) -> list[str]:
        """Return the names of the files on some shelves."""
        found: list[str] = []
        for shelf in sorted(shelves):
            with contextlib.suppress(OSError):
                found += [f"{shelf}/{name}" for name in os.listdir(self.shelf(shelf))]
        return found

    def remove(self, object_name: str) -> None:
        """Remove a file, and its shelf if nothing else is on it; it may be gone already.

        Raises:
            StorageError: the disk does not allow it.
        """
        path = self.path(object_name)
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
                descriptor.sync_folder(os.path.dirname(path))
        except OSError as error:
            raise StorageError(f"{path!r} cannot be removed: {error.strerror}") from error
        with contextlib.suppress(OSError):
            os.rmdir(os.path.dirname(path))

    def free_bytes(self) -> int:
        """Bytes that may still be written there."""
        place = self.root
        while not os.path.isdir(place):
            place = os.path.dirname(place)
        return shutil.disk_usage(place).free

    def used_bytes(self, object_name: str) -> int:
        """Size of a file on the disk; 0 if it is not there."""
        try:
            return os.stat(self.path(object_name), follow_symlinks=False).st_size
        except OSError:
            return 0


class Sealed:
    """An open encrypted file of known size: read it by chunks or ranges, close it once."""

    def __init__(self, number: int, name: str, key: bytes, size_bytes: int) -> None:
        """Take an open descriptor."""
        self.number, self.name, self.size_bytes = number, name, size_bytes
        self._cipher = AESGCM(key)

    def read(self, index: int) -> bytes:
        """Return a chunk.

        Raises:
            StorageError: it is not what was written there (`kept-damaged`), or cannot be read.
        """
        length = chunk_length(self.size_bytes, index)
        try:
            sealed = os.pread(self.number, length + MORE_BYTES, _offset(index))
        except OSError as error:
            raise StorageError(f"a file of the store cannot be read: {error.strerror}") from error
        plain = open_chunk(self._cipher, self.name, index, sealed)
        if plain is None or len(plain) != length:
            raise damaged(self.name, f"the MiB from byte {index * CHUNK_BYTES} on was changed")
        return plain

    def pieces(self, start: int, end: int) -> Iterator[bytes]:
        """Yield bytes `start` to `end` (exclusive), a chunk at a time.

        Raises:
            StorageError: see `read`.
        """
        while start < end:
            index, within = divmod(start, CHUNK_BYTES)
            piece = self.read(index)[within : within + end - start]
            yield piece
            start += len(piece)

    def sha256(self) -> str:
        """Return the SHA-256 (hex) of all of it.

        Raises:
            StorageError: see `read`.
        """
        digest = hashlib.sha256()
        for piece in self.pieces(0, self.size_bytes):
            digest.update(piece)
        return digest.hexdigest()

    def close(self) -> None:
        """Close it."""
        os.close(self.number)


class Growing:
    """A file that is being received: chunks are written in any order; its key comes from the secret and its salt."""

    def __init__(self, folder: Folder, object_name: str, secret: bytes) -> None:
        """Open it, or begin it.

        Raises:
            OSError: the disk does not allow it.
        """
        self.name = object_name
        self._secret = secret
        path = folder.path(object_name)
        folder.make(object_name.partition("/")[0])
        self.number = os.open(path, os.O_RDWR | os.O_CREAT | _FLAGS, 0o600)
        head = os.pread(self.number, HEAD_BYTES, 0)
        if len(head) == HEAD_BYTES and head.startswith(MARK):
            self._take(head[len(MARK) :])
        else:
            self.start_over()

    def start_over(self) -> None:
        """Throw away what is there; what comes now has another key."""
        os.ftruncate(self.number, 0)
        salt = os.urandom(SALT_BYTES)
        os.pwrite(self.number, MARK + salt, 0)
        self._take(salt)

    def _take(self, salt: bytes) -> None:
        self.key = key_of(self._secret, self.name, salt)
        self._cipher = AESGCM(self.key)

    @property
    def sealed_bytes(self) -> int:
        """Size of it on the disk."""
        return os.fstat(self.number).st_size

    def write(self, index: int, plain: bytes) -> None:
        """Write a chunk: all are of 1 MiB but the last.

        Raises:
            OSError: the disk is full or fails.
        """
        nonce = os.urandom(NONCE_BYTES)
        view = memoryview(nonce + self._cipher.encrypt(nonce, plain, _bound(self.name, index)))
        at = _offset(index)
        while view:
            written = os.pwrite(self.number, view, at)
            view, at = view[written:], at + written

    def read(self, index: int) -> bytes | None:
        """Return a chunk, None if none is there whole and right; one that is shorter is the last."""
        sealed = os.pread(self.number, SEALED_BYTES, _offset(index))
        return open_chunk(self._cipher, self.name, index, sealed)

    def cut(self, size_bytes: int) -> None:
        """Cut off what an earlier attempt left behind its end.

        Raises:
            OSError: the disk does not take it.
        """
        if self.sealed_bytes > sealed_size(size_bytes):
            os.ftruncate(self.number, sealed_size(size_bytes))

    def close(self) -> None:
        """Close it, keeping what it holds."""
        os.close(self.number)


def chunk_length(size_bytes: int, index: int) -> int:
    """Return how long a chunk of a file of some size is."""
    return max(0, min(CHUNK_BYTES, size_bytes - index * CHUNK_BYTES))


def sealed_size(size_bytes: int) -> int:
    """Return how long a file is on the disk."""
    chunks = -(-size_bytes // CHUNK_BYTES)
    return HEAD_BYTES + size_bytes + chunks * MORE_BYTES


def key_of(secret: bytes, name: str, salt: bytes) -> bytes:
    """Return the key of a file."""
    return hmac.digest(secret, b"comity:kept:" + name.encode() + b"\0" + salt, hashlib.sha256)


def open_chunk(cipher: AESGCM, name: str, index: int, sealed: bytes) -> bytes | None:
    """Return what a chunk holds, None if it is not what was written at its place."""
    if len(sealed) <= MORE_BYTES:
        return None
    try:
        return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _bound(name, index))
    except InvalidTag:
        return None


def damaged(name: str, what: str) -> StorageError:
    """Make the error for a file that is not what was received."""
    error = StorageError(
        f"a file of the store is damaged ({name}): {what}",
        hint="nothing wrong was handed out; get it again from its partner: comity get",
    )
    error.code = DAMAGED
    return error


def missing(name: str) -> StorageError:
    """Make the error for a file that is not there."""
    error = StorageError(
        f"a file of the store is missing ({name})",
        hint="put the folder of the store back, or get it again from its partner: comity get",
    )
    error.code = MISSING
    return error


def in_use(what: str) -> ConflictError:
    """Make the error for a shelf that somebody receives into."""
    return ConflictError(f"another process is receiving {what}")


def _bound(name: str, index: int) -> bytes:
    return b"comity:chunk:" + name.encode() + b"\0" + index.to_bytes(8, "big")


def _offset(index: int) -> int:
    return HEAD_BYTES + index * SEALED_BYTES


def _seen(number: int, size_bytes: int) -> str:
    """Return what can be seen to be wrong with a file, empty if nothing is."""
    if os.fstat(number).st_size != sealed_size(size_bytes):
        return "it is shorter or longer than what was received"
    return "" if os.pread(number, len(MARK), 0) == MARK else "it does not begin as such a file does"


def _write_first(path: str, content: bytes) -> None:
    """Write a file whole, unless somebody else is first: then theirs is it."""
    mine = f"{path}.{os.urandom(4).hex()}"
    number = os.open(mine, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(number, content)
        os.fsync(number)
        with contextlib.suppress(FileExistsError):
            os.link(mine, path)
    finally:
        os.close(number)
        os.unlink(mine)
    descriptor.sync_folder(os.path.dirname(path))
