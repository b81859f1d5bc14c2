"""A migration that is ended at any point of any revision leaves the version before or after it, and all data.

Each revision x before, in the middle of its statements, before its commit, after it x both stores; the database has
rows of the older schema in every table. The next start brings it on.
"""

import itertools
import json
import re
import shutil
import sqlite3
from contextlib import closing

import pytest
from alembic import command
from alembic.operations import Operations
from sqlalchemy import create_engine, event, pool

from comity.db import migrate, sqlite
from comity.management import query
from crash import forked, migrating, points
from support import postgres, stores

REVISIONS = migrate.known_versions()
ROWS = (1, 2, 3)
CHOICES = re.compile(r"CHECK \((\w+) IN \('(\w+)'")
PACKAGE = json.dumps({"comity:manifestSha256": "0" * 64, "folder": "/srv/pump"}).encode()
MOVED = {
    "asset": "(SELECT asset.*, sealed AS content_sealed FROM asset LEFT JOIN content ON content.id = content_id) AS a",
    "revision_content": "(SELECT asset_id, number, sealed AS content_sealed"
    " FROM revision JOIN content ON content.id = content_id) AS r",
}
"""Where what an older schema has elsewhere is now."""
NAMED = json.dumps([{"operandLeft": min(query.IDS), "operator": "=", "operandRight": "an asset"}]).encode()


def upgrade(path, version):
    """Bring a file to a version that need not be the newest."""
    engine = create_engine(
        "sqlite://", creator=lambda: sqlite.connect(str(path), reading=False), poolclass=pool.NullPool
    )

    @event.listens_for(engine, "begin")
    def _begin(connection):
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    command.upgrade(migrate._config(engine=engine), version)
    engine.dispose()


def count_statements(path, version):
    """Bring a copy of a file to the next version and return how many statements that took."""
    done = []
    with pytest.MonkeyPatch.context() as patch:
        plain = Operations.execute
        patch.setattr(Operations, "execute", lambda self, *given: (done.append(1), plain(self, *given)))
        copy = path.with_suffix(".counted")
        shutil.copy(path, copy)
        upgrade(copy, version)
    return len(done)


def tables(connection):
    """Return the columns of each table with their types, and its statement."""
    names = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        " AND name != 'alembic_version' ORDER BY name"
    ).fetchall()
    return {
        name: ([row[1:3] for row in connection.execute(f"PRAGMA table_info({name})")], sql)
        for name, sql in names
    }


def fill(path):
    """Put rows into every table, and return them with their columns."""
    with closing(sqlite3.connect(path)) as connection:
        found = {}
        for name, (columns, sql) in tables(connection).items():
            allowed = dict(CHOICES.findall(sql))
            rows = [
                tuple(value(column, kind, number, allowed) for column, kind in columns) for number in ROWS
            ]
            connection.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' for _ in columns)})", rows)
            found[name] = ([column for column, _ in columns], rows)
        connection.commit()
    return found


def value(column, kind, number, allowed):
    if column in allowed:
        return allowed[column]
    if column == "assets_selector":
        return NAMED if number == 1 else b"[]"
    if column in {"properties", "private_properties"}:  # migrations read them
        return PACKAGE if number == 1 else b'{"number": %d}' % number
    return {"TEXT": f"k{number}", "BLOB": b"{%d}" % number}.get(kind, number)


class Sqlite:
    """A file with the schema before a revision."""

    def __init__(self, folder, version, before):
        self.before, self.folder = before, folder
        self.template = folder / f"{version}.sqlite"
        if before is not None:
            upgrade(self.template, before)
        self.template.touch()
        self.rows = fill(self.template)
        self.statements = count_statements(self.template, version)

    def fresh(self, name):
        path = self.folder / name
        shutil.copy(self.template, path)
        return str(path)

    def ask(self, place, sql):
        with closing(sqlite3.connect(place)) as connection:
            return connection.execute(sql).fetchall()

    def version(self, place):
        return migrate.current_version(place)

    def schema(self, place):
        return self.ask(place, "SELECT type, name, sql FROM sqlite_master ORDER BY type, name")


class Postgresql(Sqlite):
    """A database with the schema before a revision, and the rows of the file."""

    def __init__(self, folder, version, before):
        super().__init__(folder, version, before)
        self.url = postgres.create()
        earlier = [None, *REVISIONS[: REVISIONS.index(version)]]
        for one, other in itertools.pairwise(earlier):
            postgres.run(self.url, migrate.statements(one, other))
        for name, (columns, rows) in self.rows.items():
            for row in rows:
                values = ", ".join(literal(each) for each in row)
                postgres.run(
                    self.url,
                    "SET session_replication_role = replica",  # rows come in any order
                    f"INSERT INTO {name} ({', '.join(columns)}) OVERRIDING SYSTEM VALUE VALUES ({values})",
                )

    def fresh(self, name):
        return postgres.create(postgres.name_of(self.url))

    def ask(self, place, sql):
        return postgres.rows(place, sql)

    def version(self, place):
        if not self.ask(place, "SELECT 1 FROM pg_class WHERE relname = 'alembic_version'"):
            return None
        found = self.ask(place, "SELECT version_num FROM alembic_version")
        return found[0][0] if found else None

    def schema(self, place):
        columns = (
            "SELECT table_name, column_name, data_type, is_nullable, column_default, is_identity"
            " FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2"
        )
        indices = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1"
        limits = "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint ORDER BY 1, 2"
        return [self.ask(place, sql) for sql in (columns, indices, limits)]


def literal(value):
    if isinstance(value, bytes):
        return f"'\\x{value.hex()}'"
    return f"'{value}'" if isinstance(value, str) else str(value)


STORES = {stores.SQLITE: Sqlite, stores.POSTGRESQL: Postgresql}


def in_a_process(*arguments, **more):
    """Run a migration in a forked process and return how it ended."""
    return forked.Fork(migrating.bring_on, *arguments, **more).wait(60)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("kind", stores.KINDS)
@pytest.mark.parametrize("version", REVISIONS)
def test_a_migration_that_is_ended_anywhere_loses_nothing(tmp_path, kind, version):
    before = REVISIONS[REVISIONS.index(version) - 1] if version != REVISIONS[0] else None
    store = STORES[kind](tmp_path, version, before)
    fresh = stores.fresh(kind, tmp_path / "fresh") or str(tmp_path / "fresh" / "comity.sqlite")
    for number, place in enumerate(migrating.PLACES):
        database = store.fresh(f"{number}.sqlite")
        assert in_a_process(database, end=place, statements=store.statements) == points.EXIT
        assert store.version(database) == (version if place == migrating.AFTER else before), place
        assert in_a_process(database) == 0
        assert store.version(database) == REVISIONS[-1]
        assert store.schema(database) == store.schema(fresh)
        for name, (columns, rows) in store.rows.items():
            found = store.ask(database, f"SELECT {', '.join(columns)} FROM {MOVED.get(name, name)}")
            assert set(rows) <= {tuple(map(plain, each)) for each in found}, (place, name)


def plain(value):
    return bytes(value) if isinstance(value, memoryview) else value
