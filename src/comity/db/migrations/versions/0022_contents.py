"""What assets and revisions hand out lies in a table of its own, once, and they name it.

Lists of many files have many MB: whoever only asks whether there is one, or which, does not read it.
"""

from alembic import op

from comity.db import ddl

revision = "0022"
down_revision = "0021"

_ID = {
    "sqlite": "lower(hex(substr({0}, 1, 32)) || hex(substr({0}, -min(length({0}), 16))))",
    "postgresql": "encode(substring({0} from 1 for 32), 'hex')"
    " || encode(substring({0} from greatest(length({0}) - 15, 1)), 'hex')",
}


def upgrade() -> None:
    dialect = op.get_context().dialect.name
    for statement in statements(dialect):
        op.execute(ddl.spoken(statement, dialect))


def statements(dialect: str) -> tuple[str, ...]:
    """Return what makes the table and fills it from where its rows were."""
    name = _ID[dialect]
    keep = "INSERT INTO content (id, sealed) SELECT {0}, content_sealed FROM {1} WHERE {2} ON CONFLICT DO NOTHING"
    of_revision = (
        "UPDATE revision SET content_id = coalesce((SELECT {0} FROM revision_content AS kept"
        " WHERE kept.asset_id = revision.asset_id AND kept.number = revision.number), '')"
    )
    sealed = "content_sealed"
    return (
        "CREATE TABLE content (id TEXT PRIMARY KEY, sealed BLOB NOT NULL)",
        keep.format(name.format(sealed), "asset", "content_sealed IS NOT NULL"),
        keep.format(name.format(sealed), "revision_content", "length(content_sealed) > 0"),
        "ALTER TABLE asset ADD COLUMN content_id TEXT NOT NULL DEFAULT ''",
        f"UPDATE asset SET content_id = {name.format(sealed)} WHERE content_sealed IS NOT NULL",
        "ALTER TABLE asset DROP COLUMN content_sealed",
        "ALTER TABLE revision ADD COLUMN content_id TEXT NOT NULL DEFAULT ''",
        of_revision.format(name.format(sealed)),
        "DROP TABLE revision_content",
        "CREATE INDEX asset_of_content ON asset (content_id) WHERE content_id <> ''",
        "CREATE INDEX revision_of_content ON revision (content_id) WHERE content_id <> ''",
    )
