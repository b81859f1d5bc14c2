"""Rows of exchanges: "get this asset from this partner", from the catalog to files, over restarts.

An exchange names its negotiation, agreement and transfer once they exist; its stage is read from them. `destination`
is a folder, or empty when only the data address is wanted; `manifest_sha256` is the digest that the catalog named,
`format` how the data comes: by pull, or by push where the provider offers nothing else; `purpose` what it is wanted
for, if somebody said, `revision` the number of the one that is wanted, 0 for the newest.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from msgspec import Struct

from comity import errors
from comity.db import listing
from comity.db.store import Row, Transaction
from comity.db.table import Table
from comity.management import query


class Exchange(Struct, frozen=True, kw_only=True):
    """One `comity get`; `bytes_per_s` is how fast it may come, 0 for no limit of its own."""

    id: str
    counterparty_id: str
    asset_id: str
    destination: str
    negotiation_id: str | None = None
    agreement_id: str | None = None
    transfer_id: str | None = None
    manifest_sha256: str = ""
    error: str = ""
    created_at: int
    format: str = "HttpData-PULL"
    purpose: str = ""
    revision: int = 0
    bytes_per_s: int = 0


_TABLE = Table("exchange", Exchange)
_NEWEST = "WHERE counterparty_id = ?1 AND asset_id = ?2 AND destination = ?3 ORDER BY created_at DESC, id DESC LIMIT 1"
_LISTING = listing.Listing(
    "exchange",
    _TABLE.columns,
    {
        "@id": listing.Column("id"),
        "counterPartyId": listing.Column("counterparty_id"),
        "assetId": listing.Column("asset_id"),
        "destination": listing.Column("destination"),
        "negotiationId": listing.Column("negotiation_id"),
        "transferId": listing.Column("transfer_id"),
        "manifestSha256": listing.Column("manifest_sha256"),
        "createdAt": listing.Column("created_at", number=True),
    },
)
_SAVE = _TABLE.upsert(
    "id",
    "counterparty_id",
    "asset_id",
    "destination",
    "created_at",
    "format",
    "purpose",
    "revision",
    "bytes_per_s",
)


async def load(tx: Transaction, exchange_id: str) -> Exchange:
    """Return an exchange.

    Raises:
        NotFoundError: there is none.
    """
    found = await _TABLE.one(tx, f"WHERE id = ?1{tx.lock}", exchange_id)
    if found is None:
        raise errors.NotFoundError(f"there is no exchange {exchange_id}")
    return found


async def find_by_negotiation(tx: Transaction, negotiation_id: str) -> Exchange | None:
    """Return the exchange that waits for a negotiation, or None."""
    return await _TABLE.one(tx, f"WHERE negotiation_id = ?1{tx.lock}", negotiation_id)


async def find_by_transfer(tx: Transaction, transfer_id: str) -> Exchange | None:
    """Return the exchange that a transfer belongs to, or None."""
    return await _TABLE.one(tx, f"WHERE transfer_id = ?1{tx.lock}", transfer_id)


async def find_newest(
    tx: Transaction, counterparty_id: str, asset_id: str, destination: str
) -> Exchange | None:
    """Return the newest exchange of a partner's asset into a folder, or None."""
    return await _TABLE.one(tx, _NEWEST, counterparty_id, asset_id, destination)


async def find_page(
    tx: Transaction, spec: query.Spec, write: Callable[[Exchange], Awaitable[dict[str, Any]]]
) -> list[dict[str, Any]]:
    """Return a page of documents that `write` makes of exchanges."""

    async def made(row: Row) -> dict[str, Any]:
        return await write(_TABLE.value(row))

    return await _LISTING.find(tx, spec, made)


async def save(tx: Transaction, exchange: Exchange) -> None:
    """Store an exchange, new or changed."""
    await tx.run(_SAVE, *_TABLE.row(exchange))
