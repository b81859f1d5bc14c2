"""Rows of what was handed over in transfers, and when it is to be deleted.

A provider's row begins with its start, `at` is when the transfer was complete; a consumer's begins when all of it lies
in its folder. What the other side says of it are `db.receipts`.
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


class Delivery(Struct, frozen=True, kw_only=True):
    """What was handed over: `sha256` stands for all of it, `name` is the one file of what is no package.

    Figures are None where a provider does not know them; `due_at` where the agreement names no time. Times in ms.
    `seal` is that of a package, as it was received and checked.
    """

    transfer_id: str
    role: str
    counterparty_id: str
    agreement_id: str
    asset_id: str
    destination: str = ""
    name: str = ""
    sha256: str = ""
    files: int | None = None
    size_bytes: int | None = None
    must_delete: bool = False
    at: int | None = None
    due_at: int | None = None
    deleted_at: int | None = None
    deleted_by: str = ""
    created_at: int
    seal: str = ""


_TABLE = Table("delivery", Delivery, flags=("must_delete",))
_INSERT = f"{_TABLE.insert} ON CONFLICT (transfer_id) DO NOTHING"
_SAVE = _TABLE.upsert("transfer_id", "role", "counterparty_id", "agreement_id", "asset_id", "created_at")
_RECEIVED = (
    "WHERE agreement_id = ?1 AND ?2 IN ('', counterparty_id) AND role = 'consumer' ORDER BY created_at"
)
_HANDED = "WHERE agreement_id = ?1 AND counterparty_id = ?2 AND role = 'provider' ORDER BY created_at"
_TO_DELETE = "WHERE agreement_id = ?1 AND counterparty_id = ?2 AND role = ?3 AND must_delete = 1 AND deleted_at IS NULL"
_IN = (
    "WHERE destination = ?1 AND sha256 = ?2 AND name = ?3 AND role = 'consumer' AND deleted_at IS NULL"
    " ORDER BY created_at"
)
_DUE_IN = (
    "WHERE destination = ?1 AND role = 'consumer' AND must_delete = 1 AND deleted_at IS NULL AND due_at <= ?2"
    " ORDER BY due_at, transfer_id"
)
_KEPT = (
    "WHERE destination = ?1 AND role = 'consumer' AND deleted_at IS NULL"
    " AND EXISTS (SELECT 1 FROM kept WHERE kept.transfer_id = delivery.transfer_id) ORDER BY at, transfer_id"
)
_LISTING = listing.Listing(
    "delivery",
    _TABLE.columns,
    {
        "@id": listing.Column("transfer_id"),
        "transferId": listing.Column("transfer_id"),
        "agreementId": listing.Column("agreement_id"),
        "counterPartyId": listing.Column("counterparty_id"),
        "assetId": listing.Column("asset_id"),
        "createdAt": listing.Column("created_at", number=True),
    },
    "at IS NOT NULL AND (must_delete = 1 OR deleted_at IS NOT NULL)",
    name="transfer_id",
)


async def find(tx: Transaction, transfer_id: str) -> Delivery | None:
    """Return what was handed over in a transfer, or None."""
    return await _TABLE.one(tx, f"WHERE transfer_id = ?1{tx.lock}", transfer_id)


async def load(tx: Transaction, transfer_id: str) -> Delivery:
    """Return what was handed over in a transfer.

    Raises:
        NotFoundError: nothing was.
    """
    found = await find(tx, transfer_id)
    if found is None:
        raise errors.NotFoundError(f"nothing was handed over in a transfer {transfer_id[:200]}")
    return found


async def find_received(tx: Transaction, agreement_id: str, counterparty_id: str = "") -> list[Delivery]:
    """Return what we have received under an agreement, oldest first; of one partner, or of all that use its id."""
    return await _TABLE.all(tx, _RECEIVED, agreement_id, counterparty_id)


async def find_handed(tx: Transaction, agreement_id: str, counterparty_id: str) -> list[Delivery]:
    """Return what we have handed over to a partner under an agreement, oldest first."""
    return await _TABLE.all(tx, _HANDED, agreement_id, counterparty_id)


async def find_in(tx: Transaction, row: Delivery) -> list[Delivery]:
    """Return what was received into the same folder as the same files, and is not deleted yet; oldest first."""
    return await _TABLE.all(tx, _IN, row.destination, row.sha256, row.name)


async def find_to_delete(
    tx: Transaction, agreement_id: str, counterparty_id: str, role: str
) -> list[Delivery]:
    """Return what an agreement wants deleted and is not."""
    return await _TABLE.all(tx, _TO_DELETE + tx.lock, agreement_id, counterparty_id, role)


async def find_due_in(tx: Transaction, destination: str, now_ms: int) -> list[Delivery]:
    """Return what was received into a destination, is to be deleted by now, and is not."""
    return await _TABLE.all(tx, _DUE_IN, destination, now_ms)


async def find_kept(tx: Transaction, destination: str) -> list[Delivery]:
    """Return what was received into a destination and has keys there."""
    return await _TABLE.all(tx, _KEPT, destination)


async def find_all_received(tx: Transaction, *, limit: int) -> list[Delivery]:
    """Return the newest of what we have received."""
    return await _TABLE.all(
        tx, "WHERE role = 'consumer' ORDER BY created_at DESC, transfer_id LIMIT ?1", limit
    )


async def find_page(
    tx: Transaction, spec: query.Spec, write: Callable[[Delivery], dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return a page of documents that `write` makes of what is to be deleted, or was."""

    async def made(row: Row) -> dict[str, Any]:
        return write(_TABLE.value(row))

    return await _LISTING.find(tx, spec, made)


async def insert(tx: Transaction, new: Delivery) -> None:
    """Store what is handed over, once."""
    await tx.run(_INSERT, *_TABLE.row(new))


async def save(tx: Transaction, changed: Delivery) -> None:
    """Store what has become of it."""
    await tx.run(_SAVE, *_TABLE.row(changed))
