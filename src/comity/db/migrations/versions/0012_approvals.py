"""What people have to decide before a negotiation goes on, and what they decided.

An offer and a partner may have a rule (`{}`: none), an offer also says who wrote it. `approval_id` is the last approval
that a negotiation was asked for. API keys may have the role of an approver.
"""

from alembic import op

from comity.db import ddl

revision = "0012"
down_revision = "0011"

STATEMENTS = (
    "ALTER TABLE contract_definition ADD COLUMN approval BLOB NOT NULL DEFAULT '{}'",
    "ALTER TABLE contract_definition ADD COLUMN written_by TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE partner ADD COLUMN approval BLOB NOT NULL DEFAULT '{}'",
    "ALTER TABLE negotiation ADD COLUMN approval_id TEXT",
    """CREATE TABLE approval (
    id TEXT PRIMARY KEY,
    negotiation_id TEXT NOT NULL,
    counterparty_id TEXT NOT NULL,
    asset_id TEXT NOT NULL,
    needs BLOB NOT NULL,
    move BLOB NOT NULL,
    decisions BLOB NOT NULL,
    state TEXT NOT NULL,
    due_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL
)""",
    """CREATE TABLE api_key_with_approvers (
    id TEXT PRIMARY KEY,
    role TEXT NOT NULL CHECK (role IN ('viewer', 'approver', 'operator', 'admin')),
    digest BLOB NOT NULL UNIQUE,
    expires_at BIGINT,
    created_at BIGINT NOT NULL
)""",
    "INSERT INTO api_key_with_approvers SELECT id, role, digest, expires_at, created_at FROM api_key",
    "DROP TABLE api_key",
    "ALTER TABLE api_key_with_approvers RENAME TO api_key",
    "CREATE INDEX approval_of ON approval (negotiation_id)",
    "CREATE INDEX approval_due ON approval (due_at) WHERE state = 'WAITING'",
)


def upgrade() -> None:
    dialect = op.get_context().dialect.name
    for statement in STATEMENTS:
        op.execute(ddl.spoken(statement, dialect))
