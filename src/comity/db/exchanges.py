"""Rows of exchanges: "get this asset from this partner", from the catalog to files, over restarts.

An exchange names its negotiation, agreement and transfer once they exist; its stage is read from them. `destination`
is a folder, or empty when only the data address is wanted; `manifest_sha256` is the digest that the catalog named.
"""

from __future__ import annotations

from msgspec import Struct

from comity import errors
from comity.db.database import Transaction


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


_COLUMNS = ", ".join(Exchange.__struct_fields__)
_BY = f"SELECT {_COLUMNS} FROM exchange WHERE "
_SAVE = (
    f"INSERT INTO exchange ({_COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (id) DO UPDATE SET"
    " negotiation_id = excluded.negotiation_id, agreement_id = excluded.agreement_id,"
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


async def find_all(tx: Transaction) -> list[Exchange]:
    """Return every exchange, oldest first."""
    return [_value(row) for row in await tx.all(f"SELECT {_COLUMNS} FROM exchange ORDER BY created_at, id")]


async def save(tx: Transaction, exchange: Exchange) -> None:
    """Store an exchange, new or changed."""
    await tx.run(_SAVE, *(getattr(exchange, name) for name in Exchange.__struct_fields__))


def _value(row: tuple[object, ...]) -> Exchange:
    return Exchange(**dict(zip(Exchange.__struct_fields__, row, strict=True)))  # type: ignore[arg-type]
