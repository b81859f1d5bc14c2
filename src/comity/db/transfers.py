"""Rows of transfers: loaded as values, changed by compare-and-set on their version.

A lost race is a ConflictError, which a partner sees as 503: try again. Tokens are kept as digests only.
Every change of a state is an event, recorded here, in the same transaction, whoever makes it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from comity import errors
from comity.db import events, listing
from comity.db.database import Row, Transaction
from comity.dsp.transfer import Transfer
from comity.management import events as forms
from comity.management import query

COLUMNS = (
    "id, role, counterparty_id, counterparty_address, counterparty_pid, state, version, agreement_id, asset_id, format,"
    " token_sha256, data_address_sealed, last_received, suspended_by, error, created_at, updated_at, events"
)
_FIELDS = tuple(name.strip() for name in COLUMNS.split(","))
_BY_ID = f"SELECT {COLUMNS} FROM transfer WHERE id = ?1"
_BY_PARTY = (
    f"SELECT {COLUMNS} FROM transfer WHERE counterparty_id = ?1 AND role = ?2 AND counterparty_pid = ?3"
)
_INTENT = (listing.intent("transfer", "leads_to"), listing.intent("transfer", "last_error"))
_COMMON = {
    "@id": listing.Column("id"),
    "assetId": listing.Column("asset_id"),
    "createdAt": listing.Column("created_at", number=True),
}
_LISTING = listing.Listing(
    "transfer",
    ", ".join((COLUMNS, *_INTENT)),
    {
        **_COMMON,
        "type": listing.Column("upper(role)"),
        "state": listing.shown_state("transfer"),
        "stateTimestamp": listing.Column("updated_at", number=True),
        "counterPartyId": listing.Column("counterparty_id"),
        "counterPartyAddress": listing.Column("counterparty_address"),
        "correlationId": listing.Column("counterparty_pid"),
        "contractId": listing.Column("agreement_id"),
        "transferType": listing.Column("format"),
    },
)
_NEGOTIATION = (
    "(SELECT negotiation_id FROM agreement WHERE agreement.id = transfer.agreement_id"
    " AND agreement.counterparty_id = transfer.counterparty_id AND agreement.role = transfer.role)"
)
_RECEIVED = listing.Listing(
    "transfer",
    f"{COLUMNS}, {_NEGOTIATION}",
    {
        **_COMMON,
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
_BY_AGREEMENT = f"SELECT {COLUMNS} FROM transfer WHERE agreement_id = ?1 ORDER BY created_at, id"
_PROPERTIES = "SELECT properties FROM transfer_property WHERE transfer_id = ?1"
_SET_PROPERTIES = "INSERT INTO transfer_property (transfer_id, properties) VALUES (?1, ?2)"
_OPEN_WITH = (
    f"SELECT {COLUMNS} FROM transfer WHERE counterparty_id = ?1"
    " AND (state IS NULL OR state NOT IN ('COMPLETED', 'TERMINATED'))"
)
_INSERT = (
    f"INSERT INTO transfer ({COLUMNS})"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)"
)
_UPDATE = (
    "UPDATE transfer SET counterparty_pid = ?3, state = ?4, version = version + 1, token_sha256 = ?5,"
    " data_address_sealed = ?6, last_received = ?7, error = ?8, updated_at = ?9,"
    " suspended_by = ?10, events = ?11 WHERE id = ?1 AND version = ?2"
)


def _value(row: Row) -> Transfer:
    columns = dict(zip(_FIELDS, row, strict=True))
    return Transfer(**columns, told=columns["state"])


async def find(tx: Transaction, transfer_id: str) -> Transfer | None:
    """Return a transfer by our id, or None."""
    row = await tx.one(_BY_ID, transfer_id)
    return _value(row) if row else None


async def load(tx: Transaction, transfer_id: str) -> Transfer:
    """Return a transfer by our id.

    Raises:
        NotFoundError: there is none.
    """
    found = await find(tx, transfer_id)
    if found is None:
        raise errors.NotFoundError(f"there is no transfer {transfer_id}")
    return found


async def find_by_party(
    tx: Transaction, counterparty_id: str, role: str, counterparty_pid: str
) -> Transfer | None:
    """Return the transfer in which we have `role` and the partner calls `counterparty_pid`, or None."""
    row = await tx.one(_BY_PARTY, counterparty_id, role, counterparty_pid)
    return _value(row) if row else None


async def find_page(
    tx: Transaction, spec: query.Spec, write: Callable[[Transfer, str, str], dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return a page of documents.

    `write` makes one of a transfer, the state that its message on its way leads to, and what went wrong with that.
    """

    async def made(row: Row) -> dict[str, Any]:
        *columns, leads_to, error = row
        return write(_value(tuple(columns)), leads_to or "", error or "")

    return await _LISTING.find(tx, spec, made)


