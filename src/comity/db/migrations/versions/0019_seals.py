"""The seal that a package had when it was received.

The text itself, a compact JWS: empty for what had none, and for all that was received before.
"""

from alembic import op

from comity.db import ddl

revision = "0019"
down_revision = "0018"

STATEMENTS = ("ALTER TABLE delivery ADD COLUMN seal TEXT NOT NULL DEFAULT ''",)


def upgrade() -> None:
    dialect = op.get_context().dialect.name
    for statement in STATEMENTS:
        op.execute(ddl.spoken(statement, dialect))
