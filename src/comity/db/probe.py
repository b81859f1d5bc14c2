"""Whether the store answers: for health checks.

A read takes its turn behind other reads, so that a store that hangs is seen, too.
"""

from __future__ import annotations

from comity.db.store import Transaction


async def answers(tx: Transaction) -> bool:
    """Return True if the store gives what it is asked for."""
    return await tx.one("SELECT 1") == (1,)
