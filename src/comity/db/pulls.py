"""Rows of pulls: what is being fetched into which folder, and how far it has come.

What was received lies on the disk; a row says what is wanted and what to show.
"""

from __future__ import annotations

from msgspec import Struct

from comity import errors
from comity.db.store import Shared, Transaction, own
from comity.db.table import Table

WAITING, RUNNING, DONE, FAILED = "WAITING", "RUNNING", "DONE", "FAILED"


class Pull(Struct, frozen=True, kw_only=True):
    """The fetching of a transfer's data into the folder `destination`; sizes in bytes, codes of `errors`.

    `note` is what is to be told of the folder when all is there: which files of an older revision were removed.
    """

    transfer_id: str
    destination: str
    state: str = WAITING
    files_done: int = 0
    files_total: int = 0
    bytes_done: int = 0
    bytes_total: int = 0
    error: str = ""
    error_code: str = ""
    note: str = ""
    updated_at: int


class PullReady(Shared, frozen=True):
    """Announced after the commit: this transfer's data can be fetched."""

    transfer_id: str


_TABLE = Table("pull", Pull)
_OPEN = "WHERE state IN ('WAITING', 'RUNNING'){} ORDER BY updated_at"
_SAVE = _TABLE.upsert("transfer_id", "destination")


async def find(tx: Transaction, transfer_id: str) -> Pull | None:
    """Return the pull of a transfer, or None when nothing is to be fetched."""
    return await _TABLE.one(tx, f"WHERE transfer_id = ?1{tx.lock}", transfer_id)


async def find_own(tx: Transaction, transfer_id: str) -> Pull | None:
    """Return the pull of a transfer if it is this process's to do, or None."""
    return await _TABLE.one(tx, f"WHERE transfer_id = ?1{own(tx, 'pull')}{tx.lock}", transfer_id)


async def find_open(tx: Transaction) -> list[Pull]:
    """Return this process's pulls that are not done yet."""
    return await _TABLE.all(tx, _OPEN.format(own(tx, "pull")))


async def find_all(tx: Transaction) -> list[Pull]:
    """Return all there are."""
    return await _TABLE.all(tx, "ORDER BY updated_at")


async def save(tx: Transaction, pull: Pull) -> None:
    """Store a pull, new or changed."""
    await tx.run(_SAVE, *_TABLE.row(pull))


async def save_own(tx: Transaction, pull: Pull) -> None:
    """Store a pull that is this process's to do.

    Raises:
        ConflictError: another one has taken it over.
    """
    if await tx.run(f"{_SAVE} WHERE true{own(tx, 'pull')}", *_TABLE.row(pull)) == 0:
        raise errors.ConflictError("another replica goes on with this transfer")
