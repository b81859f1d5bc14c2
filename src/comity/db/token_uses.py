"""Tokens that were used: a jti counts once, for one request; the same request again is a retry.

Kept in the store, so that a restart does not let a token in twice; forgotten when the token has expired anyway.
"""

from __future__ import annotations

from comity.db.store import Transaction

_ADD = "INSERT INTO token_use (issuer, jti, request, expires_at_s) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING"
_FIND = "SELECT request FROM token_use WHERE issuer = ?1 AND jti = ?2"
_PURGE = "DELETE FROM token_use WHERE expires_at_s < ?1"


async def use(tx: Transaction, issuer: str, jti: str, *, request: bytes, expires_at_s: int) -> bool:
    """Record a use for a request (digest of method, path and body); False if the jti served another request."""
    if await tx.run(_ADD, issuer, jti, request, expires_at_s) == 1:
        return True
    row = await tx.one(_FIND, issuer, jti)
    return row is not None and row[0] == request


async def purge(tx: Transaction, *, before_s: int) -> int:
    """Forget tokens that expired before `before_s` and return how many."""
    return await tx.run(_PURGE, before_s)
