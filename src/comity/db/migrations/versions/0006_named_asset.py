"""The asset that a contract definition names, in a column of its own.

A page of the catalog then needs the definitions of its own assets only, and those that name none.
"""

from alembic import op

from comity.db import ddl
from comity.management import query

revision = "0006"
down_revision = "0005"

STATEMENTS = (
    "ALTER TABLE contract_definition ADD COLUMN named_asset TEXT NOT NULL DEFAULT ''",
    "CREATE INDEX contract_definition_by_asset ON contract_definition (named_asset)",
)
# What `query.named_asset` returns; on PostgreSQL no definition is older than this column.
FILL = f"""UPDATE contract_definition SET named_asset = coalesce((
    SELECT json_extract(value, '$.operandRight') FROM json_each(CAST(assets_selector AS TEXT))
    WHERE json_extract(value, '$.operandLeft') IN ({", ".join(f"'{name}'" for name in sorted(query.IDS))})
    AND json_extract(value, '$.operator') = '=' AND json_type(value, '$.operandRight') = 'text'
    ORDER BY key LIMIT 1), '')"""


def upgrade() -> None:
    dialect = op.get_context().dialect.name
    for statement in (*STATEMENTS, *((FILL,) if dialect == "sqlite" else ())):
        op.execute(ddl.spoken(statement, dialect))
