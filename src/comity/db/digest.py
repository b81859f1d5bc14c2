"""The tables of a store in a file, their rows in an order that is always the same, and a digest over them.

`db.copy` compares two stores by it, `db.backup` a backup with what it was when it was made.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from hashlib import sha256
from typing import Any

import msgspec
from msgspec import Struct

from comity import errors

BATCH = 500
CHAINED = "evidence"


class Table(Struct, frozen=True):
    """A table: its columns, in which order its rows are read, and the column that the store numbers, if any."""

    name: str
    columns: tuple[str, ...]
    order: str
    numbered: str = ""

    @property
    def select(self) -> str:
        """The SQL that reads it whole."""
        return f"SELECT {', '.join(self.columns)} FROM {self.name} ORDER BY {self.order}"


class Copied(Struct, frozen=True):
    """A table as it was copied or kept: how many rows, and the digest of them all in order."""

    table: str
    rows: int
    digest: str


class Sum:
    """Counts rows and digests them."""

    def __init__(self) -> None:
        self.rows = 0
        self._digest = sha256()

    def add(self, rows: Sequence[Sequence[Any]]) -> None:
        """Take in these rows."""
        for row in rows:
            self._digest.update(msgspec.msgpack.encode(list(row)))
        self.rows += len(rows)

    def copied(self, table: str) -> Copied:
        """Return what was taken in, as that of a table."""
        return Copied(table, self.rows, self._digest.hexdigest())


def tables(store: sqlite3.Connection, *, without: AbstractSet[str] = frozenset()) -> list[Table]:
    """Return the tables of a store, each after those that it refers to."""
    names = [
        name for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
    ]
    waiting = [name for name in names if not name.startswith("sqlite_") and name not in without]
    refers = {
        name: {row[2] for row in store.execute(f"PRAGMA foreign_key_list({name})")} - {name}
        for name in waiting
    }
    found: list[Table] = []
    while waiting:
        name = next(each for each in waiting if not refers[each] & set(waiting))
        waiting.remove(name)
        found.append(_table(store, name))
    return found


def _table(store: sqlite3.Connection, name: str) -> Table:
    columns = store.execute(f"PRAGMA table_info({name})").fetchall()
    keys = [column[1] for column in sorted(columns, key=lambda column: column[5]) if column[5]]
    names = tuple(column[1] for column in columns)
    whole = len(keys) == 1 and next(column[2] for column in columns if column[5]) == "INTEGER"
    order = "chain, seq" if name == CHAINED and "chain" in names else ", ".join(keys or names)
    return Table(name, names, order, keys[0] if whole and name != CHAINED else "")


def read(store: sqlite3.Connection, table: Table) -> Iterator[list[tuple[Any, ...]]]:
    """Yield the rows of a table in order, so many at a time."""
    with contextlib.closing(store.execute(table.select)) as cursor:
        while rows := cursor.fetchmany(BATCH):
            yield rows


def of(store: sqlite3.Connection, *, without: AbstractSet[str] = frozenset()) -> Iterator[Copied]:
    """Yield the size and the digest of each table, and of the schema itself.

    Raises:
        DatabaseError: a table cannot be read.
    """
    schema = Table("sqlite_master", ("type", "name", "tbl_name", "sql"), "type, name")
    listed = [each for each in tables(store) if each.name not in without]
    for table in (schema, *listed):
        done = Sum()
        try:
            for rows in read(store, table):
                done.add(rows)
        except sqlite3.Error as error:  # a text that is none any more
            raise errors.DatabaseError(f"table {table.name} cannot be read: {error}") from None
        yield done.copied(table.name)
