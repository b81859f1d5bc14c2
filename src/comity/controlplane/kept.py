"""The node's store of what was received: who may open its files is `received`'s, here is where the keys are.

Each file has a key, and each transfer its own copy of it, sealed with the node's key for that transfer, content and
size. What is deleted loses its keys in the transaction that says so; the files follow, those that another transfer has
stay. While a transfer comes, its secret makes the keys: that goes when all is here, or when it cannot come any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import socket
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

from comity import errors
from comity.controlplane.connector import Connector
from comity.dataplane import kept as places
from comity.dataplane.kept_part import Entry
from comity.db import deliveries
from comity.db import kept as rows
from comity.db.kept import Kept, KeptFile
from comity.db.store import Transaction, Unit
from comity.dsp.negotiation import Agreement
from comity.storage import descriptor, kept, media_types
from comity.storage.source import CHUNK_BYTES, Source

T = TypeVar("T")
KIND = "kept"
SECRET, FILE = "kept:secret:", "kept:file:"
ELSEWHERE = "kept-elsewhere"
FAILED_MS = 7 * 24 * 3600 * 1000
"""How long the whole files of a transfer that failed are kept for the next try."""

log = logging.getLogger(__name__)


async def target(connector: Connector, transfer_id: str) -> places.KeptTarget:
    """Return the place that a transfer is received into, locked until it is closed.

    Raises:
        ConflictError: somebody receives into it, or all of it is here.
        StorageError: the store cannot be written.
    """
    place = await asyncio.to_thread(connector.kept.name)
    row = await connector.database.read(lambda tx: rows.find(tx, transfer_id))
    if row is None or row.place != place or not _opens(connector, row):
        row = await _begin(connector, transfer_id, place)
    if row.secret_sealed is None:
        raise errors.ConflictError("all of it has been received")
    secret = connector.seal.open(row.secret_sealed, SECRET + transfer_id)
    noted = _Rows(connector, transfer_id, place, asyncio.get_running_loop())
    shelf = places.shelf_of(transfer_id)
    return await asyncio.to_thread(places.KeptTarget, connector.kept, shelf, secret, noted)


def _opens(connector: Connector, row: Kept) -> bool:
    """Say whether a secret can be read: not if the node's key was lost since."""
    with contextlib.suppress(errors.DatabaseError):
        if row.secret_sealed is not None:
            connector.seal.open(row.secret_sealed, SECRET + row.transfer_id)
        return True
    return False


async def _begin(connector: Connector, transfer_id: str, place: str) -> Kept:
    """Write down that a transfer comes into this folder; what another replica, or a lost key, had of it comes anew."""
    new = Kept(
        transfer_id=transfer_id,
        place=place,
        lies=f"{socket.gethostname()}:{connector.kept.root}",
        secret_sealed=connector.seal.close(os.urandom(kept.KEY_BYTES), SECRET + transfer_id),
        created_at=connector.now_ms(),
    )

    async def unit(tx: Transaction) -> Kept:
        found = await rows.find(tx, transfer_id)
        if found is not None and (
            found.secret_sealed is None or (found.place == place and _opens(connector, found))
        ):
            return found
        if found is not None:
            await rows.remove(tx, transfer_id)
        await rows.save(tx, new)
        return new

    return await connector.database.write(unit)


