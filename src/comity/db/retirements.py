"""Rows of retired agreements: under which nothing is transferred any more, although they stay agreed.

An agreement is one of ours by its negotiation: two partners may use one id.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from comity import errors
from comity.db import listing
from comity.db.database import Row, Transaction
from comity.management import query


class Retirement(Struct, frozen=True, kw_only=True):
    """A retired agreement, why, and since when (ms)."""

    negotiation_id: str
    agreement_id: str
    reason: str
    created_at: int

    @property
    def words(self) -> str:
        """What both sides are told."""
        return f"this agreement was retired: {self.reason}"


_COLUMNS = ", ".join(Retirement.__struct_fields__)
_BY_NEGOTIATION = f"SELECT {_COLUMNS} FROM retirement WHERE negotiation_id = ?1"
_BY_AGREEMENT = f"SELECT {_COLUMNS} FROM retirement WHERE agreement_id = ?1"
_INSERT = (
    f"INSERT INTO retirement ({_COLUMNS}) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (negotiation_id) DO NOTHING"
)
_DELETE = "DELETE FROM retirement WHERE negotiation_id = ?1"
_LISTING = listing.Listing(
    "retirement",
    _COLUMNS,
    {
        "@id": listing.Column("agreement_id"),
        "agreementId": listing.Column("agreement_id"),
        "contractNegotiationId": listing.Column("negotiation_id"),
        "reason": listing.Column("reason"),
        "createdAt": listing.Column("created_at", number=True),
    },
    name="negotiation_id",
)


def _value(row: Row) -> Retirement:
    return Retirement(**dict(zip(Retirement.__struct_fields__, row, strict=True)))


async def find(tx: Transaction, negotiation_id: str) -> Retirement | None:
    """Return the retirement of a negotiation's agreement, None while it is not retired."""
    row = await tx.one(_BY_NEGOTIATION, negotiation_id)
    return _value(row) if row else None


async def find_page(
    tx: Transaction, spec: query.Spec, write: Callable[[Retirement], dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return a page of documents that `write` makes of retirements."""

    async def made(row: Row) -> dict[str, Any]:
        return write(_value(row))

    return await _LISTING.find(tx, spec, made)


async def insert(tx: Transaction, new: Retirement) -> None:
    """Store a retirement.

    Raises:
        ConflictError: the agreement is retired already.
    """
    if await tx.run(_INSERT, new.negotiation_id, new.agreement_id, new.reason, new.created_at) == 0:
        raise errors.ConflictError(f"agreement {new.agreement_id} is retired already")


async def remove(tx: Transaction, agreement_id: str) -> None:
    """Delete the retirement of an agreement.

    Raises:
        NotFoundError: it is not retired.
        ConflictError: two partners use this id, and both agreements are retired.
    """
    rows = await tx.all(_BY_AGREEMENT, agreement_id)
    if not rows:
        raise errors.NotFoundError(f"agreement {agreement_id} is not retired")
    if len(rows) > 1:
        raise errors.ConflictError(f"agreement id {agreement_id} is used by {len(rows)} partners")
    await tx.run(_DELETE, _value(rows[0]).negotiation_id)
