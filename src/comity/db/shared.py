"""Rows of what every process on a PostgreSQL database must have: settings and keys, sealed, each with a version.

What is in them, and the seal, is `controlplane.sharing`'s part.
"""

from __future__ import annotations

from msgspec import Struct

from comity.db.store import Shared, Transaction


class SharedChanged(Shared, frozen=True):
    """Announced after the commit: one of them is another one now."""


class Kept(Struct, frozen=True):
    """A row: its version counts its changes."""

    version: int
    content: bytes


_FIND = "SELECT version, content FROM shared WHERE name = ?1"
_ADD = "INSERT INTO shared (name, version, content) VALUES (?1, 1, ?2) ON CONFLICT DO NOTHING"
_CHANGE = "UPDATE shared SET version = version + 1, content = ?3 WHERE name = ?1 AND version = ?2"


async def find(tx: Transaction, name: str) -> Kept | None:
    """Return what is kept under a name, or None."""
    row = await tx.one(_FIND, name)
    return Kept(*row) if row else None


async def put(tx: Transaction, name: str, version: int, content: bytes) -> bool:
    """Store what follows a version (0: nothing); return False if somebody else has done so before."""
    if version == 0:
        done = await tx.run(_ADD, name, content)
    else:
        done = await tx.run(_CHANGE, name, version, content)
    if done:
        tx.announce(SharedChanged())
    return done == 1
