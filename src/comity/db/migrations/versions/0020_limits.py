"""How fast the data of an exchange may come.

Bytes a second; 0, as for all that there were before, is no limit of its own.
"""

from alembic import op

from comity.db import ddl

revision = "0020"
down_revision = "0019"

STATEMENTS = ("ALTER TABLE exchange ADD COLUMN bytes_per_s BIGINT NOT NULL DEFAULT 0",)


def upgrade() -> None:
    dialect = op.get_context().dialect.name
    for statement in STATEMENTS:
        op.execute(ddl.spoken(statement, dialect))
