"""What a use case may do with a store: units of work, transactions, and what is told after a commit.

A unit is an `async def unit(tx)` that awaits nothing but its transaction, and has no effect outside of it: it may be
run again from its beginning (docs/decisions/0007, 0015). `db.sqlite` and `db.postgres` run the same units, with the
same SQL: parameters are written ?1, ?2. What a unit announces (messages to send, streams to cut) is told to listeners
after the commit, never before; what is `Shared` also to the listeners of other processes on the same database.

Where several processes share the work, a row of work to do (a message to send, a webhook to tell) has an owner.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from msgspec import Struct

T = TypeVar("T")
Row = tuple[Any, ...]
Listener = Callable[[Sequence[object]], None]

log = logging.getLogger(__name__)


class Shared(Struct, frozen=True, tag=True):
    """What may be announced to every process on the database: its fields are texts, and few."""


class Deposed(Struct, frozen=True):
    """Announced to this process alone: others may go on with what it was doing; what is its own is announced next."""


class Transaction(Protocol):
    """What a unit of work may do; parameters are written ?1, ?2 in the SQL text."""

    async def one(self, sql: str, *values: Any) -> Row | None:
        """Return the first row or None."""

    async def all(self, sql: str, *values: Any) -> list[Row]:
        """Return all rows."""

    def each(self, sql: str, *values: Any) -> AsyncGenerator[Row, None]:
        """Yield row after row: never more than a few in memory. Close it (`aclosing`) where you stop early."""

    async def run(self, sql: str, *values: Any) -> int:
        """Execute a statement and return the number of rows that it changed."""

    async def insert(self, sql: str, *values: Any) -> int:
        """Execute an INSERT and return the id of the new row."""

    async def append(self, sql: str, *values: Any) -> None:
        """Execute an INSERT into a log: its rows have the order of the commits. No unit of writing reads them."""

    def announce(self, event: object) -> None:
        """Tell `event` to the listeners once the transaction is committed."""

    @property
    def memo(self) -> dict[str, Any]:
        """What the last units of the one writer left for the next; emptied when anything is rolled back.

        Empty at the beginning of a read.
        """

    @property
    def lock(self) -> str:
        """What a SELECT ends with by whose rows a unit decides: nobody else changes them until the unit has ended.

        Empty where nobody could.
        """

    @property
    def chain(self) -> int:
        """The chain of the evidence that this writer appends to, and no other at the same time."""

    @property
    def owner(self) -> str:
        """The name of this process among those that share the work; empty where all is its own."""


def own(tx: Transaction, table: str) -> str:
    """Return what a WHERE ends with so that only this process's rows of work are found."""
    return f" AND {table}.owner = '{tx.owner}'" if tx.owner else ""


def taking(tx: Transaction) -> str:
    """Return what a SET ends with so that the row becomes this process's."""
    return f", owner = '{tx.owner}'" if tx.owner else ""


Unit = Callable[[Transaction], Awaitable[T]]


class OfProcess(Generic[T]):
    """A unit that is about one process: the rows by which it decides, and that it changes, are of no other one.

    Such units may be run side by side where they are of different processes, their statements mixed with each
    other's. What they have in common they only read, or a unique key of the store decides on it.
    """

    __slots__ = ("_unit", "process_id")

    def __init__(self, process_id: str, unit: Unit[T]) -> None:
        self.process_id = process_id
        self._unit = unit

    def __call__(self, tx: Transaction) -> Awaitable[T]:
        """Return the work to do with a transaction."""
        return self._unit(tx)


class Store(Protocol):
    """What a use case may do with a database."""

    async def write(self, unit: Unit[T]) -> T:
        """Run `unit` in a transaction and return its result after the commit.

        Raises:
            DatabaseError: nothing was written.
        """

    async def read(self, unit: Unit[T]) -> T:
        """Run `unit` on one snapshot, without the right to write."""

    def subscribe(self, listener: Listener) -> None:
        """Call `listener` with what units announced, after their commit, in the event loop."""

    def check_lease(self) -> None:
        """Do nothing, if this process may go on with the work that is its own.

        Raises:
            DatabaseError: another one may have taken it over, or will in a moment.
        """

    def is_alone(self) -> bool:
        """Return whether there is no other process on the database, as far as is known: one may begin any moment."""


class Listeners:
    """Who is told of what units announced."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    def add(self, listener: Listener) -> None:
        """Tell `listener` too, from now on."""
        self._listeners.append(listener)

    def tell(self, announced: Sequence[object]) -> None:
        """Tell all of them."""
        for listener in self._listeners:
            try:
                listener(announced)
            except Exception:
                log.exception("a listener failed; the others are told all the same")
