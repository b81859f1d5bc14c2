"""Rows of pulls: what is being fetched into which folder, and how far it has come.

What was received lies on the disk; a row says what is wanted and what to show.
"""

from __future__ import annotations

from msgspec import Struct

from comity.db.database import Transaction
from comity.db.table import Table

WAITING, RUNNING, DONE, FAILED = "WAITING", "RUNNING", "DONE", "FAILED"


class Pull(Struct, frozen=True, kw_only=True):
    """The fetching of a transfer's data into the folder `destination`; sizes in bytes, codes of `errors`."""

    transfer_id: str
    destination: str
    state: str = WAITING
    files_done: int = 0
    files_total: int = 0
    bytes_done: int = 0
    bytes_total: int = 0
    error: str = ""
    error_code: str = ""
    updated_at: int


class PullReady(Struct, frozen=True):
    """Announced after the commit: this transfer's data can be fetched."""

    transfer_id: str


_TABLE = Table("pull", Pull)
_OPEN = "WHERE state IN ('WAITING', 'RUNNING') ORDER BY updated_at"
_SAVE = _TABLE.upsert("transfer_id", "destination")


async def find(tx: Transaction, transfer_id: str) -> Pull | None:
    """Return the pull of a transfer, or None when nothing is to be fetched."""
    return await _TABLE.one(tx, "WHERE transfer_id = ?1", transfer_id)


async def find_open(tx: Transaction) -> list[Pull]:
    """Return the pulls that are not done yet."""
    return await _TABLE.all(tx, _OPEN)


async def save(tx: Transaction, pull: Pull) -> None:
    """Store a pull, new or changed."""
    await tx.run(_SAVE, *_TABLE.row(pull))
