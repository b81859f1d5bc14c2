"""Carries a whole store between a SQLite file and a PostgreSQL database, table by table, in one transaction.

Before that is committed, each table is read again on both sides, and their number of rows and a digest over all of
them in order must be the same; the evidence is checked too. So a copy is there whole or not at all. The source is read
on one snapshot and never written to.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from comity import errors
from comity.db import backup, digest, migrate, postgres, postgres_writer, replicas
from comity.db import postgres_connection as connections
from comity.db.digest import BATCH, Copied, Sum, Table
from comity.db.postgres_connection import FAILURES, Connection

_SCHEMA_ONLY = {"alembic_version", backup.ABOUT, backup.FILES, backup.DIGESTS}
_BY_CHAIN = (
    "CREATE TABLE evidence (seq INTEGER NOT NULL, record BLOB NOT NULL, hash BLOB NOT NULL,"
    " chain INTEGER NOT NULL DEFAULT 0, token TEXT, body BLOB, sealed INTEGER NOT NULL DEFAULT 0, answer BLOB,"
    " PRIMARY KEY (chain, seq))"
)
_KNOWN = "SELECT to_regclass('replica') IS NOT NULL"
_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
_RUNNING = (
    "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database"
    " WHERE locktype = 'advisory' AND classid = $1 AND datname = current_database() AND granted"
)


def file_to_database(  # noqa: PLR0913  what is there can be dealt with in three ways
    path: Path, url: str, *, place: str = "", replace: bool = False, aside: str = "", insecure: bool = False
) -> list[Copied]:
    """Copy a SQLite store into a PostgreSQL database that is empty, or (`replace`) in the place of what is there.

    What is there is not even read if it shall be put `aside`, into a schema of that name. No connector runs at `place`.

    Raises:
        ConflictError: it is not empty, or a connector runs on it.
        SettingsError, DatabaseError, BrokenChainError: one side cannot be used; the database is as it was.
    """
    backup.check(path)
    return asyncio.run(
        _file_to_database(path, url, place=place, replace=replace, aside=aside, insecure=insecure)
    )


async def _file_to_database(  # noqa: PLR0913  the same
    path: Path, url: str, *, place: str, replace: bool, aside: str, insecure: bool
) -> list[Copied]:
    if not aside:
        await postgres.bring_on(url, insecure=insecure)
    with backup.opened(path, read_only=True) as store:
        store.execute("BEGIN")
        async with _alone(url, place) as connection:
            if aside:
                await _put_aside(connection, aside)
            listed = digest.tables(store, without=_SCHEMA_ONLY)
            await _make_empty(connection, listed, replace=replace)
            for table in listed:
                for rows in digest.read(store, table):
                    await connection.copy_records_to_table(table.name, records=rows, columns=table.columns)
                if table.numbered:
                    await _number_on(connection, store, table)
            return [await _compare(store, connection, table) for table in listed]


@contextlib.asynccontextmanager
async def _alone(url: str, place: str) -> AsyncIterator[Connection]:
    """Give a connection in a transaction, committed when the block ends well; no connector runs there meanwhile."""
    connection = await connections.connect(
        url, statement_timeout="0", idle_in_transaction_session_timeout="0"
    )
    try:
        await connections.sync_commits(connection)
        async with connection.transaction():
            if await connection.fetchval(_KNOWN):  # who starts now waits
                await connection.execute("LOCK TABLE replica IN SHARE ROW EXCLUSIVE MODE")
            await _check_alone(connection, url, place)
            yield connection
    except FAILURES as error:
        raise errors.DatabaseError(
            f"the database {connections.shown(url)} did not take it: {error}; it is as it was"
        ) from None
    finally:
        await connections.close(connection)


def check_alone(url: str, place: str = "") -> None:
    """Refuse a database on which a connector runs; at `place` none does.

    Raises:
        ConflictError: one does.
        SettingsError, DatabaseError: the database cannot be used.
    """
    asyncio.run(_check_alone_at(url, place))


async def _check_alone_at(url: str, place: str) -> None:
    connection = await connections.connect(url)
    try:
        await _check_alone(connection, url, place)
    except FAILURES as error:
        raise connections.translate(error) from None
    finally:
        await connections.close(connection)


async def _check_alone(connection: Connection, url: str, place: str) -> None:
    """Look for writers, and for replicas, which have a lease also while they write nothing."""
    found = await connection.fetchval(_RUNNING, postgres_writer.CHAIN)
    if not found and await connection.fetchval(_KNOWN):
        found = await connection.fetchval(replicas.LEASED, place)
    if found:
        raise errors.ConflictError(
            f"a connector runs on the database {connections.shown(url)}",
            hint="stop it, and all its replicas; one that was killed counts for eight seconds more",
        )


async def _put_aside(connection: Connection, schema: str) -> None:
    """Move all tables, as they are, into a schema of their own, and make empty ones."""
    try:
        await connection.execute(f"CREATE SCHEMA {schema}")
        for (table,) in await connection.fetch(_TABLES):
            await connection.execute(f'ALTER TABLE "{table}" SET SCHEMA {schema}')
    except FAILURES as error:
        raise errors.DatabaseError(
            f"what is in the database cannot be put aside: {error}; it is as it was",
            hint="GRANT CREATE ON DATABASE to its user, and let the tables be that user's; or name an empty database",
        ) from None
    await postgres.make_schema(connection)


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
    here, there = Sum(), Sum()
    for rows in digest.read(store, table):
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


def database_to_file(url: str, path: Path, *, alone: bool = False, place: str = "") -> list[Copied]:
    """Copy a PostgreSQL database into an empty file, as it is at one moment; `alone`: only if no connector uses it.

    At `place` none does.

    Raises:
        ConflictError: a connector runs on it.
        SettingsError, DatabaseError, BrokenChainError: one side cannot be used; the file is of no use then.
    """
    migrate.migrate(path)
    done = asyncio.run(_database_to_file(url, path, alone=alone, place=place))
    backup.check(path)
    return done


async def _database_to_file(url: str, path: Path, *, alone: bool, place: str) -> list[Copied]:
    await postgres.check_current(url)
    connection = await connections.connect(
        url, statement_timeout="0", idle_in_transaction_session_timeout="0"
    )
    try:
        if alone:
            await _check_alone(connection, url, place)
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
    listed = digest.tables(store, without=_SCHEMA_ONLY)
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
