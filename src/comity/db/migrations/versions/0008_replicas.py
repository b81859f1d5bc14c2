"""Processes that share the work on one PostgreSQL database, and what they have in common; who does which work.

A row of work belongs to the process that wrote it: the connection of each says its name. `until` is the end of a
process's lease by the database's clock, `place` where it runs. `shared` holds, sealed, what every one needs to have:
the settings and the keys. SQLite has one process, whose work all of it is.
"""

from alembic import op

from comity.db import ddl

revision = "0008"
down_revision = "0007"

OWNER = "TEXT NOT NULL DEFAULT coalesce(current_setting('comity.replica', true), '')"
POSTGRESQL = (
    "CREATE TABLE replica (id TEXT PRIMARY KEY, place TEXT NOT NULL, until BIGINT NOT NULL)",
    *(f"ALTER TABLE {table} ADD COLUMN owner {OWNER}" for table in ("outbox", "pull", "push", "webhook")),
    "CREATE TABLE shared (name TEXT PRIMARY KEY, version INTEGER NOT NULL, content BLOB NOT NULL)",
)


def upgrade() -> None:
    dialect = op.get_context().dialect.name
    for statement in POSTGRESQL if dialect == "postgresql" else ():
        op.execute(ddl.spoken(statement, dialect))
