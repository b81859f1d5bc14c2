"""Rows of public keys that tokens in the evidence are checked with: ours and partners', as they were when used.

Keys change and documents are gone one day; a signature is evidence only with the key of its time. Never deleted.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from comity import errors, strict_json
from comity.db.store import Transaction


class PublicKey(Struct, frozen=True, kw_only=True, rename="camel"):
    """A public key: `kid` is its whole id, `jwk` the key, `seen_at` when it was used first (ms)."""

    participant_id: str
    kid: str
    jwk: dict[str, Any]
    seen_at: int


class PublicKeyKept(Struct, frozen=True):
    """Announced after the commit: this key is in the store."""

    kid: str
    jwk: bytes


_ADD = (
    "INSERT INTO public_key (participant_id, kid, jwk, seen_at) VALUES (?1, ?2, ?3, ?4)"
    " ON CONFLICT (participant_id, kid, jwk) DO NOTHING"
)
_ALL = "SELECT participant_id, kid, jwk, seen_at FROM public_key ORDER BY seen_at, participant_id, kid"
_OF = "SELECT jwk FROM public_key WHERE participant_id = ?1 ORDER BY seen_at, kid"


async def keep(tx: Transaction, key: PublicKey) -> None:
    """Store a key; one that is stored already stays as it is."""
    jwk = strict_json.canonical(key.jwk)
    await tx.run(_ADD, key.participant_id, key.kid, jwk, key.seen_at)
    tx.announce(PublicKeyKept(key.kid, jwk))


async def find_of(tx: Transaction, participant_id: str) -> list[dict[str, Any]]:
    """Return every public key of a participant that was ever used here."""
    return [msgspec.json.decode(row[0]) for row in await tx.all(_OF, participant_id)]


async def find_all(tx: Transaction) -> list[PublicKey]:
    """Return every key, in the order in which they were seen."""
    return [_value(row) for row in await tx.all(_ALL)]


def _value(row: Any) -> PublicKey:
    return PublicKey(participant_id=row[0], kid=row[1], jwk=msgspec.json.decode(row[2]), seen_at=row[3])


def read_all(place: Path | str) -> list[PublicKey]:
    """Return every key of a database file, or of a URL, without the connector that owns it.

    Raises:
        SettingsError, DatabaseError: it cannot be read, or is of an earlier version, which kept no keys.
    """
    if isinstance(place, str):
        from comity.db import postgres  # noqa: PLC0415  the driver is an extra

        with postgres.reading(place) as read:
            return [_value(row) for row in read(_ALL)]
    try:
        with closing(sqlite3.connect(f"{place.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            return [_value(row) for row in connection.execute(_ALL)]
    except (sqlite3.DatabaseError, msgspec.MsgspecError) as error:
        raise errors.DatabaseError(f"the public keys in {place} cannot be read: {error}") from None
