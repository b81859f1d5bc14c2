"""Questions, deviations and changes that travel between the holder and the owner of a revision.

An `inquiry` is there on both sides under the same id, an `inquiry_step` for each thing that happened to it. `role` is
ours in the one, and whose step it was in the other.
"""

from alembic import op

from comity.db import ddl

revision = "0016"
down_revision = "0015"

STATEMENTS: tuple[str, ...] = (
    """CREATE TABLE inquiry (
        id TEXT PRIMARY KEY,
        role TEXT NOT NULL CHECK (role IN ('consumer', 'provider')),
        counterparty_id TEXT NOT NULL,
        agreement_id TEXT NOT NULL,
        asset_id TEXT NOT NULL,
        manifest_sha256 TEXT NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('question', 'deviation', 'change')),
        text TEXT NOT NULL,
        files BLOB NOT NULL,
        wanted BLOB NOT NULL,
        proposal BLOB NOT NULL,
        answer_by TEXT NOT NULL DEFAULT '',
        by_whom TEXT NOT NULL DEFAULT '',
        state TEXT NOT NULL,
        granted BLOB NOT NULL,
        decided_by BLOB NOT NULL,
        revision BIGINT NOT NULL DEFAULT 0,
        revision_sha256 TEXT NOT NULL DEFAULT '',
        needs BLOB NOT NULL,
        decisions BLOB NOT NULL,
        proposed BLOB NOT NULL,
        said TEXT NOT NULL DEFAULT '',
        created_at BIGINT NOT NULL,
        updated_at BIGINT NOT NULL
    )""",
    "CREATE INDEX inquiry_of_agreement ON inquiry (agreement_id)",
    "CREATE INDEX inquiry_of_asset ON inquiry (asset_id)",
    """CREATE TABLE inquiry_step (
        id TEXT NOT NULL,
        inquiry_id TEXT NOT NULL REFERENCES inquiry (id),
        event TEXT NOT NULL,
        role TEXT NOT NULL CHECK (role IN ('consumer', 'provider')),
        text TEXT NOT NULL DEFAULT '',
        by_whom BLOB NOT NULL,
        delivery TEXT NOT NULL,
        said TEXT NOT NULL DEFAULT '',
        at BIGINT NOT NULL,
        PRIMARY KEY (inquiry_id, role, id)
    )""",
)


def upgrade() -> None:
    dialect = op.get_context().dialect.name
    for statement in STATEMENTS:
        op.execute(ddl.spoken(statement, dialect))
