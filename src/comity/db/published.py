"""What is handed out: for each asset or revision a list of files with where they lie, sealed; it may have many MB.

It lies beside the rows that name it, so that those are read without it. It never changes: what lies elsewhere by now
is another one, with an id of its own.
"""

from __future__ import annotations

from comity.db.store import Transaction

_BEGINNING, _END = 32, 16
_KEEP = "INSERT INTO content (id, sealed) VALUES (?1, ?2) ON CONFLICT (id) DO NOTHING"
_DROP = (
    "DELETE FROM content WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM asset WHERE content_id = ?1)"
    " AND NOT EXISTS (SELECT 1 FROM revision WHERE content_id = ?1)"
)


def id_of(sealed: bytes) -> str:
    """Return what tells one sealing from every other: it begins with a nonce and ends with a tag."""
    return (sealed[:_BEGINNING] + sealed[-_END:]).hex()


async def keep(tx: Transaction, sealed: bytes) -> None:
    """Store what an asset or a revision hands out; nothing has no id, and is not stored."""
    if sealed:
        await tx.run(_KEEP, id_of(sealed), sealed)


async def find(tx: Transaction, content_id: str) -> bytes | None:
    """Return what has an id, sealed, or None."""
    row = await tx.one("SELECT sealed FROM content WHERE id = ?1", content_id) if content_id else None
    return bytes(row[0]) if row else None


async def drop_unused(tx: Transaction, content_id: str) -> None:
    """Delete it if no asset and no revision names it."""
    if content_id:
        await tx.run(_DROP, content_id)
