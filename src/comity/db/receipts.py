"""Rows of receipts: ours as they were sent, and partners' as they were kept, also those that are wrong.

The id of a receipt is the id of its notice, which is its sender's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from comity.db import listing
from comity.db.store import Row, Transaction
from comity.db.table import Table
from comity.management import query

DELIVERY, DELETION = "delivery", "deletion"
SENT, TAKEN, REFUSED = "sent", "taken", "refused"
CARRIED = "carried"
"""Of ours: it goes back on the medium, and nobody answers it."""
KEPT, CONTRADICTS = "kept", "contradicts"


class Receipt(Struct, frozen=True, kw_only=True):
    """A receipt; `role` is ours, `said` why it was refused, or in what it is not what we know. Times in ms."""

    id: str
    counterparty_id: str
    kind: str
    role: str
    agreement_id: str
    transfer_id: str
    sha256: str
    files: int
    size_bytes: int
    at: int
    by_whom: str = ""
    by_hand: bool = False
    enforcement: list[dict[str, Any]]
    state: str
    said: str = ""
    created_at: int


_TABLE = Table("receipt", Receipt, documents=("enforcement",), flags=("by_hand",))
_SETTLE = "UPDATE receipt SET state = ?3, said = ?4 WHERE id = ?1 AND counterparty_id = ?2"
_LISTING = listing.Listing(
    "receipt",
    _TABLE.columns,
    {
        "@id": listing.Column("id"),
        "transferId": listing.Column("transfer_id"),
        "agreementId": listing.Column("agreement_id"),
        "counterPartyId": listing.Column("counterparty_id"),
        "kind": listing.Column("kind"),
        "state": listing.Column("state"),
        "createdAt": listing.Column("created_at", number=True),
    },
)


async def find_page(
    tx: Transaction, spec: query.Spec, write: Callable[[Receipt], dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return a page of documents that `write` makes of receipts."""

    async def made(row: Row) -> dict[str, Any]:
        return write(_TABLE.value(row))

    return await _LISTING.find(tx, spec, made)


async def find_carried(tx: Transaction, transfer_id: str) -> list[Receipt]:
    """Return our receipts of a transfer that go back on a medium, in their order."""
    return await _TABLE.all(
        tx, "WHERE transfer_id = ?1 AND state = ?2 ORDER BY created_at, id", transfer_id, CARRIED
    )


async def insert(tx: Transaction, new: Receipt) -> None:
    """Store a receipt."""
    await tx.run(_TABLE.insert, *_TABLE.row(new))


async def settle(tx: Transaction, name: str, counterparty_id: str, *, state: str, said: str) -> None:
    """Keep what became of a receipt of ours."""
    await tx.run(_SETTLE, name, counterparty_id, state, said[:500])
