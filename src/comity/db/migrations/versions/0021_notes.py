"""What is to be told of the folder that took a transfer.

Which files of an older revision were removed there; empty for all that there was before.
"""

from alembic import op

from comity.db import ddl

revision = "0021"
down_revision = "0020"

STATEMENTS = ("ALTER TABLE pull ADD COLUMN note TEXT NOT NULL DEFAULT ''",)


def upgrade() -> None:
    dialect = op.get_context().dialect.name
    for statement in STATEMENTS:
        op.execute(ddl.spoken(statement, dialect))
