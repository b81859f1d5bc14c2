"""The log of events for those who read it: page by page, or followed as it grows.

A follower reads from the store whatever came after its place, so it misses nothing, keeps nothing in memory, and goes
on after a break from the last event that it has seen. What is too old was purged: then it is told so.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from msgspec import Struct

from comity import errors
from comity.controlplane.connector import Connector
from comity.db import events, webhooks
from comity.db.events import Page
from comity.db.store import Transaction
from comity.management.events import PROGRESS

Document = dict[str, Any]
PAGE = 200
HEARTBEAT_S = 15.0
GATHER_S = 0.05
"""How long a follower waits after news before it reads: many changes are one page then."""


class Wanted(Struct, frozen=True, kw_only=True):
    """Events after `after` (None: the newest), of one process if it is named, whose names begin with `types`."""

    after: int | None = None
    process_id: str = ""
    types: tuple[str, ...] = ()

    @property
    def progress(self) -> bool:
        """Whether somebody wants to know how far transfers have come: only who names it."""
        return PROGRESS in self.types


async def find_page(connector: Connector, wanted: Wanted, limit: int = PAGE) -> Page:
    """Return the events that somebody wants, the oldest first.

    Raises:
        NotFoundError: events after that place were purged.
        InvalidInputError: there was no such event yet.
    """

    async def unit(tx: Transaction) -> Page:
        oldest, newest = await events.find_ends(tx)
        after = newest if wanted.after is None else wanted.after
        _check_place(after, oldest, newest)
        return await events.find_page(
            tx, after=after, limit=limit, subject=wanted.process_id, types=wanted.types
        )

    return await connector.database.read(unit)


async def find_place(connector: Connector, wanted: Wanted) -> int:
    """Return the place that somebody wants to begin after.

    Raises:
        NotFoundError: events after that place were purged.
        InvalidInputError: there was no such event yet.
    """

    async def unit(tx: Transaction) -> int:
        oldest, newest = await events.find_ends(tx)
        after = newest if wanted.after is None else wanted.after
        _check_place(after, oldest, newest)
        return after

    return await connector.database.read(unit)


def _check_place(after: int, oldest: int, newest: int) -> None:
    if after > newest:
        raise errors.InvalidInputError(
            f"there is no event {after} yet; the newest is {newest}",
            path="$.after",
            hint="is it the number of another connector, or of a time before a backup was restored?",
        )
    if 0 < after < oldest - 1:
        raise errors.NotFoundError(
            f"the events after {after} are not kept any more; the oldest is {oldest}",
            hint="after=0 begins with the oldest; events.keep_days says how long they are kept",
        )


async def follow(connector: Connector, wanted: Wanted) -> AsyncGenerator[Page, None]:
    """Yield pages as events come, and an empty one from time to time when none come; end when the connector stops.

    For who wants to know how far transfers have come there is an empty page, too, when one has come further.

    Raises:
        NotFoundError: the reader is so slow that events which it has not read were purged.
    """
    news, clock = connector.news, asyncio.get_running_loop().time
    moves = news.moves
    due = clock() + HEARTBEAT_S
    while not news.closed:
        seen = news.count
        page = await find_page(connector, wanted)
        wanted = Wanted(after=page.upto, process_id=wanted.process_id, types=wanted.types)
        moved, moves = wanted.progress and news.moves != moves, news.moves
        if page.events or moved or clock() >= due:
            yield page
            due = clock() + HEARTBEAT_S
        if page.more:
            continue
        while (
            not news.closed and news.count == seen and clock() < due
        ):  # progress wakes those too who do not ask
            await news.wait(seen, due - clock())
            if wanted.progress and news.moves != moves:
                break
        if news.count != seen:
            await asyncio.sleep(GATHER_S)


async def purge(connector: Connector, keep_ms: int) -> None:
    """Forget events older than `keep_ms`, but none that a webhook still has to get, and callbacks of what is gone."""
    await connector.database.write(webhooks.purge)

    async def unit(tx: Transaction) -> bool:
        _, newest = await events.find_ends(tx)
        needed = await webhooks.first_needed(tx, newest + 1)
        return await events.purge(tx, before_ms=connector.now_ms() - keep_ms, first_needed=needed)

    more = True
    while more:
        more = await connector.database.write(unit)
