"""When a deviation was revoked, and what became of the notice by which a holder was told of a revision.

A deviation that holds has 0. Of what was told before, it is not known: it has no rows.
"""

from alembic import op

from comity.db import ddl

revision = "0023"
down_revision = "0022"

STATEMENTS = (
    "ALTER TABLE inquiry ADD COLUMN revoked_at BIGINT NOT NULL DEFAULT 0",
    """CREATE TABLE revision_notice (
        asset_id TEXT NOT NULL,
        number BIGINT NOT NULL,
        counterparty_id TEXT NOT NULL,
        id TEXT NOT NULL,
        event TEXT NOT NULL,
        delivery TEXT NOT NULL,
        said TEXT NOT NULL DEFAULT '',
        at BIGINT NOT NULL,
        PRIMARY KEY (asset_id, number, counterparty_id)
    )""",
    "CREATE INDEX revision_notice_by_id ON revision_notice (id)",
)


def upgrade() -> None:
    dialect = op.get_context().dialect.name
    for statement in STATEMENTS:
        op.execute(ddl.spoken(statement, dialect))
