"""Rows of readings: exchanges whose data stays at the partner, with who reads it, when last, and until when.

Partner, asset, purpose, agreement and transfer are the exchange's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from msgspec import Struct

from comity import errors
from comity.db import exchanges, listing
from comity.db.exchanges import Exchange
from comity.db.store import Row, Transaction
from comity.db.table import Table
from comity.management import query


class Reading(Struct, frozen=True, kw_only=True):
    """Who reads what an exchange leads to: a person, of nationalities, with the API key `opened_by`; times in ms."""

    exchange_id: str
    person: str = ""
    nationalities: tuple[str, ...] = ()
    opened_by: str = ""
    ended_at: int | None = None
    read_at: int | None = None


_TABLE = Table("reading", Reading, documents=("nationalities",))
_SAVE = _TABLE.upsert("exchange_id", "person", "nationalities", "opened_by")
_SAME = (
    "SELECT exchange.id FROM exchange JOIN reading ON reading.exchange_id = exchange.id"
    " WHERE counterparty_id = ?1 AND asset_id = ?2 AND destination = '' AND purpose = ?3"
    " AND revision = ?4 AND person = ?5 AND nationalities = ?6 AND opened_by = ?7 AND ended_at IS NULL"
    " ORDER BY created_at DESC, id DESC LIMIT 1"
)
_TOUCH = "UPDATE reading SET read_at = ?2 WHERE exchange_id = ?1"
_IDLE = "SELECT exchange_id FROM reading WHERE ended_at IS NULL AND read_at < ?1"
_USES = (
    "SELECT count(*) FROM transfer JOIN exchange ON exchange.transfer_id = transfer.id"
    " JOIN reading ON reading.exchange_id = exchange.id"
    " WHERE transfer.agreement_id = ?1 AND transfer.counterparty_id = ?2"
    " AND transfer.data_address_sealed IS NOT NULL"
)

_LISTING = listing.Listing(
    "exchange JOIN reading ON reading.exchange_id = exchange.id",
    "exchange.id",
    {
        "@id": listing.Column("id"),
        "counterPartyId": listing.Column("counterparty_id"),
        "assetId": listing.Column("asset_id"),
        "purpose": listing.Column("purpose"),
        "person": listing.Column("person"),
        "createdAt": listing.Column("created_at", number=True),
    },
    "ended_at IS NULL",
)


async def load(tx: Transaction, exchange_id: str) -> tuple[Reading, Exchange]:
    """Return a reading with its exchange.

    Raises:
        NotFoundError: there is none.
    """
    found = await _TABLE.one(tx, f"WHERE exchange_id = ?1{tx.lock}", exchange_id)
    if found is None:
        raise errors.NotFoundError(f"there is no reading {exchange_id[:200]}")
    return msgspec.structs.replace(found, nationalities=tuple(found.nationalities)), await exchanges.load(
        tx, exchange_id
    )


async def find_same(  # noqa: PLR0913, PLR0917  all that makes it the same
    tx: Transaction, counterparty_id: str, asset_id: str, purpose: str, revision: int, who: Reading
) -> tuple[Reading, Exchange] | None:
    """Return the newest reading of a revision by the same person and key for the same purpose that was not ended."""
    same = _TABLE.values(who, ("person", "nationalities", "opened_by"))
    row = await tx.one(_SAME, counterparty_id, asset_id, purpose, revision, *same)
    return await load(tx, row[0]) if row else None


async def touch(tx: Transaction, exchange_id: str, at_ms: int) -> None:
    """Note that something is read now."""
    await tx.run(_TOUCH, exchange_id, at_ms)


async def find_idle(tx: Transaction, before_ms: int) -> list[str]:
    """Return the ids of readings that nobody has ended, and nobody read since a moment."""
    return [str(row[0]) for row in await tx.all(_IDLE, before_ms)]


async def find_page(
    tx: Transaction, spec: query.Spec, write: Callable[[str], Awaitable[dict[str, Any]]]
) -> list[dict[str, Any]]:
    """Return a page of documents that `write` makes of the ids of readings that nobody has ended."""

    async def made(row: Row) -> dict[str, Any]:
        return await write(str(row[0]))

    return await _LISTING.find(tx, spec, made)


async def count_uses(tx: Transaction, agreement_id: str, counterparty_id: str) -> int:
    """Return how many readings under an agreement have begun."""
    row = await tx.one(_USES, agreement_id, counterparty_id)
    return int(row[0]) if row else 0


async def save(tx: Transaction, reading: Reading) -> None:
    """Store a reading, new or ended."""
    await tx.run(_SAVE, *_TABLE.row(reading))
