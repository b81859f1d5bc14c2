"""What has ended for good loses its keys: then nobody reads it any more, not with a copy of the whole disk either.

Locked it is from the moment at which its last permission ends. Its keys go some days later (the setting
`storage.shred_after_days`), so that a clock that ran wrong for an hour destroys nothing. It is no deletion that was
agreed: no receipt tells of it.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from comity.controlplane import kept, offering, received
from comity.controlplane.connector import Connector
from comity.controlplane.received import Access, Held
from comity.dataplane.kept import STORE
from comity.db import agreements, deliveries
from comity.db.store import Transaction
from comity.odrl import duties

SHREDDING, SHREDDED = "comity:Shredding", "shredded"
_US = 1000

log = logging.getLogger(__name__)


async def run(connector: Connector) -> int:
    """Destroy the keys of what ended long enough ago; return of how much."""

    async def look(tx: Transaction) -> list[tuple[Held, int]]:
        found = []
        for each in await deliveries.find_kept(tx, STORE):
            agreed = await agreements.find_of_party(tx, each.agreement_id, each.counterparty_id, each.role)
            if agreed is None:
                continue
            over = duties.over(offering.parse(agreed.document), agreed.created_at * _US)
            if over is not None and over // _US + connector.shred_after_ms < connector.now_ms():
                found.append((Held(each, agreed), over // _US))
        return found

    ended = await connector.database.read(look)
    for held, over in ended:
        await _shred(connector, held, over)
    return len(ended)


async def _shred(connector: Connector, held: Held, over: int) -> None:
    name = held.delivery.transfer_id
    detail = f"its last permission ended at {datetime.fromtimestamp(over / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"

    async def unit(tx: Transaction) -> list[str]:
        left = await kept.erase(tx, name)
        await received.record_held(
            connector,
            tx,
            held,
            SHREDDING,
            Access(),
            outcome=SHREDDED,
            detail=f"{detail}; its keys are destroyed",
        )
        return left

    await kept.clear(connector, name, await connector.database.write(unit))
    log.info("what transfer %s brought is not readable any more: %s", name, detail)
