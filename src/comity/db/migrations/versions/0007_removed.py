"""Which negotiations of a partner were deleted, so that a late copy of a first message does not begin one anew.

Only names are kept: our role and the partner's id of it.
"""

from alembic import op

from comity.db import ddl

revision = "0007"
down_revision = "0006"

REMOVED = """CREATE TABLE removed_negotiation (
    counterparty_id TEXT NOT NULL,
    role TEXT NOT NULL,
    counterparty_pid TEXT NOT NULL,
    PRIMARY KEY (counterparty_id, role, counterparty_pid)
) WITHOUT ROWID"""


def upgrade() -> None:
    op.execute(ddl.spoken(REMOVED, op.get_context().dialect.name))
