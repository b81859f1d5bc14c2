"""The evidence, page by page, for whoever reads or keeps a copy of it."""

from __future__ import annotations

from typing import Any

import msgspec

from comity import errors
from comity.controlplane.connector import Connector
from comity.db import evidence
from comity.db.database import Transaction
from comity.evidence.entry import Head

MAX_LIMIT = 1000
MAX_ROW = 10**18


async def find_page(connector: Connector, after: str, limit: str) -> dict[str, Any]:
    """Return records after a row with their hashes, and the head of the chain.

    Raises:
        InvalidInputError: `after` or `limit` is no number that can be.
    """
    first, size = _number(after, "after", range(MAX_ROW)), _number(limit, "limit", range(1, MAX_LIMIT + 1))

    async def unit(tx: Transaction) -> tuple[list[tuple[int, bytes, bytes]], Head]:
        return await evidence.find_page(tx, after=first, limit=size), await evidence.find_head(tx)

    rows, head = await connector.database.read(unit)
    return {
        "entries": [
            {"seq": seq, "hash": hash_.hex(), "record": msgspec.Raw(record)} for seq, record, hash_ in rows
        ],
        "head": {"size": head.size, "hash": head.hash},
    }


def _number(text: str, name: str, taken: range) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > len(str(MAX_ROW)) or int(text) not in taken:
        raise errors.InvalidInputError(
            f"{name} must be a whole number from {taken[0]} to {taken[-1]}", path=f"$.{name}"
        )
    return int(text)
