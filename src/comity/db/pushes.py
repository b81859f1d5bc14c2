"""Rows of pushes: what is being sent to a consumer's endpoint, and how far it has come.

The address lies sealed with its transfer. `content` pins what was begun with, so that nothing else is ever sent as
its rest; `moved_at` is when something last got through: the horizon of retries begins there.
"""

from __future__ import annotations

from msgspec import Struct

from comity import errors
from comity.db.pulls import DONE, FAILED, RUNNING, WAITING
from comity.db.store import Shared, Transaction, own
from comity.db.table import Table

__all__ = [
    "DONE",
    "FAILED",
    "RUNNING",
    "WAITING",
    "Push",
    "PushReady",
    "begin_anew",
    "find",
    "find_open",
    "find_own",
    "save",
    "save_own",
]


class Push(Struct, frozen=True, kw_only=True):
    """The pushing of a transfer's data; sizes in bytes, times in ms, codes of `errors`."""

    transfer_id: str
    state: str = WAITING
    content: str = ""
    files_done: int = 0
    files_total: int = 0
    bytes_done: int = 0
    bytes_total: int = 0
    error: str = ""
    error_code: str = ""
    moved_at: int
    updated_at: int


class PushReady(Shared, frozen=True):
    """Announced after the commit: this transfer's data can be pushed."""

    transfer_id: str


_TABLE = Table("push", Push)
_OPEN = (
    "WHERE state IN ('WAITING', 'RUNNING') AND EXISTS"
    " (SELECT 1 FROM transfer WHERE transfer.id = push.transfer_id AND transfer.state = 'STARTED'){}"
    " ORDER BY updated_at"
)
_BEGIN = "UPDATE push SET moved_at = ?2 WHERE transfer_id = ?1"
_SAVE = _TABLE.upsert("transfer_id")


async def find(tx: Transaction, transfer_id: str) -> Push | None:
    """Return the push of a transfer, or None when there is none."""
    return await _TABLE.one(tx, f"WHERE transfer_id = ?1{tx.lock}", transfer_id)


async def find_own(tx: Transaction, transfer_id: str) -> Push | None:
    """Return the push of a transfer if it is this process's to do, or None."""
    return await _TABLE.one(tx, f"WHERE transfer_id = ?1{own(tx, 'push')}{tx.lock}", transfer_id)


async def find_open(tx: Transaction) -> list[Push]:
    """Return this process's pushes of running transfers that are not done yet."""
    return await _TABLE.all(tx, _OPEN.format(own(tx, "push")))


async def begin_anew(tx: Transaction, transfer_id: str, *, at: int) -> None:
    """Let the horizon of retries begin now (ms): the transfer has been started."""
    await tx.run(_BEGIN, transfer_id, at)


async def save(tx: Transaction, push: Push) -> None:
    """Store a push, new or changed."""
    await tx.run(_SAVE, *_TABLE.row(push))


async def save_own(tx: Transaction, push: Push) -> None:
    """Store a push that is this process's to do.

    Raises:
        ConflictError: another one has taken it over.
    """
    if await tx.run(f"{_SAVE} WHERE true{own(tx, 'push')}", *_TABLE.row(push)) == 0:
        raise errors.ConflictError("another replica goes on with this transfer")
