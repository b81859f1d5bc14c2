"""A unit's view of PostgreSQL: each statement that it waits for is handed to whoever drives it.

So the writer decides when a statement is executed, and with which others.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator, Sequence
from typing import Any, Generic, TypeVar

from comity.db import postgres_connection as connections
from comity.db.postgres_connection import Connection
from comity.db.store import Row

T = TypeVar("T")
ROWS = 25


class Group:
    """What the units of one transaction have in common."""

    def __init__(self, memo: dict[str, Any], chain: int, owner: str = "", server: str = "") -> None:
        self.memo = memo
        self.chain = chain
        self.owner = owner
        self.server = server
        """Since when the server runs without a crash, which tells it from one that may have forgotten transactions."""
        self.appended: list[tuple[str, Sequence[Any]]] = []
        self.announced: list[object] = []
        self.wrote = False
        self.xid: str | None = None
        self.committing = False

    def mark(self) -> tuple[int, dict[str, Any]]:
        """Return where the group is before a unit."""
        return len(self.appended), dict(self.memo)

    def go_back(self, mark: tuple[int, dict[str, Any]]) -> None:
        """Forget what a unit left."""
        length, memo = mark
        del self.appended[length:]
        self.memo.clear()
        self.memo.update(memo)


class Statement:
    """What a unit waits for: a method of the connection to call; awaiting it hands it to whoever drives the unit.

    `shape` makes of the rows that it found, or changed, what the method would have returned: so the rows may also come
    from a statement that was executed for several units. Without it the method has to be called.
    """

    __slots__ = ("method", "shape", "sql", "values")

    def __init__(
        self,
        method: Callable[..., Awaitable[Any]],
        sql: str,
        values: Sequence[Any],
        shape: Callable[[list[Row]], Any] | None = None,
    ) -> None:
        self.method = method
        self.sql = sql
        self.values = values
        self.shape = shape

    def __await__(self) -> Generator[Statement, Any, Any]:
        return (yield self)

    async def execute(self) -> Any:
        """Call the method, and return what it returns."""
        return await self.method(connections.translated(self.sql), *self.values)


class Running(Generic[T]):
    """A unit under way: the statement that it waits for, or, if there is none, its result.

    The `error` that it ended with is for who drives it to keep.
    """

    __slots__ = ("_coroutine", "error", "result", "waits_for")

    def __init__(self, work: Awaitable[T]) -> None:
        self._coroutine: Coroutine[Any, Any, T] = work  # type: ignore[assignment]
        self.waits_for: Statement | None = None
        self.result: T | None = None
        self.error: BaseException | None = None

    def go_on(self, value: Any = None, error: BaseException | None = None) -> None:
        """Run it to its next statement with what the last one returned, or raised; raise what the unit raises."""
        self.waits_for = None
        try:
            found = self._coroutine.send(value) if error is None else self._coroutine.throw(error)
        except StopIteration as done:
            self.result = done.value
            return
        if not isinstance(found, Statement):
            self._coroutine.close()
            raise RuntimeError("a unit of work waited for something that is not the store")  # noqa: TRY004  as SQLite
        self.waits_for = found

    def close(self) -> None:
        """End it where it is."""
        self._coroutine.close()


async def drive(work: Awaitable[T]) -> T:
    """Run a unit to its end, statement by statement."""
    running = Running(work)
    running.go_on()
    while running.waits_for is not None:
        try:
            value = await running.waits_for.execute()
        except BaseException as raised:  # noqa: BLE001  it is the unit's to see
            running.go_on(error=raised)
        else:
            running.go_on(value)
    return running.result  # type: ignore[return-value]


def _first(rows: list[Row]) -> Any:
    return rows[0] if rows else None


def _first_value(rows: list[Row]) -> Any:
    return rows[0][0]


class Transaction:
    """A unit's view of a connection."""

    def __init__(self, connection: Connection, group: Group | None = None, owner: str = "") -> None:
        self._connection = connection
        self._group = group
        self.announced: list[object] = []
        self.wrote = False
        self.appended = False
        self.lock = " FOR UPDATE" if group else ""
        self.chain = group.chain if group else 0
        self.owner = group.owner if group else owner
        self.memo: dict[str, Any] = group.memo if group else {}

    # What each does says `store.Transaction`.

    async def one(self, sql: str, *values: Any) -> Row | None:  # noqa: D102
        row = await Statement(self._connection.fetchrow, sql, values, _first)
        return None if row is None else tuple(row)

    async def all(self, sql: str, *values: Any) -> list[Row]:  # noqa: D102
        rows = await Statement(self._connection.fetch, sql, values, list)
        return [tuple(row) for row in rows]

    async def each(self, sql: str, *values: Any) -> AsyncGenerator[Row, None]:  # noqa: D102
        cursor = await Statement(self._open, sql, values)
        while rows := await Statement(lambda _: cursor.fetch(ROWS), sql, ()):
            for row in rows:
                yield tuple(row)

    async def _open(self, sql: str, *values: Any) -> Any:
        return await self._connection.cursor(sql, *values)

    async def run(self, sql: str, *values: Any) -> int:  # noqa: D102
        self.wrote = True
        return int(await Statement(self._changed, sql, values, len))

    async def _changed(self, sql: str, *values: Any) -> int:
        status = await self._connection.execute(sql, *values)
        changed = status.rpartition(" ")[2]
        return int(changed) if changed.isdecimal() else 0

    async def insert(self, sql: str, *values: Any) -> int:  # noqa: D102
        self.wrote = True
        found = await Statement(self._connection.fetchval, f"{sql} RETURNING id", values, _first_value)
        return int(found)

    async def append(self, sql: str, *values: Any) -> None:  # noqa: D102
        if self._group is None:
            raise RuntimeError("a unit that only reads appends to a log")
        self.appended = True
        self._group.appended.append((sql, values))

    def announce(self, event: object) -> None:  # noqa: D102
        self.announced.append(event)
