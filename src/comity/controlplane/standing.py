"""Under which agreement an asset is got again: under one that still stands, whatever became of its transfers.

A transfer that somebody ended, or that a term did not allow, says nothing against its agreement, and a new one would
cost people their approval again. It is over when its terms are, when either side has retired it, and when the partner
refused a request under it outright: so it says that it knows the agreement no more, or holds it for void.
"""

from __future__ import annotations

from typing import Any

from comity.controlplane import offering
from comity.db import agreements, retirements, transfers
from comity.db.store import Transaction
from comity.dsp import terms
from comity.dsp.negotiation import Agreement
from comity.dsp.transfer import Transfer
from comity.net.dsp import ANSWERS
from comity.odrl import compare, duties

_US = 1000


async def find(
    tx: Transaction, counterparty_id: str, asset_id: str, offer: dict[str, Any], now_ms: int
) -> Agreement | None:
    """Return the newest agreement that stands and has the terms of today's offer."""
    for each in await agreements.find_by_asset(tx, counterparty_id, asset_id):
        if compare.same(each.document, offer) and await _stands(tx, each, now_ms):
            return each
    return None


async def _stands(tx: Transaction, agreement: Agreement, now_ms: int) -> bool:
    over = duties.over(offering.parse(agreement.document), agreement.created_at * _US)
    if over is not None and over < now_ms * _US:
        return False
    if await retirements.find(tx, agreement.negotiation_id) is not None:
        return False
    party = (agreement.counterparty_id, agreement.role)
    return not any(
        _says_over(each)
        for each in await transfers.find_by_agreement(tx, agreement.id)
        if (each.counterparty_id, each.role) == party
    )


def _says_over(handed: Transfer) -> bool:
    """Tell whether a transfer ended as the partner ends one for its agreement's sake, not for that of a revision."""
    refused = handed.counterparty_pid is None and f"{ANSWERS}4" in handed.error and not handed.revision
    return handed.state == terms.TERMINATED and (refused or handed.error.startswith(retirements.RETIRED))
