"""Rows of what lies in the node's encrypted store: its folder, the files of each transfer, and their keys, sealed.

A key that goes is written over first, so that the page it was in does not show it any more.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from msgspec import Struct

from comity.db.store import Transaction
from comity.db.table import Table

BATCH = 500


class Kept(Struct, frozen=True, kw_only=True):
    """What a transfer brings into the store: the folder's name and what people call it; the secret while it comes."""

    transfer_id: str
    place: str
    lies: str
    secret_sealed: bytes | None = None
    created_at: int


class KeptFile(Struct, frozen=True, kw_only=True):
    """A file that is whole."""

    transfer_id: str
    path: str
    object_name: str
    sha256: str
    size_bytes: int
    key_sealed: bytes


class Export(Struct, frozen=True, kw_only=True):
    """Where a copy of what a transfer brought went: a folder, or empty for a program that fetched it."""

    transfer_id: str
    destination: str
    person: str = ""
    by_whom: str = ""
    at: int


_TABLE = Table("kept", Kept)
_EXPORTS = Table("kept_export", Export)
_SAVE_EXPORT = f"{_EXPORTS.insert} ON CONFLICT (transfer_id, destination) DO NOTHING"
_FILES = Table("kept_file", KeptFile)
_SAVE = _TABLE.upsert("transfer_id", "created_at")
_SAVE_FILE = (
    f"{_FILES.insert} ON CONFLICT (transfer_id, path) DO UPDATE SET object_name = excluded.object_name,"
    " sha256 = excluded.sha256, size_bytes = excluded.size_bytes, key_sealed = excluded.key_sealed"
)
_OF = "WHERE transfer_id = ?1 ORDER BY path"
_HERE = "SELECT transfer_id FROM kept WHERE place = ?1"
_OF_SAME_PARTNER = (
    "SELECT id FROM transfer WHERE counterparty_id = (SELECT counterparty_id FROM transfer WHERE id = ?2)"
)
_SHRED = "UPDATE kept_file SET key_sealed = ?2 WHERE transfer_id = ?1"
_REMOVE_FILES = "DELETE FROM kept_file WHERE transfer_id = ?1"
_SHRED_SECRET = "UPDATE kept SET secret_sealed = ?2 WHERE transfer_id = ?1 AND secret_sealed IS NOT NULL"  # noqa: S105
_NO_SECRET = "UPDATE kept SET secret_sealed = NULL WHERE transfer_id = ?1"  # noqa: S105  no password
_REMOVE = "DELETE FROM kept WHERE transfer_id = ?1"
_HOLDERS = "SELECT count(*) FROM kept_file WHERE object_name = ?1"
_SIZES = (
    "SELECT count(*), coalesce(sum(size_bytes), 0) FROM"
    " (SELECT object_name, max(size_bytes) AS size_bytes FROM kept_file WHERE transfer_id IN"
    " (SELECT transfer_id FROM kept WHERE place = ?1) GROUP BY object_name) AS each_once"
)
_ENDED = (
    "SELECT transfer_id FROM delivery WHERE destination = ?1"
    " UNION SELECT transfer_id FROM pull WHERE destination = ?1 AND state = 'FAILED'"
)
_FAILED = (
    "SELECT pull.transfer_id FROM pull JOIN kept ON kept.transfer_id = pull.transfer_id"
    " WHERE pull.destination = ?1 AND pull.state = 'FAILED' AND pull.updated_at < ?2"
)
_BLANK = bytes(60)


async def find(tx: Transaction, transfer_id: str) -> Kept | None:
    """Return what a transfer brings into the store, or None."""
    return await _TABLE.one(tx, f"WHERE transfer_id = ?1{tx.lock}", transfer_id)


async def find_at(tx: Transaction, place: str) -> list[Kept]:
    """Return what lies in a folder, oldest first."""
    return await _TABLE.all(tx, "WHERE place = ?1 ORDER BY created_at, transfer_id", place)


async def find_elsewhere(tx: Transaction, place: str) -> list[Kept]:
    """Return what does not lie in a folder, oldest first."""
    return await _TABLE.all(tx, "WHERE place <> ?1 ORDER BY created_at, transfer_id", place)


async def save(tx: Transaction, new: Kept) -> None:
    """Store that a transfer brings something into the store, or that it does so elsewhere now."""
    await tx.run(_SAVE, *_TABLE.row(new))


async def find_files(tx: Transaction, transfer_id: str) -> list[KeptFile]:
    """Return the files of a transfer that are whole, by their paths."""
    return await _FILES.all(tx, _OF, transfer_id)