async def find_received(
    tx: Transaction, spec: query.Spec, write: Callable[[Transfer, str], dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return a page of documents about transfers with an address to fetch data from.

    `write` makes one of a transfer and the id of the negotiation that led to it.
    """

    async def made(row: Row) -> dict[str, Any]:
        *columns, negotiation_id = row
        return write(_value(tuple(columns)), negotiation_id or "")

    return await _RECEIVED.find(tx, spec, made)


async def find_by_agreement(tx: Transaction, agreement_id: str) -> list[Transfer]:
    """Return the transfers under an agreement, oldest first."""
    return [_value(row) for row in await tx.all(_BY_AGREEMENT, agreement_id)]


async def find_open_with(tx: Transaction, counterparty_id: str) -> list[Transfer]:
    """Return the transfers with a partner that have not ended."""
    return [_value(row) for row in await tx.all(_OPEN_WITH, counterparty_id)]


async def insert(tx: Transaction, new: Transfer) -> Transfer:
    """Store a new transfer, record the event of it, and return it."""
    await tx.run(_INSERT, *(getattr(new, name) for name in _FIELDS))
    await _tell(tx, new)
    return msgspec.structs.replace(new, told=new.state)


async def set_properties(tx: Transaction, transfer_id: str, properties: dict[str, Any]) -> None:
    """Keep what our own people say of a new transfer."""
    await tx.run(_SET_PROPERTIES, transfer_id, msgspec.json.encode(properties))


async def find_properties(tx: Transaction, transfer_id: str) -> dict[str, Any]:
    """Return what our own people said of a transfer, empty if they said nothing."""
    row = await tx.one(_PROPERTIES, transfer_id)
    return msgspec.json.decode(row[0], type=dict[str, Any]) if row else {}


async def save(tx: Transaction, changed: Transfer) -> Transfer:
    """Store a change of the transfer that was loaded with this version, and return it with the next version.

    A change of its state is recorded as an event.

    Raises:
        ConflictError: somebody else changed it in between.
    """
    moved = changed.state != changed.told
    count = await tx.run(
        _UPDATE,
        changed.id,
        changed.version,
        changed.counterparty_pid,
        changed.state,
        changed.token_sha256,
        changed.data_address_sealed,
        changed.last_received,
        changed.error,
        changed.updated_at,
        changed.suspended_by,
        changed.events + moved,
    )
    if count != 1:
        raise errors.ConflictError(f"transfer {changed.id} was changed by somebody else at the same time")
    saved = msgspec.structs.replace(
        changed, version=changed.version + 1, events=changed.events + moved, told=changed.state
    )
    if moved:
        await _tell(tx, saved)
    return saved


async def _tell(tx: Transaction, record: Transfer) -> None:
    """Record that a transfer has reached its state."""
    data = forms.TransferData(
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
    name = forms.name_of(forms.TRANSFER, record.state)
    await events.add(tx, name, record.id, number=record.events, at=record.updated_at, data=data)
