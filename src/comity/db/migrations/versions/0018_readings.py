"""What is read at a partner without being received whole: an exchange without a folder, who reads, and since when not.

`nationalities` is a JSON list; `ended_at` is in ms.
"""

from alembic import op

from comity.db import ddl

revision = "0018"
down_revision = "0017"

STATEMENTS: tuple[str, ...] = (
    """CREATE TABLE reading (
        exchange_id TEXT PRIMARY KEY REFERENCES exchange (id),
        person TEXT NOT NULL,
        nationalities BLOB NOT NULL,
        opened_by TEXT NOT NULL,
        ended_at BIGINT
    )""",
    "CREATE INDEX exchange_of_asset ON exchange (counterparty_id, asset_id)",
)


def upgrade() -> None:
    dialect = op.get_context().dialect.name
    for statement in STATEMENTS:
        op.execute(ddl.spoken(statement, dialect))
