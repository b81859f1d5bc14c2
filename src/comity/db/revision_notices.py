"""Rows of what the holders of a revision of ours were told of it: of each the last notice, and what became of that.

Why one on its way has not arrived yet stands in the outbox.
"""

from __future__ import annotations

from msgspec import Struct

from comity.db.store import Transaction
from comity.db.table import Table

SENT, TAKEN, NOT_TAKEN = "sent", "taken", "refused"


class RevisionNotice(Struct, frozen=True, kw_only=True):
    """A notice by its `id`, empty where there was nobody to send it to; `at`, in ms, is when `delivery` became so."""

    asset_id: str
    number: int
    counterparty_id: str
    id: str
    event: str
    delivery: str
    said: str = ""
    at: int


_TABLE = Table("revision_notice", RevisionNotice)
_SAVE = _TABLE.upsert("asset_id, number, counterparty_id", "asset_id", "number", "counterparty_id")
_SETTLE = "UPDATE revision_notice SET delivery = ?2, said = ?3, at = ?4 WHERE id = ?1"
_UNTOLD = (
    "SELECT number FROM revision WHERE asset_id = ?1 AND NOT EXISTS (SELECT 1 FROM revision_notice AS notice"
    " WHERE notice.asset_id = revision.asset_id AND notice.number = revision.number"
    " AND notice.counterparty_id = ?2 AND (notice.delivery <> ?3 OR notice.at > ?4))"
)
_OPEN = (
    "SELECT process_id, last_error FROM outbox JOIN revision_notice ON process_id = revision_notice.id"
    " WHERE asset_id = ?1"
)


async def save(tx: Transaction, new: RevisionNotice) -> None:
    """Store what a holder is told now of a revision, in the place of what it was told before."""
    await tx.run(_SAVE, *_TABLE.row(new))


async def settle(tx: Transaction, name: str, *, taken: bool, said: str, at: int) -> None:
    """Keep what became of a notice; one that has another in its place is passed over."""
    await tx.run(_SETTLE, name, TAKEN if taken else NOT_TAKEN, said[:500], at)


async def find_of(tx: Transaction, asset_id: str) -> list[RevisionNotice]:
    """Return what the holders of the revisions of an asset were told, in the order of their ids."""
    return await _TABLE.all(tx, "WHERE asset_id = ?1 ORDER BY number, counterparty_id", asset_id)


async def find_untold(tx: Transaction, asset_id: str, counterparty_id: str, *, until: int) -> set[int]:
    """Return the revisions, by number, of which a holder was told nothing, or did not take it `until` a time (ms)."""
    found = await tx.all(_UNTOLD, asset_id, counterparty_id, NOT_TAKEN, until)
    return {int(row[0]) for row in found}


async def find_open(tx: Transaction, asset_id: str) -> dict[str, str]:
    """Return the ids of those that are on their way, each with why its last attempt failed, empty if none has."""
    return {str(name): str(error) for name, error in await tx.all(_OPEN, asset_id)}
