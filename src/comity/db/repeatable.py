"""Rows of requests that may be repeated: what a request with an Idempotency-Key created, and what it was answered.

The row is written by the transaction that creates the thing, so that neither is ever there without the other; the
answer may follow later.
"""

from __future__ import annotations

from msgspec import Struct

from comity.db.store import Transaction
from comity.db.table import Table


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


_TABLE = Table("repeatable", Repeatable)
_FORGET = "DELETE FROM repeatable WHERE caller = ?1 AND key = ?2 AND kept_at < ?3"
_INSERT = f"{_TABLE.insert} ON CONFLICT (caller, key) DO NOTHING"
_ANSWER = "UPDATE repeatable SET answer_sealed = ?3 WHERE caller = ?1 AND key = ?2"
_PURGE = "DELETE FROM repeatable WHERE kept_at < ?1"


async def find(tx: Transaction, caller: str, key: str, *, since_ms: int) -> Repeatable | None:
    """Return the request of a caller with a key, or None if there was none since `since_ms`."""
    return await _TABLE.one(tx, "WHERE caller = ?1 AND key = ?2 AND kept_at >= ?3", caller, key, since_ms)


async def insert(tx: Transaction, new: Repeatable, *, since_ms: int) -> bool:
    """Store a request in the place of one before `since_ms`; the first of one key stays, and then this is False."""
    await tx.run(_FORGET, new.caller, new.key, since_ms)
    return await tx.run(_INSERT, *_TABLE.row(new)) == 1


async def set_answer(tx: Transaction, caller: str, key: str, sealed: bytes) -> None:
    """Store what a request was answered."""
    await tx.run(_ANSWER, caller, key, sealed)


async def purge(tx: Transaction, *, before_ms: int) -> int:
    """Delete what was kept before a time (ms) and return how many rows it was."""
    return await tx.run(_PURGE, before_ms)
