"""What a record of the evidence speaks of, beside it: the message and its answer byte for byte, and the token.

A record has only their digests, so that each of them can be left out of a copy, or be erased, and the record still
holds. A body that is `sealed` holds a credential. A partner whose messages count only if they are signed is `signed`.
"""

from alembic import op

from comity.db import ddl

revision = "0009"
down_revision = "0008"

STATEMENTS = (
    "ALTER TABLE evidence ADD COLUMN token TEXT",
    "ALTER TABLE evidence ADD COLUMN body BLOB",
    "ALTER TABLE evidence ADD COLUMN sealed INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE evidence ADD COLUMN answer BLOB",
    "ALTER TABLE partner ADD COLUMN signed INTEGER NOT NULL DEFAULT 0",
)


def upgrade() -> None:
    dialect = op.get_context().dialect.name
    for statement in STATEMENTS:
        op.execute(ddl.spoken(statement, dialect))
