"""Rows of negotiations: loaded as values, changed by compare-and-set on their version.

A lost race is a ConflictError, which a partner sees as 503: try again. What may change is decided in `controlplane`.
Every change of a state is an event, recorded here, in the same transaction, whoever makes it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from comity import errors
from comity.db import events, listing
from comity.db.database import Row, Transaction
from comity.dsp.negotiation import Negotiation
from comity.management import events as forms
from comity.management import query

COLUMNS = (
    "id, role, counterparty_id, counterparty_address, counterparty_pid, state, version, asset_id, offer, offered_by,"
    " agreement_id, last_received, error, created_at, updated_at, events"
)
_BY_ID = f"SELECT {COLUMNS} FROM negotiation WHERE id = ?1"
_BY_PARTY = (
    f"SELECT {COLUMNS} FROM negotiation WHERE counterparty_id = ?1 AND role = ?2 AND counterparty_pid = ?3"
)
_INTENT = (listing.intent("negotiation", "leads_to"), listing.intent("negotiation", "last_error"))
_LISTING = listing.Listing(
    "negotiation",
    ", ".join((COLUMNS, *_INTENT)),
    {
        "@id": listing.Column("id"),
        "type": listing.Column("upper(role)"),
        "state": listing.shown_state("negotiation"),
        "stateTimestamp": listing.Column("updated_at", number=True),
        "counterPartyId": listing.Column("counterparty_id"),
        "counterPartyAddress": listing.Column("counterparty_address"),
        "assetId": listing.Column("asset_id"),
        "correlationId": listing.Column("counterparty_pid"),
        "contractAgreementId": listing.Column("agreement_id"),
        "createdAt": listing.Column("created_at", number=True),
    },
)
_OPEN_WITH = (
    f"SELECT {COLUMNS} FROM negotiation WHERE counterparty_id = ?1"
    " AND (state IS NULL OR state NOT IN ('FINALIZED', 'TERMINATED'))"
)
_INSERT = (
    f"INSERT INTO negotiation ({COLUMNS})"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)"
)
_UPDATE = (
    "UPDATE negotiation SET counterparty_pid = ?3, state = ?4, version = version + 1, offer = ?5, offered_by = ?6,"
    " agreement_id = ?7, last_received = ?8, error = ?9, updated_at = ?10,"
    " events = ?11 WHERE id = ?1 AND version = ?2"
)


def _value(row: Row) -> Negotiation:
    return Negotiation(
        id=row[0],
        role=row[1],
        counterparty_id=row[2],
        counterparty_address=row[3],
        counterparty_pid=row[4],
        state=row[5],
        version=row[6],
        asset_id=row[7],
        offer=msgspec.json.decode(row[8]),
        offered_by=row[9],
        agreement_id=row[10],
        last_received=row[11],
        error=row[12],
        created_at=row[13],
        updated_at=row[14],
        events=row[15],
        told=row[5],
    )


async def find(tx: Transaction, negotiation_id: str) -> Negotiation | None:
    """Return a negotiation by our id, or None."""
    row = await tx.one(_BY_ID, negotiation_id)
    return _value(row) if row else None


async def load(tx: Transaction, negotiation_id: str) -> Negotiation:
    """Return a negotiation by our id.

    Raises:
        NotFoundError: there is none.
    """
    found = await find(tx, negotiation_id)
    if found is None:
        raise errors.NotFoundError(f"there is no negotiation {negotiation_id}")
    return found


async def find_by_party(
    tx: Transaction, counterparty_id: str, role: str, counterparty_pid: str
) -> Negotiation | None:
    """Return the negotiation in which we have `role` and the partner calls `counterparty_pid`, or None."""
    row = await tx.one(_BY_PARTY, counterparty_id, role, counterparty_pid)
    return _value(row) if row else None


async def find_page(
    tx: Transaction, spec: query.Spec, write: Callable[[Negotiation, str, str], dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return a page of documents.

    `write` makes one of a negotiation, the state that its message on its way leads to, and what went wrong with that.
    """

    async def made(row: Row) -> dict[str, Any]:
        *columns, leads_to, error = row
        return write(_value(tuple(columns)), leads_to or "", error or "")

    return await _LISTING.find(tx, spec, made)


async def find_open_with(tx: Transaction, counterparty_id: str) -> list[Negotiation]:
    """Return the negotiations with a partner that have not ended."""
    return [_value(row) for row in await tx.all(_OPEN_WITH, counterparty_id)]


async def remove(tx: Transaction, negotiation_id: str) -> None:
    """Delete a negotiation and what was received in it."""
    await tx.run("DELETE FROM inbox WHERE process_id = ?1", negotiation_id)
    await tx.run("DELETE FROM negotiation WHERE id = ?1", negotiation_id)


async def insert(tx: Transaction, new: Negotiation) -> Negotiation:
    """Store a new negotiation, record the event of it, and return it."""
    await tx.run(
        _INSERT,
        new.id,
        new.role,
        new.counterparty_id,
        new.counterparty_address,
        new.counterparty_pid,
        new.state,
        new.version,
        new.asset_id,
        msgspec.json.encode(new.offer),
        new.offered_by,
        new.agreement_id,
        new.last_received,
        new.error,
        new.created_at,
        new.updated_at,
        new.events,
    )
    await _tell(tx, new)
    return msgspec.structs.replace(new, told=new.state)


async def save(tx: Transaction, changed: Negotiation) -> Negotiation:
    """Store a change of the negotiation that was loaded with this version, and return it with the next version.

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
        msgspec.json.encode(changed.offer),
        changed.offered_by,
        changed.agreement_id,
        changed.last_received,
        changed.error,
        changed.updated_at,
        changed.events + moved,
    )
    if count != 1:
        raise errors.ConflictError(f"negotiation {changed.id} was changed by somebody else at the same time")
    saved = msgspec.structs.replace(
        changed, version=changed.version + 1, events=changed.events + moved, told=changed.state
    )
    if moved:
        await _tell(tx, saved)
    return saved


async def _tell(tx: Transaction, record: Negotiation) -> None:
    """Record that a negotiation has reached its state."""
    data = forms.NegotiationData(
        contract_negotiation_id=record.id,
        type=record.role.upper(),
        state=record.state or forms.INITIAL,
        counter_party_id=record.counterparty_id,
        counter_party_address=record.counterparty_address,
        correlation_id=record.counterparty_pid,
        asset_id=record.asset_id,
        contract_agreement_id=record.agreement_id,
        reason=record.error,
    )
    name = forms.name_of(forms.NEGOTIATION, record.state)
    await events.add(tx, name, record.id, number=record.events, at=record.updated_at, data=data)
