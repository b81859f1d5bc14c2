"""Rows of retired agreements: under which nothing is transferred any more, although they stay agreed.

An agreement is one of ours by its negotiation: two partners may use one id.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from comity import errors
from comity.db import listing
from comity.db.store import Row, Transaction
from comity.db.table import Table
from comity.management import query

RETIRED = "this agreement was retired"


class Retirement(Struct, frozen=True, kw_only=True):
    """A retired agreement, why, and since when (ms)."""

    negotiation_id: str
    agreement_id: str
    reason: str
    created_at: int

    @property
    def words(self) -> str:
        """What both sides are told."""
        return f"{RETIRED}: {self.reason}"


_TABLE = Table("retirement", Retirement)
_INSERT = f"{_TABLE.insert} ON CONFLICT (negotiation_id) DO NOTHING"
_DELETE = "DELETE FROM retirement WHERE negotiation_id = ?1"
_LISTING = listing.Listing(
    "retirement",
    _TABLE.columns,
    {
        "@id": listing.Column("agreement_id"),
        "agreementId": listing.Column("agreement_id"),
        "contractNegotiationId": listing.Column("negotiation_id"),
        "reason": listing.Column("reason"),
        "createdAt": listing.Column("created_at", number=True),
    },
    name="negotiation_id",
)


async def find(tx: Transaction, negotiation_id: str) -> Retirement | None:
    """Return the retirement of a negotiation's agreement, None while it is not retired."""
    return await _TABLE.one(tx, "WHERE negotiation_id = ?1", negotiation_id)


async def find_all(tx: Transaction) -> list[Retirement]:
    """Return all there are."""
    return await _TABLE.all(tx, "ORDER BY created_at")


async def find_page(
    tx: Transaction, spec: query.Spec, write: Callable[[Retirement], dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return a page of documents that `write` makes of retirements."""

    async def made(row: Row) -> dict[str, Any]:
        return write(_TABLE.value(row))

    return await _LISTING.find(tx, spec, made)


async def insert(tx: Transaction, new: Retirement) -> None:
    """Store a retirement.

    Raises:
        ConflictError: the agreement is retired already.
    """
    if await tx.run(_INSERT, *_TABLE.row(new)) == 0:
        raise errors.ConflictError(f"agreement {new.agreement_id} is retired already")


async def remove(tx: Transaction, agreement_id: str) -> None:
    """Delete the retirement of an agreement.

    Raises:
        NotFoundError: it is not retired.
        ConflictError: two partners use this id, and both agreements are retired.
    """
    found = await _TABLE.all(tx, "WHERE agreement_id = ?1", agreement_id)
    if not found:
        raise errors.NotFoundError(f"agreement {agreement_id} is not retired")
    if len(found) > 1:
        raise errors.ConflictError(f"agreement id {agreement_id} is used by {len(found)} partners")
    await tx.run(_DELETE, found[0].negotiation_id)
