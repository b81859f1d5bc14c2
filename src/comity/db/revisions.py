"""Rows of revisions: our own, with what each hands out, and partners', as they told us.

Numbers begin with 1. The state of a revision only ever goes on: released, superseded, recalled.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from comity.db.store import Transaction
from comity.db.table import Table
from comity.techdata.effectivity import RELEASED

Document = dict[str, Any]
UNTOLD = 0
"""When a partner's revision was published of which it has told us nothing: it is known by having been received."""


class Revision(Struct, frozen=True, kw_only=True):
    """A revision of an asset of ours: `properties` are the asset's as it was published; `reason` is of its recall.

    `effectivity` is as a manifest writes it, `content_id` names what it hands out (`published`). Times in ms.
    """

    asset_id: str
    number: int
    manifest_sha256: str
    state: str = RELEASED
    effectivity: list[Document]
    properties: Document
    folder: str = ""
    reason: str = ""
    by_whom: str = ""
    published_at: int
    changed_at: int
    content_id: str = ""


class Told(Struct, frozen=True, kw_only=True):
    """A revision of a partner's asset as the partner told us, under an agreement; `changes` since the one before it."""

    counterparty_id: str
    asset_id: str
    number: int
    manifest_sha256: str
    state: str = RELEASED
    effectivity: list[Document]
    title: str = ""
    changes: Document
    reason: str = ""
    agreement_id: str
    published_at: int
    told_at: int


_TABLE = Table("revision", Revision, documents=("effectivity", "properties"))
_TOLD = Table("revision_told", Told, documents=("effectivity", "changes"))
_KEPT = ("asset_id", "number", "state", "reason", "by_whom", "changed_at")
_SAVE = (
    "UPDATE revision SET state = ?3, reason = ?4, by_whom = ?5, changed_at = ?6"
    " WHERE asset_id = ?1 AND number = ?2"
)
_SAVE_TOLD = _TOLD.upsert(
    "counterparty_id, asset_id, number", "counterparty_id", "asset_id", "number", "told_at"
)
_CONTENT = (
    "SELECT sealed FROM content JOIN revision ON content_id = content.id WHERE asset_id = ?1 AND number = ?2"
)
_NEWEST_FIRST = "WHERE asset_id = ?1 ORDER BY number DESC"
_STANDING = "WHERE asset_id = ?1 ORDER BY CASE state WHEN 'released' THEN 0 ELSE 1 END, number DESC LIMIT 1"
_LAST_OF_EACH = (
    "WHERE number = (SELECT max(number) FROM revision AS other WHERE other.asset_id = revision.asset_id)"
    " ORDER BY published_at DESC, asset_id LIMIT ?1"
)
_LAST_TOLD_OF_EACH = (
    "WHERE number = (SELECT max(number) FROM revision_told AS other WHERE other.asset_id = revision_told.asset_id"
    " AND other.counterparty_id = revision_told.counterparty_id)"
    " ORDER BY coalesce(nullif(published_at, 0), told_at) DESC, asset_id LIMIT ?1"
)
_TOLD_OF = "WHERE counterparty_id = ?1 AND asset_id = ?2 ORDER BY number DESC"


async def find(tx: Transaction, asset_id: str, number: int) -> Revision | None:
    """Return a revision of ours, or None."""
    return await _TABLE.one(tx, "WHERE asset_id = ?1 AND number = ?2", asset_id, number)


async def find_by_manifest(tx: Transaction, asset_id: str, sha256: str) -> Revision | None:
    """Return the revision of ours that has a manifest with this digest, or None."""
    return await _TABLE.one(tx, "WHERE asset_id = ?1 AND manifest_sha256 = ?2", asset_id, sha256)


async def find_newest(tx: Transaction, asset_id: str) -> Revision | None:
    """Return the newest revision, whatever became of it; nobody publishes another until the unit has ended."""
    return await _TABLE.one(tx, f"{_NEWEST_FIRST} LIMIT 1{tx.lock}", asset_id)


async def find_standing(tx: Transaction, asset_id: str) -> Revision | None:
    """Return the newest released revision, or the newest of all where none is released; None for no package."""
    return await _TABLE.one(tx, _STANDING, asset_id)


