"""One writer that commits in groups, one reader, and the unit of work that both run.

A unit is an `async def unit(tx)`: on SQLite it never really waits, so the writer's thread drives it to its end in one
go, up to 64 units a transaction, each in a savepoint of its own, and resolves their futures after COMMIT
(`synchronous=FULL`: what is answered is on the disk). An asyncpg pool can run the same units without a change to
them. What a unit announces (messages to send, streams to cut) is told to listeners after the commit, never before.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import queue
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from comity import errors

T = TypeVar("T")
Row = tuple[Any, ...]
GROUP = 64
BUSY_TIMEOUT_S = 10.0

log = logging.getLogger(__name__)


class Transaction(Protocol):
    """What a unit of work may do; parameters are written ?1, ?2 in the SQL text."""

    async def one(self, sql: str, *values: Any) -> Row | None:
        """Return the first row or None."""

    async def all(self, sql: str, *values: Any) -> list[Row]:
        """Return all rows."""

    async def run(self, sql: str, *values: Any) -> int:
        """Execute a statement and return the number of rows that it changed."""

    async def insert(self, sql: str, *values: Any) -> int:
        """Execute an INSERT and return the id of the new row."""

    def announce(self, event: object) -> None:
        """Tell `event` to the listeners once the transaction is committed."""


Unit = Callable[[Transaction], Awaitable[T]]


class _Transaction:
    """A unit's view of a SQLite connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.announced: list[object] = []

    async def one(self, sql: str, *values: Any) -> Row | None:
        return self._connection.execute(sql, values).fetchone()  # type: ignore[no-any-return]

    async def all(self, sql: str, *values: Any) -> list[Row]:
        return self._connection.execute(sql, values).fetchall()

    async def run(self, sql: str, *values: Any) -> int:
        return self._connection.execute(sql, values).rowcount

    async def insert(self, sql: str, *values: Any) -> int:
        return self._connection.execute(sql, values).lastrowid or 0

    def announce(self, event: object) -> None:
        self.announced.append(event)


class _Job:
    """A unit that waits for its turn, and the future that its caller waits for."""

    __slots__ = ("error", "future", "loop", "result", "unit")

    def __init__(self, unit: Unit[Any], loop: asyncio.AbstractEventLoop) -> None:
        self.unit = unit
        self.loop = loop
        self.future: asyncio.Future[Any] = loop.create_future()
        self.result: Any = None
        self.error: BaseException | None = None

    def settle(self) -> None:
        """Hand the outcome to the caller; runs in the caller's loop."""
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class _Lane(threading.Thread):
    """A thread with a connection of its own that runs units in the order in which they came."""

    def __init__(self, path: str, *, reading: bool, told: Callable[[list[object]], None]) -> None:
        super().__init__(name="comity-reader" if reading else "comity-writer", daemon=True)
        self._connection = connect(path, reading=reading)
        self._begin = "BEGIN" if reading else "BEGIN IMMEDIATE"
        self._group = 1 if reading else GROUP
        self._told = told
        self.jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()

    def run(self) -> None:
        """Take what waits, commit it together, tell the callers; until None comes."""
        while (job := self.jobs.get()) is not None:
            group, ending = self._gather(job)
            announced = self._commit(group)
            self._settle(group, announced)
            if ending:
                break
        self._connection.close()

    def _gather(self, first: _Job) -> tuple[list[_Job], bool]:
        group = [first]
        while len(group) < self._group:
            try:
                job = self.jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:
                return group, True
            group.append(job)
        return group, False

    def _commit(self, group: list[_Job]) -> list[object]:
        announced: list[object] = []
        try:
            self._connection.execute(self._begin)
            for job in group:
                announced += self._run_in_savepoint(job)
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._fail(group, error)
            return []
        return announced

    def _run_in_savepoint(self, job: _Job) -> list[object]:
        execute = self._connection.execute
        execute("SAVEPOINT unit")
        transaction = _Transaction(self._connection)
        try:
            job.result = _drive(job.unit(transaction))
        except sqlite3.Error as error:
            if not self._connection.in_transaction:
                raise  # SQLite itself rolled everything back (disk full, I/O error)
            job.error = _translate(error)
        except BaseException as error:  # noqa: BLE001  it belongs to the unit's caller; this thread must go on
            job.error = error
        else:
            execute("RELEASE unit")
            return transaction.announced
        execute("ROLLBACK TO unit")
        execute("RELEASE unit")
        return []

    def _fail(self, group: list[_Job], error: sqlite3.Error) -> None:
        if self._connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
        for job in group:
            job.result, job.error = None, job.error or _translate(error)

    def _settle(self, group: list[_Job], announced: list[object]) -> None:
        loop = group[0].loop
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            if all(job.loop is loop for job in group):
                loop.call_soon_threadsafe(self._settle_in_loop, group, announced)
            else:
                for job in group:
                    job.loop.call_soon_threadsafe(job.settle)
                loop.call_soon_threadsafe(self._told, announced)

    def _settle_in_loop(self, group: list[_Job], announced: list[object]) -> None:
        for job in group:
            job.settle()
        if announced:
            self._told(announced)


