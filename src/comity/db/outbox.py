"""Messages that are to be sent: written with the step that decided them, gone with their acknowledgement.

An open row is the intent to reach the state `leads_to`; `implied` is set when the partner's next message showed that
it has ours. A row with `after_id` waits until that row is gone, and then belongs to the process that took it out. Ids
are never used again (AUTOINCREMENT). Whoever adds or removes messages of a process has loaded that process before, in
the same unit: replicas take turns by its row.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from comity import errors
from comity.db.store import Transaction, own, taking
from comity.db.table import Table


class Outgoing(Struct, frozen=True, kw_only=True):
    """A message to send to `url`; `body` is encrypted when `sealed`; times in ms since 1970.

    A notice belongs to no process: its own id stands there, and `subject` is what it is about.
    """

    id: int = 0
    kind: str
    process_id: str
    counterparty_id: str
    url: str
    message: str
    message_id: str
    body: bytes
    sealed: bool = False
    before: str | None
    leads_to: str
    implied: bool = False
    after_id: int | None = None
    attempts: int = 0
    outcome_unknown: bool = False
    due_at: int
    created_at: int
    last_error: str = ""
    subject: str = ""


class Queued(Struct, frozen=True):
    """Announced after the commit: this message can be sent when it is due.

    One that was `released` waited for another, and may have been removed in the same transaction.
    """

    row: Outgoing
    released: bool = False


class Removed(Struct, frozen=True):
    """Announced after the commit: this message is not to be sent any more."""

    row_id: int


TABLE = Table("outbox", Outgoing, flags=("sealed", "implied", "outcome_unknown"), numbered="id")
_RELEASE = "UPDATE outbox SET after_id = NULL{} WHERE id = ?1"
_DELETE = "DELETE FROM outbox WHERE id = ?1"
_IMPLY = "UPDATE outbox SET implied = 1 WHERE id = ?1"
_RETRY = (
    "UPDATE outbox SET attempts = attempts + 1, due_at = ?2, last_error = ?3,"
    " outcome_unknown = CASE WHEN ?4 = 1 THEN 1 ELSE outcome_unknown END WHERE id = ?1"
)


async def add(tx: Transaction, new: Outgoing) -> Outgoing:
    """Store a message to send and announce it; returns it with its id."""
    row_id = await tx.insert(TABLE.insert, *TABLE.row(new))
    stored = msgspec.structs.replace(new, id=row_id)
    tx.announce(Queued(stored))
    return stored


async def find_of_process(tx: Transaction, process_id: str) -> list[Outgoing]:
    """Return the open messages of a process, oldest first."""
    return await TABLE.all(tx, "WHERE process_id = ?1 ORDER BY id", process_id)


async def find(tx: Transaction, row_id: int) -> Outgoing | None:
    """Return an open message, or None when it was acknowledged, withdrawn or given up, or is another process's."""
    return await TABLE.one(tx, f"WHERE id = ?1{own(tx, 'outbox')}", row_id)


async def find_open(tx: Transaction, *, after_id: int = 0, limit: int = 1000) -> list[Outgoing]:
    """Return this process's open messages in order of their ids, beginning after `after_id`."""
    return await TABLE.all(tx, f"WHERE id > ?1{own(tx, 'outbox')} ORDER BY id LIMIT ?2", after_id, limit)


async def find_to(tx: Transaction, partner_id: str, kind: str) -> list[Outgoing]:
    """Return the open messages of a kind to a partner, oldest first."""
    return await TABLE.all(tx, "WHERE counterparty_id = ?1 AND kind = ?2 ORDER BY id", partner_id, kind)


async def imply(tx: Transaction, row_id: int) -> None:
    """Mark that the partner's next message showed that it has this one."""
    await tx.run(_IMPLY, row_id)


async def remove(tx: Transaction, row: Outgoing) -> Outgoing | None:
    """Take a message out, announce those that waited for it, and return it as it was, None if it was gone already."""
    rows = await find_of_process(tx, row.process_id)
    found = next((each for each in rows if each.id == row.id), None)
    if found is None:
        return None
    for each in rows:
        if each.after_id == row.id:
            await tx.run(_RELEASE.format(taking(tx)), each.id)
            tx.announce(Queued(msgspec.structs.replace(each, after_id=None), released=True))
    if await tx.run(_DELETE, row.id) == 0:
        raise errors.LostRaceError(f"message {row.id} was taken out by somebody else at the same time")
    tx.announce(Removed(row.id))
    return found


async def postpone(tx: Transaction, row_id: int, *, due_at: int, error: str, outcome_unknown: bool) -> None:
    """Record a failed attempt and when the next one is due."""
    await tx.run(_RETRY, row_id, due_at, error[:500], int(outcome_unknown))
