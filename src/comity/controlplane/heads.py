"""Checkpoints as people see them: ours with what was put to them, partners' as we saw them, and what was found out.

A note is shown with every cosignature behind it: so it is one signed note that any tool reads.
"""

from __future__ import annotations

from typing import Any

from comity.controlplane.connector import Connector
from comity.db import checkpoints, witnessed
from comity.db.checkpoints import Made
from comity.db.store import Transaction
from comity.db.witnessed import Finding, Seen

Document = dict[str, Any]


async def show(connector: Connector, *, limit: int) -> Document:
    """Return our newest checkpoints, the last one of each partner's log, and all findings, open ones first."""

    async def unit(tx: Transaction) -> Document:
        made = await checkpoints.find_newest(tx, limit)
        return {
            "checkpoints": [await _made(tx, each) for each in made],
            "seen": [_seen(each) for each in await witnessed.find_newest(tx)],
            "findings": [_finding(each) for each in await witnessed.find_findings(tx)],
        }

    found = await connector.database.read(unit)
    return found | ({"halted": connector.halt.reason} if connector.halt.reason else {})


async def _made(tx: Transaction, made: Made) -> Document:
    lines = await checkpoints.find_cosignatures(tx, made.chain, made.size)
    stamped = {} if made.stamped_at is None else {"stampedAt": made.stamped_at}
    return {
        "chain": made.chain,
        "origin": made.origin,
        "size": made.size,
        "note": made.note + "".join(each.line for each in lines),
        "madeAt": made.made_at,
        "cosignedBy": [each.participant_id for each in lines],
        **stamped,
    }


def _seen(seen: Seen) -> Document:
    return {
        "participantId": seen.participant_id,
        "origin": seen.origin,
        "size": seen.size,
        "note": seen.note + seen.cosignature,
        "seenAt": seen.seen_at,
    }


def _finding(finding: Finding) -> Document:
    settled = {"acknowledgedAt": finding.acknowledged_at, "acknowledgedBy": finding.acknowledged_by}
    return {
        "id": finding.id,
        "participantId": finding.participant_id,
        "origin": finding.origin,
        "kind": finding.kind,
        "said": finding.said,
        "known": finding.known,
        "shown": finding.shown,
        "foundAt": finding.found_at,
        **(settled if finding.acknowledged_at is not None else {}),
    }
