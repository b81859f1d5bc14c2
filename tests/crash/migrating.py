"""A migration that ends with `os._exit(137)` before, in or after the statements of one revision."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
from sqlalchemy import event
from sqlalchemy.engine import Engine

from comity.db import migrate, postgres
from crash import points

BEFORE, MIDDLE, BEFORE_COMMIT, AFTER = "before", "in the middle", "before its commit", "after"
READING = ("SELECT", "PRAGMA", "BEGIN")
PLACES = (BEFORE, MIDDLE, BEFORE_COMMIT, AFTER)


def bring_on(place: str, *, end: str = "", statements: int = 0) -> None:
    """Bring a database on; with `end`, end there in the first revision that it misses, which has so many statements."""
    if place.startswith("postgresql:"):
        if end:
            _end_in_script(end)
        asyncio.run(postgres.bring_on(place, insecure=True))
    else:
        if end:
            _end_in_revision(end, statements)
        migrate.migrate(Path(place))
    if end:
        points.end()  # there is no revision after it


def _end_in_revision(end: str, statements: int) -> None:
    """End in the first revision that is brought on: a transaction of its statements and then of its number."""
    seen, numbered, committed = 0, False, False

    def execute(_connection, _cursor, statement: str, *_more) -> None:
        nonlocal seen, numbered
        if statement.startswith(READING) or "CREATE TABLE alembic_version" in statement:
            return
        here = {BEFORE: seen == 0, MIDDLE: seen == statements // 2, AFTER: committed}
        if here.get(end):
            points.end()
        seen, numbered = seen + 1, numbered or "alembic_version" in statement

    def commit(_connection) -> None:
        nonlocal committed
        if numbered and end == BEFORE_COMMIT:
            points.end()
        committed = numbered

    event.listen(Engine, "before_cursor_execute", execute)
    event.listen(Engine, "commit", commit)


def _end_in_script(end: str) -> None:
    """End where the script of the first revision is sent, or after so much of it."""
    plain = asyncpg.Connection.execute

    async def execute(self, query: str, *arguments, **more):
        if "alembic_version" not in query:
            return await plain(self, query, *arguments, **more)
        parts = query.split(";\n\n")
        sent = {BEFORE: [], MIDDLE: parts[: len(parts) // 2], AFTER: parts}.get(end)
        if sent is None:
            sent = parts[: next(at for at, each in enumerate(parts) if each.strip().startswith("COMMIT"))]
        if sent:
            await plain(self, ";\n\n".join(sent))
        return points.end()

    asyncpg.Connection.execute = execute
