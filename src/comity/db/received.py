"""Which files of a package that is being pushed to us lie whole in their folder; forgotten once all of them do.

Only names: what lies there is looked at by `dataplane.inbox`.
"""

from __future__ import annotations

from comity.db.store import Transaction

_ADD = (
    "INSERT INTO received_file (transfer_id, path) VALUES (?1, ?2) ON CONFLICT (transfer_id, path) DO NOTHING"
)
_ALL = "SELECT path FROM received_file WHERE transfer_id = ?1"
_COUNT = "SELECT COUNT(*) FROM received_file WHERE transfer_id = ?1"
_CLEAR = "DELETE FROM received_file WHERE transfer_id = ?1"


async def add(tx: Transaction, transfer_id: str, path: str) -> None:
    """Note a file as whole."""
    await tx.run(_ADD, transfer_id, path)


async def find_all(tx: Transaction, transfer_id: str) -> set[str]:
    """Return the paths of the files that are noted as whole."""
    return {row[0] for row in await tx.all(_ALL, transfer_id)}


async def count(tx: Transaction, transfer_id: str) -> int:
    """Return how many files are noted as whole."""
    ((number,),) = await tx.all(_COUNT, transfer_id)
    return int(number)


async def clear(tx: Transaction, transfer_id: str) -> None:
    """Forget the files of a transfer."""
    await tx.run(_CLEAR, transfer_id)
