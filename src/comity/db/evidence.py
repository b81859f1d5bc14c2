"""The evidence in the store: appended in the transaction of the step it proves, never changed, never deleted.

Who calls: the control plane, in the unit of the step; the command line reads a file without its connector.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from comity import errors
from comity.db.database import Transaction
from comity.evidence import entry as entries

HEAD = "evidence-head"
_LAST = "SELECT hash FROM evidence ORDER BY seq DESC LIMIT 1"
_ADD = "INSERT INTO evidence (record, hash) VALUES (?1, ?2)"
_PAGE = "SELECT seq, record, hash FROM evidence WHERE seq > ?1 ORDER BY seq LIMIT ?2"


async def append(tx: Transaction, entry: entries.Entry) -> None:
    """Chain a record to the last one."""
    record = entries.encode(entry)
    last = tx.memo.get(HEAD)
    if last is None:
        row = await tx.one(_LAST)
        last = row[0] if row else entries.GENESIS
    following = entries.link(last, record)
    await tx.run(_ADD, record, following)
    tx.memo[HEAD] = following


async def find_page(tx: Transaction, *, after: int, limit: int) -> list[tuple[int, bytes, bytes]]:
    """Return (seq, record, hash) rows after a row."""
    return [(row[0], row[1], row[2]) for row in await tx.all(_PAGE, after, limit)]


def read_all(path: Path) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield (seq, record, hash) of a database file, in order, without the connector that owns it.

    Raises:
        DatabaseError: the file cannot be read.
    """
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            connection.text_factory = bytes  # an altered row may be no UTF-8: it is for the chain to say so
            yield from connection.execute("SELECT seq, record, hash FROM evidence ORDER BY seq")
    except sqlite3.DatabaseError as error:
        raise errors.DatabaseError(f"{path} cannot be read: {error}") from None


async def find_head(tx: Transaction) -> entries.Head:
    """Return the end of the chain."""
    last = await tx.one("SELECT seq, hash FROM evidence ORDER BY seq DESC LIMIT 1")
    return entries.Head(last[0], last[1].hex()) if last else entries.Head(0, entries.GENESIS.hex())
