"""Carries a whole store between a SQLite file and a PostgreSQL database, table by table, in one transaction.

Before that is committed, each table is read again on both sides, and their number of rows and a digest over all of
them in order must be the same; the evidence is checked too. So a copy is there whole or not at all. The source is read
on one snapshot and never written to.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from comity import errors
from comity.db import backup, migrate, postgres, postgres_writer
from comity.db import postgres_connection as connections
from comity.db.postgres_connection import FAILURES, Connection

BATCH = 500
CHAINED = "evidence"
_SCHEMA_ONLY = {"alembic_version", backup.ABOUT, backup.FILES}
_BY_CHAIN = (
    "CREATE TABLE evidence (seq INTEGER NOT NULL, record BLOB NOT NULL, hash BLOB NOT NULL,"
    " chain INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (chain, seq))"
)
_RUNNING = (
    "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database"
    " WHERE locktype = 'advisory' AND classid = $1 AND datname = current_database() AND granted"
)


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
    """A table that was copied: how many rows, and the digest of them all, the same on both sides."""

    table: str
    rows: int
    digest: str


class _Sum:
    """Counts rows and digests them."""

    def __init__(self) -> None:
        self.rows = 0
        self._digest = sha256()

    def add(self, rows: Sequence[Sequence[Any]]) -> None:
        for row in rows:
            self._digest.update(msgspec.msgpack.encode(list(row)))
        self.rows += len(rows)

    def copied(self, table: str) -> Copied:
        return Copied(table, self.rows, self._digest.hexdigest())


def tables(store: sqlite3.Connection) -> list[Table]:
    """Return the tables of a store, each after those that it refers to."""
    names = [
        name for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
    ]
    waiting = [name for name in names if not name.startswith("sqlite_") and name not in _SCHEMA_ONLY]
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
    order = "chain, seq" if name == CHAINED else ", ".join(keys or names)
    return Table(name, names, order, keys[0] if whole and name != CHAINED else "")


def _read(store: sqlite3.Connection, table: Table) -> Iterator[list[tuple[Any, ...]]]:
    with contextlib.closing(store.execute(table.select)) as cursor:
        while rows := cursor.fetchmany(BATCH):
            yield rows


def file_to_database(path: Path, url: str, *, replace: bool = False, insecure: bool = False) -> list[Copied]:
    """Copy a SQLite store into a PostgreSQL database that is empty, or (`replace`) in the place of what is there.

    Raises:
        ConflictError: it is not empty, or a connector runs on it.
        SettingsError, DatabaseError, BrokenChainError: one side cannot be used; the database is as it was.
    """
    backup.check(path)
    return asyncio.run(_file_to_database(path, url, replace=replace, insecure=insecure))


async def _file_to_database(path: Path, url: str, *, replace: bool, insecure: bool) -> list[Copied]:
    await postgres.bring_on(url, insecure=insecure)
    with backup.opened(path, read_only=True) as store:
        store.execute("BEGIN")
        async with _alone(url) as connection:
            listed = tables(store)
            await _make_empty(connection, listed, replace=replace)
            for table in listed:
                for rows in _read(store, table):
                    await connection.copy_records_to_table(table.name, records=rows, columns=table.columns)
                if table.numbered:
                    await _number_on(connection, store, table)
            return [await _compare(store, connection, table) for table in listed]


@contextlib.asynccontextmanager
async def _alone(url: str) -> AsyncIterator[Connection]:
    """Give a connection in a transaction, committed when the block ends well; no connector runs there meanwhile."""
    connection = await connections.connect(
        url, statement_timeout="0", idle_in_transaction_session_timeout="0"
    )
    try:
        await connections.sync_commits(connection)
        async with connection.transaction():
            if await connection.fetchval(_RUNNING, postgres_writer.CHAIN):
                raise _in_use(url)
            yield connection
    except FAILURES as error:
        raise errors.DatabaseError(
            f"the database {connections.shown(url)} did not take it: {error}; it is as it was"
        ) from None
    finally:
        await connections.close(connection)


def check_alone(url: str) -> None:
    """Refuse a database on which a connector runs.

    Raises:
        ConflictError: one does.
        SettingsError, DatabaseError: the database cannot be read.
    """
    with postgres.reading(url) as read:
        if read(_RUNNING, postgres_writer.CHAIN)[0][0]:
            raise _in_use(url)


def _in_use(url: str) -> errors.ConflictError:
    return errors.ConflictError(
        f"a connector runs on the database {connections.shown(url)}", hint="stop it, and all its replicas"
    )


async def _make_empty(connection: Connection, listed: list[Table], *, replace: bool) -> None:
    for table in listed:
        await connection.execute(f"LOCK TABLE {table.name} IN ACCESS EXCLUSIVE MODE")
    if replace:
        # what replicas share comes from the folder of the first that starts
        await connection.execute(f"TRUNCATE shared, replica, {', '.join(table.name for table in listed)}")
        return
    await connection.execute("DELETE FROM evidence_chain")  # a new schema comes with chain 0
    for table in listed:
        if await connection.fetchval(f"SELECT 1 FROM {table.name} LIMIT 1"):
            raise errors.ConflictError(
                f"the database is not empty: there are rows in {table.name}", hint="copy into a new database"
            )


async def _number_on(connection: Connection, store: sqlite3.Connection, table: Table) -> None:
    """Have the database number new rows after all that there ever were: ids are never used again."""
    known = store.execute("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'").fetchone()
    used = known and store.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table.name,)).fetchone()
    highest = store.execute(f"SELECT max({table.numbered}) FROM {table.name}").fetchone()[0] or 0
    last = max(highest, used[0] if used else 0)
    sequence = await connection.fetchval("SELECT pg_get_serial_sequence($1, $2)", table.name, table.numbered)
    if sequence and last:
        await connection.execute("SELECT setval($1::regclass, $2)", sequence, last)


async def _compare(store: sqlite3.Connection, connection: Connection, table: Table) -> Copied:
    here, there = _Sum(), _Sum()
    for rows in _read(store, table):
        here.add(rows)
    async for batch in _fetch(connection, table):
        there.add(batch)
    if here.copied(table.name) != there.copied(table.name):
        raise errors.DatabaseError(
            f"table {table.name} did not arrive as it was: {here.rows} rows against {there.rows}; nothing was changed"
        )
    return here.copied(table.name)


async def _fetch(connection: Connection, table: Table) -> AsyncIterator[list[tuple[Any, ...]]]:
    cursor = await connection.cursor(table.select)
    while rows := await cursor.fetch(BATCH):
        yield [tuple(row) for row in rows]


def database_to_file(url: str, path: Path, *, insecure: bool = False, alone: bool = False) -> list[Copied]:
    """Copy a PostgreSQL database into an empty file, as it is at one moment; `alone`: only if no connector uses it.

    Raises:
        ConflictError: a connector runs on it.
        SettingsError, DatabaseError, BrokenChainError: one side cannot be used; the file is of no use then.
    """
    migrate.migrate(path)
    done = asyncio.run(_database_to_file(url, path, insecure=insecure, alone=alone))
    backup.check(path)
    return done


async def _database_to_file(url: str, path: Path, *, insecure: bool, alone: bool) -> list[Copied]:
    await postgres.bring_on(url, insecure=insecure)
    connection = await connections.connect(
        url, statement_timeout="0", idle_in_transaction_session_timeout="0"
    )
    try:
        if alone and await connection.fetchval(_RUNNING, postgres_writer.CHAIN):
            raise _in_use(url)
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            with backup.opened(path) as store:
                return await _fill(connection, store)
    except FAILURES as error:
        raise errors.DatabaseError(f"the database {connections.shown(url)} cannot be read: {error}") from None
    finally:
        await connections.close(connection)


async def _fill(connection: Connection, store: sqlite3.Connection) -> list[Copied]:
    store.execute("BEGIN IMMEDIATE")
    store.execute("PRAGMA defer_foreign_keys=ON")
    store.execute("DELETE FROM evidence_chain")
    if (await connection.fetchval("SELECT count(DISTINCT chain) FROM evidence")) > 1:
        store.execute("DROP TABLE evidence")
        store.execute(_BY_CHAIN)
    listed = tables(store)
    for table in listed:
        places = ", ".join("?" * len(table.columns))
        add = f"INSERT INTO {table.name} ({', '.join(table.columns)}) VALUES ({places})"
        async for rows in _fetch(connection, table):
            store.executemany(add, rows)
        if table.numbered:
            await _number_file_on(connection, store, table)
    done = [await _compare(store, connection, table) for table in listed]
    store.execute("COMMIT")
    return done


async def _number_file_on(connection: Connection, store: sqlite3.Connection, table: Table) -> None:
    made = store.execute("SELECT sql FROM sqlite_master WHERE name = ?", (table.name,)).fetchone()[0]
    if "AUTOINCREMENT" not in made:
        return  # numbered by its highest row
    sequence = await connection.fetchval("SELECT pg_get_serial_sequence($1, $2)", table.name, table.numbered)
    last = await connection.fetchval(f"SELECT last_value FROM {sequence}") if sequence else None
    if last is not None:
        store.execute("DELETE FROM sqlite_sequence WHERE name = ?", (table.name,))
        store.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table.name, last))
