"""Rows of webhooks: who is told of events, and how far it has been told.

A row is a cursor, the `seq` of the last event that its receiver has; there is none for each delivery. One with a
`process_id` is told of that process alone, and is done when the process has ended. What is sent, and when again, is
`controlplane.webhooks`' and `delivery.webhooks`' part.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from comity import errors
from comity.db.store import Row, Shared, Transaction, own

ACTIVE, DISABLED, DONE = "ACTIVE", "DISABLED", "DONE"


class Webhook(Struct, frozen=True, kw_only=True):
    """A receiver of events.

    `types` are beginnings of names of events (none: all), `auth_code_id` names the secret whose value goes along as the
    header `auth_key`, `secret_sealed` signs; times in ms since 1970.
    """

    id: str
    process_id: str | None = None
    url: str
    types: tuple[str, ...] = ()
    auth_key: str = ""
    auth_code_id: str = ""
    secret_sealed: bytes | None = None
    state: str = ACTIVE
    last_delivered: int
    failing_since: int | None = None
    attempts: int = 0
    due_at: int = 0
    last_error: str = ""
    created_at: int


class WebhookAdded(Struct, frozen=True):
    """Announced after the commit: there is a webhook more."""

    webhook: Webhook


class WebhookRemoved(Shared, frozen=True):
    """Announced after the commit: nothing is sent to this webhook any more."""

    webhook_id: str


_FIELDS = Webhook.__struct_fields__
COLUMNS = ", ".join(_FIELDS)
_INSERT = f"INSERT INTO webhook ({COLUMNS}) VALUES ({', '.join(f'?{at + 1}' for at in range(len(_FIELDS)))})"
_BY_ID = f"SELECT {COLUMNS} FROM webhook WHERE id = ?1"
_ALL = f"SELECT {COLUMNS} FROM webhook WHERE process_id IS NULL ORDER BY created_at, id"
_OF_PROCESS = f"SELECT {COLUMNS} FROM webhook WHERE process_id = ?1 ORDER BY created_at, id"
_ACTIVE = f"SELECT {COLUMNS} FROM webhook WHERE state = 'ACTIVE'{{}} ORDER BY created_at, id"
_MOVE = (
    "UPDATE webhook SET last_delivered = ?2, state = ?3, failing_since = ?4, attempts = ?5, due_at = ?6,"
    " last_error = ?7 WHERE id = ?1"
)
_REMOVE = "DELETE FROM webhook WHERE id = ?1"
_PURGE = (
    "DELETE FROM webhook WHERE state <> 'ACTIVE' AND process_id IS NOT NULL"
    " AND NOT EXISTS (SELECT 1 FROM negotiation WHERE negotiation.id = webhook.process_id)"
    " AND NOT EXISTS (SELECT 1 FROM transfer WHERE transfer.id = webhook.process_id)"
)
_LEAST = "SELECT min(last_delivered) FROM webhook WHERE state = 'ACTIVE' AND process_id IS NULL"
_LEAST_OF_PROCESSES = (
    "SELECT min(event.seq) FROM webhook JOIN event ON event.subject = webhook.process_id"
    " AND event.seq > webhook.last_delivered WHERE webhook.state = 'ACTIVE' AND webhook.process_id IS NOT NULL"
)


def value(row: Row) -> Webhook:
    """Return the webhook of a row with COLUMNS."""
    columns = dict(zip(_FIELDS, row, strict=True))
    return Webhook(**{**columns, "types": tuple(msgspec.json.decode(columns["types"]))})


async def insert(tx: Transaction, new: Webhook) -> Webhook:
    """Store a new webhook and return it."""
    columns = {**msgspec.structs.asdict(new), "types": msgspec.json.encode(new.types)}
    await tx.run(_INSERT, *columns.values())
    tx.announce(WebhookAdded(new))
    return new


async def find(tx: Transaction, webhook_id: str) -> Webhook | None:
    """Return a webhook, or None."""
    row = await tx.one(_BY_ID, webhook_id)
    return value(row) if row else None


async def load(tx: Transaction, webhook_id: str) -> Webhook:
    """Return a webhook.

    Raises:
        NotFoundError: there is none.
    """
    found = await find(tx, webhook_id)
    if found is None:
        raise errors.NotFoundError(f"there is no webhook {webhook_id}")
    return found


async def find_all(tx: Transaction) -> list[Webhook]:
    """Return the webhooks that are told of everything they want, oldest first."""
    return [value(row) for row in await tx.all(_ALL)]


async def find_active(tx: Transaction) -> list[Webhook]:
    """Return this process's webhooks that something may have to be sent to, oldest first."""
    return [value(row) for row in await tx.all(_ACTIVE.format(own(tx, "webhook")))]


async def find_of_process(tx: Transaction, process_id: str) -> list[Webhook]:
    """Return the webhooks of one process."""
    return [value(row) for row in await tx.all(_OF_PROCESS, process_id)]


async def save(tx: Transaction, moved: Webhook) -> bool:
    """Store how far a webhook has come and how it stands; return whether it is there, and this process's to tell."""
    changed = await tx.run(
        _MOVE + own(tx, "webhook"),
        moved.id,
        moved.last_delivered,
        moved.state,
        moved.failing_since,
        moved.attempts,
        moved.due_at,
        moved.last_error[:500],
    )
    return changed == 1


async def remove(tx: Transaction, webhook_id: str) -> None:
    """Delete a webhook.

    Raises:
        NotFoundError: there is none.
    """
    if await tx.run(_REMOVE, webhook_id) == 0:
        raise errors.NotFoundError(f"there is no webhook {webhook_id}")
    tx.announce(WebhookRemoved(webhook_id))


async def purge(tx: Transaction) -> int:
    """Forget the webhooks of processes that were removed, once they are told of all, and return how many."""
    return await tx.run(_PURGE)


async def first_needed(tx: Transaction, beyond: int) -> int:
    """Return the `seq` of the first event that a webhook still has to get, `beyond` if none does."""
    everything, processes = await tx.one(_LEAST), await tx.one(_LEAST_OF_PROCESSES)
    needed: Sequence[int | None] = (
        everything[0] + 1 if everything and everything[0] is not None else None,
        processes[0] if processes else None,
    )
    return min((each for each in needed if each is not None), default=beyond)
