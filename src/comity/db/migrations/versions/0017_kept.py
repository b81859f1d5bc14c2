"""What was received and is kept encrypted in a store beside the database: where it lies, and the keys to it, sealed.

`place` is the name of the store's folder, `lies` says it to people. `secret_sealed` is there while something is being
received. `object_name` is a file of the store, which several transfers may have; each has its own copy of its key.
`kept_export` is where copies went that the node does not hold: a folder, or the program that fetched them.
"""

from alembic import op

from comity.db import ddl

revision = "0017"
down_revision = "0016"

STATEMENTS: tuple[str, ...] = (
    """CREATE TABLE kept (
        transfer_id TEXT PRIMARY KEY REFERENCES transfer (id),
        place TEXT NOT NULL,
        lies TEXT NOT NULL,
        secret_sealed BLOB,
        created_at BIGINT NOT NULL
    )""",
    """CREATE TABLE kept_file (
        transfer_id TEXT NOT NULL REFERENCES kept (transfer_id),
        path TEXT NOT NULL,
        object_name TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        size_bytes BIGINT NOT NULL,
        key_sealed BLOB NOT NULL,
        PRIMARY KEY (transfer_id, path)
    )""",
    """CREATE TABLE kept_export (
        transfer_id TEXT NOT NULL REFERENCES transfer (id),
        destination TEXT NOT NULL,
        person TEXT NOT NULL DEFAULT '',
        by_whom TEXT NOT NULL DEFAULT '',
        at BIGINT NOT NULL,
        PRIMARY KEY (transfer_id, destination)
    )""",
    "CREATE INDEX kept_file_content ON kept_file (sha256)",
    "CREATE INDEX kept_file_object ON kept_file (object_name)",
)


def upgrade() -> None:
    dialect = op.get_context().dialect.name
    for statement in STATEMENTS:
        op.execute(ddl.spoken(statement, dialect))
