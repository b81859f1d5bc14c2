"""Rows of transfers, with what our own people say of them; how they are read and written is `processes`' part.

Tokens are kept as digests only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from comity.db import listing
from comity.db.processes import Processes
from comity.db.store import Row, Transaction
from comity.db.table import Table
from comity.dsp.transfer import Transfer
from comity.management import events as forms
from comity.management import query


def _data(record: Transfer) -> forms.TransferData:
    return forms.TransferData(
        transfer_process_id=record.id,
        type=record.role.upper(),
        state=record.state or forms.INITIAL,
        counter_party_id=record.counterparty_id,
        counter_party_address=record.counterparty_address,
        correlation_id=record.counterparty_pid,
        asset_id=record.asset_id,
        contract_id=record.agreement_id,
        transfer_type=record.format,
        reason=record.error,
    )


_TABLE = Table("transfer", Transfer, copies={"told": "state"})
_ROWS = Processes(
    _TABLE,
    changing=("token_sha256", "data_address_sealed", "suspended_by"),
    columns={
        "contractId": listing.Column("agreement_id"),
        "transferType": listing.Column("format"),
    },
    family=forms.TRANSFER,
    data=_data,
)
find, load, find_by_party = _ROWS.find, _ROWS.load, _ROWS.find_by_party
find_open, find_open_with, find_all = _ROWS.find_open, _ROWS.find_open_with, _ROWS.find_all
find_page = _ROWS.find_page
insert, save, find_with = _ROWS.insert, _ROWS.save, _ROWS.find_with
count_open_with, find_open_of_asset = _ROWS.count_open_with, _ROWS.find_open_of_asset

_NEGOTIATION = (
    "(SELECT negotiation_id FROM agreement WHERE agreement.id = transfer.agreement_id"
    " AND agreement.counterparty_id = transfer.counterparty_id AND agreement.role = transfer.role)"
)
_RECEIVED = listing.Listing(
    "transfer",
    f"{_TABLE.columns}, {_NEGOTIATION}",
    {
        "@id": listing.Column("id"),
        "assetId": listing.Column("asset_id"),
        "createdAt": listing.Column("updated_at", number=True),
        "transferProcessId": listing.Column("id"),
        "agreementId": listing.Column("agreement_id"),
        "contractNegotiationId": listing.Column(_NEGOTIATION),
        "providerId": listing.Column("counterparty_id"),
    },
    "role = 'consumer' AND format = 'HttpData-PULL' AND state = 'STARTED' AND data_address_sealed IS NOT NULL",
    age="updated_at",
)
"""The transfers whose data can be fetched with an address that we were given."""
_PROPERTIES = "SELECT properties FROM transfer_property WHERE transfer_id = ?1"
_SET_PROPERTIES = "INSERT INTO transfer_property (transfer_id, properties) VALUES (?1, ?2)"


async def find_received(
    tx: Transaction, spec: query.Spec, write: Callable[[Transfer, str], dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return a page of documents about transfers with an address to fetch data from.

    `write` makes one of a transfer and the id of the negotiation that led to it.
    """

    async def made(row: Row) -> dict[str, Any]:
        *columns, negotiation_id = row
        return write(_TABLE.value(tuple(columns)), negotiation_id or "")

    return await _RECEIVED.find(tx, spec, made)


async def find_by_agreement(tx: Transaction, agreement_id: str) -> list[Transfer]:
    """Return the transfers under an agreement, oldest first."""
    return await _TABLE.all(tx, "WHERE agreement_id = ?1 ORDER BY created_at, id", agreement_id)


async def set_properties(tx: Transaction, transfer_id: str, properties: dict[str, Any]) -> None:
    """Keep what our own people say of a new transfer."""
    await tx.run(_SET_PROPERTIES, transfer_id, msgspec.json.encode(properties))


async def find_properties(tx: Transaction, transfer_id: str) -> dict[str, Any]:
    """Return what our own people said of a transfer, empty if they said nothing."""
    row = await tx.one(_PROPERTIES, transfer_id)
    return msgspec.json.decode(row[0], type=dict[str, Any]) if row else {}