async def find_all(tx: Transaction, asset_id: str) -> list[Revision]:
    """Return the revisions of an asset of ours, newest first."""
    return await _TABLE.all(tx, _NEWEST_FIRST, asset_id)


async def find_last_of_each(tx: Transaction, *, limit: int) -> list[Revision]:
    """Return the newest revision of each asset of ours."""
    return await _TABLE.all(tx, _LAST_OF_EACH, limit)


async def find_asset_of(tx: Transaction, folder: str) -> str:
    """Return the asset that was published from a folder last, empty for none."""
    row = await tx.one(
        "SELECT asset_id FROM revision WHERE folder = ?1 AND folder <> '' ORDER BY published_at DESC LIMIT 1",
        folder,
    )
    return str(row[0]) if row else ""


async def find_content(tx: Transaction, asset_id: str, number: int) -> bytes | None:
    """Return what a revision hands out, sealed, or None."""
    row = await tx.one(_CONTENT, asset_id, number)
    return bytes(row[0]) if row else None


async def insert(tx: Transaction, new: Revision) -> bool:
    """Store a new revision and return True, False if there is one with its number."""
    added = await tx.run(f"{_TABLE.insert} ON CONFLICT (asset_id, number) DO NOTHING", *_TABLE.row(new))
    return added == 1


async def save_content(tx: Transaction, asset_id: str, number: int, content_id: str) -> None:
    """Store which content a revision hands out now."""
    await tx.run(
        "UPDATE revision SET content_id = ?3 WHERE asset_id = ?1 AND number = ?2",
        asset_id,
        number,
        content_id,
    )


async def save(tx: Transaction, changed: Revision) -> None:
    """Store what became of a revision."""
    await tx.run(_SAVE, *_TABLE.values(changed, _KEPT))


async def find_told(tx: Transaction, counterparty_id: str, asset_id: str) -> list[Told]:
    """Return what a partner told us of the revisions of its asset, newest first."""
    return await _TOLD.all(tx, _TOLD_OF, counterparty_id, asset_id)


async def find_told_by_manifest(
    tx: Transaction, counterparty_id: str, asset_id: str, sha256: str
) -> Told | None:
    """Return the revision of a partner's asset that has a manifest with this digest, or None."""
    return await _TOLD.one(
        tx,
        "WHERE counterparty_id = ?1 AND asset_id = ?2 AND manifest_sha256 = ?3 ORDER BY number DESC LIMIT 1",
        counterparty_id,
        asset_id,
        sha256,
    )


async def find_last_told_of_each(tx: Transaction, *, limit: int) -> list[Told]:
    """Return the newest revision that we know of each partner's asset."""
    return await _TOLD.all(tx, _LAST_TOLD_OF_EACH, limit)


async def save_told(tx: Transaction, rows: Sequence[Told]) -> None:
    """Store what we are told, new or changed; when we were first told stays."""
    for each in rows:
        await tx.run(_SAVE_TOLD, *_TOLD.row(each))


async def find_received(tx: Transaction, counterparty_id: str, asset_id: str) -> dict[str, str]:
    """Return the digests of what we have received of a partner's asset and not deleted, each with its last transfer."""
    rows = await tx.all(
        "SELECT sha256, transfer_id FROM delivery WHERE counterparty_id = ?1 AND asset_id = ?2"
        " AND role = 'consumer' AND deleted_at IS NULL ORDER BY created_at",
        counterparty_id,
        asset_id,
    )
    return {str(digest): str(transfer_id) for digest, transfer_id in rows}


async def find_holders(tx: Transaction, asset_id: str) -> dict[str, list[str]]:
    """Return by the digest of each manifest which partners said that they received it, and not that it is deleted."""
    rows = await tx.all(
        "SELECT DISTINCT sha256, counterparty_id FROM delivery WHERE asset_id = ?1 AND role = 'provider'"
        " AND at IS NOT NULL AND deleted_at IS NULL ORDER BY counterparty_id",
        asset_id,
    )
    found: dict[str, list[str]] = {}
    for digest, counterparty_id in rows:
        found.setdefault(str(digest), []).append(str(counterparty_id))
    return found
