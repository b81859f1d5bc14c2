"""Rows of requests that may be repeated: what a request with an Idempotency-Key created, and what it was answered.

The row is written by the transaction that creates the thing, so that neither is ever there without the other; the
answer may follow later.
"""

from __future__ import annotations

from msgspec import Struct

from comity.db.database import Transaction


class Repeatable(Struct, frozen=True, kw_only=True):
    """A request: who sent it under which key, 32 bytes that tell it from others, and what came of it.

    Times are in ms; `kept_at` is when the row was written. `answer_sealed` is None where the answer is an IdResponse,
    or was never stored.
    """

    caller: str
    key: str
    fingerprint: bytes
    created_id: str
    created_at: int
    answer_sealed: bytes | None
    kept_at: int


_COLUMNS = "caller, key, fingerprint, created_id, created_at, answer_sealed, kept_at"
_FIND = f"SELECT {_COLUMNS} FROM repeatable WHERE caller = ?1 AND key = ?2 AND kept_at >= ?3"
_FORGET = "DELETE FROM repeatable WHERE caller = ?1 AND key = ?2 AND kept_at < ?3"
_INSERT = (
    f"INSERT INTO repeatable ({_COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
    " ON CONFLICT (caller, key) DO NOTHING"
)
_ANSWER = "UPDATE repeatable SET answer_sealed = ?3 WHERE caller = ?1 AND key = ?2"
_PURGE = "DELETE FROM repeatable WHERE kept_at < ?1"


async def find(tx: Transaction, caller: str, key: str, *, since_ms: int) -> Repeatable | None:
    """Return the request of a caller with a key, or None if there was none since `since_ms`."""
    row = await tx.one(_FIND, caller, key, since_ms)
    if row is None:
        return None
    return Repeatable(
        caller=row[0],
        key=row[1],
        fingerprint=row[2],
        created_id=row[3],
        created_at=row[4],
        answer_sealed=row[5],
        kept_at=row[6],
    )


async def insert(tx: Transaction, new: Repeatable, *, since_ms: int) -> None:
    """Store a request in the place of one before `since_ms`; the first of one key stays."""
    await tx.run(_FORGET, new.caller, new.key, since_ms)
    await tx.run(
        _INSERT,
        new.caller,
        new.key,
        new.fingerprint,
        new.created_id,
        new.created_at,
        new.answer_sealed,
        new.kept_at,
    )


async def set_answer(tx: Transaction, caller: str, key: str, sealed: bytes) -> None:
    """Store what a request was answered."""
    await tx.run(_ANSWER, caller, key, sealed)


async def purge(tx: Transaction, *, before_ms: int) -> int:
    """Delete what was kept before a time (ms) and return how many rows it was."""
    return await tx.run(_PURGE, before_ms)
