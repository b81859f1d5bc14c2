"""Chains of the evidence: one for each writer, so that replicas on one PostgreSQL database do not wait for each other.

SQLite has one writer, and so chain 0 only, to which everything belongs that was written before. PostgreSQL also keeps
that what a message waits for in the outbox is there: the lock of that row makes two replicas that would release and
await it take turns.
"""

from alembic import op

from comity.db import ddl

revision = "0004"
down_revision = "0003"

STATEMENTS = (
    "ALTER TABLE evidence ADD COLUMN chain INTEGER NOT NULL DEFAULT 0",
    "CREATE TABLE evidence_chain (number INTEGER NOT NULL, UNIQUE (number))",
    "INSERT INTO evidence_chain (number) VALUES (0)",
)
POSTGRESQL = (
    "ALTER TABLE evidence DROP CONSTRAINT evidence_pkey, ALTER COLUMN seq DROP IDENTITY, ADD PRIMARY KEY (chain, seq)",
    "CREATE INDEX outbox_by_awaited ON outbox (after_id) WHERE after_id IS NOT NULL",
    "ALTER TABLE outbox ADD FOREIGN KEY (after_id) REFERENCES outbox (id)",
)


def upgrade() -> None:
    dialect = op.get_context().dialect.name
    for statement in (*STATEMENTS, *(POSTGRESQL if dialect == "postgresql" else ())):
        op.execute(ddl.spoken(statement, dialect))
