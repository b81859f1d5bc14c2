"""Rows of exchanges: "get this asset from this partner", from the catalog to files, over restarts.

An exchange names its negotiation, agreement and transfer once they exist; its stage is read from them. `destination`
is a folder, or empty when only the data address is wanted; `manifest_sha256` is the digest that the catalog named,
`format` how the data comes: by pull, or by push where the provider offers nothing else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from msgspec import Struct

from comity import errors
from comity.db import listing
from comity.db.database import Row, Transaction
from comity.management import query


class Exchange(Struct, frozen=True, kw_only=True):
    """One `comity get`."""

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


_COLUMNS = ", ".join(Exchange.__struct_fields__)
_BY = f"SELECT {_COLUMNS} FROM exchange WHERE "
_NEWEST = f"{_BY}counterparty_id = ?1 AND asset_id = ?2 AND destination = ?3 ORDER BY created_at DESC, id DESC LIMIT 1"
_LISTING = listing.Listing(
    "exchange",
    _COLUMNS,
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
_SAVE = (
    f"INSERT INTO exchange ({_COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"
    " ON CONFLICT (id) DO UPDATE SET negotiation_id = excluded.negotiation_id, agreement_id = excluded.agreement_id,"
    " transfer_id = excluded.transfer_id, error = excluded.error"
)


async def load(tx: Transaction, exchange_id: str) -> Exchange:
    """Return an exchange.

    Raises:
        NotFoundError: there is none.
    """
    row = await tx.one(f"{_BY}id = ?1", exchange_id)
    if row is None:
        raise errors.NotFoundError(f"there is no exchange {exchange_id}")
    return _value(row)


async def find_by_negotiation(tx: Transaction, negotiation_id: str) -> Exchange | None:
    """Return the exchange that waits for a negotiation, or None."""
    row = await tx.one(f"{_BY}negotiation_id = ?1", negotiation_id)
    return _value(row) if row else None


async def find_by_transfer(tx: Transaction, transfer_id: str) -> Exchange | None:
    """Return the exchange that a transfer belongs to, or None."""
    row = await tx.one(f"{_BY}transfer_id = ?1", transfer_id)
    return _value(row) if row else None


async def find_newest(
    tx: Transaction, counterparty_id: str, asset_id: str, destination: str
) -> Exchange | None:
    """Return the newest exchange of a partner's asset into a folder, or None."""
    row = await tx.one(_NEWEST, counterparty_id, asset_id, destination)
    return _value(row) if row else None


async def find_page(
    tx: Transaction, spec: query.Spec, write: Callable[[Exchange], Awaitable[dict[str, Any]]]
) -> list[dict[str, Any]]:
    """Return a page of documents that `write` makes of exchanges."""

    async def made(row: Row) -> dict[str, Any]:
        return await write(_value(row))

    return await _LISTING.find(tx, spec, made)


async def save(tx: Transaction, exchange: Exchange) -> None:
    """Store an exchange, new or changed."""
    await tx.run(_SAVE, *(getattr(exchange, name) for name in Exchange.__struct_fields__))


def _value(row: Row) -> Exchange:
    return Exchange(**dict(zip(Exchange.__struct_fields__, row, strict=True)))
