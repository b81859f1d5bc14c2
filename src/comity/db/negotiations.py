"""Rows of negotiations: loaded as values, changed by compare-and-set on their version.

A lost race is a ConflictError, which a partner sees as 503: try again. What may change is decided in `controlplane`.
"""

from __future__ import annotations

import msgspec

from comity import errors
from comity.db.database import Row, Transaction
from comity.dsp.negotiation import Negotiation

COLUMNS = (
    "id, role, counterparty_id, counterparty_address, counterparty_pid, state, version, asset_id, offer, offered_by,"
    " agreement_id, last_received, error, created_at, updated_at"
)
_BY_ID = f"SELECT {COLUMNS} FROM negotiation WHERE id = ?1"
_BY_PARTY = (
    f"SELECT {COLUMNS} FROM negotiation WHERE counterparty_id = ?1 AND role = ?2 AND counterparty_pid = ?3"
)
_ALL = f"SELECT {COLUMNS} FROM negotiation ORDER BY created_at, id"
_OPEN_WITH = (
    f"SELECT {COLUMNS} FROM negotiation WHERE counterparty_id = ?1"
    " AND (state IS NULL OR state NOT IN ('FINALIZED', 'TERMINATED'))"
)
_INSERT = (
    f"INSERT INTO negotiation ({COLUMNS})"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)"
)
_UPDATE = (
    "UPDATE negotiation SET counterparty_pid = ?3, state = ?4, version = version + 1, offer = ?5, offered_by = ?6,"
    " agreement_id = ?7, last_received = ?8, error = ?9, updated_at = ?10 WHERE id = ?1 AND version = ?2"
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


async def find_all(tx: Transaction) -> list[Negotiation]:
    """Return every negotiation, oldest first."""
    return [_value(row) for row in await tx.all(_ALL)]


async def find_open_with(tx: Transaction, counterparty_id: str) -> list[Negotiation]:
    """Return the negotiations with a partner that have not ended."""
    return [_value(row) for row in await tx.all(_OPEN_WITH, counterparty_id)]


async def insert(tx: Transaction, new: Negotiation) -> None:
    """Store a new negotiation."""
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
    )


async def save(tx: Transaction, changed: Negotiation) -> Negotiation:
    """Store a change of the negotiation that was loaded with this version, and return it with the next version.

    Raises:
        ConflictError: somebody else changed it in between.
    """
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
    )
    if count != 1:
        raise errors.ConflictError(f"negotiation {changed.id} was changed by somebody else at the same time")
    return msgspec.structs.replace(changed, version=changed.version + 1)
