"""The evidence, page by page, for whoever reads or keeps a copy of it."""

from __future__ import annotations

from typing import Any

import msgspec

from comity import errors
from comity.controlplane.connector import Connector
from comity.db import evidence

MAX_LIMIT = 1000


async def find_page(connector: Connector, after: str, limit: str) -> dict[str, Any]:
    """Return records after a row with their hashes, and the head of the chain.

    Raises:
        InvalidInputError: `after` or `limit` is no number.
    """
    for name, value in (("after", after), ("limit", limit)):
        if not value.isascii() or not value.isdigit():
            raise errors.InvalidInputError(f"{name} must be a number from 0", path=f"$.{name}")
    rows = await connector.database.read(
        lambda tx: evidence.find_page(tx, after=int(after), limit=min(int(limit), MAX_LIMIT))
    )
    head = await connector.database.read(evidence.find_head)
    return {
        "entries": [
            {"seq": seq, "hash": hash_.hex(), "record": msgspec.Raw(record)} for seq, record, hash_ in rows
        ],
        "head": {"size": head.size, "hash": head.hash},
    }
