"""Rows of approvals: what people have to decide before a negotiation goes on, and what they decided.

What they may is decided in `controlplane`; the words are `management.approvals`'.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct, convert

from comity import errors
from comity.db import listing
from comity.db.store import Row, Shared, Transaction
from comity.db.table import Table
from comity.management import query
from comity.management.approvals import WAITING, Decision, Need

Document = dict[str, Any]


class Approval(Struct, frozen=True, kw_only=True):
    """An approval: who is needed for which `move` of a negotiation, who decided what, until when (ms)."""

    id: str
    negotiation_id: str
    counterparty_id: str
    asset_id: str
    needs: list[Need]
    move: Document
    decisions: list[Decision]
    state: str
    due_at: int
    created_at: int


class Asked(Shared, frozen=True):
    """Announced after the commit: people have something to decide, until a time (ms)."""

    due_at: str


_TABLE = Table("approval", Approval, documents=("needs", "move", "decisions"))
_UPDATE = "UPDATE approval SET decisions = ?3, state = ?4 WHERE id = ?1 AND state = ?2"
_DUE = f"SELECT id FROM approval WHERE state = '{WAITING}' AND due_at <= ?1 ORDER BY due_at LIMIT 100"
_NEXT = f"SELECT min(due_at) FROM approval WHERE state = '{WAITING}'"
_LISTING = listing.Listing(
    _TABLE.name,
    _TABLE.columns,
    {
        "@id": listing.Column("id"),
        "state": listing.Column("state"),
        "contractNegotiationId": listing.Column("negotiation_id"),
        "counterPartyId": listing.Column("counterparty_id"),
        "assetId": listing.Column("asset_id"),
        "dueAt": listing.Column("due_at", number=True),
        "createdAt": listing.Column("created_at", number=True),
    },
)


def _value(found: Approval) -> Approval:
    """Return a row with its documents as values."""
    return convert({name: getattr(found, name) for name in found.__struct_fields__}, Approval)


async def insert(tx: Transaction, new: Approval) -> None:
    """Store a new one, and tell who watches the time."""
    await tx.run(_TABLE.insert, *_TABLE.row(new))
    tx.announce(Asked(str(new.due_at)))


async def load(tx: Transaction, name: str) -> Approval:
    """Return the one with an id; nobody else decides it until the unit has ended.

    Raises:
        NotFoundError: there is none.
    """
    found = await _TABLE.one(tx, f"WHERE id = ?1{tx.lock}", name)
    if found is None:
        raise errors.NotFoundError(f"there is no approval {name}")
    return _value(found)


async def find_negotiation(tx: Transaction, name: str) -> str:
    """Return the negotiation of an approval: who decides locks that first.

    Raises:
        NotFoundError: there is none.
    """
    row = await tx.one("SELECT negotiation_id FROM approval WHERE id = ?1", name)
    if row is None:
        raise errors.NotFoundError(f"there is no approval {name}")
    return str(row[0])


async def save(tx: Transaction, changed: Approval) -> None:
    """Store what was decided of one that waits.

    Raises:
        LostRaceError: it does not wait any more.
    """
    decisions, state = _TABLE.values(changed, ("decisions", "state"))
    if await tx.run(_UPDATE, changed.id, WAITING, decisions, state) != 1:
        raise errors.LostRaceError(f"approval {changed.id} was decided by somebody else at the same time")


async def find_due(tx: Transaction, now_ms: int) -> list[str]:
    """Return those whose time is over, at most 100."""
    return [name for (name,) in await tx.all(_DUE, now_ms)]


async def find_next(tx: Transaction) -> int | None:
    """Return when the time of the first that waits is over (ms), None if none waits."""
    row = await tx.one(_NEXT)
    return row[0] if row else None


async def find_page(
    tx: Transaction, spec: query.Spec, write: Callable[[Approval], Document]
) -> list[Document]:
    """Return a page of documents."""

    async def made(row: Row) -> Document:
        return write(_value(_TABLE.value(row)))

    return await _LISTING.find(tx, spec, made)


async def remove_of(tx: Transaction, negotiation_id: str) -> None:
    """Delete what was asked for a negotiation that is deleted."""
    await tx.run("DELETE FROM approval WHERE negotiation_id = ?1", negotiation_id)
