"""The first schema: processes, agreements, offers, partners, inbox, outbox, tokens, evidence, exchanges, pulls.

Times are milliseconds since 1970 UTC. Documents are JSON text as bytes. Sealed columns are encrypted with a key that
lies outside the database.
"""

from alembic import op

from comity.db import ddl

revision = "0001"
down_revision = None

TABLES = (
    """CREATE TABLE negotiation (
        id TEXT PRIMARY KEY,
        role TEXT NOT NULL CHECK (role IN ('consumer', 'provider')),
        counterparty_id TEXT NOT NULL,
        counterparty_address TEXT NOT NULL,
        counterparty_pid TEXT,
        state TEXT,
        version INTEGER NOT NULL,
        asset_id TEXT NOT NULL,
        offer BLOB NOT NULL,
        offered_by TEXT NOT NULL,
        agreement_id TEXT,
        last_received BLOB,
        error TEXT NOT NULL DEFAULT '',
        created_at BIGINT NOT NULL,
        updated_at BIGINT NOT NULL
    )""",
    "CREATE UNIQUE INDEX negotiation_of_party ON negotiation (counterparty_id, role, counterparty_pid)",
    """CREATE TABLE agreement (
        id TEXT NOT NULL,
        negotiation_id TEXT NOT NULL PRIMARY KEY REFERENCES negotiation (id),
        role TEXT NOT NULL,
        counterparty_id TEXT NOT NULL,
        provider_id TEXT NOT NULL,
        consumer_id TEXT NOT NULL,
        asset_id TEXT NOT NULL,
        document BLOB NOT NULL,
        message_sha256 TEXT NOT NULL,
        finalized INTEGER NOT NULL DEFAULT 0,
        uses INTEGER NOT NULL DEFAULT 0,
        created_at BIGINT NOT NULL
    )""",
    "CREATE UNIQUE INDEX agreement_of_party ON agreement (id, counterparty_id, role)",
    "CREATE INDEX agreement_by_asset ON agreement (counterparty_id, asset_id)",
    """CREATE TABLE transfer (
        id TEXT PRIMARY KEY,
        role TEXT NOT NULL CHECK (role IN ('consumer', 'provider')),
        counterparty_id TEXT NOT NULL,
        counterparty_address TEXT NOT NULL,
        counterparty_pid TEXT,
        state TEXT,
        version INTEGER NOT NULL,
        agreement_id TEXT NOT NULL,
        asset_id TEXT NOT NULL,
        format TEXT NOT NULL,
        token_sha256 BLOB,
        data_address_sealed BLOB,
        last_received BLOB,
        suspended_by TEXT NOT NULL DEFAULT '',
        error TEXT NOT NULL DEFAULT '',
        created_at BIGINT NOT NULL,
        updated_at BIGINT NOT NULL
    )""",
    "CREATE UNIQUE INDEX transfer_of_party ON transfer (counterparty_id, role, counterparty_pid)",
    "CREATE INDEX transfer_by_agreement ON transfer (agreement_id)",
    """CREATE TABLE outbox (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL,
        process_id TEXT NOT NULL,
        counterparty_id TEXT NOT NULL,
        url TEXT NOT NULL,
        message TEXT NOT NULL,
        message_id TEXT NOT NULL,
        body BLOB NOT NULL,
        sealed INTEGER NOT NULL DEFAULT 0,
        before TEXT,
        leads_to TEXT NOT NULL,
        implied INTEGER NOT NULL DEFAULT 0,
        after_id INTEGER,
        attempts INTEGER NOT NULL DEFAULT 0,
        outcome_unknown INTEGER NOT NULL DEFAULT 0,
        due_at BIGINT NOT NULL,
        created_at BIGINT NOT NULL,
        last_error TEXT NOT NULL DEFAULT ''
    )""",
    "CREATE INDEX outbox_of_process ON outbox (process_id)",
    """CREATE TABLE inbox (
        counterparty_id TEXT NOT NULL,
        process_id TEXT NOT NULL,
        message_id TEXT NOT NULL,
        digest BLOB NOT NULL,
        answer_state TEXT NOT NULL,
        PRIMARY KEY (process_id, counterparty_id, message_id)
    ) WITHOUT ROWID""",
    """CREATE TABLE token_use (
        issuer TEXT NOT NULL,
        jti TEXT NOT NULL,
        request BLOB NOT NULL,
        expires_at_s BIGINT NOT NULL,
        PRIMARY KEY (issuer, jti)
    ) WITHOUT ROWID""",
    """CREATE TABLE evidence (
        seq INTEGER PRIMARY KEY,
        record BLOB NOT NULL,
        hash BLOB NOT NULL
    )""",
    """CREATE TABLE partner (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        address TEXT NOT NULL,
        keys BLOB NOT NULL,
        pinned INTEGER NOT NULL DEFAULT 0,
        attributes BLOB NOT NULL,
        created_at BIGINT NOT NULL
    )""",
    """CREATE TABLE asset (
        id TEXT PRIMARY KEY,
        properties BLOB NOT NULL,
        private_properties BLOB NOT NULL,
        data_address_sealed BLOB NOT NULL,
        content_sealed BLOB,
        created_at BIGINT NOT NULL
    )""",
    "CREATE INDEX asset_by_age ON asset (created_at, id)",
    """CREATE TABLE policy_definition (
        id TEXT PRIMARY KEY,
        policy BLOB NOT NULL,
        private_properties BLOB NOT NULL,
        created_at BIGINT NOT NULL
    )""",
    """CREATE TABLE contract_definition (
        id TEXT PRIMARY KEY,
        access_policy_id TEXT NOT NULL REFERENCES policy_definition (id),
        contract_policy_id TEXT NOT NULL REFERENCES policy_definition (id),
        assets_selector BLOB NOT NULL,
        private_properties BLOB NOT NULL,
        created_at BIGINT NOT NULL
    )""",
    """CREATE TABLE exchange (
        id TEXT PRIMARY KEY,
        counterparty_id TEXT NOT NULL,
        asset_id TEXT NOT NULL,
        destination TEXT NOT NULL,
        negotiation_id TEXT,
        agreement_id TEXT,
        transfer_id TEXT,
        manifest_sha256 TEXT NOT NULL,
        error TEXT NOT NULL DEFAULT '',
        created_at BIGINT NOT NULL
    )""",
    "CREATE INDEX exchange_of_negotiation ON exchange (negotiation_id)",
    "CREATE INDEX exchange_of_transfer ON exchange (transfer_id)",
    """CREATE TABLE pull (
        transfer_id TEXT PRIMARY KEY REFERENCES transfer (id),
        destination TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('WAITING', 'RUNNING', 'DONE', 'FAILED')),
        files_done INTEGER NOT NULL DEFAULT 0,
        files_total INTEGER NOT NULL DEFAULT 0,
        bytes_done BIGINT NOT NULL DEFAULT 0,
        bytes_total BIGINT NOT NULL DEFAULT 0,
        error TEXT NOT NULL DEFAULT '',
        error_code TEXT NOT NULL DEFAULT '',
        updated_at BIGINT NOT NULL
    )""",
)


def upgrade() -> None:
    for table in TABLES:
        op.execute(ddl.spoken(table, op.get_context().dialect.name))
