"""Tables of the management API: keys, repeated requests, secrets, events and who is told of them, pushes.

Times and documents are as in the first schema.
"""

from alembic import op

from comity.db import ddl

revision = "0002"
down_revision = "0001"

STATEMENTS: tuple[str, ...] = (
    """CREATE TABLE push (
        transfer_id TEXT PRIMARY KEY REFERENCES transfer (id),
        state TEXT NOT NULL CHECK (state IN ('WAITING', 'RUNNING', 'DONE', 'FAILED')),
        content TEXT NOT NULL DEFAULT '',
        files_done INTEGER NOT NULL DEFAULT 0,
        files_total INTEGER NOT NULL DEFAULT 0,
        bytes_done BIGINT NOT NULL DEFAULT 0,
        bytes_total BIGINT NOT NULL DEFAULT 0,
        error TEXT NOT NULL DEFAULT '',
        error_code TEXT NOT NULL DEFAULT '',
        moved_at BIGINT NOT NULL,
        updated_at BIGINT NOT NULL
    )""",
    """CREATE TABLE received_file (
        transfer_id TEXT NOT NULL REFERENCES transfer (id),
        path TEXT NOT NULL,
        PRIMARY KEY (transfer_id, path)
    )""",
    "ALTER TABLE exchange ADD COLUMN format TEXT NOT NULL DEFAULT 'HttpData-PULL'",
    """CREATE TABLE api_key (
        id TEXT PRIMARY KEY,
        role TEXT NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
        digest BLOB NOT NULL UNIQUE,
        expires_at BIGINT,
        created_at BIGINT NOT NULL
    )""",
    """CREATE TABLE repeatable (
        caller TEXT NOT NULL,
        key TEXT NOT NULL,
        fingerprint BLOB NOT NULL,
        created_id TEXT NOT NULL,
        created_at BIGINT NOT NULL,
        answer_sealed BLOB,
        kept_at BIGINT NOT NULL,
        PRIMARY KEY (caller, key)
    )""",
    "CREATE INDEX repeatable_by_time ON repeatable (kept_at)",
    """CREATE TABLE event (
        seq INTEGER PRIMARY KEY,
        id BLOB NOT NULL,
        type TEXT NOT NULL,
        subject TEXT NOT NULL,
        number INTEGER NOT NULL,
        at BIGINT NOT NULL,
        data BLOB NOT NULL
    )""",
    "CREATE INDEX event_of_subject ON event (subject)",
    "ALTER TABLE negotiation ADD COLUMN events INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE transfer ADD COLUMN events INTEGER NOT NULL DEFAULT 0",
    """CREATE TABLE webhook (
        id TEXT PRIMARY KEY,
        process_id TEXT,
        url TEXT NOT NULL,
        types BLOB NOT NULL,
        auth_key TEXT NOT NULL,
        auth_code_id TEXT NOT NULL,
        secret_sealed BLOB,
        state TEXT NOT NULL CHECK (state IN ('ACTIVE', 'DISABLED', 'DONE')),
        last_delivered BIGINT NOT NULL,
        failing_since BIGINT,
        attempts INTEGER NOT NULL DEFAULT 0,
        due_at BIGINT NOT NULL DEFAULT 0,
        last_error TEXT NOT NULL DEFAULT '',
        created_at BIGINT NOT NULL
    )""",
    "CREATE INDEX webhook_of_process ON webhook (process_id)",
    """CREATE TABLE secret (
        id TEXT PRIMARY KEY,
        value_sealed BLOB NOT NULL,
        created_at BIGINT NOT NULL,
        updated_at BIGINT NOT NULL
    )""",
    """CREATE TABLE retirement (
        negotiation_id TEXT PRIMARY KEY REFERENCES agreement (negotiation_id),
        agreement_id TEXT NOT NULL,
        reason TEXT NOT NULL,
        created_at BIGINT NOT NULL
    )""",
    """CREATE TABLE transfer_property (
        transfer_id TEXT PRIMARY KEY REFERENCES transfer (id),
        properties BLOB NOT NULL
    )""",
    """CREATE TABLE public_key (
        participant_id TEXT NOT NULL,
        kid TEXT NOT NULL,
        jwk BLOB NOT NULL,
        seen_at BIGINT NOT NULL,
        PRIMARY KEY (participant_id, kid, jwk)
    )""",
    "CREATE INDEX negotiation_by_age ON negotiation (created_at, id)",
    "CREATE INDEX transfer_by_age ON transfer (created_at, id)",
    "CREATE INDEX agreement_by_age ON agreement (created_at, id)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(ddl.spoken(statement, op.get_context().dialect.name))
