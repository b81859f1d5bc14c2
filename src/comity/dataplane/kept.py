"""The node's own store as a place to receive into: encrypted, and each content once, whoever brought it.

A transfer has a shelf, a folder that is locked meanwhile, and a secret of which the keys of its files are made. The
secret and those keys lie sealed in the database (`controlplane.kept`, here only `Rows`). What is written down there is
here whole: it was read again and on the disk before. What is not has a chunk when it opens with its key, so a
part needs no journal. A file whose content the store has already is only written down again, after it was read.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import hmac
import os
from collections.abc import Callable, Sequence
from typing import Final, Protocol, TypeVar

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

from comity.dataplane import disk, places
from comity.dataplane.places import MANIFEST_NAME, SEAL_NAME, Here, Wanted
from comity.errors import StorageError
from comity.storage import kept
from comity.storage.kept import Folder, Growing
from comity.storage.source import CHUNK_BYTES

T = TypeVar("T")

STORE: Final = "store:"
"""What stands for the node's store where a folder is named."""
SHOWN: Final = "the node's store"
KEPT_NOTES: Final = frozenset({SEAL_NAME})
"""Notes that stay with what was received."""
_NAME_BYTES: Final = 16


class Entry(Struct, frozen=True):
    """A file that is here whole: its path in what was received, the object with its content, and that one's key."""

    path: str
    object_name: str
    sha256: str
    size_bytes: int
    key: bytes


class Rows(Protocol):
    """What is written down of a transfer's files; all of it blocks."""

    def mine(self) -> dict[str, Entry]:
        """Return what this transfer has, by its path."""
        ...

    def elsewhere(self, digests: Sequence[str]) -> dict[str, Entry]:
        """Return what lies in the same folder with these digests, by digest."""
        ...

    def add(self, entries: Sequence[Entry]) -> None:
        """Write down files that are here whole now."""
        ...


