"""Revisions of published packages, and what is known of partners' revisions.

What is published already becomes its own first revision. `revision` of a transfer or an exchange is the one that was
asked for, 0 the newest. Times are in ms.
"""

from alembic import op

from comity.db import ddl

revision = "0015"
down_revision = "0014"

STATEMENTS: tuple[str, ...] = (
    """CREATE TABLE revision (
        asset_id TEXT NOT NULL,
        number BIGINT NOT NULL CHECK (number > 0),
        manifest_sha256 TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('released', 'superseded', 'recalled')),
        effectivity BLOB NOT NULL,
        properties BLOB NOT NULL,
        folder TEXT NOT NULL DEFAULT '',
        reason TEXT NOT NULL DEFAULT '',
        by_whom TEXT NOT NULL DEFAULT '',
        published_at BIGINT NOT NULL,
        changed_at BIGINT NOT NULL,
        PRIMARY KEY (asset_id, number)
    )""",
    "CREATE INDEX revision_of_folder ON revision (folder) WHERE folder <> ''",
    """CREATE TABLE revision_content (
        asset_id TEXT NOT NULL,
        number BIGINT NOT NULL,
        content_sealed BLOB NOT NULL,
        PRIMARY KEY (asset_id, number)
    )""",
    """CREATE TABLE revision_told (
        counterparty_id TEXT NOT NULL,
        asset_id TEXT NOT NULL,
        number BIGINT NOT NULL,
        manifest_sha256 TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('released', 'superseded', 'recalled')),
        effectivity BLOB NOT NULL,
        title TEXT NOT NULL DEFAULT '',
        changes BLOB NOT NULL,
        reason TEXT NOT NULL DEFAULT '',
        agreement_id TEXT NOT NULL,
        published_at BIGINT NOT NULL,
        told_at BIGINT NOT NULL,
        PRIMARY KEY (counterparty_id, asset_id, number)
    )""",
    "CREATE INDEX agreement_of_asset ON agreement (asset_id) WHERE role = 'provider'",
    "ALTER TABLE transfer ADD COLUMN revision BIGINT NOT NULL DEFAULT 0",
    "ALTER TABLE exchange ADD COLUMN revision BIGINT NOT NULL DEFAULT 0",
)
_COLUMNS = (
    "(asset_id, number, manifest_sha256, state, effectivity, properties, folder, published_at, changed_at)"
)
_MEMBERS = {
    "sqlite": "json_extract(CAST({} AS TEXT), '$.\"{}\"')",
    "postgresql": "convert_from({}, 'UTF8')::json ->> '{}'",
}
_NONE = {"sqlite": "CAST('[]' AS BLOB)", "postgresql": "'[]'::bytea"}


def upgrade() -> None:
    dialect = op.get_context().dialect.name
    for statement in (*STATEMENTS, *_first(dialect)):
        op.execute(ddl.spoken(statement, dialect))


def _first(dialect: str) -> tuple[str, str]:
    """Return what makes a first revision of each package that is published."""
    digest = _MEMBERS[dialect].format("properties", "comity:manifestSha256")
    folder = _MEMBERS[dialect].format("private_properties", "folder")
    packages = f"FROM asset WHERE content_sealed IS NOT NULL AND ({digest}) IS NOT NULL"
    revisions = (
        f"INSERT INTO revision {_COLUMNS} SELECT id, 1, {digest}, 'released', {_NONE[dialect]}, properties,"
        f" coalesce({folder}, ''), created_at, created_at {packages}"
    )
    columns = "(asset_id, number, content_sealed)"
    contents = f"INSERT INTO revision_content {columns} SELECT id, 1, content_sealed {packages}"
    return revisions, contents
