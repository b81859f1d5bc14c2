"""The evidence, page by page, for whoever reads or keeps a copy of it.

The chain itself is `evidence.entry`, its rows are `db.evidence`; checking a copy offline is the command line's part.
"""

from __future__ import annotations

from typing import Any

import msgspec

from comity.controlplane.connector import Connector
from comity.db import evidence
from comity.db.database import Transaction
from comity.evidence.entry import Head


async def find_page(connector: Connector, *, after: int, limit: int) -> dict[str, Any]:
    """Return at most `limit` records after row number `after` with their hashes, and the head of the chain."""

    async def unit(tx: Transaction) -> tuple[list[tuple[int, bytes, bytes]], Head]:
        return await evidence.find_page(tx, after=after, limit=limit), await evidence.find_head(tx)

    rows, head = await connector.database.read(unit)
    return {
        "entries": [
            {"seq": seq, "hash": hash_.hex(), "record": msgspec.Raw(record)} for seq, record, hash_ in rows
        ],
        "head": {"size": head.size, "hash": head.hash},
    }