class _Rows:
    """What `dataplane.kept` asks of the database, from its threads."""

    def __init__(
        self, connector: Connector, transfer_id: str, place: str, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._connector = connector
        self._transfer_id = transfer_id
        self._place = place
        self._loop = loop

    def _read(self, unit: Unit[T]) -> T:
        return self._wait(self._connector.database.read, unit)

    def _wait(self, work: Callable[[Unit[T]], Coroutine[Any, Any, T]], unit: Unit[T]) -> T:
        async def run() -> T:
            return await work(unit)

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result()

    def mine(self) -> dict[str, Entry]:
        found = self._read(lambda tx: rows.find_files(tx, self._transfer_id))
        return {each.path: _entry(self._connector, each) for each in found}

    def find(self, path: str = "", sha256: str = "") -> Entry | None:
        found = self._read(lambda tx: rows.find_file(tx, self._transfer_id, path, sha256=sha256))
        return _entry(self._connector, found) if found is not None else None

    def is_held(self, object_name: str) -> bool:
        return self._read(lambda tx: rows.has_holder(tx, object_name))

    def elsewhere(self, digests: Sequence[str]) -> dict[str, Entry]:
        found = self._read(
            lambda tx: rows.find_contents(tx, self._place, digests, transfer_id=self._transfer_id)
        )
        readable: dict[str, Entry] = {}
        for sha256, each in found.items():
            with contextlib.suppress(errors.DatabaseError):  # sealed with a key that was lost since
                readable[sha256] = _entry(self._connector, each)
        return readable

    def add(self, entries: Sequence[Entry]) -> None:
        seal, name = self._connector.seal, self._transfer_id
        new = [
            KeptFile(
                transfer_id=name,
                path=each.path,
                object_name=each.object_name,
                sha256=each.sha256,
                size_bytes=each.size_bytes,
                key_sealed=seal.close(
                    each.key, _purpose(name, each.object_name, each.sha256, each.size_bytes)
                ),
            )
            for each in entries
        ]
        if new:
            self._wait(self._connector.database.write, lambda tx: rows.add_files(tx, new))


def _purpose(transfer_id: str, object_name: str, sha256: str, size_bytes: int) -> str:
    """Return what a file's key is sealed for: with another transfer, content or length it does not open."""
    return f"{FILE}{transfer_id}:{object_name}:{sha256}:{size_bytes}"


def _entry(connector: Connector, row: KeptFile) -> Entry:
    purpose = _purpose(row.transfer_id, row.object_name, row.sha256, row.size_bytes)
    key = connector.seal.open(row.key_sealed, purpose)
    return Entry(row.path, row.object_name, row.sha256, row.size_bytes, key)


async def files(connector: Connector, transfer_id: str) -> list[tuple[str, Source]]:
    """Return the files of what a transfer brought, by their paths, as sources."""
    found = await connector.database.read(lambda tx: rows.find_files(tx, transfer_id))
    return [(each.path, source(each)) for each in found]


async def sizes(connector: Connector) -> tuple[int, int, int]:
    """Return how many files this store has, each content once, their bytes, and how many more it could take."""

    def name() -> str:
        return connector.kept.name() if Path(connector.kept.root).is_dir() else ""  # to look makes none

    place = await asyncio.to_thread(name)
    files, size_bytes = await connector.database.read(lambda tx: rows.sizes(tx, place))
    return files, size_bytes, await asyncio.to_thread(connector.kept.free_bytes)


async def check(connector: Connector, transfer_id: str) -> tuple[int, int, list[str], list[str]]:
    """Read all of what a transfer brought; return its files and bytes, and which are damaged or missing.

    Raises:
        StorageError: it lies in the store of another replica.
    """
    row = await connector.database.read(lambda tx: rows.find(tx, transfer_id))
    if row is not None:
        await check_here(connector, row)
    damaged: list[str] = []
    missing: list[str] = []
    found = await connector.database.read(lambda tx: rows.find_files(tx, transfer_id))
    for each in found:
        why = await asyncio.to_thread(_wrong, connector, each)
        if why:
            (missing if why == kept.MISSING else damaged).append(each.path)
    return len(found), sum(each.size_bytes for each in found), damaged, missing


def _wrong(connector: Connector, row: KeptFile) -> str:
    """Return the code of what is wrong with a file, empty if it is what was received."""
    folder = connector.kept
    try:
        entry = _entry(connector, row)
        with contextlib.closing(folder.open(entry.object_name, entry.key, entry.size_bytes)) as opened:
            return "" if opened.sha256() == entry.sha256 else kept.DAMAGED
    except (errors.StorageError, errors.DatabaseError) as error:
        return error.code


async def entries(connector: Connector, transfer_id: str) -> list[Entry]:
    """Return the files of what a transfer brought, with their keys."""
    found = await connector.database.read(lambda tx: rows.find_files(tx, transfer_id))
    return [_entry(connector, each) for each in found]


def source(row: KeptFile) -> Source:
    """Return a file of the store as a source; its media type is what its name says."""
    return Source(
        kind="kept",
        address=f"{row.transfer_id} {row.path}",
        size_bytes=row.size_bytes,
        sha256=row.sha256,
        media_type=media_types.of(row.path),
        name=row.path.rpartition("/")[2],
    )


class Storage:
    """Hands out bytes of files of the store; whether they may be opened is asked before."""

    def __init__(self, connector: Connector) -> None:
        """Read from this connector's store."""
        self._connector = connector

    async def open_range(
        self, source: Source, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Open bytes `start` to `end` (exclusive) of a file.

        Raises:
            StorageError: it is not there (any more), lies with another replica, or was changed on the disk.
        """
        entry = await self._find(*source.address.split(" ", 1))
        opened = await asyncio.to_thread(
            self._connector.kept.open, entry.object_name, entry.key, entry.size_bytes
        )
        return _chunks(opened, start, entry.size_bytes if end is None else end)

    async def _find(self, transfer_id: str, path: str) -> Entry:
        async def unit(tx: Transaction) -> tuple[Kept | None, KeptFile | None]:
            return await rows.find(tx, transfer_id), await rows.find_file(tx, transfer_id, path)

        kept_at, row = await self._connector.database.read(unit)
        if kept_at is None or row is None:
            raise errors.StorageError(
                f"{path!r} is not in the store any more", hint="get it again: comity get"
            )
        await check_here(self._connector, kept_at)
        return _entry(self._connector, row)


async def check_here(connector: Connector, row: Kept) -> None:
    """Refuse what lies in another folder than ours.

    Raises:
        StorageError: with the code `kept-elsewhere`.
    """
    if not await asyncio.to_thread(connector.kept.is_here, row.place):
        error = errors.StorageError(
            f"it lies in the store of another replica, {row.lies}, which this one does not see",
            hint="ask that replica, or give all of them one folder: storage.kept in the settings;"
            " after a restore put the copy of that folder here",
        )
        error.code = ELSEWHERE
        raise error


async def lies_elsewhere(connector: Connector, tx: Transaction, transfer_id: str) -> str:
    """Return in whose store something lies if not in ours; empty if it is here."""
    row = await rows.find(tx, transfer_id)
    return row.lies if row is not None and not connector.kept.is_here(row.place) else ""


async def find(connector: Connector, agreement: Agreement, sha256: str, path: str) -> Source | None:
    """Return a file held under an agreement, of a content (SHA-256 of the manifest, or of the one file), or None.

    Whether it may be opened is asked before.
    """

    async def unit(tx: Transaction) -> KeptFile | None:
        for each in await deliveries.find_received(tx, agreement.id, agreement.counterparty_id):
            held = (each.destination, each.sha256, each.deleted_at) == (places.STORE, sha256, None)
            if held and not await lies_elsewhere(connector, tx, each.transfer_id):
                return await rows.find_file(tx, each.transfer_id, path)
        return None

    found = await connector.database.read(unit)
    return source(found) if found is not None else None


async def _chunks(opened: kept.Sealed, start: int, end: int) -> AsyncGenerator[bytes, None]:
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


async def settled(tx: Transaction, transfer_id: str) -> None:
    """Forget the secret of a transfer of which nothing more comes: what is here whole has its keys."""
    await rows.forget_secret(tx, transfer_id)


async def erase(tx: Transaction, transfer_id: str) -> list[str]:
    """Remove the keys to what a transfer brought, and return the files that nobody has any more: see `clear`."""
    return await rows.remove(tx, transfer_id)


async def _unlink(connector: Connector, names: Sequence[str]) -> None:
    """Remove files that no transfer has; what cannot be removed is noise on a disk, for its key is gone."""
    loop = asyncio.get_running_loop()

    async def unit(tx: Transaction) -> list[str]:
        return [each for each in names if not await rows.has_holder(tx, each)]

    async def free() -> list[str]:
        return await connector.database.read(unit)

    def remove() -> None:
        with connector.kept.alone():  # a transfer may have begun to share one meanwhile
            for each in asyncio.run_coroutine_threadsafe(free(), loop).result():
                connector.kept.remove(each)

    if not names:
        return
    try:
        await asyncio.to_thread(remove)
    except errors.StorageError as error:
        log.warning("%s; its key is gone", error.message)


async def tidy(connector: Connector) -> int:
    """Remove files without keys of transfers that have ended, which a crash or another replica left.

    Returns how many. What no transfer is known for stays: a store that was restored may be put back once more.
    """
    before_ms = connector.now_ms() - FAILED_MS
    for name in await connector.database.read(lambda tx: rows.find_failed(tx, places.STORE, before_ms)):
        await connector.database.write(functools.partial(rows.remove, transfer_id=name))
    ended = await connector.database.read(lambda tx: rows.find_ended(tx, places.STORE))
    return await _clear(connector, {places.shelf_of(each) for each in ended})


async def clear(connector: Connector, transfer_id: str, names: Sequence[str]) -> None:
    """Remove files to which there is no key any more, and what else of a transfer nobody has."""
    await _unlink(connector, names)
    await _clear(connector, {places.shelf_of(transfer_id)})


async def _clear(connector: Connector, shelves: set[str]) -> int:
    there = await asyncio.to_thread(connector.kept.names, shelves)

    async def unit(tx: Transaction) -> list[str]:
        return [each for each in there if not await rows.has_holder(tx, each)]

    names = await connector.database.read(unit)
    await _unlink(connector, names)
    return len(names)
