"""Rows of secrets: credentials under a name, their values sealed.

`controlplane.secrets` closes and opens them; nothing here knows a value.
"""

from __future__ import annotations

from msgspec import Struct

from comity import errors
from comity.db.store import Transaction
from comity.db.table import Table


class Secret(Struct, frozen=True, kw_only=True):
    """A sealed value under a name; times in ms."""

    id: str
    value_sealed: bytes
    created_at: int
    updated_at: int


_TABLE = Table("secret", Secret)
_INSERT = f"{_TABLE.insert} ON CONFLICT (id) DO NOTHING"
_UPDATE = "UPDATE secret SET value_sealed = ?2, updated_at = ?3 WHERE id = ?1"
_DELETE = "DELETE FROM secret WHERE id = ?1"


async def find(tx: Transaction, name: str) -> Secret | None:
    """Return a secret, or None."""
    return await _TABLE.one(tx, "WHERE id = ?1", name)


async def load(tx: Transaction, name: str) -> Secret:
    """Return a secret.

    Raises:
        NotFoundError: there is none with this id.
    """
    found = await find(tx, name)
    if found is None:
        raise _missing(name)
    return found


async def insert(tx: Transaction, new: Secret) -> Secret:
    """Store a new secret and return it.

    Raises:
        ConflictError: the id is taken.
    """
    if await tx.run(_INSERT, *_TABLE.row(new)) == 0:
        raise errors.ConflictError(f"secret {new.id} exists already")
    return new


async def save(tx: Transaction, name: str, value_sealed: bytes, updated_at: int) -> None:
    """Replace a secret's value.

    Raises:
        NotFoundError: there is none with this id.
    """
    if await tx.run(_UPDATE, name, value_sealed, updated_at) == 0:
        raise _missing(name)


async def remove(tx: Transaction, name: str) -> None:
    """Delete a secret.

    Raises:
        NotFoundError: there is none with this id.
    """
    if await tx.run(_DELETE, name) == 0:
        raise _missing(name)


def _missing(name: str) -> errors.NotFoundError:
    return errors.NotFoundError(f"there is no secret {name}")
