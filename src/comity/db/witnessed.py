"""Partners' checkpoints as we saw them, and what was found out about their logs, which people have to look at.

What was seen is never deleted: two checkpoints of one log that exclude each other, both signed, are the proof.
"""

from __future__ import annotations

from msgspec import Struct

from comity import errors
from comity.db.store import Transaction
from comity.db.table import Table
from comity.evidence.witness import FORKED


class Seen(Struct, frozen=True, kw_only=True):
    """A checkpoint of a partner, with the signature line that we put to it (empty: none).

    `asked` says how often the partner was asked to prove that its log goes on from it.
    """

    id: int = 0
    participant_id: str
    origin: str
    size: int
    root: bytes
    note: str
    cosignature: str
    seen_at: int
    asked: int = 0


class Finding(Struct, frozen=True, kw_only=True):
    """What is wrong with a log, in one sentence, and the two notes that show it; a person acknowledges it.

    A `kind` that is DENIED is about our own log: a partner says it of ours, and shows what we signed.
    """

    id: str
    participant_id: str
    origin: str
    kind: str
    said: str
    known: str
    shown: str
    found_at: int
    acknowledged_at: int | None = None
    acknowledged_by: str = ""


DENIED = "DENIED"
_OF_CHAIN = "(origin = ?2 OR substr(origin, 1, length(?3)) = ?3)"
_SEEN = Table("seen_checkpoint", Seen, numbered="id")
_FINDING = Table("log_finding", Finding)
_ACKNOWLEDGE = (
    "UPDATE log_finding SET acknowledged_at = ?2, acknowledged_by = ?3"
    " WHERE id = ?1 AND acknowledged_at IS NULL"
)


async def add_seen(tx: Transaction, seen: Seen) -> None:
    """Keep a partner's checkpoint."""
    await tx.insert(_SEEN.insert, *_SEEN.row(seen))


async def note_asked(tx: Transaction, seen: Seen) -> None:
    """Count that the partner was asked for a proof from this checkpoint."""
    await tx.run("UPDATE seen_checkpoint SET asked = asked + 1 WHERE id = ?1", seen.id)


async def find_last(tx: Transaction, participant_id: str, origin: str) -> Seen | None:
    """Return what was seen last of a log."""
    return await _SEEN.one(
        tx, "WHERE participant_id = ?1 AND origin = ?2 ORDER BY id DESC LIMIT 1", participant_id, origin
    )


async def find_last_of_chain(tx: Transaction, participant_id: str, log: str) -> Seen | None:
    """Return what was seen last of a log, or of one in its place after a restore."""
    return await _SEEN.one(
        tx,
        f"WHERE participant_id = ?1 AND {_OF_CHAIN} ORDER BY id DESC LIMIT 1",
        participant_id,
        log,
        f"{log}/",
    )


async def find_of_size(
    tx: Transaction, participant_id: str, origin: str, size: int, root: bytes | None = None
) -> Seen | None:
    """Return what was seen last of a log with a size, and with a root if that is given."""
    where = "WHERE participant_id = ?1 AND origin = ?2 AND size = ?3"
    if root is None:
        return await _SEEN.one(tx, f"{where} ORDER BY id DESC LIMIT 1", participant_id, origin, size)
    return await _SEEN.one(tx, f"{where} AND root = ?4 LIMIT 1", participant_id, origin, size, root)


async def find_newest(tx: Transaction) -> list[Seen]:
    """Return the last checkpoint that was seen of each log."""
    return await _SEEN.all(
        tx,
        "WHERE id IN (SELECT max(id) FROM seen_checkpoint GROUP BY participant_id, origin)"
        " ORDER BY participant_id, origin",
    )


async def add_finding(tx: Transaction, finding: Finding) -> None:
    """Keep what was found out."""
    await tx.run(_FINDING.insert, *_FINDING.row(finding))


async def find_open(tx: Transaction, participant_id: str, log: str, kind: str = FORKED) -> Finding | None:
    """Return a finding about a log, or one in its place, that nobody has acknowledged yet."""
    return await _FINDING.one(
        tx,
        f"WHERE participant_id = ?1 AND {_OF_CHAIN} AND kind = ?4 AND acknowledged_at IS NULL"
        " ORDER BY found_at LIMIT 1",
        participant_id,
        log,
        f"{log}/",
        kind,
    )


async def find_findings(tx: Transaction) -> list[Finding]:
    """Return everything that was found out, what nobody has acknowledged yet first."""
    return await _FINDING.all(tx, "ORDER BY coalesce(acknowledged_at, 0), found_at, id")


async def acknowledge(tx: Transaction, name: str, at: int, by: str) -> Finding:
    """Note who has looked at a finding, and return it.

    Raises:
        NotFoundError: there is no such finding.
        ConflictError: somebody has already.
    """
    changed = await tx.run(_ACKNOWLEDGE, name, at, by)
    found = await _FINDING.one(tx, "WHERE id = ?1", name)
    if found is None:
        raise errors.NotFoundError(
            f"there is no finding {name[:100]}", hint="see: comity evidence checkpoints"
        )
    if not changed:
        raise errors.ConflictError("this finding was acknowledged already")
    return found
