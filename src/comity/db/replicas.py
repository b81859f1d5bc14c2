"""Several processes on one PostgreSQL database share the work: each does what it wrote down itself.

A process has a lease, by the database's clock, and renews it while it runs. Work whose owner has no lease is taken over
by whoever sees it first. A process that was stopped for longer (or cut off) notices by its own clock that its lease may
be over, and sends nothing before it has it again: then it goes on with what is its own still. Nothing of this costs the
way of a message a statement. The same connection listens to what other processes announce.
docs/decisions/0018 says why.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import operator
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from comity import errors
from comity.db import apikeys, events, offers, outbox, partners, pulls, pushes, shared, webhooks
from comity.db import postgres_connection as connections
from comity.db.postgres_connection import FAILURES, Connection, Door, translate
from comity.db.store import Deposed, Shared

RENEW_S = 2.0
LEASE_S = 8.0
MARGIN_S = 2.0
"""How long before the end of its lease a process that could not renew it stops sending."""
CHANNEL = "comity"
MOST_BYTES = 7900
"""How long an announcement may be; what is longer is said as: look at everything anew."""
ROWS = 1000
ANEW = (
    partners.PartnersChanged(),
    apikeys.ApiKeysChanged(),
    offers.OffersChanged(),
    shared.SharedChanged(),
    events.Recorded(""),
)
"""What makes every listener read anew what it keeps."""
NOTIFY = (
    "(SELECT count(pg_notify('comity', $2)) WHERE $2 <> ''"
    " AND ($3 OR EXISTS (SELECT 1 FROM replica WHERE id <> $4)))"
)
"""Tells other processes at the commit; what is not urgent only if there are any."""

_NOW = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
_UNTIL = f"{_NOW} + {LEASE_S * 1000:.0f}"
_RENEW = f"UPDATE replica SET until = {_UNTIL} WHERE id = $1 RETURNING (SELECT count(*) FROM replica) - 1"
_ADD = f"INSERT INTO replica (id, place, until) VALUES ($1, $2, {_UNTIL})"
_REMOVE = "DELETE FROM replica WHERE id = $1"
_REMOVE_EARLIER = "DELETE FROM replica WHERE place = $1"
# A server that has just started has kept everybody from renewing.
_REMOVE_GONE = (
    f"DELETE FROM replica WHERE until < {_NOW} AND id <> $1"
    f" AND pg_postmaster_start_time() < clock_timestamp() - interval '{LEASE_S} seconds' RETURNING place"
)
LEASED = (
    f"SELECT place FROM replica WHERE place <> $1 AND (until >= {_NOW}"
    f" OR pg_postmaster_start_time() >= clock_timestamp() - interval '{LEASE_S} seconds') LIMIT 1"
)
"""A process at another place that has a lease, or may only have been kept from renewing it."""
_TAKE = (
    "UPDATE {table} SET owner = $1 WHERE {key} IN (SELECT {key} FROM {table}"
    " WHERE owner NOT IN (SELECT id FROM replica) LIMIT $2 FOR UPDATE SKIP LOCKED) RETURNING {columns}"
)
_OWN = "SELECT {columns} FROM {table} WHERE owner = $1 {open}"

log = logging.getLogger(__name__)
_boot_s = functools.partial(time.clock_gettime, getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
"""A clock that goes on while the machine sleeps."""


class Left(Shared, frozen=True):
    """Announced when a process ends: its work can be taken over."""


class _Work(Struct, frozen=True):
    """A table of work: its key, the columns that are read, which rows are open, and what a row announces."""

    table: str
    key: str
    columns: str
    open: str
    ready: Callable[[Any], object]

    @property
    def take(self) -> str:
        return _TAKE.format(table=self.table, key=self.key, columns=self.columns)

    @property
    def own(self) -> str:
        return _OWN.format(table=self.table, columns=self.columns, open=self.open)


_OPEN = "AND state IN ('WAITING', 'RUNNING')"
_WORK = (
    _Work(
        "outbox",
        "id",
        outbox.TABLE.columns,
        "",
        lambda row: outbox.Queued(outbox.TABLE.value(row), released=True),
    ),
    _Work("pull", "transfer_id", "transfer_id", _OPEN, lambda row: pulls.PullReady(*row)),
    _Work("push", "transfer_id", "transfer_id", _OPEN, lambda row: pushes.PushReady(*row)),
    _Work(
        "webhook",
        "id",
        webhooks.COLUMNS,
        "AND state = 'ACTIVE'",
        lambda row: webhooks.WebhookAdded(webhooks.value(row)),
    ),
)


def encode(sender: str, announced: Iterable[object]) -> tuple[str, bool]:
    """Return what other processes are told of what was announced, empty if nothing; and whether it is urgent."""
    told = list(dict.fromkeys(each for each in announced if isinstance(each, Shared)))
    if not told or not sender:
        return "", False
    urgent = any(not isinstance(each, events.Recorded) for each in told)
    body = msgspec.json.encode((sender, told))
    if len(body) > MOST_BYTES:
        body = msgspec.json.encode((sender, []))
    return body.decode(), urgent


@functools.cache
def _decoder() -> msgspec.json.Decoder[tuple[str, list[Any]]]:
    kinds: Any = functools.reduce(operator.or_, Shared.__subclasses__())
    return msgspec.json.Decoder(tuple[str, list[kinds]])


class Replica:
    """This process among those on its database: its lease, what it takes over, and what it hears."""

    def __init__(self, door: Door, place: str, tell: Callable[[Sequence[object]], None]) -> None:
        self.id = uuid.uuid4().hex[:16]
        self._door = door
        self._place = place
        self._tell = tell
        self._connection: Connection | None = None
        self._renewed_s = 0.0
        self.others = 0
        """How many others there were when the lease was last renewed."""
        self._deposed = False
        self._wake = asyncio.Event()
        self._keeping: asyncio.Task[None] | None = None

    def check(self) -> None:
        """Do nothing while the lease runs.

        Raises:
            DatabaseError: it may be over.
        """
        if _boot_s() > self._renewed_s + LEASE_S - MARGIN_S:
            raise errors.DatabaseError(
                "the lease of this replica has not been renewed; it goes on when it is"
            )

    async def begin(self) -> None:
        """Take part: what a process at the same place left is taken over, and what belongs to nobody.

        Raises:
            DatabaseError: the database does not answer.
        """
        connection = await self._connected()
        try:
            async with connection.transaction():
                await connection.execute(_REMOVE_EARLIER, self._place)
                await self._register(connection)
            await self._take_over(connection)
        except FAILURES as error:
            raise translate(error) from None
        self._keeping = asyncio.create_task(self._keep())

    async def close(self) -> None:
        """Take part no more, and say so."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        if (connection := self._connection) is None or connection.is_closed():
            return
        with contextlib.suppress(*FAILURES):
            async with connection.transaction():
                await connection.execute(_REMOVE, self.id)
                await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, encode(self.id, [Left()])[0])
        await connections.close(connection)

    async def _keep(self) -> None:
        """Renew the lease again and again, and look for work that is nobody's."""
        away = False
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RENEW_S):
                    await self._wake.wait()
            self._wake.clear()
            try:
                await self._tick()
                if away:
                    log.warning(
                        "the database %s is back: this replica has its lease again", self._door.leads_to
                    )
                away = False
            except Exception as error:  # noqa: BLE001  without a lease nothing is sent: it must go on
                if not away:
                    self._say_away(error)
                away = True
                if self._connection is not None:
                    self._connection.terminate()
                await asyncio.sleep(0.2)
                self._wake.set()

    def _say_away(self, error: Exception) -> None:
        known = isinstance(error, (errors.ComityError, *FAILURES))
        said = error if isinstance(error, errors.ComityError) else translate(error)
        log.warning(
            "this replica cannot renew its lease in the database %s: %s; it tries again and again",
            self._door.leads_to,
            said.message,
            exc_info=None if known else error,
        )

    async def _tick(self) -> None:
        missed = self._connection is None or self._connection.is_closed()
        connection = await self._connected()
        began_s = _boot_s()
        others = await connection.fetchval(_RENEW, self.id, timeout=RENEW_S)
        if others is None:
            self._deposed = True  # until it was told: what comes between may fail
            log.warning("this replica was away for longer than its lease: others have gone on with its work")
            await self._register(connection)
            others = 0
        self._renewed_s = began_s
        missed = missed or (others > 0 and not self.others)  # before, not all was said to nobody
        self.others = others
        taken = await self._take_over(connection)
        if self._deposed or missed:
            own = await self._own(connection)
            if self._deposed:
                self._tell([Deposed()])
            self._deposed = False
            self._tell([*ANEW, *own])
        elif taken:
            self._tell(taken)

    async def _register(self, connection: Connection) -> None:
        began_s = _boot_s()
        await connection.execute(_ADD, self.id, self._place)
        self._renewed_s = began_s

    async def _take_over(self, connection: Connection) -> list[object]:
        """Take the work that belongs to nobody, and return what makes it go on."""
        for (place,) in await connection.fetch(_REMOVE_GONE, self.id):
            log.warning("the replica at %s has gone: its work is taken over", place)
        found: list[object] = []
        for work in _WORK:
            more = True
            while more:
                rows = await connection.fetch(work.take, self.id, ROWS)
                found += [work.ready(tuple(row)) for row in rows]
                more = len(rows) == ROWS
        return found

    async def _own(self, connection: Connection) -> list[object]:
        return [work.ready(tuple(row)) for work in _WORK for row in await connection.fetch(work.own, self.id)]

    async def _connected(self) -> Connection:
        if self._connection is not None and not self._connection.is_closed():
            return self._connection
        connection = await self._door.connect()
        try:
            await connection.add_listener(CHANNEL, self._hear)
        except FAILURES as error:
            connection.terminate()
            raise translate(error) from None
        connection.add_termination_listener(lambda _: self._wake.set())
        self._connection = connection
        return connection

    def _hear(self, _connection: object, _pid: int, _channel: str, payload: str) -> None:
        try:
            sender, announced = _decoder().decode(payload)
        except msgspec.MsgspecError:  # of another version, say
            sender, announced = "", []
        if sender == self.id:
            return
        if any(isinstance(each, Left) for each in announced):
            self._wake.set()
        self._tell(announced or ANEW)
