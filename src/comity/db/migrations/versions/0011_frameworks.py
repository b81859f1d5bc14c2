"""Framework agreements, where each party to one stands, what was delivered of it, and signatories' own signatures.

A party's row says whether and how it agreed, whether it suspended or ended, and until when what is known of that is
fresh (0: it has no lease). `stopped` are the transfers that we suspended with it.
"""

from alembic import op

from comity.db import ddl

revision = "0011"
down_revision = "0010"

STATEMENTS: tuple[str, ...] = (
    """CREATE TABLE framework (
        urn TEXT PRIMARY KEY,
        framework_id TEXT NOT NULL,
        document BLOB NOT NULL,
        proposer TEXT NOT NULL,
        parent TEXT NOT NULL,
        replaced_by TEXT NOT NULL,
        created_at BIGINT NOT NULL
    )""",
    "CREATE INDEX framework_by_id ON framework (framework_id)",
    """CREATE TABLE framework_party (
        urn TEXT NOT NULL,
        participant_id TEXT NOT NULL,
        own INTEGER NOT NULL,
        agreed_at BIGINT NOT NULL,
        agreement_id TEXT NOT NULL,
        held INTEGER NOT NULL,
        detail TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('ASKED', 'AGREED', 'SUSPENDED', 'ENDED')),
        reason TEXT NOT NULL,
        changed_at BIGINT NOT NULL,
        fresh_until BIGINT NOT NULL,
        beat_at BIGINT NOT NULL,
        stopped BLOB NOT NULL,
        PRIMARY KEY (urn, participant_id)
    )""",
    """CREATE TABLE framework_delivery (
        id TEXT PRIMARY KEY,
        urn TEXT NOT NULL,
        framework_id TEXT NOT NULL,
        commitment_id TEXT NOT NULL,
        quantity TEXT NOT NULL,
        note TEXT NOT NULL,
        reported_by TEXT NOT NULL,
        confirmed_by TEXT NOT NULL,
        created_at BIGINT NOT NULL
    )""",
    "CREATE INDEX framework_delivery_by_id ON framework_delivery (framework_id)",
    """CREATE TABLE framework_signature (
        urn TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        party TEXT NOT NULL,
        media_type TEXT NOT NULL,
        content BLOB NOT NULL,
        created_at BIGINT NOT NULL,
        PRIMARY KEY (urn, sha256)
    )""",
)


def upgrade() -> None:
    dialect = op.get_context().dialect.name
    for statement in STATEMENTS:
        op.execute(ddl.spoken(statement, dialect))
