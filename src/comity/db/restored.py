"""That a store was restored from a backup, which processes wait for a word from their partner, and what it was.

`controlplane.reconcile` asks and decides; `db.backup` writes the first rows. A process that is held sends nothing and
takes no move but its end.
"""

from __future__ import annotations

from msgspec import Struct

from comity.db.store import Transaction
from comity.db.table import Table

WAITING = "waiting"
SAME, AHEAD, BEHIND, ENDED, UNKNOWN, DIFFERS, FORGOTTEN, GIVEN_UP = (
    "same",
    "ahead there",
    "behind there",
    "ended there",
    "unknown there",
    "differs",
    "forgotten here",
    "ended here",
)
MOST_FORGOTTEN = 1000
"""How many processes of one partner that are unknown here are kept: it may make them up."""


class Restored(Struct, frozen=True, kw_only=True):
    """A restore: when, of a backup of when, and where the evidence of that one ended."""

    at: int
    backup_at: int
    evidence_size: int
    evidence_head: str


class Finding(Struct, frozen=True, kw_only=True):
    """What is known of a process since the restore: our state, the partner's, and a sentence on what to do."""

    kind: str
    process_id: str
    counterparty_id: str
    verdict: str = WAITING
    here: str = ""
    there: str = ""
    said: str = ""
    held: bool = True
    checked_at: int = 0


_RESTORED = Table("restored", Restored)
_FINDINGS = Table("reconciliation", Finding, flags=("held",))
ADD_RESTORED, ADD_FINDING = _RESTORED.insert, _FINDINGS.insert
_SAVE = _FINDINGS.upsert("process_id, counterparty_id", "process_id", "counterparty_id")
_COUNT = "SELECT count(*) FROM reconciliation WHERE verdict = ?1 AND counterparty_id = ?2"


def restored_row(value: Restored) -> list[object]:
    """Return what `ADD_RESTORED` is given."""
    return _RESTORED.row(value)


def finding_row(value: Finding) -> list[object]:
    """Return what `ADD_FINDING` is given."""
    return _FINDINGS.row(value)


async def find_last(tx: Transaction) -> Restored | None:
    """Return the last restore, None if there was none."""
    return await _RESTORED.one(tx, "ORDER BY at DESC LIMIT 1")


async def find_all(tx: Transaction) -> list[Finding]:
    """Return what is known of every process that was looked at since the restore."""
    return await _FINDINGS.all(tx, "ORDER BY held DESC, verdict, process_id")


async def find_held(tx: Transaction) -> list[Finding]:
    """Return the processes that are held."""
    return await _FINDINGS.all(tx, "WHERE held = 1 ORDER BY process_id")


async def save(tx: Transaction, finding: Finding) -> None:
    """Keep what is known of a process."""
    await tx.run(_SAVE, *_FINDINGS.row(finding))


async def add_forgotten(tx: Transaction, finding: Finding) -> bool:
    """Keep that a partner speaks of a process that is unknown here; False if that is enough of its."""
    row = await tx.one(_COUNT, FORGOTTEN, finding.counterparty_id)
    if row is not None and row[0] >= MOST_FORGOTTEN:
        return False
    await save(tx, finding)
    return True
