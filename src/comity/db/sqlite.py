"""SQLite: one writer that commits in groups, and one reader.

A unit never really waits here: the writer drives it to its end in one go, up to 64 units a transaction, and resolves
their futures after COMMIT (`synchronous=FULL`: what is answered is on the disk). A unit that fails is undone alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import sqlite3
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from comity import errors
from comity.db.store import Listener, Listeners, Row, Unit

T = TypeVar("T")
GROUP = 64
BUSY_TIMEOUT_S = 1.0  # the loop waits that long for another process that writes, say an SQL shell


class _Transaction:
    """A unit's view of a SQLite connection."""

    lock = ""  # there is one writer
    chain = 0
    owner = ""

    def __init__(self, connection: sqlite3.Connection, memo: dict[str, Any]) -> None:
        self._connection = connection
        self.memo = memo
        self.announced: list[object] = []

    async def one(self, sql: str, *values: Any) -> Row | None:
        return self._connection.execute(sql, values).fetchone()  # type: ignore[no-any-return]

    async def all(self, sql: str, *values: Any) -> list[Row]:
        return self._connection.execute(sql, values).fetchall()

    async def each(self, sql: str, *values: Any) -> AsyncGenerator[Row, None]:
        with contextlib.closing(self._connection.execute(sql, values)) as cursor:
            for row in cursor:
                yield row

    async def run(self, sql: str, *values: Any) -> int:
        return self._connection.execute(sql, values).rowcount

    async def insert(self, sql: str, *values: Any) -> int:
        return self._connection.execute(sql, values).lastrowid or 0

    async def append(self, sql: str, *values: Any) -> None:
        self._connection.execute(sql, values)

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
        if self.future.done() or self.loop.is_closed():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class _Group:
    """Units that are committed together, and what they announced."""

    __slots__ = ("announced", "failed", "jobs")

    def __init__(self, jobs: list[_Job]) -> None:
        self.jobs = jobs
        self.announced: list[object] = []
        self.failed = False


class _Lane:
    """A connection and the units that wait for it, in the order in which they came.

    The writer runs units in the event loop's thread and only COMMIT, which waits for the disk, in a thread of its own:
    a unit is a dozen short statements, each of which lets go of the interpreter, and would lose it to the busy loop
    each time if it ran beside it (measured: docs/decisions). The reader, whose units may be long, runs beside it.
    """

    def __init__(self, path: str, *, reading: bool, told: Callable[[list[object]], None]) -> None:
        self._connection = connect(path, reading=reading)
        self._reading = reading
        self._begin = "BEGIN" if reading else "BEGIN IMMEDIATE"
        self._told = told
        self._memo: dict[str, Any] = {}
        self._jobs: deque[_Job] = deque()
        self._committing: _Group | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = ThreadPoolExecutor(1, "comity-reader" if reading else "comity-commit")

    def submit(self, job: _Job) -> None:
        """Put a unit in the queue; what has gathered there when the loop comes round is one group."""
        self._jobs.append(job)
        if self._loop is not None and self._loop.is_closed():
            self._leave()
        if self._loop is None:
            self._loop = job.loop
            self._loop.call_soon(self._next)

    def _leave(self) -> None:
        """Let what a loop that has ended left in the thread come to its end: the connection is in use until then."""
        self._loop = None
        self._thread.submit(int).result()
        if self._committing is not None:
            self._settle(self._committing)

    def _next(self) -> None:
        group = self._take()
        if self._loop is None or not group.jobs:
            self._loop = None
            return
        if not self._reading:
            self._run(group)
        self._committing = group
        work = self._run_and_commit if self._reading else self._commit
        self._thread.submit(work, group).add_done_callback(
            functools.partial(self._committed, self._loop, group)
        )

    def _take(self) -> _Group:
        count = 1 if self._reading else min(GROUP, len(self._jobs))
        return _Group([self._jobs.popleft() for _ in range(min(count, len(self._jobs)))])

    def _run_and_commit(self, group: _Group) -> None:
        self._run(group)
        self._commit(group)

    def _run(self, group: _Group) -> None:
        """Begin a transaction and run every unit; if one failed that had written, all again, each in a savepoint.

        Such units are few, and savepoints cost: two statements a unit, and a copy of each page that it changes.
        """
        execute = self._connection.execute
        try:
            execute(self._begin)
            if all(self._leaves_nothing_to_undo(job, group) for job in group.jobs):
                return
            execute("ROLLBACK")
            group.announced = []
            execute(self._begin)
            for job in group.jobs:
                execute("SAVEPOINT unit")
                if not self._leaves_nothing_to_undo(job, group):
                    execute("ROLLBACK TO unit")
                execute("RELEASE unit")
        except sqlite3.Error as error:
            self._fail(group, error)

    def _commit(self, group: _Group) -> None:
        """Make the group durable, in the lane's thread."""
        if group.failed:
            return
        try:
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._fail(group, error)

    def _leaves_nothing_to_undo(self, job: _Job, group: _Group) -> bool:
        """Run a unit; return whether it succeeded, or failed before it had changed anything."""
        before = self._connection.total_changes
        transaction = _Transaction(self._connection, {} if self._reading else self._memo)
        try:
            job.result, job.error = _drive(job.unit(transaction)), None
        except sqlite3.Error as error:
            if not self._connection.in_transaction:
                raise  # SQLite itself rolled everything back (disk full, I/O error)
            job.error = _translate(error)
        except BaseException as error:  # noqa: BLE001  it belongs to the unit's caller; the others must go on
            job.error = error
        else:
            group.announced += transaction.announced
            return True
        self._memo.clear()
        return self._connection.total_changes == before

    def _fail(self, group: _Group, error: sqlite3.Error) -> None:
        group.failed = True
        group.announced = []
        self._memo.clear()
        if self._connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
        for job in group.jobs:
            job.result, job.error = None, job.error or _translate(error)

    def _committed(self, loop: asyncio.AbstractEventLoop, group: _Group, _: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(self._settle_and_go_on, group)

    def _settle_and_go_on(self, group: _Group) -> None:
        if self._committing is group:
            self._settle(group)
            self._next()

    def _settle(self, group: _Group) -> None:
        self._committing = None
        for job in group.jobs:
            job.settle()
        if group.announced:
            self._told(group.announced)

    def close(self) -> None:
        """Finish what was begun and what waits, then close the connection."""
        self._thread.shutdown(wait=True)
        if self._committing is not None:
            self._settle(self._committing)
        while self._jobs:
            group = self._take()
            self._run_and_commit(group)
            self._settle(group)
        self._connection.close()


class Database:
    """A SQLite file with its writer and reader; `open` it once a process."""

    def __init__(self, path: Path) -> None:
        """Connect to the migrated database at `path`; see `stores.open_store`."""
        self._listeners = Listeners()
        self._closed = False
        self._writer = _Lane(str(path), reading=False, told=self._listeners.tell)
        self._reader = _Lane(str(path), reading=True, told=self._listeners.tell)

    def subscribe(self, listener: Listener) -> None:
        """Call `listener` with what units announced, after their commit, in the event loop."""
        self._listeners.add(listener)

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
        lane.submit(job)
        return await job.future  # type: ignore[no-any-return]

    def check_lease(self) -> None:
        """Do nothing: a file has one process."""

    def is_alone(self) -> bool:
        """Return True: a file has one process."""
        return True

    def close(self) -> None:
        """Let waiting units finish, then close both connections."""
        self._closed = True
        for lane in (self._writer, self._reader):
            lane.close()


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
