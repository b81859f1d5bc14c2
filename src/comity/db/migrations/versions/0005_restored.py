"""What a store knows of its having been restored from a backup, and what came of comparing with the partners.

Times are as in the first schema. A process that is `held` sends nothing and takes no move but its end.
"""

from alembic import op

from comity.db import ddl

revision = "0005"
down_revision = "0004"

STATEMENTS = (
    """CREATE TABLE restored (
        at BIGINT PRIMARY KEY,
        backup_at BIGINT NOT NULL,
        evidence_size BIGINT NOT NULL,
        evidence_head TEXT NOT NULL
    )""",
    """CREATE TABLE reconciliation (
        kind TEXT NOT NULL,
        process_id TEXT NOT NULL,
        counterparty_id TEXT NOT NULL,
        verdict TEXT NOT NULL,
        here TEXT NOT NULL,
        there TEXT NOT NULL,
        said TEXT NOT NULL,
        held INTEGER NOT NULL,
        checked_at BIGINT NOT NULL,
        PRIMARY KEY (process_id, counterparty_id)
    )""",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(ddl.spoken(statement, op.get_context().dialect.name))
