"""Rows of partners: the explicit list of who may ask, with keys and what the operator says of each.

A participant that is not in this table can ask for nothing: there is no anonymous mode.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from comity import errors
from comity.db.database import Row, Transaction


class Partner(Struct, frozen=True, kw_only=True, rename="camel"):
    """A partner: `address` is its DSP base address, `keys` pinned public JWKs, `attributes` what policies may ask.

    `attributes` has `purpose` and `spatial`, each a list of strings.
    """

    id: str
    name: str
    address: str
    keys: list[dict[str, Any]]
    pinned: bool
    attributes: dict[str, list[str]]
    created_at: int


_COLUMNS = "id, name, address, keys, pinned, attributes, created_at"
_BY_ID = f"SELECT {_COLUMNS} FROM partner WHERE id = ?1"
_ALL = f"SELECT {_COLUMNS} FROM partner ORDER BY created_at, id"
_SAVE = (
    f"INSERT INTO partner ({_COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (id) DO UPDATE SET"
    " name = excluded.name, address = excluded.address, keys = excluded.keys, pinned = excluded.pinned,"
    " attributes = excluded.attributes"
)
_DELETE = "DELETE FROM partner WHERE id = ?1"


class PartnersChanged(Struct, frozen=True):
    """Announced after the commit: the list of partners is another one."""


class Slow(Struct, frozen=True):
    """Announced when a partner's message shows a connector that needs time to record its own steps (an EDC)."""

    partner_id: str


class Heard(Struct, frozen=True):
    """Announced after the commit: this partner has just asked for something, so it is there."""

    partner_id: str


def _value(row: Row) -> Partner:
    return Partner(
        id=row[0],
        name=row[1],
        address=row[2],
        keys=msgspec.json.decode(row[3]),
        pinned=bool(row[4]),
        attributes=msgspec.json.decode(row[5]),
        created_at=row[6],
    )


async def find(tx: Transaction, partner_id: str) -> Partner | None:
    """Return a partner by its participant id, compared byte for byte, or None."""
    row = await tx.one(_BY_ID, partner_id)
    return _value(row) if row else None


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
    return [_value(row) for row in await tx.all(_ALL)]


async def save(tx: Transaction, partner: Partner) -> None:
    """Store a partner, new or changed."""
    await tx.run(
        _SAVE,
        partner.id,
        partner.name,
        partner.address,
        msgspec.json.encode(partner.keys),
        int(partner.pinned),
        msgspec.json.encode(partner.attributes),
        partner.created_at,
    )
    tx.announce(PartnersChanged())


async def remove(tx: Transaction, partner_id: str) -> None:
    """Take a partner off the list.

    Raises:
        NotFoundError: it was not on it.
    """
    if await tx.run(_DELETE, partner_id) == 0:
        raise errors.NotFoundError(f"{partner_id} is not a partner")
    tx.announce(PartnersChanged())
