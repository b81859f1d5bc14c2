"""Rows of partners: the explicit list of who may ask, with keys and what the operator says of each.

A participant that is not in this table can ask for nothing: there is no anonymous mode.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from comity import errors
from comity.db.store import Shared, Transaction
from comity.db.table import Table


class Partner(Struct, frozen=True, kw_only=True, rename="camel"):
    """A partner: `address` is its DSP base address, `keys` pinned public JWKs, `attributes` what policies may ask.

    `attributes` has lists of strings by the operand that asks for them: `purpose`, `spatial`,
    `comity:distributionClass`. Of one that is `signed` nothing is taken that has no signature of its own. `approval` is
    a rule of who has to approve what is negotiated with it (empty: nobody).
    """

    id: str
    name: str
    address: str
    keys: list[dict[str, Any]]
    pinned: bool
    attributes: dict[str, list[str]]
    created_at: int
    approval: dict[str, Any] = {}
    signed: bool = False


_TABLE = Table("partner", Partner, documents=("keys", "attributes", "approval"), flags=("pinned", "signed"))
_SAVE = _TABLE.upsert("id", "created_at")
_DELETE = "DELETE FROM partner WHERE id = ?1"
_REMEMBERED = "partner "


class PartnersChanged(Shared, frozen=True):
    """Announced after the commit: the list of partners is another one."""


class Slow(Struct, frozen=True):
    """Announced when a partner's message shows a connector that needs time to record its own steps (an EDC)."""

    partner_id: str


class Heard(Struct, frozen=True):
    """Announced after the commit: this partner has just asked for something, so it is there."""

    partner_id: str


async def find(tx: Transaction, partner_id: str) -> Partner | None:
    """Return a partner by its participant id, compared byte for byte, or None.

    A unit that writes where nobody else does leaves it for the next: each message of a partner asks for it.
    """
    name = _REMEMBERED + partner_id
    found: Partner | None = tx.memo.get(name)
    if found is None:
        found = await _TABLE.one(tx, "WHERE id = ?1", partner_id)
        if found is not None and not tx.lock:
            tx.memo[name] = found
    return found


async def load(tx: Transaction, partner_id: str) -> Partner:
    """Return a partner by its participant id.

    Raises:
        NotFoundError: it is not on the list.
    """
    found = await find(tx, partner_id)
    if found is None:
        raise errors.NotFoundError(
            f"{partner_id[:200]} is not a partner", hint="add it with: comity partner add"
        )
    return found


async def find_all(tx: Transaction) -> list[Partner]:
    """Return every partner, oldest first."""
    return await _TABLE.all(tx, "ORDER BY created_at, id")


async def save(tx: Transaction, partner: Partner) -> None:
    """Store a partner, new or changed."""
    await tx.run(_SAVE, *_TABLE.row(partner))
    tx.memo.pop(_REMEMBERED + partner.id, None)
    tx.announce(PartnersChanged())


async def remove(tx: Transaction, partner_id: str) -> None:
    """Take a partner off the list.

    Raises:
        NotFoundError: it was not on it.
    """
    if await tx.run(_DELETE, partner_id) == 0:
        raise errors.NotFoundError(f"{partner_id} is not a partner")
    tx.memo.pop(_REMEMBERED + partner_id, None)
    tx.announce(PartnersChanged())
