"""The SHA-256 of every file that was received in a transfer, so that it is known again when somebody publishes it.

One row a transfer, 32 bytes a file: they are looked through from the beginning, once for each folder that is published.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable

from comity.db.store import Transaction

SIZE = 32
_ADD = (
    "INSERT INTO received_content (transfer_id, files) VALUES (?1, ?2)"
    " ON CONFLICT (transfer_id) DO UPDATE SET files = excluded.files"
)
_ALL = "SELECT transfer_id, files FROM received_content ORDER BY transfer_id DESC"


async def add(tx: Transaction, transfer_id: str, digests: Iterable[str]) -> None:
    """Keep the digests (hex) of what a transfer brought."""
    await tx.run(_ADD, transfer_id, b"".join(map(bytes.fromhex, sorted(set(digests)))))


async def find_all(tx: Transaction) -> AsyncGenerator[tuple[str, frozenset[bytes]], None]:
    """Yield each transfer with the digests of what it brought, the newest first."""
    async for transfer_id, files in tx.each(_ALL):
        yield transfer_id, frozenset(files[at : at + SIZE] for at in range(0, len(files), SIZE))
