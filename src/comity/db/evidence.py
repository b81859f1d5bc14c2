"""The evidence in the store: appended in the transaction of the step it proves, never changed, never deleted.

Each process that writes has a chain of its own, with a number: SQLite has chain 0 only, replicas on one PostgreSQL
database one each, so that they do not wait for each other.

Who calls: the control plane, in the unit of the step; the command line reads a file without its connector.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path

from msgspec import Struct

from comity import errors
from comity.db.store import Row, Transaction
from comity.evidence import entry as entries

HEAD = "evidence-head"
READ_AT_ONCE = 1000
_LAST = "SELECT seq, hash FROM evidence WHERE chain = ?1 ORDER BY seq DESC LIMIT 1"
_ADD = (
    "INSERT INTO evidence (chain, seq, record, hash, token, body, sealed, answer)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
)
_PAGE = "SELECT seq, record, hash FROM evidence WHERE chain = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3"
_TOKENS = "SELECT seq, record, token FROM evidence WHERE chain = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3"
_BESIDE = "SELECT token, body, sealed, answer FROM evidence WHERE chain = ?1 AND seq = ?2"
_CHAINS = "SELECT number FROM evidence_chain ORDER BY number"


class Beside(Struct, frozen=True, kw_only=True):
    """What lies beside a record, which has only the digests of it; empty where there is none.

    `body` are the exact bytes of the message, or those closed by the connector's seal if it is `sealed` (for the
    purpose that is their digest in hex); `answer` those of its reply.
    """

    token: str = ""
    body: bytes = b""
    sealed: bool = False
    answer: bytes = b""


NOTHING = Beside()


async def append(tx: Transaction, entry: entries.Entry, beside: Beside = NOTHING) -> None:
    """Chain a record to the last one of this writer's chain."""
    record = entries.encode(entry)
    if HEAD not in tx.memo:
        found = await tx.one(_LAST, tx.chain) or (0, entries.GENESIS)
        tx.memo.setdefault(HEAD, found)  # a unit beside this one may have appended meanwhile
    seq, last = tx.memo[HEAD]
    following = entries.link(last, record)
    await tx.append(
        _ADD,
        tx.chain,
        seq + 1,
        record,
        following,
        beside.token or None,
        beside.body or None,
        int(beside.sealed),
        beside.answer or None,
    )
    tx.memo[HEAD] = (seq + 1, following)


async def find_page(
    tx: Transaction, *, after: int, limit: int, chain: int = 0
) -> list[tuple[int, bytes, bytes]]:
    """Return (seq, record, hash) rows of a chain after a row."""
    return [(row[0], row[1], row[2]) for row in await tx.all(_PAGE, chain, after, limit)]


async def find_beside(tx: Transaction, chain: int, seq: int) -> Beside:
    """Return what lies beside a record."""
    row = await tx.one(_BESIDE, chain, seq) or (None, None, 0, None)
    return Beside(token=row[0] or "", body=row[1] or b"", sealed=bool(row[2]), answer=row[3] or b"")


async def find_tokens(tx: Transaction, *, after: int, limit: int, chain: int = 0) -> dict[int, str]:
    """Return the tokens that lie beside the rows of a page, by their row numbers."""
    return {row[0]: row[2] for row in await tx.all(_TOKENS, chain, after, limit) if row[2]}


async def find_chains(tx: Transaction) -> list[int]:
    """Return the numbers of all chains."""
    return [row[0] for row in await tx.all(_CHAINS)]


def read_tokens(place: Path | str) -> Generator[tuple[int, bytes, str], None, None]:
    """Yield (seq, record, token) of all chains; the token is empty where none lies beside the record.

    Raises:
        SettingsError, DatabaseError: it cannot be read.
    """
    if isinstance(place, Path):
        yield from _tokens_of(place)
        return
    from comity.db import postgres  # noqa: PLC0415  the driver is an extra

    with postgres.reading(place) as read:
        for (chain,) in read(_CHAINS):
            last = -1
            while rows := read(_TOKENS, chain, last, READ_AT_ONCE):
                yield from ((row[0], row[1], row[2] or "") for row in rows)
                last = rows[-1][0]


def _tokens_of(path: Path) -> Iterator[tuple[int, bytes, str]]:
    try:
        with closing(_opened(path)) as connection:
            token = "token" if "token" in _columns(connection) else "NULL"
            order = "chain, seq" if "chain" in _columns(connection) else "seq"
            rows = connection.execute(f"SELECT seq, record, {token} FROM evidence ORDER BY {order}")
            yield from ((row[0], row[1], row[2] or "") for row in rows)
    except sqlite3.DatabaseError as error:
        raise errors.DatabaseError(f"{path} cannot be read: {error}") from None


def read_chains(place: Path | str) -> Generator[tuple[int, Iterator[tuple[int, bytes, bytes]]], None, None]:
    """Yield each chain of a database file, or of a URL: its number, and its (seq, record, hash) in order.

    It holds a connection: who lives on after an error closes it.

    Raises:
        SettingsError, DatabaseError: it cannot be read.
    """
    if isinstance(place, Path):
        yield from ((chain, read_all(place, chain)) for chain in _chains_of(place))
        return
    from comity.db import postgres  # noqa: PLC0415  the driver is an extra

    with postgres.reading(place) as read:
        for (chain,) in read(_CHAINS):
            yield chain, _pages(read, chain)


def _pages(read: Callable[..., list[Row]], chain: int) -> Iterator[tuple[int, bytes, bytes]]:
    last = -1
    while rows := read(_PAGE, chain, last, READ_AT_ONCE):
        yield from ((row[0], row[1], row[2]) for row in rows)
        last = rows[-1][0]


def _chains_of(path: Path) -> list[int]:
    """Return the numbers of the chains in a database file: several only where it is a copy of PostgreSQL."""
    try:
        with closing(_opened(path)) as connection:
            if not _has_chains(connection):
                return [0]
            return [number for (number,) in connection.execute("SELECT DISTINCT chain FROM evidence")] or [0]
    except sqlite3.DatabaseError as error:
        raise errors.DatabaseError(f"{path} cannot be read: {error}") from None


def _has_chains(connection: sqlite3.Connection) -> bool:
    return "chain" in _columns(connection)


def _columns(connection: sqlite3.Connection) -> set[str]:
    names = (column[1] for column in connection.execute("PRAGMA table_info(evidence)"))
    return {name.decode() if isinstance(name, bytes) else name for name in names}


def _opened(path: Path) -> sqlite3.Connection:
    """Open a file for reading; who stops in the middle may leave the rest to the collector, in whatever thread."""
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, check_same_thread=False)


def read_all(path: Path, chain: int = 0) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield (seq, record, hash) of a chain of a database file, in order, without the connector that owns it.

    Raises:
        DatabaseError: the file cannot be read.
    """
    try:
        with closing(_opened(path)) as connection:
            connection.text_factory = bytes  # an altered row may be no UTF-8: it is for the chain to say so
            of_chain = f"WHERE chain = {int(chain)}" if _has_chains(connection) else ""
            yield from connection.execute(f"SELECT seq, record, hash FROM evidence {of_chain} ORDER BY seq")
    except sqlite3.DatabaseError as error:
        raise errors.DatabaseError(f"{path} cannot be read: {error}") from None


async def find_head(tx: Transaction, chain: int = 0) -> entries.Head:
    """Return the end of a chain."""
    last = await tx.one(_LAST, chain)
    return entries.Head(last[0], last[1].hex()) if last else entries.Head(0, entries.GENESIS.hex())
