"""The one connection of a process that writes to PostgreSQL: units in groups with one COMMIT.

Other processes may write to the same database, so a unit can lose a race: then it is run again, a bounded number of
times. At first a group is run without savepoints, units of different processes side by side (`postgres_batch`); only
where one fails after it has written, all are run again with them, one after the other. What goes into logs
(`Transaction.append`) is written last, under a lock that lasts until the commit: so the numbers of their rows have the
order of the commits. docs/decisions/0015 says why.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import re
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from comity import errors
from comity.db import outbox, replicas
from comity.db import postgres_connection as connections
from comity.db.postgres_batch import SETTINGS, Batches
from comity.db.postgres_connection import FAILURES, Connection, Door, is_lost, is_lost_race, translate
from comity.db.postgres_unit import Group, Running, Transaction, drive
from comity.db.store import OfProcess, Unit

T = TypeVar("T")
GROUP = 64
TRIES = 5
"""How often a unit that loses races is run on its own, after it has been run twice in its group."""
UNKNOWN_S = 3.0
"""How long the outcome of a COMMIT is looked for after its connection was lost."""
_SERVER = "SELECT pg_postmaster_start_time() || ' ' || (SELECT stats_reset FROM pg_stat_bgwriter)"
"""A crash of one of its processes alone does not change when it was started, but begins its statistics anew."""
_INTO = re.compile(r"INSERT INTO (\w+) \(([\w, ]+)\) VALUES")
_LOG, CHAIN = 0x436F6D01, 0x436F6D02  # names of advisory locks


class _Job:
    """A unit that waits for its turn, and the future that its caller waits for."""

    __slots__ = ("error", "future", "lost_race", "result", "unit", "waited")

    def __init__(self, unit: Unit[Any], future: asyncio.Future[Any]) -> None:
        self.unit = unit
        self.future = future
        self.result: Any = None
        self.error: BaseException | None = None
        self.lost_race = False
        self.waited = False

    def goes_again(self, error: BaseException) -> bool:
        """Return whether to run it again: it lost a race, or has waited in vain for a lock, and that only once."""
        if not connections.is_locked(error):
            return is_lost_race(error) or isinstance(error, errors.LostRaceError)
        before, self.waited = self.waited, True
        return not before

    def settle(self) -> None:
        """Hand the outcome to the caller."""
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class Writer:
    """The one connection of this process that writes, its chain of the evidence, and the units that wait for it."""

    def __init__(self, door: Door, told: Callable[[Sequence[object]], None], owner: str = "") -> None:
        self._door = door
        self._told = told
        self._owner = owner
        self._connection: Connection | None = None
        self._batches: Batches
        self._chain = 0
        self._server = ""
        self._memo: dict[str, Any] = {}
        self._jobs: deque[_Job] = deque()
        self._work: asyncio.Task[None] | None = None

    async def write(self, unit: Unit[T]) -> T:
        """Run a unit in a group with its neighbours and return its result after the commit."""
        loop = asyncio.get_running_loop()
        job = _Job(unit, loop.create_future())
        self._jobs.append(job)
        if self._work is None:
            self._work = loop.create_task(self._keep_working())
        return await job.future  # type: ignore[no-any-return]

    async def _keep_working(self) -> None:
        """Commit group after group until nobody waits: what gathers during a commit is the next one."""
        try:
            while self._jobs:
                jobs = [self._jobs.popleft() for _ in range(min(GROUP, len(self._jobs)))]
                try:
                    announced = await self._commit(jobs)
                except BaseException as error:
                    for job in jobs:
                        job.error = errors.DatabaseError(f"the store ended in the middle: {error!r}")
                        job.settle()
                    raise
                for job in jobs:
                    job.settle()
                if announced:
                    self._told(announced)
        finally:
            self._work = None

    async def _commit(self, jobs: list[_Job]) -> list[object]:
        """Run units until each has an outcome, and return what they announced."""
        announced: list[object] = []
        again = await self._transaction(jobs, announced, guarded=False)
        if len(jobs) > 1 and again:
            again = await self._transaction(again, announced, guarded=True)
        for attempt in range(TRIES):
            if not again:
                break
            await asyncio.sleep(random.random() * 0.01 * 2**attempt)  # noqa: S311  so that two do not meet again
            again = [job for job in again if await self._transaction([job], announced, guarded=False)]
        return announced

    async def _transaction(self, jobs: list[_Job], announced: list[object], *, guarded: bool) -> list[_Job]:
        """Run units in one transaction and return those that have to be run again."""
        try:
            connection = await self._connected()
        except errors.ComityError as error:
            return _fail(jobs, error)
        group = Group(self._memo, self._chain, self._owner, self._server)
        try:
            await connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
            lanes, rest = ([], jobs) if guarded else _parted(jobs)
            again = None
            if not lanes or await self._run_together(connection, group, lanes):
                again = await self._run_all(connection, group, rest, guarded=guarded)
            if again is None:
                self._memo.clear()
                await connection.execute("ROLLBACK")
                return [job for job in jobs if len(jobs) > 1 or job.lost_race]
            await _finish(connection, group)
        except FAILURES as error:
            self._memo.clear()
            return await self._failed(connection, group, jobs, announced, error)
        except BaseException:
            await self._drop()
            raise
        announced += group.announced
        return again

    async def _run_together(
        self, connection: Connection, group: Group, lanes: Sequence[Sequence[_Job]]
    ) -> bool:
        """Run the units of several processes side by side; return False if all have to be undone."""
        jobs = list(itertools.chain(*lanes))
        views = {job: Transaction(connection, group) for job in jobs}
        units = {job: Running(job.unit(views[job])) for job in jobs}
        try:
            await self._batches.run([[units[job] for job in lane] for lane in lanes])
        except FAILURES as error:
            if is_lost(error, connection):
                raise
            for job in jobs:
                job.goes_again(error)  # all of them have waited, if it was for a lock
            return False
        for job, tx in views.items():
            job.result, job.error = units[job].result, units[job].error
            if job.error is None:
                group.announced += tx.announced
                group.wrote = group.wrote or tx.wrote
            elif tx.wrote or tx.appended or isinstance(job.error, (errors.LostRaceError, *FAILURES)):
                return False
        return True

    async def _run_all(
        self, connection: Connection, group: Group, jobs: list[_Job], *, guarded: bool
    ) -> list[_Job] | None:
        """Run units one after the other; return those to run again, or None if all have to be undone."""
        again: list[_Job] = []
        for at, job in enumerate(jobs):
            job.result, job.error = None, None
            if guarded:
                await connection.execute("RELEASE unit; SAVEPOINT unit" if at else "SAVEPOINT unit")
            mark = group.mark()
            tx = Transaction(connection, group)
            try:
                job.result = await drive(job.unit(tx))
            except BaseException as error:
                if _is_being_cancelled():
                    raise
                from_driver = isinstance(error, FAILURES)
                if from_driver and is_lost(error, connection):
                    raise
                job.error = translate(error) if from_driver else error
                group.go_back(mark)
                job.lost_race = job.goes_again(error)
                if guarded:
                    await connection.execute("ROLLBACK TO unit")
                elif from_driver or tx.wrote or job.lost_race:
                    return None
                if job.lost_race:
                    again.append(job)
                continue
            group.announced += tx.announced
            group.wrote = group.wrote or tx.wrote
        return again

    async def _failed(
        self,
        connection: Connection,
        group: Group,
        jobs: list[_Job],
        announced: list[object],
        error: BaseException,
    ) -> list[_Job]:
        """The transaction as a whole did not come to its end; return the units to run again."""
        lost = is_lost(error, connection)
        if lost:
            await self._drop()
        else:
            with contextlib.suppress(*FAILURES):
                await connection.execute("ROLLBACK")
        if not (lost and group.committing):
            _fail(jobs, translate(error))
            lost_races = [each for each in jobs if each.goes_again(error)]
            return jobs if lost or lost_races else []
        outcome = await self._find_out(group)
        if outcome is False:
            _fail(jobs, translate(error))
            return jobs
        # if it may have been committed, who listens has to look; what may not be there is not sent unread
        announced += group.announced if outcome else map(_unproven, group.announced)
        if outcome is None:
            unknown = errors.DatabaseError(
                "the connection to the database was lost at the commit: it is not known whether it was made",
                hint="see what is there before you try again",
            )
            _fail([job for job in jobs if job.error is None], unknown)
        return []

    async def _find_out(self, group: Group) -> bool | None:
        """Return whether a transaction was committed, None if that cannot be told.

        Its number alone does not tell: a server that crashed forgets the numbers of what it had not written down, and
        gives them to others. A row that only this transaction can have written does.
        """
        clock = asyncio.get_running_loop().time
        deadline = clock() + UNKNOWN_S
        while group.xid is not None and clock() < deadline:
            try:
                connection = await self._connected()
                status = await _status(connection, group.xid)
                if status != "in progress":
                    return await self._is_there(connection, group, status)
            except (errors.DatabaseError, *FAILURES) as error:
                if not isinstance(error, errors.DatabaseError):
                    await self._drop()
            await asyncio.sleep(0.05)
        return None

    async def _is_there(self, connection: Connection, group: Group, status: str | None) -> bool | None:
        """Return whether what a transaction has written is there, by a row of a log; without one by its number."""
        if group.appended:
            sql, values = group.appended[-1]
            return await connection.fetchval(*_row_of(sql, values)) is not None
        if status == "committed":
            return True if group.server == self._server else None
        return False

    async def _connected(self) -> Connection:
        """Return the connection, made anew if it was lost, with a chain of the evidence that nobody else appends to."""
        if self._connection is not None and not self._connection.is_closed():
            return self._connection
        self._memo.clear()
        connection = await self._door.connect()
        try:
            await connections.sync_commits(connection)
            await connection.execute(SETTINGS)
            server = await connection.fetchval(_SERVER)
            for chain in itertools.count():
                if await connection.fetchval("SELECT pg_try_advisory_lock($1, $2)", CHAIN, chain):
                    break
            await connection.execute(
                "INSERT INTO evidence_chain (number) VALUES ($1) ON CONFLICT DO NOTHING", chain
            )
        except FAILURES as error:
            connection.terminate()
            raise translate(error) from None
        except BaseException:
            connection.terminate()
            raise
        self._chain, self._connection, self._batches = chain, connection, Batches(connection)
        self._server = server
        return connection

    async def _drop(self) -> None:
        """Let go of a connection whose state is unknown."""
        self._memo.clear()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    async def close(self) -> None:
        """Let waiting units finish, then close the connection."""
        if self._work is not None:
            await asyncio.wait([self._work])
        if self._connection is not None:
            await connections.close(self._connection)


def _parted(jobs: list[_Job]) -> tuple[list[list[_Job]], list[_Job]]:
    """Return the units that can be run side by side, a lane for each process, and all others.

    Lanes have the order of the processes' names: replicas that lock the same rows do so in the same order.
    """
    lanes: dict[str, list[_Job]] = {}
    rest = []
    for job in jobs:
        if isinstance(job.unit, OfProcess):
            lanes.setdefault(job.unit.process_id, []).append(job)
        else:
            rest.append(job)
    return ([lanes[each] for each in sorted(lanes)], rest) if len(lanes) > 1 else ([], jobs)


def _unproven(event: object) -> object:
    """Return an announcement of what may not have been committed: a message is read before it is sent."""
    return outbox.Queued(event.row, released=True) if isinstance(event, outbox.Queued) else event


async def _status(connection: Connection, xid: str) -> str | None:
    """Return what a server knows of a transaction, None if it has never heard of it, or forgot it in a crash."""
    try:
        status: str | None = await connection.fetchval("SELECT pg_xact_status($1::text::xid8)", xid)
    except FAILURES as error:
        if getattr(error, "sqlstate", None) != "22023":
            raise
        return None
    return status


def _row_of(sql: str, values: Sequence[Any]) -> tuple[Any, ...]:
    """Return the SELECT, and its values, of the row that an INSERT into a log writes."""
    (table, columns), *_ = _INTO.findall(sql)
    given = [
        (name, value) for name, value in zip(columns.split(", "), values, strict=True) if value is not None
    ]
    same = (f"{name} = ${at}" for at, (name, _) in enumerate(given, 1))
    return f"SELECT 1 FROM {table} WHERE {' AND '.join(same)}", *(value for _, value in given)


def _is_being_cancelled() -> bool:
    """Return whether the writer's own task is, and not only a unit that raises what it likes."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _fail(jobs: Sequence[_Job], error: BaseException) -> list[_Job]:
    for job in jobs:
        job.result, job.error = None, error
    return []


async def _finish(connection: Connection, group: Group) -> None:
    """Write what goes into logs, tell other processes, and commit."""
    if group.wrote or group.appended:
        told, urgent = replicas.encode(group.owner, group.announced)
        # the lock makes replicas take turns from here to the end of the commit: nothing slow may stand below it
        group.xid = await connection.fetchval(
            f"SELECT pg_current_xact_id()::text, {'pg_advisory_xact_lock($1)' if group.appended else '$1::bigint'}"
            + (f", {replicas.NOTIFY}" if told else ""),
            _LOG,
            *((told, urgent, group.owner) if told else ()),
        )
        rows: dict[str, list[Sequence[Any]]] = {}
        for sql, values in group.appended:
            rows.setdefault(sql, []).append(values)
        for sql, each in rows.items():
            await connection.executemany(connections.translated(sql), each)
    group.committing = True
    status = await connection.execute("COMMIT")
    group.committing = False
    if status != "COMMIT":  # a unit swallowed the error of a statement: the server has undone all
        raise connections.undone(status)
