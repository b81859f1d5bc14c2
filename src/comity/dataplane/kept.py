"""The node's own store as a place to receive into: encrypted, and each content of a partner once.

A transfer has a shelf, a folder that is locked meanwhile, and a secret of which the keys of its files are made. The
secret and those keys lie sealed in the database (`controlplane.kept`, here only `Rows`). What is written down there is
here whole: its SHA-256 was right, and it was on the disk before. Of what is not, a chunk is here when it opens with its
key, so a part needs no journal. A content that came from the same partner already is only written down again, after it
was read.
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

from comity.dataplane import disk, places
from comity.dataplane.kept_part import SHOWN, Entry, KeptPart, SamePart
from comity.dataplane.older import Left
from comity.dataplane.places import MANIFEST_NAME, SEAL_NAME, Here, Wanted
from comity.errors import StorageError
from comity.storage import kept
from comity.storage.kept import Folder, Growing

T = TypeVar("T")

STORE: Final = "store:"
"""What stands for the node's store where a folder is named."""
KEPT_NOTES: Final = frozenset({SEAL_NAME})
"""Notes that stay with what was received."""
_NAME_BYTES: Final = 16


class Rows(Protocol):
    """What is written down of a transfer's files; all of it blocks."""

    def mine(self) -> dict[str, Entry]:
        """Return what this transfer has, by its path."""
        ...

    def find(self, path: str = "", sha256: str = "") -> Entry | None:
        """Return a file that this transfer has at a path, or with a digest."""
        ...

    def is_held(self, object_name: str) -> bool:
        """Say whether any transfer has this object whole."""
        ...

    def elsewhere(self, digests: Sequence[str]) -> dict[str, Entry]:
        """Return what came from the same partner into the same folder with these digests, by digest."""
        ...

    def add(self, entries: Sequence[Entry]) -> None:
        """Write down files that are here whole now."""
        ...


class KeptTarget:
    """The shelf of a transfer, locked until it is closed; see `places.Target`."""

    def __init__(self, folder: Folder, shelf: str, secret: bytes, rows: Rows) -> None:
        """Lock the shelf.

        Raises:
            ConflictError: somebody is receiving into it.
            StorageError: it cannot be made.
        """
        self._folder, self._shelf, self._secret, self._rows = folder, shelf, secret, rows
        self._notes = AESGCM(kept.key_of(secret, shelf, b"notes"))
        self._mine: dict[str, Entry] | None = None
        self._same: dict[str, Entry] = {}
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
        """Return which files are here whole, by this transfer or its partner's others, and what is here of the rest."""
        self._mine = self._rows.mine()
        self._same = {each.sha256: each for each in self._mine.values()}
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
        entry = self._find(wanted.path)
        if entry is None or (entry.sha256, entry.size_bytes) != (wanted.sha256, wanted.size_bytes):
            return False
        return self._folder.used_bytes(entry.object_name) == kept.sealed_size(entry.size_bytes)

    def _read(self, entry: Entry) -> bytes:
        with contextlib.closing(self._folder.open(entry.object_name, entry.key, entry.size_bytes)) as opened:
            return b"".join(opened.pieces(0, entry.size_bytes))

    def _find(self, path: str) -> Entry | None:
        """Return what is written down at a path; who takes one file of many asks for that one alone."""
        return self._rows.find(path) if self._mine is None else self._mine.get(path)

    def _find_same(self, sha256: str) -> Entry | None:
        """Return what is written down with a content."""
        if not sha256:
            return None
        return self._rows.find(sha256=sha256) if self._mine is None else self._same.get(sha256)

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
        same = self._find_same(wanted.sha256)
        if keep and same is not None and same.size_bytes == wanted.size_bytes:
            return SamePart(wanted, same, self._is_right)
        name = self._object_name(wanted)
        if not keep and self._folder.used_bytes(name) and self._rows.is_held(name):
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
            self._same |= {each.sha256: each for each in entries}

    def drop(self, part: places.Part) -> None:
        """Close a part and remove it."""
        part.close()
        if isinstance(part, KeptPart):
            with disk.failures(SHOWN), contextlib.suppress(FileNotFoundError):
                os.unlink(self._folder.path(part.object_name))

    def drop_older(self, before: bytes, manifest: bytes) -> Left:  # noqa: ARG002  see `places.Target`
        """Remove nothing: what a manifest does not name is not shown, and goes with its transfer."""
        return Left()

    def end(self, manifest: bytes) -> Left:
        """Keep the manifest beside its files; each transfer has its own, so nothing older is there."""
        self._put(MANIFEST_NAME, manifest)
        return Left()

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
            entry = self._find(name)
            return self._read(entry)[:limit] if entry is not None else b""
        try:
            sealed = _read(self._note(name), limit + kept.MORE_BYTES)
            return self._notes.decrypt(sealed[: kept.NONCE_BYTES], sealed[kept.NONCE_BYTES :], _note(name))
        except (OSError, InvalidTag, ValueError):
            return b""

    def write_note(self, name: str, data: bytes, *, durable: bool = True) -> None:
        """Write down a little of what a later attempt must know, sealed."""
        if name in KEPT_NOTES:
            self._put(name, data)
            return
        nonce = os.urandom(kept.NONCE_BYTES)
        sealed = nonce + self._notes.encrypt(nonce, data, _note(name))
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
