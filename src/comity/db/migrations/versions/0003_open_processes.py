"""Two indices that hold open processes only.

How many a partner has open is asked before it may begin another (`controlplane.limits`), among many that have ended.
"""

from alembic import op

revision = "0003"
down_revision = "0002"

# The condition is the one of `db.processes`, word for word: SQLite uses the index only then.
_OPEN = "state IS NULL OR state NOT IN ('FINALIZED', 'COMPLETED', 'TERMINATED')"


def upgrade() -> None:
    for table in ("negotiation", "transfer"):
        op.execute(f"CREATE INDEX {table}_open ON {table} (counterparty_id) WHERE {_OPEN}")
