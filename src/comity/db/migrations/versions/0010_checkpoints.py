"""Signed heads of the evidence: ours with what partners and stamp authorities put to them, and those of partners.

A `tile` is the hash of 256, 256 * 256, ... records of a chain, so that proofs need not read all of them. `told` says
of each partner up to where it knows a chain of ours, `seen_checkpoint` what partners showed us, `log_finding` where
that has two faces, or begins anew.
"""

from alembic import op

from comity.db import ddl

revision = "0010"
down_revision = "0009"

STATEMENTS = (
    """CREATE TABLE checkpoint (
    chain INTEGER NOT NULL,
    size INTEGER NOT NULL,
    origin TEXT NOT NULL,
    note TEXT NOT NULL,
    made_at INTEGER NOT NULL,
    stamp BLOB,
    stamped_at INTEGER,
    PRIMARY KEY (chain, size)
)""",
    "CREATE INDEX checkpoint_unstamped ON checkpoint (made_at) WHERE stamp IS NULL",
    """CREATE TABLE cosignature (
    chain INTEGER NOT NULL,
    size INTEGER NOT NULL,
    participant_id TEXT NOT NULL,
    line TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (chain, size, participant_id)
)""",
    """CREATE TABLE tile (
    chain INTEGER NOT NULL,
    level INTEGER NOT NULL,
    position INTEGER NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (chain, level, position)
)""",
    """CREATE TABLE told (
    participant_id TEXT NOT NULL,
    chain INTEGER NOT NULL,
    known_origin TEXT NOT NULL DEFAULT '',
    known_size INTEGER NOT NULL DEFAULT 0,
    due INTEGER NOT NULL DEFAULT 0,
    open_id TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (participant_id, chain)
)""",
    """CREATE TABLE seen_checkpoint (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    participant_id TEXT NOT NULL,
    origin TEXT NOT NULL,
    size INTEGER NOT NULL,
    root BLOB NOT NULL,
    note TEXT NOT NULL,
    cosignature TEXT NOT NULL,
    seen_at INTEGER NOT NULL,
    asked INTEGER NOT NULL DEFAULT 0
)""",
    "CREATE INDEX seen_checkpoint_of ON seen_checkpoint (participant_id, origin, size)",
    """CREATE TABLE log_finding (
    id TEXT PRIMARY KEY,
    participant_id TEXT NOT NULL,
    origin TEXT NOT NULL,
    kind TEXT NOT NULL,
    said TEXT NOT NULL,
    known TEXT NOT NULL,
    shown TEXT NOT NULL,
    found_at INTEGER NOT NULL,
    acknowledged_at INTEGER,
    acknowledged_by TEXT NOT NULL DEFAULT ''
)""",
)


def upgrade() -> None:
    dialect = op.get_context().dialect.name
    for statement in STATEMENTS:
        op.execute(ddl.spoken(statement, dialect))
