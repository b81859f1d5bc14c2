"""Licences and what each transfer took of one; what was received, so that it is known again; purposes of transfers.

`until` and `at` are in ms. Of what was received the SHA-256 of each file are kept, 32 bytes each, one after the other.
"""

from alembic import op

from comity.db import ddl

revision = "0014"
down_revision = "0013"

STATEMENTS: tuple[str, ...] = (
    """CREATE TABLE licence (
        number TEXT PRIMARY KEY,
        quantity BIGINT NOT NULL CHECK (quantity > 0),
        unit TEXT NOT NULL CHECK (unit IN ('transfer', 'file')),
        until BIGINT NOT NULL,
        used BIGINT NOT NULL DEFAULT 0 CHECK (used >= 0),
        created_at BIGINT NOT NULL
    )""",
    """CREATE TABLE licence_use (
        number TEXT NOT NULL REFERENCES licence (number),
        transfer_id TEXT NOT NULL REFERENCES transfer (id),
        agreement_id TEXT NOT NULL,
        counterparty_id TEXT NOT NULL,
        asset_id TEXT NOT NULL,
        amount BIGINT NOT NULL,
        at BIGINT NOT NULL,
        PRIMARY KEY (number, transfer_id)
    )""",
    """CREATE TABLE received_content (
        transfer_id TEXT PRIMARY KEY REFERENCES transfer (id),
        files BLOB NOT NULL
    )""",
    "ALTER TABLE transfer ADD COLUMN purpose TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE exchange ADD COLUMN purpose TEXT NOT NULL DEFAULT ''",
)


def upgrade() -> None:
    dialect = op.get_context().dialect.name
    for statement in STATEMENTS:
        op.execute(ddl.spoken(statement, dialect))