class KeptPart:
    """A file that grows in chunks of 1 MiB, the last of them in memory until it is whole; see `places.Part`."""

    def __init__(self, growing: Growing, wanted: Wanted, *, keep: bool = True) -> None:
        """Read what an earlier attempt left, up to the first chunk that does not open."""
        self.wanted = wanted
        self.kept = 0
        self.sha256 = ""
        self._growing = growing
        self._digest = hashlib.sha256()
        self._tail = bytearray()
        self._closed = False
        with disk.failures(SHOWN):
            if keep:
                self._look()
            else:
                growing.start_over()

    def _look(self) -> None:
        while (plain := self._growing.read(self.kept // CHUNK_BYTES)) is not None:
            if len(plain) < CHUNK_BYTES:
                self._tail += plain
                return
            self._digest.update(plain)
            self.kept += len(plain)

    @property
    def object_name(self) -> str:
        """The name of the object."""
        return self._growing.name

    @property
    def key(self) -> bytes:
        """The object's key."""
        return self._growing.key

    @property
    def size(self) -> int:
        """How many bytes are here."""
        return self.kept + len(self._tail)

    def append(self, data: bytes) -> None:
        """Take the next bytes; each MiB that is full is sealed and written.

        Raises:
            StorageError: they cannot be written; code `disk-full` where there is no room.
        """
        self.sha256 = ""
        view = memoryview(data)
        while view:
            more = CHUNK_BYTES - len(self._tail)
            self._tail += view[:more]
            view = view[more:]
            if len(self._tail) == CHUNK_BYTES:
                with disk.failures(SHOWN, CHUNK_BYTES):
                    self._growing.write(self.kept // CHUNK_BYTES, bytes(self._tail))
                self._digest.update(self._tail)
                self.kept += CHUNK_BYTES
                self._tail.clear()

    @property
    def number(self) -> int:
        """The open file."""
        return self._growing.number

    def finish(self) -> str:
        """Take what is here as all of it and return its SHA-256 (hex)."""
        with disk.failures(SHOWN, len(self._tail)):
            self._write_tail()
            self._growing.cut(self.size)
        digest = self._digest.copy()
        digest.update(self._tail)
        self.sha256 = digest.hexdigest()
        return self.sha256

    def sync(self) -> None:
        """Have on the disk what is here so far."""
        with disk.failures(SHOWN, len(self._tail)):
            self._write_tail()
            os.fsync(self.number)

    def _write_tail(self) -> None:
        if self._tail:
            self._growing.write(self.kept // CHUNK_BYTES, bytes(self._tail))

    def start_over(self) -> None:
        """Forget all that was received of it; what comes now has another key."""
        with disk.failures(SHOWN):
            self._growing.start_over()
        self._digest = hashlib.sha256()
        self._tail.clear()
        self.kept, self.sha256 = 0, ""

    def close(self) -> None:
        """Let it rest, with what of the last chunk came."""
        if not self._closed:
            self._closed = True
            if not self.sha256:  # what is finished may be durable, and is not touched again
                with contextlib.suppress(OSError):  # a full disk: that chunk comes again
                    self._write_tail()
            self._growing.close()


class SamePart:
    """A file whose content the transfer has already: it is only written down once more; see `places.Part`."""

    def __init__(self, wanted: Wanted, same: Entry, is_right: Callable[[Entry], bool]) -> None:
        """Stand for what `same` is."""
        self.wanted = wanted
        self.object_name, self.key = same.object_name, same.key
        self.size = self.kept = same.size_bytes
        self.sha256 = ""
        self._same = same
        self._is_right = is_right

    def append(self, data: bytes) -> None:
        """Take nothing.

        Raises:
            StorageError: it is whole.
        """
        raise StorageError(f"{self.wanted.path!r} is whole: {len(data)} more bytes are not taken")

    def finish(self) -> str:
        """Return its SHA-256 (hex), after it was read; "" where it was damaged since."""
        self.sha256 = self._same.sha256 if self._is_right(self._same) else ""
        return self.sha256

    def sync(self) -> None:
        """Do nothing: it is on the disk."""

    def start_over(self) -> None:
        """Count as nothing: what it stands for is another's.

        Raises:
            StorageError: it cannot be begun anew in this place.
        """
        raise StorageError(f"{self.wanted.path!r} is whole")

    def close(self) -> None:
        """Do nothing."""


class KeptTarget:
    """The shelf of a transfer, locked until it is closed; see `places.Target`."""

    def __init__(self, folder: Folder, shelf: str, secret: bytes, rows: Rows) -> None:
        """Lock the shelf.

        Raises:
            ConflictError: somebody is receiving into it.
            StorageError: it cannot be made.
        """
        self._folder, self._shelf, self._secret, self._rows = folder, shelf, secret, rows
        self._mine: dict[str, Entry] | None = None
        with disk.failures(SHOWN):
            self._lock = os.open(folder.make(shelf), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise kept.in_use("this transfer") from None

    @property
    def shown(self) -> str:
        """What messages call it."""
        return SHOWN

    async def run(self, call: Callable[[], T]) -> T:
        """Run a blocking call in a thread; if cancelled, wait until it has stopped touching the shelf."""
        running = asyncio.get_running_loop().run_in_executor(None, call)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            await asyncio.wait([running])
            if not running.cancelled():
                running.exception()
            raise

    def free_bytes(self) -> int | None:
        """Return how much room there is."""
        with disk.failures(SHOWN):
            return self._folder.free_bytes()

    def begin(self, files: Sequence[Wanted]) -> Here:
        """Return which files are here whole, by this transfer or any other, and what is here of the others."""
        self._mine = None
        whole = {each.path for each in files if self._is_written_down(each)}
        wanted = [each for each in files if each.path not in whole and each.sha256]
        found = self._rows.elsewhere(sorted({each.sha256 for each in wanted}))
        right = {sha256: entry for sha256, entry in found.items() if self._is_right(entry)}
        shared = [
            msgspec.structs.replace(right[each.sha256], path=each.path)
            for each in wanted
            if each.sha256 in right and right[each.sha256].size_bytes == each.size_bytes
        ]
        with self._folder.alone():  # who deletes another's files removes none of them meanwhile
            self._add([each for each in shared if self._folder.used_bytes(each.object_name)])
        whole |= {each.path for each in files if self._is_written_down(each)}
        grown = {each.path: self._grown(each) for each in files if each.path not in whole}
        return Here(frozenset(whole), {path: size for path, size in grown.items() if size})

    def held(self, wanted: Wanted) -> int:
        """Return how many bytes of a file are here."""
        return wanted.size_bytes or 0 if self._is_written_down(wanted) else self._grown(wanted)

    def _is_written_down(self, wanted: Wanted) -> bool:
        entry = self._written_down().get(wanted.path)
        if entry is None or (entry.sha256, entry.size_bytes) != (wanted.sha256, wanted.size_bytes):
            return False
        return self._folder.used_bytes(entry.object_name) == kept.sealed_size(entry.size_bytes)

    def _read(self, entry: Entry) -> bytes:
        with contextlib.closing(self._folder.open(entry.object_name, entry.key, entry.size_bytes)) as opened:
            return b"".join(opened.pieces(0, entry.size_bytes))

    def _written_down(self) -> dict[str, Entry]:
        if self._mine is None:
            self._mine = self._rows.mine()
        return self._mine

    def _is_right(self, entry: Entry) -> bool:
        """Read what is elsewhere before it counts: a damaged file is fetched anew."""
        try:
            with contextlib.closing(
                self._folder.open(entry.object_name, entry.key, entry.size_bytes)
            ) as opened:
                return opened.sha256() == entry.sha256
        except StorageError:
            return False

    def _grown(self, wanted: Wanted) -> int:
        used = self._folder.used_bytes(self._object_name(wanted))
        chunks = -(-max(0, used - kept.HEAD_BYTES) // kept.SEALED_BYTES)
        return max(0, used - kept.HEAD_BYTES - chunks * kept.MORE_BYTES)

    def part(self, wanted: Wanted, *, keep: bool = True) -> places.Part:
        """Open the part of a file, with what an earlier attempt left in it unless not to `keep` it.

        A content that this transfer has already is not written again.
        """
        same = {each.sha256: each for each in self._written_down().values()}.get(wanted.sha256)
        if keep and same is not None and same.size_bytes == wanted.size_bytes:
            return SamePart(wanted, same, self._is_right)
        name = self._object_name(wanted)
        if not keep and name in {each.object_name for each in self._written_down().values()}:
            name = (
                f"{self._shelf}/{os.urandom(_NAME_BYTES).hex()}"  # that one is whole, and others may have it
            )
        with disk.failures(SHOWN):
            growing = Growing(self._folder, name, self._secret)
        return KeptPart(growing, wanted, keep=keep)

    def keep(self, parts: Sequence[places.Part], name: str = "") -> None:
        """Write down parts that are finished and whose hash is right."""
        ours = [each for each in parts if isinstance(each, KeptPart | SamePart)]
        with disk.failures(SHOWN):
            disk.sync_files([each.number for each in ours if isinstance(each, KeptPart)], self._lock)
            os.fsync(self._lock)
        self._add(
            [
                Entry(name or each.wanted.path, each.object_name, each.sha256, each.size, each.key)
                for each in ours
            ]
        )
        for each in ours:
            each.close()

    def _add(self, entries: Sequence[Entry]) -> None:
        self._rows.add(entries)
        if self._mine is not None:
            self._mine |= {each.path: each for each in entries}

    def drop(self, part: places.Part) -> None:
        """Close a part and remove it."""
        part.close()
        if isinstance(part, KeptPart):
            with disk.failures(SHOWN), contextlib.suppress(FileNotFoundError):
                os.unlink(self._folder.path(part.object_name))

    def end(self, manifest: bytes) -> None:
        """Keep the manifest beside its files."""
        self._put(MANIFEST_NAME, manifest)

    def _put(self, name: str, data: bytes) -> None:
        """Keep a small file whole."""
        wanted = Wanted(name, len(data), hashlib.sha256(data).hexdigest())
        if self._is_written_down(wanted):
            return
        with contextlib.closing(self.part(wanted, keep=False)) as part:
            part.append(data)
            part.finish()
            self.keep([part])

    def read_note(self, name: str, limit: int) -> bytes:
        """Read what `write_note` wrote, b"" if there is nothing that opens."""
        if name in KEPT_NOTES:
            entry = self._written_down().get(name)
            return self._read(entry)[:limit] if entry is not None else b""
        try:
            sealed = _read(self._note(name), limit + kept.MORE_BYTES)
            cipher = AESGCM(self._secret)
            return cipher.decrypt(sealed[: kept.NONCE_BYTES], sealed[kept.NONCE_BYTES :], _note(name))
        except (OSError, InvalidTag, ValueError):
            return b""

    def write_note(self, name: str, data: bytes, *, durable: bool = True) -> None:
        """Write down a little of what a later attempt must know, sealed."""
        if name in KEPT_NOTES:
            self._put(name, data)
            return
        nonce = os.urandom(kept.NONCE_BYTES)
        sealed = nonce + AESGCM(self._secret).encrypt(nonce, data, _note(name))
        path = self._note(name)
        with disk.failures(SHOWN, len(sealed)):
            number = os.open(path + "~", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                with open(number, "wb", closefd=False) as file:
                    file.write(sealed)
                if durable:
                    os.fsync(number)
            finally:
                os.close(number)
            os.replace(path + "~", path)
            if durable:
                os.fsync(self._lock)

    def drop_note(self, name: str) -> None:
        """Remove a note, if there is one."""
        with disk.failures(SHOWN), contextlib.suppress(FileNotFoundError):
            os.unlink(self._note(name))

    def close(self) -> None:
        """Give the shelf free."""
        os.close(self._lock)

    def _note(self, name: str) -> str:
        return os.path.join(self._folder.shelf(self._shelf), _named(self._secret, "note", name))

    def _object_name(self, wanted: Wanted) -> str:
        return f"{self._shelf}/{_named(self._secret, wanted.sha256, wanted.path)}"


def shelf_of(transfer_id: str) -> str:
    """Return the name of a transfer's shelf."""
    return hashlib.sha256(transfer_id.encode()).hexdigest()[: 2 * _NAME_BYTES]


def _named(secret: bytes, kind: str, name: str) -> str:
    """Return a name on the disk that tells nobody what it is the name of."""
    told = hmac.digest(secret, f"comity:name:{kind}:{name}".encode(errors="surrogatepass"), hashlib.sha256)
    return told[:_NAME_BYTES].hex()


def _note(name: str) -> bytes:
    return b"comity:note:" + name.encode()


def _read(path: str, limit: int) -> bytes:
    number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        return os.read(number, limit)
    finally:
        os.close(number)
