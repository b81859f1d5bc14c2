"""Rows of transfers: loaded as values, changed by compare-and-set on their version.

A lost race is a ConflictError, which a partner sees as 503: try again. Tokens are kept as digests only.
"""

from __future__ import annotations

import msgspec

from comity import errors
from comity.db.database import Row, Transaction
from comity.dsp.transfer import Transfer

COLUMNS = (
    "id, role, counterparty_id, counterparty_address, counterparty_pid, state, version, agreement_id, asset_id, format,"
    " token_sha256, data_address_sealed, last_received, suspended_by, error, created_at, updated_at"
)
_FIELDS = tuple(name.strip() for name in COLUMNS.split(","))
_BY_ID = f"SELECT {COLUMNS} FROM transfer WHERE id = ?1"
_BY_PARTY = (
    f"SELECT {COLUMNS} FROM transfer WHERE counterparty_id = ?1 AND role = ?2 AND counterparty_pid = ?3"
)
_ALL = f"SELECT {COLUMNS} FROM transfer ORDER BY created_at, id"
_BY_AGREEMENT = f"SELECT {COLUMNS} FROM transfer WHERE agreement_id = ?1 ORDER BY created_at, id"
_OPEN_WITH = (
    f"SELECT {COLUMNS} FROM transfer WHERE counterparty_id = ?1"
    " AND (state IS NULL OR state NOT IN ('COMPLETED', 'TERMINATED'))"
)
_INSERT = (
    f"INSERT INTO transfer ({COLUMNS})"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)"
)
_UPDATE = (
    "UPDATE transfer SET counterparty_pid = ?3, state = ?4, version = version + 1, token_sha256 = ?5,"
    " data_address_sealed = ?6, last_received = ?7, error = ?8, updated_at = ?9,"
    " suspended_by = ?10 WHERE id = ?1 AND version = ?2"
)


def _value(row: Row) -> Transfer:
    return Transfer(**dict(zip(_FIELDS, row, strict=True)))


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


async def find_all(tx: Transaction) -> list[Transfer]:
    """Return every transfer, oldest first."""
    return [_value(row) for row in await tx.all(_ALL)]


async def find_by_agreement(tx: Transaction, agreement_id: str) -> list[Transfer]:
    """Return the transfers under an agreement, oldest first."""
    return [_value(row) for row in await tx.all(_BY_AGREEMENT, agreement_id)]


async def find_open_with(tx: Transaction, counterparty_id: str) -> list[Transfer]:
    """Return the transfers with a partner that have not ended."""
    return [_value(row) for row in await tx.all(_OPEN_WITH, counterparty_id)]


async def insert(tx: Transaction, new: Transfer) -> None:
    """Store a new transfer."""
    await tx.run(_INSERT, *(getattr(new, name) for name in _FIELDS))


async def save(tx: Transaction, changed: Transfer) -> Transfer:
    """Store a change of the transfer that was loaded with this version, and return it with the next version.

    Raises:
        ConflictError: somebody else changed it in between.
    """
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
    )
    if count != 1:
        raise errors.ConflictError(f"transfer {changed.id} was changed by somebody else at the same time")
    return msgspec.structs.replace(changed, version=changed.version + 1)
