"""PostgreSQL: the store of a process on it, and how its schema comes to the newest version.

The units are those of SQLite. One connection writes (`postgres_writer`), a few read.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, TypeVar

from comity import errors
from comity.db import migrate
from comity.db import postgres_connection as connections
from comity.db.postgres_connection import FAILURES, Connection, Door, close, is_lost, translate
from comity.db.postgres_unit import Transaction, drive
from comity.db.postgres_writer import Writer
from comity.db.replicas import Replica
from comity.db.store import Listener, Listeners, Row, Unit

T = TypeVar("T")
READERS = 4
_SCHEMA = 0x436F6D03  # name of an advisory lock


class _LostError(Exception):
    """A connection was lost; the argument is what the driver said."""


class _Readers:
    """Connections that read, each unit on one snapshot."""

    def __init__(self, door: Door, owner: str) -> None:
        self._door = door
        self._owner = owner
        self._idle: list[Connection] = []
        self._places = asyncio.Semaphore(READERS)

    async def read(self, unit: Unit[T]) -> T:
        """Run a unit; once again if its connection turns out to be lost."""
        async with self._places:
            with contextlib.suppress(_LostError):
                return await self._try(unit)
            try:
                return await self._try(unit)
            except _LostError as lost:
                raise translate(lost.args[0]) from None

    async def _try(self, unit: Unit[T]) -> T:
        connection = self._idle.pop() if self._idle else await self._door.connect()
        try:
            await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            try:
                return await drive(unit(Transaction(connection, owner=self._owner)))
            finally:
                await connection.execute("ROLLBACK")
        except FAILURES as error:
            if is_lost(error, connection):
                for each in (connection, *self._idle):  # if the server went away, it has left all of them
                    each.terminate()
                self._idle.clear()
                raise _LostError(error) from None
            raise translate(error) from None
        except asyncio.CancelledError:
            connection.terminate()
            raise
        finally:
            if not connection.is_closed():
                self._idle.append(connection)

    async def close(self) -> None:
        """Close the connections that nobody uses."""
        for connection in self._idle:
            await close(connection)


class Postgres:
    """A PostgreSQL database with the writer and readers of this process; see `opened`."""

    def __init__(self, url: str, place: str = "") -> None:
        """With a `place` it takes part in the work of all processes on the database, from `begin` on."""
        self._listeners = Listeners()
        self._replica = Replica(Door(url), place, self._listeners.tell) if place else None
        owner = self._replica.id if self._replica else ""
        door = Door(url, **{"comity.replica": owner}) if owner else Door(url)
        self._writer = Writer(door, self._listeners.tell, owner)
        self._readers = _Readers(door, owner)
        self._closed = False

    async def begin(self) -> None:
        """Take part in the work.

        Raises:
            DatabaseError: the server does not answer.
        """
        if self._replica is not None:
            await self._replica.begin()

    def check_lease(self) -> None:
        """Do nothing, if this process may go on with the work that is its own.

        Raises:
            DatabaseError: another one may have taken it over, or will in a moment.
        """
        if self._replica is not None:
            self._replica.check()

    def is_alone(self) -> bool:
        """Return whether there is no other replica on the database, as far as is known: one may begin any moment."""
        return self._replica is None or not self._replica.others

    def subscribe(self, listener: Listener) -> None:
        """Call `listener` with what units announced, after their commit, in the event loop."""
        self._listeners.add(listener)

    async def write(self, unit: Unit[T]) -> T:
        """Run `unit` in a transaction and return its result after the commit.

        Raises:
            DatabaseError: nothing was written; or, in so many words, that is not known.
        """
        self._check_open()
        return await self._writer.write(unit)

    async def read(self, unit: Unit[T]) -> T:
        """Run `unit` on one snapshot, without the right to write."""
        self._check_open()
        return await self._readers.read(unit)

    def _check_open(self) -> None:
        if self._closed:
            raise errors.DatabaseError("the store is closed; nothing was changed")

    async def close(self) -> None:
        """Let waiting units finish, then close all connections."""
        self._closed = True
        await self._writer.close()
        await self._readers.close()
        if self._replica is not None:
            await self._replica.close()


@contextlib.asynccontextmanager
async def opened(url: str, *, insecure: bool = False, place: str = "") -> AsyncIterator[Postgres]:
    """Keep a database open for as long as the block runs, its schema brought to the newest version first.

    Raises:
        SettingsError: the URL leads to no database that can be used, or to one of a newer Comity.
        DatabaseError: the server does not answer, or the schema could not be brought on.
    """
    await bring_on(url, insecure=insecure)
    store = Postgres(url, place)
    try:
        await store.begin()
        yield store
    finally:
        await store.close()


async def bring_on(url: str, *, insecure: bool = False) -> bool:
    """Bring the schema of a database to the newest version and return whether anything was done.

    Several processes may do so at once: one does, the others wait for it. A kill leaves the version before.

    Raises:
        SettingsError, DatabaseError: as `opened`.
    """
    connection = await connections.connect_first(url, insecure=insecure)
    try:
        if not migrate.missing(await _version(connection), connections.shown(url)):
            return False
        await connection.execute("SET lock_timeout = 0; SET statement_timeout = 0")
        await connection.execute("SELECT pg_advisory_lock($1)", _SCHEMA, timeout=600)
        return await _bring_on(connection, connections.shown(url))
    except FAILURES as error:
        raise errors.DatabaseError(
            f"the schema of the database {connections.shown(url)} could not be brought on: {error}; it is as it was",
            hint="see that the server has space, and that the user may create tables, then start again",
        ) from None
    finally:
        await close(connection)


async def make_schema(connection: Connection) -> None:
    """Make the newest schema where there is none, in the transaction of the caller."""
    await connection.execute(migrate.statements(None, "head", transactional=False), timeout=600)


async def check_current(url: str) -> None:
    """See that the schema of a database is the newest, for who must not bring it on: a connector may be using it.

    Raises:
        SettingsError: the URL leads to no database that can be used, or to one of a newer Comity.
        NotFoundError: it is empty.
        DatabaseError: it has an older schema.
    """
    connection = await connections.connect(url)
    try:
        found = await _version(connection)
        behind = migrate.missing(found, connections.shown(url))
    except FAILURES as error:
        raise translate(error) from None
    finally:
        await close(connection)
    if found is None:
        raise errors.NotFoundError(
            "no connector has been started on this database yet",
            hint="make the first one with: comity init --database URL; then start it",
        )
    if behind:
        raise errors.DatabaseError(
            f"the database {connections.shown(url)} is not of this version",
            hint="start a connector of this version on it first, or use the Comity that runs on it",
        )


async def _bring_on(connection: Connection, place: str) -> bool:
    found = await _version(connection)
    versions = migrate.missing(found, place)
    for version in versions:
        await connection.execute(migrate.statements(found, version), timeout=600)
        found = version
    return bool(versions)


async def _version(connection: Connection) -> str | None:
    """Return the revision that a database has, or None for an empty one."""
    if await connection.fetchval("SELECT to_regclass('alembic_version')") is None:
        return None
    found: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
    return found


@contextlib.contextmanager
def reading(url: str) -> Iterator[Callable[..., list[Row]]]:
    """Give a function that reads rows, for a command without a connector and without an event loop.

    Raises:
        SettingsError, DatabaseError: the database cannot be read.
    """
    with asyncio.Runner() as runner:
        connection = runner.run(connections.connect(url))

        def read(sql: str, *values: Any) -> list[Row]:
            try:
                rows = runner.run(connection.fetch(connections.translated(sql), *values))
            except FAILURES as error:
                raise errors.DatabaseError(
                    f"the database {connections.shown(url)} cannot be read: {error}"
                ) from None
            return [tuple(row) for row in rows]

        try:
            yield read
        finally:
            runner.run(close(connection))
