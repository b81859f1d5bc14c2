"""Checkpoints of our chains of the evidence, what was put to them, and up to where each partner knows a chain.

A checkpoint is never changed but by the stamp that is added to it, and never deleted. Its size alone says which tree
it is the head of: what a proof needs is read from the records and from `db.tiles`.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from msgspec import Struct

from comity import errors
from comity.db.store import Row, Transaction
from comity.db.table import Table


class Made(Struct, frozen=True, kw_only=True):
    """A checkpoint of ours: the signed note, and the stamp (RFC 3161 response) of it, if there is one."""

    chain: int
    size: int
    origin: str
    note: str
    made_at: int
    stamp: bytes | None = None
    stamped_at: int | None = None


class Cosignature(Struct, frozen=True, kw_only=True):
    """A partner's signature line for a checkpoint of ours; `at` is when it came here."""

    chain: int
    size: int
    participant_id: str
    line: str
    at: int


class Told(Struct, frozen=True, kw_only=True):
    """Up to where a partner knows a chain, whether it is to be told more, and the notice that is on its way."""

    participant_id: str
    chain: int
    known_origin: str = ""
    known_size: int = 0
    due: bool = False
    open_id: str = ""


_MADE = Table("checkpoint", Made)
_COSIGNATURE = Table("cosignature", Cosignature)
_TOLD = Table("told", Told, flags=("due",))
_SAVE_TOLD = _TOLD.upsert("participant_id, chain", "participant_id", "chain")
_NOTES = "SELECT chain, size, note FROM checkpoint"
_STAMP = "UPDATE checkpoint SET stamp = ?3, stamped_at = ?4 WHERE chain = ?1 AND size = ?2"
_UNSTAMPED = (
    "WHERE stamp IS NULL AND NOT EXISTS (SELECT 1 FROM checkpoint later WHERE later.chain = checkpoint.chain"
    " AND later.size > checkpoint.size AND later.stamp IS NOT NULL)"
)


async def add(tx: Transaction, made: Made) -> bool:
    """Keep a checkpoint; False if there is one of this size already."""
    return await tx.run(_MADE.insert + " ON CONFLICT (chain, size) DO NOTHING", *_MADE.row(made)) > 0


async def find_last(tx: Transaction, chain: int) -> Made | None:
    """Return the newest checkpoint of a chain."""
    return await _MADE.one(tx, "WHERE chain = ?1 ORDER BY size DESC LIMIT 1", chain)


async def find_newest(tx: Transaction, limit: int) -> list[Made]:
    """Return the newest checkpoints of all chains, the last one first."""
    return await _MADE.all(tx, "ORDER BY made_at DESC, chain, size DESC LIMIT ?1", limit)


async def find_vouched(tx: Transaction, chain: int, seq: int, participant_id: str) -> list[Made]:
    """Return the first checkpoint after a record that has a stamp, and the first that this partner cosigned."""
    cosigned = (
        "EXISTS (SELECT 1 FROM cosignature c WHERE c.chain = checkpoint.chain AND c.size = checkpoint.size"
        " AND c.participant_id = ?3)"
    )
    first = "WHERE chain = ?1 AND size >= ?2 AND {} ORDER BY size LIMIT 1"
    stamped = await _MADE.one(tx, first.format("stamp IS NOT NULL"), chain, seq)
    found = (stamped, await _MADE.one(tx, first.format(cosigned), chain, seq, participant_id))
    return [each for each in found if each is not None]


async def find_unstamped(tx: Transaction) -> list[Made]:
    """Return what has no stamp and is not covered by a later one that has: the newest of each chain first."""
    return await _MADE.all(tx, f"{_UNSTAMPED} ORDER BY size DESC, chain")


async def add_stamp(tx: Transaction, made: Made, stamp: bytes, stamped_at: int) -> None:
    """Keep the stamp of a checkpoint."""
    await tx.run(_STAMP, made.chain, made.size, stamp, stamped_at)


async def add_cosignature(tx: Transaction, new: Cosignature) -> None:
    """Keep a partner's cosignature; one that is there stays."""
    await tx.run(_COSIGNATURE.insert + " ON CONFLICT DO NOTHING", *_COSIGNATURE.row(new))


async def find_cosignatures(tx: Transaction, chain: int, size: int) -> list[Cosignature]:
    """Return the cosignatures of a checkpoint."""
    return await _COSIGNATURE.all(
        tx, "WHERE chain = ?1 AND size = ?2 ORDER BY at, participant_id", chain, size
    )


async def find_told(tx: Transaction, participant_id: str, chain: int) -> Told:
    """Return up to where a partner knows a chain; nobody else changes that until the unit has ended."""
    found = await _TOLD.one(tx, f"WHERE participant_id = ?1 AND chain = ?2{tx.lock}", participant_id, chain)
    return found or Told(participant_id=participant_id, chain=chain)


async def find_due(tx: Transaction, chain: int) -> list[Told]:
    """Return the partners that are to be told more of a chain, and have answered what they were told last."""
    return await _TOLD.all(
        tx, f"WHERE chain = ?1 AND due = 1 AND open_id = '' ORDER BY participant_id{tx.lock}", chain
    )


async def is_told(tx: Transaction, participant_id: str) -> bool:
    """Return whether a checkpoint is on its way to a partner."""
    return (
        await tx.one("SELECT 1 FROM told WHERE participant_id = ?1 AND open_id <> ''", participant_id)
        is not None
    )


async def save_told(tx: Transaction, told: Told) -> None:
    """Keep up to where a partner knows a chain."""
    await tx.run(_SAVE_TOLD, *_TOLD.row(told))


def read_notes(place: Path | str) -> dict[int, dict[int, str]]:
    """Return the checkpoints of a database file, or of a URL, by chain and size, without the connector that owns it.

    Raises:
        SettingsError, DatabaseError: it cannot be read.
    """
    found: dict[int, dict[int, str]] = {}
    for chain, size, note in _read(place):
        found.setdefault(chain, {})[size] = note
    return found


def _read(place: Path | str) -> list[Row]:
    if isinstance(place, str):
        from comity.db import postgres  # noqa: PLC0415  the driver is an extra

        with postgres.reading(place) as read:
            return read(_NOTES)
    try:
        with closing(sqlite3.connect(f"{place.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            made = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'checkpoint'").fetchone()
            return connection.execute(_NOTES).fetchall() if made else []
    except sqlite3.DatabaseError as error:
        raise errors.DatabaseError(f"the checkpoints in {place} cannot be read: {error}") from None