class Database:
    """A SQLite file with its writer and reader; `open` it once a process."""

    def __init__(self, path: Path) -> None:
        """Connect to the migrated database at `path`; see `open_database`."""
        self._listeners: list[Callable[[Sequence[object]], None]] = []
        self._closed = False
        self._writer = _Lane(str(path), reading=False, told=self._tell)
        self._reader = _Lane(str(path), reading=True, told=self._tell)
        self._writer.start()
        self._reader.start()

    def subscribe(self, listener: Callable[[Sequence[object]], None]) -> None:
        """Call `listener` with what units announced, after their commit, in the event loop."""
        self._listeners.append(listener)

    def _tell(self, announced: list[object]) -> None:
        for listener in self._listeners:
            try:
                listener(announced)
            except Exception:
                log.exception("a listener failed; the others are told all the same")

    async def write(self, unit: Unit[T]) -> T:
        """Run `unit` in a transaction and return its result after the commit.

        Raises:
            DatabaseError: nothing was written.
        """
        return await self._submit(self._writer, unit)

    async def read(self, unit: Unit[T]) -> T:
        """Run `unit` on one snapshot, without the right to write."""
        return await self._submit(self._reader, unit)

    async def _submit(self, lane: _Lane, unit: Unit[T]) -> T:
        if self._closed:  # nobody would ever run it
            raise errors.DatabaseError("the store is closed; nothing was changed")
        job = _Job(unit, asyncio.get_running_loop())
        lane.jobs.put(job)
        return await job.future  # type: ignore[no-any-return]

    def close(self) -> None:
        """Let waiting units finish, then close both connections."""
        self._closed = True
        for lane in (self._writer, self._reader):
            lane.jobs.put(None)
        for lane in (self._writer, self._reader):
            lane.join()


def _drive(work: Awaitable[T]) -> T:
    coroutine: Coroutine[Any, Any, T] = work  # type: ignore[assignment]
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    coroutine.close()
    raise RuntimeError("a unit of work waited for something that is not the store")


def _translate(error: sqlite3.Error) -> errors.DatabaseError:
    name = getattr(error, "sqlite_errorname", "") or type(error).__name__
    if name.startswith("SQLITE_FULL"):
        return errors.DatabaseError(
            "the disk is full; nothing was changed", hint="free space, then try again"
        )
    return errors.DatabaseError(f"the store did not take it ({name}: {error}); nothing was changed")


def connect(path: str, *, reading: bool) -> sqlite3.Connection:
    """Open a connection set for durability: WAL, every commit synced, foreign keys on."""
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, timeout=BUSY_TIMEOUT_S, cached_statements=512
    )
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA wal_autocheckpoint=4000")
    if reading:
        connection.execute("PRAGMA query_only=ON")
    return connection


def lock_folder(folder: Path) -> int:
    """Take the data folder for this process alone and return the lock's descriptor; it ends with the process.

    Raises:
        SettingsError: another connector runs on this folder, or it cannot be written.
    """
    try:
        descriptor = os.open(folder / "comity.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise errors.SettingsError(f"the data folder {folder} cannot be written: {error.strerror}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise errors.SettingsError(
            f"another connector runs on the data folder {folder}",
            hint="stop it, or name another folder with --data",
        ) from None
    return descriptor