async def each_file(tx: Transaction, transfer_id: str) -> AsyncGenerator[KeptFile, None]:
    """Yield the files of a transfer that are whole, by their paths."""
    async with aclosing(tx.each(f"{_FILES.select} {_OF}", transfer_id)) as rows:
        async for row in rows:
            yield _FILES.value(row)


async def find_file(
    tx: Transaction, transfer_id: str, path: str = "", *, sha256: str = ""
) -> KeptFile | None:
    """Return a file of a transfer, by its path or by its digest, or None."""
    if sha256:
        return await _FILES.one(
            tx, "WHERE sha256 = ?2 AND transfer_id = ?1 ORDER BY path LIMIT 1", transfer_id, sha256
        )
    return await _FILES.one(tx, "WHERE transfer_id = ?1 AND path = ?2", transfer_id, path)


async def find_contents(
    tx: Transaction, place: str, digests: Sequence[str], *, transfer_id: str
) -> dict[str, KeptFile]:
    """Return files that lie in a folder, have one of some digests, and came from the partner of a transfer; by digest.

    A manifest proves nothing of what another partner has: with its digests alone nobody gets that under his own terms.
    """
    found: dict[str, KeptFile] = {}
    for at in range(0, len(digests), BATCH):
        some = digests[at : at + BATCH]
        named = ", ".join(f"?{number}" for number in range(3, len(some) + 3))
        where = (
            f"WHERE transfer_id IN ({_HERE}) AND transfer_id IN ({_OF_SAME_PARTNER}) AND sha256 IN ({named})"
        )
        found |= {each.sha256: each for each in await _FILES.all(tx, where, place, transfer_id, *some)}
    return found


async def add_files(tx: Transaction, files: Sequence[KeptFile]) -> None:
    """Store files that are whole now."""
    for each in files:
        await tx.run(_SAVE_FILE, *_FILES.row(each))


async def has_holder(tx: Transaction, object_name: str) -> bool:
    """Say whether any transfer has a file of the store."""
    row = await tx.one(_HOLDERS, object_name)
    return row is not None and row[0] > 0


async def find_failed(tx: Transaction, destination: str, before_ms: int) -> list[str]:
    """Return the transfers into a destination that failed before some time (ms), and have something there."""
    return [row[0] for row in await tx.all(_FAILED, destination, before_ms)]


async def find_ended(tx: Transaction, destination: str) -> set[str]:
    """Return the transfers into a destination of which nothing more comes."""
    return {row[0] for row in await tx.all(_ENDED, destination)}


async def sizes(tx: Transaction, place: str) -> tuple[int, int]:
    """Return how many files of the store lie in a folder, each once, and their bytes."""
    row = await tx.one(_SIZES, place)
    return (int(row[0]), int(row[1])) if row is not None else (0, 0)


async def forget_secret(tx: Transaction, transfer_id: str) -> None:
    """Remove the secret of what is not received any more."""
    await tx.run(_SHRED_SECRET, transfer_id, _BLANK)
    await tx.run(_NO_SECRET, transfer_id)


async def remove(tx: Transaction, transfer_id: str) -> list[str]:
    """Remove all keys of a transfer, and return the files of the store that nobody has any more."""
    names = {each.object_name for each in await find_files(tx, transfer_id)}
    await tx.run(_SHRED, transfer_id, _BLANK)
    await tx.run(_REMOVE_FILES, transfer_id)
    await forget_secret(tx, transfer_id)
    await tx.run(_REMOVE, transfer_id)
    return [each for each in sorted(names) if not await has_holder(tx, each)]


async def add_export(tx: Transaction, new: Export) -> None:
    """Store where a copy goes; the first time counts."""
    await tx.run(_SAVE_EXPORT, *_EXPORTS.row(new))


async def find_exports(tx: Transaction, transfer_id: str) -> list[Export]:
    """Return where copies of what a transfer brought went, oldest first."""
    return await _EXPORTS.all(tx, "WHERE transfer_id = ?1 ORDER BY at, destination", transfer_id)


async def forget_export(tx: Transaction, transfer_id: str, destination: str) -> None:
    """Remove that a copy went to a place: nothing of it came there."""
    await tx.run(
        "DELETE FROM kept_export WHERE transfer_id = ?1 AND destination = ?2", transfer_id, destination
    )


async def forget_exports(tx: Transaction, transfer_id: str) -> None:
    """Remove where copies went: they are deleted."""
    await tx.run("DELETE FROM kept_export WHERE transfer_id = ?1", transfer_id)
