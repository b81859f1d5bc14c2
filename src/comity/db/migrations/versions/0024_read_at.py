"""When a reading was read last, so that one that nobody reads ends by itself.

Of what was begun before, it is not known until it is read again.
"""

from alembic import op

from comity.db import ddl

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    op.execute(ddl.spoken("ALTER TABLE reading ADD COLUMN read_at BIGINT", op.get_context().dialect.name))
