"""Rows of API keys beside the one in the data folder: who holds one, which role it has, when it ends.

A key itself is not stored, only its SHA-256: 256 random bits need no slower digest.
"""

from __future__ import annotations

from msgspec import Struct

from comity import errors
from comity.db.store import Shared, Transaction
from comity.db.table import Table


class ApiKey(Struct, frozen=True, kw_only=True):
    """An API key: `id` is the name of who holds it, `digest` 32 bytes, times in ms, `expires_at` None for never."""

    id: str
    role: str
    digest: bytes
    expires_at: int | None
    created_at: int


class ApiKeysChanged(Shared, frozen=True):
    """Announced after the commit: a key was made or removed."""


_TABLE = Table("api_key", ApiKey)
_INSERT = f"{_TABLE.insert} ON CONFLICT (id) DO NOTHING"
_DELETE = "DELETE FROM api_key WHERE id = ?1"


async def find_all(tx: Transaction) -> list[ApiKey]:
    """Return every key, oldest first."""
    return await _TABLE.all(tx, "ORDER BY created_at, id")


async def insert(tx: Transaction, new: ApiKey) -> None:
    """Store a new key.

    Raises:
        ConflictError: the name is taken.
    """
    if await tx.run(_INSERT, *_TABLE.row(new)) == 0:
        raise errors.ConflictError(
            f"there is an API key {new.id} already", hint="remove it first, or take another name"
        )
    tx.announce(ApiKeysChanged())


async def remove(tx: Transaction, name: str) -> None:
    """Delete a key.

    Raises:
        NotFoundError: there is none with this name.
    """
    if await tx.run(_DELETE, name) == 0:
        raise errors.NotFoundError(f"there is no API key {name}")
    tx.announce(ApiKeysChanged())
