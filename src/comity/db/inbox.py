"""Messages that were received and applied, so that a repeat gets the answer of the first time.

The answer is kept as the state it named; pids and everything else in it follow from the record.
"""

from __future__ import annotations

from comity.db.store import Transaction

_FIND = "SELECT digest, answer_state FROM inbox WHERE process_id = ?1 AND counterparty_id = ?2 AND message_id = ?3"
_ADD = (
    "INSERT INTO inbox (process_id, counterparty_id, message_id, digest, answer_state) VALUES (?1, ?2, ?3, ?4, ?5)"
    " ON CONFLICT DO NOTHING"
)


async def find(
    tx: Transaction, process_id: str, counterparty_id: str, message_id: str
) -> tuple[bytes, str] | None:
    """Return (digest of the body, state answered) of a message seen before, or None."""
    return await tx.one(_FIND, process_id, counterparty_id, message_id)


async def add(  # noqa: PLR0913  a row has these columns
    tx: Transaction,
    process_id: str,
    counterparty_id: str,
    message_id: str,
    *,
    digest: bytes,
    answer_state: str,
) -> None:
    """Keep a message that was applied."""
    await tx.run(_ADD, process_id, counterparty_id, message_id, digest, answer_state)
