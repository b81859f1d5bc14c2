"""Hashes of 256, 65,536, ... records of a chain, kept so that its tree need not be made from every record again.

They are written before the checkpoint that needs them. They prove nothing: whoever checks the evidence makes the tree
anew from the records. A proof reads at most 255 records for each of its ends, and a few hundred hashes.
"""

from __future__ import annotations

from collections.abc import Sequence

from comity.db.store import Transaction
from comity.evidence import tree

WIDTH = 256
AT_ONCE = 8
"""How many tiles are made of records in one go: others read and write in between."""
_ADD = "INSERT INTO tile (chain, level, position, hash) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING"
_HASHES = "SELECT hash FROM tile WHERE chain = ?1 AND level = ?2 AND position >= ?3 AND position < ?4 ORDER BY position"
_COUNT = "SELECT max(position) FROM tile WHERE chain = ?1 AND level = ?2"
_RECORDS = "SELECT record FROM evidence WHERE chain = ?1 AND seq > ?2 AND seq <= ?3 ORDER BY seq"
_LEVELS = 4


async def find_records(tx: Transaction, chain: int, start: int, end: int) -> list[bytes]:
    """Return the records of a chain from a number (0 is the first) to before another."""
    return [row[0] for row in await tx.all(_RECORDS, chain, start, end)]


async def count(tx: Transaction, chain: int, level: int = 1) -> int:
    """Return how many tiles there are."""
    row = await tx.one(_COUNT, chain, level)
    return row[0] + 1 if row and row[0] is not None else 0


async def add(tx: Transaction, chain: int, position: int, hashes: Sequence[bytes]) -> None:
    """Keep the hashes of the next tiles of records, and those of whole rows of tiles."""
    for at, each in enumerate(hashes, position):
        await tx.run(_ADD, chain, 1, at, each)
        level, number = 1, at + 1
        while number % WIDTH == 0 and level < _LEVELS:
            below = await _hashes(tx, chain, level, number - WIDTH, number)
            level, number = level + 1, number // WIDTH
            await tx.run(_ADD, chain, level, number - 1, tree.root(below))


async def _hashes(tx: Transaction, chain: int, level: int, start: int, end: int) -> list[bytes]:
    return [row[0] for row in await tx.all(_HASHES, chain, level, start, end)]


async def hash_of(tx: Transaction, chain: int, start: int, end: int, level: int = _LEVELS) -> bytes:
    """Return the hash of the tree over a range of a chain's records, which a tree or a proof is made of."""
    width = WIDTH**level
    if level == 0:
        return tree.root([tree.leaf(each) for each in await find_records(tx, chain, start, end)])
    if end - start < width:
        return await hash_of(tx, chain, start, end, level - 1)
    first, last = start // width, end // width
    hashes = await _hashes(tx, chain, level, first, last)
    if len(hashes) != last - first:  # no checkpoint was made of them yet
        return await hash_of(tx, chain, start, end, level - 1)
    if last * width < end:
        hashes.append(await hash_of(tx, chain, last * width, end, level - 1))
    return tree.root(hashes)


async def prove_inclusion(tx: Transaction, chain: int, index: int, size: int) -> list[bytes]:
    """Return the proof that record number `index` (0 is the first) is in the tree over the first `size` of a chain."""
    return [await hash_of(tx, chain, *each) for each in tree.inclusion_ranges(index, size)]


async def prove_consistency(tx: Transaction, chain: int, old: int, size: int) -> list[bytes]:
    """Return the proof that the tree over the first `old` records is the beginning of that over the first `size`."""
    return [await hash_of(tx, chain, *each) for each in tree.consistency_ranges(old, size)]
