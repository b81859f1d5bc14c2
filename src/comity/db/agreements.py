"""Rows of agreements: written once with their step, never changed but for `finalized` and the count of uses.

The document is the provider's, verbatim; a second agreement of one negotiation is refused by the table.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import aclosing
from typing import Any

from comity import errors
from comity.db import listing
from comity.db.store import Row, Transaction
from comity.db.table import Table
from comity.dsp.negotiation import Agreement
from comity.management import query

_TABLE = Table("agreement", Agreement, documents=("document",), flags=("finalized",))
_OF_PARTY = "WHERE id = ?1 AND counterparty_id = ?2 AND role = ?3"
_BY_ASSET = (
    "WHERE counterparty_id = ?1 AND asset_id = ?2 AND role = ?3 AND finalized = 1 ORDER BY created_at DESC"
)
_HOLDERS = "WHERE asset_id = ?1 AND role = 'provider' AND finalized = 1 ORDER BY created_at DESC, id"
_LISTING = listing.Listing(
    "agreement",
    _TABLE.columns,
    {
        "@id": listing.Column("id"),
        "agreementId": listing.Column("id"),
        "providerId": listing.Column("provider_id"),
        "consumerId": listing.Column("consumer_id"),
        "assetId": listing.Column("asset_id"),
        "contractNegotiationId": listing.Column("negotiation_id"),
        "createdAt": listing.Column("created_at", number=True),
    },
    "finalized = 1",
)
_FINALIZE = "UPDATE agreement SET finalized = 1 WHERE negotiation_id = ?1"
_USE = "UPDATE agreement SET uses = uses + 1 WHERE id = ?1 AND counterparty_id = ?2 AND role = 'provider'"
_USES = "SELECT uses FROM agreement WHERE counterparty_id = ?1 AND asset_id = ?2 AND role = 'provider'"
_EXISTS = "SELECT 1 FROM agreement WHERE id = ?1 AND counterparty_id = ?2"


async def find_of_party(
    tx: Transaction, agreement_id: str, counterparty_id: str, role: str
) -> Agreement | None:
    """Return the agreement with `counterparty_id` in which we have `role`, or None."""
    return await _TABLE.one(tx, _OF_PARTY + tx.lock, agreement_id, counterparty_id, role)


async def find_all(tx: Transaction) -> list[Agreement]:
    """Return all there are, in force or not, oldest first."""
    return await _TABLE.all(tx, "ORDER BY created_at, id")


async def find_naming(tx: Transaction, texts: Collection[str], counterparty_id: str = "") -> list[Agreement]:
    """Return the agreements, with one partner or all, whose documents hold one of some texts."""
    wanted = [each.encode() for each in texts]
    async with aclosing(tx.each(f"{_TABLE.select} ORDER BY created_at, id")) as rows:
        found = [_TABLE.value(row) async for row in rows if _holds(row, wanted)]
    return [each for each in found if counterparty_id in {"", each.counterparty_id}]


def _holds(row: Row, wanted: list[bytes]) -> bool:
    return any(isinstance(column, bytes) and each in column for column in row for each in wanted)


async def exists(tx: Transaction, agreement_id: str, counterparty_id: str) -> bool:
    """Return whether this partner has used `agreement_id` already."""
    return await tx.one(_EXISTS, agreement_id, counterparty_id) is not None


async def load(tx: Transaction, agreement_id: str) -> Agreement:
    """Return an agreement by its id.

    Raises:
        NotFoundError: there is none.
        ConflictError: two partners use this id; ask for it by its negotiation.
    """
    found = await _TABLE.all(tx, f"WHERE id = ?1{tx.lock}", agreement_id)
    if not found:
        raise errors.NotFoundError(f"there is no agreement {agreement_id}")
    if len(found) > 1:
        raise errors.ConflictError(f"agreement id {agreement_id} is used by {len(found)} partners")
    return found[0]


async def find_by_id(tx: Transaction, agreement_id: str) -> list[Agreement]:
    """Return the agreements with an id: partners that use the same one have one each."""
    return await _TABLE.all(tx, "WHERE id = ?1", agreement_id)


async def find_by_negotiation(tx: Transaction, negotiation_id: str) -> Agreement | None:
    """Return the agreement of a negotiation, or None."""
    return await _TABLE.one(tx, f"WHERE negotiation_id = ?1{tx.lock}", negotiation_id)


async def find_by_asset(
    tx: Transaction, counterparty_id: str, asset_id: str, role: str = "consumer"
) -> list[Agreement]:
    """Return our finalized agreements with a partner about an asset of the one of us that provides, newest first."""
    return await _TABLE.all(tx, _BY_ASSET, counterparty_id, asset_id, role)


async def find_holders(tx: Transaction, asset_id: str) -> list[Agreement]:
    """Return the finalized agreements of all partners about an asset of ours, newest first."""
    return await _TABLE.all(tx, _HOLDERS, asset_id)


async def count_uses(tx: Transaction, counterparty_id: str, asset_id: str) -> int:
    """Return how many transfers of an asset this partner was given, under all its agreements with us."""
    row = await tx.one(
        f"SELECT coalesce(sum(uses), 0) FROM ({_USES}{tx.lock}) AS used", counterparty_id, asset_id
    )
    return int(row[0]) if row else 0


async def find_page(
    tx: Transaction, spec: query.Spec, write: Callable[[Agreement], dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return a page of documents that `write` makes of agreements in force."""

    async def made(row: Row) -> dict[str, Any]:
        return write(_TABLE.value(row))

    return await _LISTING.find(tx, spec, made)


async def insert(tx: Transaction, new: Agreement) -> None:
    """Store an agreement; a second one for the same negotiation is refused by the table."""
    await tx.run(_TABLE.insert, *_TABLE.row(new))


async def finalize(tx: Transaction, negotiation_id: str) -> None:
    """Mark the agreement of a negotiation as in force."""
    await tx.run(_FINALIZE, negotiation_id)


async def count_use(tx: Transaction, agreement_id: str, counterparty_id: str) -> None:
    """Count one transfer of ours under the agreement."""
    await tx.run(_USE, agreement_id, counterparty_id)
