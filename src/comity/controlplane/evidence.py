"""The evidence, page by page, for whoever reads or keeps a copy of it.

The chain itself is `evidence.entry`, its rows are `db.evidence`; checking a copy offline is the command line's part.
"""

from __future__ import annotations

from typing import Any

import msgspec

from comity.controlplane.connector import Connector
from comity.db import evidence
from comity.db.store import Transaction
from comity.evidence.entry import GENESIS, Head


async def find_page(
    connector: Connector, *, after: int, limit: int, chain: int = 0, tokens: bool = True
) -> dict[str, Any]:
    """Return at most `limit` records of a chain after row number `after` with their hashes, and all chains' heads.

    A young token still speaks in our name: without `tokens` none is there, and records of before, which have theirs
    inside, do not have these hashes.
    """

    async def unit(tx: Transaction) -> tuple[list[tuple[int, bytes, bytes]], dict[int, str], dict[int, Head]]:
        heads = {each: await evidence.find_head(tx, each) for each in await evidence.find_chains(tx)}
        beside = await evidence.find_tokens(tx, after=after, limit=limit, chain=chain) if tokens else {}
        return await evidence.find_page(tx, after=after, limit=limit, chain=chain), beside, heads

    rows, beside, heads = await connector.database.read(unit)
    head = heads.get(chain) or Head(0, GENESIS.hex())
    return {
        "entries": [
            {"chain": chain, "seq": seq, "hash": hash_.hex(), "record": _shown(record, tokens=tokens)}
            | ({"token": beside[seq]} if seq in beside else {})
            for seq, record, hash_ in rows
        ],
        "head": {"size": head.size, "hash": head.hash},
        "chains": [{"chain": number, "size": each.size, "hash": each.hash} for number, each in heads.items()],
    }


def _shown(record: bytes, *, tokens: bool) -> msgspec.Raw:
    if tokens:
        return msgspec.Raw(record)
    members = msgspec.json.decode(record, type=dict[str, msgspec.Raw])
    return msgspec.Raw(msgspec.json.encode({name: raw for name, raw in members.items() if name != "token"}))
