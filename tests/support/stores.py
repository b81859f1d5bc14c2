"""The kinds of store that tests run on, and a fresh migrated one of a kind for a data folder.

url = stores.fresh(kind, folder)                  # "" for SQLite
conf = data_folder.initialize(folder, ..., database=url)
stores.rows(conf, "SELECT state FROM negotiation WHERE id = ?1", name)     # from outside, running or not
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import shutil
import sqlite3
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from comity import settings
from comity.db import migrate
from support import postgres

_free: list[str] = []
SQLITE, POSTGRESQL = "sqlite", "postgresql"
KINDS = (SQLITE, POSTGRESQL)


@functools.cache
def _migrated_file() -> Path:
    path = Path(tempfile.mkdtemp(prefix="comity-template-")) / settings.DATABASE
    migrate.migrate(path)
    return path


@functools.cache
def _migrated_database() -> str:
    from comity.db import postgres as opening  # noqa: PLC0415  only who tests PostgreSQL needs the driver

    url = postgres.create()
    with ThreadPoolExecutor(1) as thread:  # a loop may be running here
        thread.submit(asyncio.run, opening.bring_on(url, insecure=True)).result(timeout=120)
    return postgres.name_of(url)


def fresh(kind: str, folder: Path) -> str:
    """Return the URL of an empty store of a kind with the newest schema; SQLite's is the file in `folder`."""
    if kind == POSTGRESQL:
        return _free.pop() if _free else postgres.create(_migrated_database())
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(_migrated_file(), folder / settings.DATABASE)
    return ""


def give_back(url: str) -> None:
    """Take back a database that `fresh` gave and whose connectors have ended: emptied, it serves the next test."""
    if not url:
        return
    others = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    postgres.run(url, others, "SET session_replication_role = replica; " + _emptied(_migrated_database()))
    _free.append(url)


@functools.cache
def _emptied(template: str) -> str:
    """Return the statements that make a database what the template is; far quicker than a new one."""
    url = postgres.server().url(template)
    tables = postgres.rows(
        url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"
    )
    sequences = postgres.rows(url, "SELECT sequencename FROM pg_sequences WHERE schemaname = 'public'")
    return "; ".join(
        [f'DELETE FROM "{name}"' for (name,) in tables if name != "alembic_version"]
        + [f'ALTER SEQUENCE "{name}" RESTART' for (name,) in sequences]
        + ["INSERT INTO evidence_chain (number) VALUES (0)"]
    )


def stored(conf: settings.Settings) -> bytes:
    """Return all that a store holds, for tests of what must not lie in it as it is."""
    if not conf.database_url:
        return b"".join(path.read_bytes() for path in conf.folder.glob(f"{settings.DATABASE}*"))
    tables = rows(conf, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    values = (each for (name,) in tables for row in rows(conf, f'SELECT * FROM "{name}"') for each in row)
    return b"\n".join(each if isinstance(each, bytes) else str(each).encode() for each in values)


def rows(conf: settings.Settings, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    """Read a connector's store from outside, while it runs or not; parameters are ?1, ?2."""
    if conf.database_url:
        return postgres.rows(conf.database_url, sql, *values)
    with contextlib.closing(sqlite3.connect(conf.database, timeout=10)) as store:
        return store.execute(sql, values).fetchall()
