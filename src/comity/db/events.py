"""The log of events: written in the transaction of the change that each tells of, read in pages by its `seq`.

`seq` has the order of the commits, so that a reader who has seen one has seen all before it: `Transaction.append` sees
to it. So a unit that writes does not see its own events. There may be gaps on PostgreSQL, whose sequence does not go
back. The newest row is never purged: on SQLite the next `seq` follows from it.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Sequence
from itertools import takewhile

import msgspec
from msgspec import Struct

from comity.db.store import Row, Shared, Transaction
from comity.management.events import Event

PURGED_AT_ONCE = 1000

_COLUMNS = "seq, id, type, subject, number, at, data"
_ADD = "INSERT INTO event (id, type, subject, number, at, data) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
_OLDEST_SEQ = "SELECT min(seq) FROM event"
_NEWEST_SEQ = "SELECT max(seq) FROM event"
_OLDEST = "SELECT seq, at FROM event WHERE seq < ?1 ORDER BY seq LIMIT ?2"
_PURGE = "DELETE FROM event WHERE seq <= ?1"


class Recorded(Shared, frozen=True):
    """Announced after the commit: the log has an event more about `subject`."""

    subject: str


class Page(Struct, frozen=True):
    """Events in order; every event up to `upto` was looked at, and `more` says whether there are others after it.

    `oldest` and `newest` are the ends of the whole log.
    """

    events: list[Event]
    upto: int
    more: bool
    oldest: int
    newest: int


async def add(  # noqa: PLR0913  the columns of a row
    tx: Transaction, name: str, subject: str, *, number: int, at: int, data: Struct
) -> None:
    """Append an event; `at` in ms since 1970, `number` counts those of a process (0: of none)."""
    await tx.append(_ADD, os.urandom(16), name, subject, number, at, msgspec.json.encode(data))
    tx.announce(Recorded(subject))


def _value(row: Row) -> Event:
    seq, name, kind, subject, number, at, data = row
    urn = uuid.UUID(bytes=name, version=4).urn
    return Event(seq=seq, id=urn, type=kind, subject=subject, number=number, at=at, data=data)


async def find_page(
    tx: Transaction, *, after: int, limit: int, subject: str = "", types: Sequence[str] = ()
) -> Page:
    """Return at most `limit` events after `after`, of one subject where it is given, whose names begin with `types`."""
    values: list[int | str] = [after, limit + 1]
    where = "seq > ?1"
    if subject:
        values.append(subject)
        where += f" AND subject = ?{len(values)}"
    if types:
        places = range(len(values) + 1, len(values) + 1 + len(types))
        where += f" AND ({' OR '.join(f'substr(type, 1, length(?{at})) = ?{at}' for at in places)})"
        values += types
    rows = await tx.all(f"SELECT {_COLUMNS} FROM event WHERE {where} ORDER BY seq LIMIT ?2", *values)
    found = [_value(row) for row in rows[:limit]]
    more = len(rows) > limit
    oldest, newest = await find_ends(tx)
    return Page(found, found[-1].seq if more else max(after, newest), more, oldest, newest)


async def find_ends(tx: Transaction) -> tuple[int, int]:
    """Return the `seq` of the oldest event that is kept and of the newest, (1, 0) when there was none yet."""
    oldest = await tx.one(_OLDEST_SEQ)
    newest = await tx.one(_NEWEST_SEQ)
    return (oldest[0], newest[0]) if oldest and newest and newest[0] is not None else (1, 0)


async def purge(tx: Transaction, *, before_ms: int, first_needed: int) -> bool:
    """Forget the oldest events, at most 1,000, of before a time and before `first_needed`; return whether any were."""
    rows = await tx.all(_OLDEST, first_needed, PURGED_AT_ONCE)
    newest = (await find_ends(tx))[1]
    old = [seq for seq, _ in takewhile(lambda row: row[1] < before_ms and row[0] != newest, rows)]
    if old:
        await tx.run(_PURGE, old[-1])
    return bool(old)
