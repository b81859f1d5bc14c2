"""What a notice is about; what was handed over in a transfer and when it is to be deleted; receipts of both.

A `delivery` is there on both sides: since a provider began to serve, since a consumer has received all of it.
"""

from alembic import op

from comity.db import ddl

revision = "0013"
down_revision = "0012"

STATEMENTS: tuple[str, ...] = (
    "ALTER TABLE outbox ADD COLUMN subject TEXT NOT NULL DEFAULT ''",
    """CREATE TABLE delivery (
        transfer_id TEXT PRIMARY KEY REFERENCES transfer (id),
        role TEXT NOT NULL CHECK (role IN ('consumer', 'provider')),
        counterparty_id TEXT NOT NULL,
        agreement_id TEXT NOT NULL,
        asset_id TEXT NOT NULL,
        destination TEXT NOT NULL DEFAULT '',
        name TEXT NOT NULL DEFAULT '',
        sha256 TEXT NOT NULL DEFAULT '',
        files BIGINT,
        size_bytes BIGINT,
        must_delete INTEGER NOT NULL DEFAULT 0,
        at BIGINT,
        due_at BIGINT,
        deleted_at BIGINT,
        deleted_by TEXT NOT NULL DEFAULT '',
        created_at BIGINT NOT NULL
    )""",
    "CREATE INDEX delivery_to_delete ON delivery (due_at) WHERE must_delete = 1",
    "CREATE INDEX delivery_of_agreement ON delivery (agreement_id)",
    "CREATE INDEX delivery_into ON delivery (destination) WHERE destination <> ''",
    """CREATE TABLE receipt (
        id TEXT NOT NULL,
        counterparty_id TEXT NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('delivery', 'deletion')),
        role TEXT NOT NULL CHECK (role IN ('consumer', 'provider')),
        agreement_id TEXT NOT NULL,
        transfer_id TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        files BIGINT NOT NULL,
        size_bytes BIGINT NOT NULL,
        at BIGINT NOT NULL,
        by_whom TEXT NOT NULL DEFAULT '',
        by_hand INTEGER NOT NULL DEFAULT 0,
        enforcement BLOB NOT NULL,
        state TEXT NOT NULL,
        said TEXT NOT NULL DEFAULT '',
        created_at BIGINT NOT NULL,
        PRIMARY KEY (id, counterparty_id)
    )""",
    "CREATE INDEX receipt_of_transfer ON receipt (transfer_id)",
)


def upgrade() -> None:
    dialect = op.get_context().dialect.name
    for statement in STATEMENTS:
        op.execute(ddl.spoken(statement, dialect))
