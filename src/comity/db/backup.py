"""A backup of the store: one SQLite file with every table as it was at one moment, and the files that belong to it.

Such a file is written, checked, and made into a store again, here; where it lies, and that no connector runs
meanwhile, is `controlplane.backup`'s. A store that was made from one says so, holds every process that had not
ended, and takes no data token that was given out before: what happened after the backup is not known to it.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path

import msgspec
from msgspec import Struct

from comity import errors
from comity.db import digest, evidence, migrate, restored
from comity.db.digest import Copied
from comity.dsp import terms
from comity.evidence import entry

FORMAT = 1
ABOUT, FILES, DIGESTS = "backup_about", "backup_file", "backup_digest"
_OPEN = (
    f"SELECT id, counterparty_id, state FROM {{}} WHERE state IS NULL OR state NOT IN"
    f" ('{terms.FINALIZED}', '{terms.COMPLETED}', '{terms.TERMINATED}')"
)


class About(Struct, frozen=True, kw_only=True):
    """Of whom a backup is, when it was taken (ms since 1970), and where its evidence ends."""

    participant_id: str
    taken_at: int
    schema: str
    evidence_size: int = 0
    evidence_head: str = entry.GENESIS.hex()
    further: tuple[tuple[int, int, str], ...] = ()
    """Number, size and head of the other chains, of replicas."""
    server: bool = False
    """Whether it was taken of a PostgreSQL database."""


@contextlib.contextmanager
def opened(path: Path, *, read_only: bool = False) -> Iterator[sqlite3.Connection]:
    """Open a file in autocommit; what SQLite says of it becomes a DatabaseError that names the file."""
    mode = "ro" if read_only else "rw"
    try:
        with contextlib.closing(
            sqlite3.connect(f"{path.resolve().as_uri()}?mode={mode}", uri=True, isolation_level=None)
        ) as connection:
            yield connection
    except sqlite3.Error as error:
        raise errors.DatabaseError(f"{path} cannot be used: {error}") from None


def copy(source: Path, to: Path) -> None:
    """Copy a store as it is at one moment, also while a connector writes to it; `to` is there and empty.

    Raises:
        DatabaseError: one of the two cannot be used.
    """
    with opened(source, read_only=True) as held, opened(to) as made:
        held.backup(made)
    to_one_file(to)


def seal(
    path: Path, participant_id: str, taken_at: int, files: Mapping[str, bytes], *, server: bool = False
) -> About:
    """Make a copy a backup: check it, and add what it is and the `files` that belong to it.

    Raises:
        DatabaseError: it is damaged.
        BrokenChainError: its evidence does not hold.
        SettingsError: it was written by a newer Comity.
    """
    heads = check(path)
    head = heads.pop(0, entry.Head(0, entry.GENESIS.hex()))
    about = About(
        participant_id=participant_id,
        taken_at=taken_at,
        schema=migrate.current_version(path) or "",
        evidence_size=head.size,
        evidence_head=head.hash,
        further=tuple((chain, each.size, each.hash) for chain, each in sorted(heads.items())),
        server=server,
    )
    with opened(path) as made:
        made.execute("BEGIN IMMEDIATE")
        made.execute(f"CREATE TABLE {ABOUT} (format INTEGER NOT NULL, about BLOB NOT NULL)")
        made.execute(f"INSERT INTO {ABOUT} VALUES (?, ?)", (FORMAT, msgspec.json.encode(about)))
        made.execute(f"CREATE TABLE {FILES} (path TEXT PRIMARY KEY, content BLOB NOT NULL)")
        made.executemany(f"INSERT INTO {FILES} VALUES (?, ?)", files.items())
        made.execute(f"CREATE TABLE {DIGESTS} (content BLOB NOT NULL, sha256 BLOB NOT NULL)")
        found = msgspec.json.encode(list(digest.of(made, without={DIGESTS})))
        made.execute(f"INSERT INTO {DIGESTS} VALUES (?, ?)", (found, sha256(found).digest()))
        made.execute("COMMIT")
    return about


def check(path: Path) -> dict[int, entry.Head]:
    """Check that a store, or a backup, is whole, its schema known and its evidence good; return each chain's head.

    Raises:
        DatabaseError: it is damaged, or no store.
        BrokenChainError: its evidence does not hold.
        SettingsError: it was written by a newer Comity.
    """
    with opened(path, read_only=True) as held:
        wrong = held.execute("PRAGMA integrity_check(1)").fetchone()[0]
        foreign = held.execute("PRAGMA foreign_key_check").fetchone()
    if wrong != "ok" or foreign is not None:
        raise errors.DatabaseError(f"{path} is damaged: {wrong if wrong != 'ok' else foreign}")
    version = migrate.current_version(path)
    if version is None:
        raise errors.DatabaseError(f"{path} is not a store of Comity")
    migrate.missing(version, str(path))
    return {chain: entry.verify(rows, chain) for chain, rows in evidence.read_chains(path)}


def read(path: Path) -> tuple[About, dict[str, bytes]]:
    """Return what a backup is of, and the files in it.

    Raises:
        DatabaseError: the file is no backup.
        SettingsError: it was written by a newer Comity.
    """
    with opened(path, read_only=True) as held:
        if not held.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (ABOUT,)).fetchone():
            raise errors.DatabaseError(
                f"{path} is not a backup", hint="it is made with: comity db backup FILE"
            )
        row = held.execute(f"SELECT format, about FROM {ABOUT}").fetchone() or (0, b"")
        files = dict(held.execute(f"SELECT path, content FROM {FILES}"))
    if isinstance(row[0], int) and row[0] > FORMAT:
        raise errors.SettingsError(f"{path} was written by a newer Comity", hint="restore it with that one")
    try:
        return msgspec.json.decode(row[1], type=About), files
    except (msgspec.DecodeError, TypeError):
        raise errors.DatabaseError(f"{path} is damaged: table {ABOUT} was altered") from None


def check_content(path: Path) -> None:
    """Check that every row of a backup is what it was when the backup was made.

    Raises:
        DatabaseError: it is not; the sentence names the table.
    """
    with opened(path, read_only=True) as held:
        if not held.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (DIGESTS,)).fetchone():
            raise errors.DatabaseError(f"{path} is damaged: it has no digests of its tables")
        row = held.execute(f"SELECT content, sha256 FROM {DIGESTS}").fetchone()
        if row is None or not isinstance(row[0], bytes) or sha256(row[0]).digest() != row[1]:
            raise errors.DatabaseError(f"{path} is damaged: table {DIGESTS} was altered")
        known = {each.table: each for each in msgspec.json.decode(row[0], type=list[Copied])}
        for each in digest.of(held, without={DIGESTS}):
            if each != known.pop(each.table, None):
                raise errors.DatabaseError(
                    f"{path} is damaged: table {each.table} was altered since the backup was made",
                    hint="take another backup; nothing was changed",
                )
    for name in known:
        raise errors.DatabaseError(f"{path} is damaged: table {name} is missing")


def is_older(backup: About, store: Path) -> bool:
    """Whether a store holds evidence that goes beyond a backup's, or is of another history.

    Raises:
        DatabaseError, BrokenChainError: the store is damaged.
    """
    known = {(0, backup.evidence_size, backup.evidence_head), *backup.further}
    return any(
        (chain, each.size, each.hash) not in known for chain, each in check(store).items() if each.size
    )


def to_one_file(path: Path) -> None:
    """Have a store be one file, without a log beside it."""
    with opened(path) as made:
        made.execute("PRAGMA journal_mode=DELETE")


def bring_together(store: Path) -> None:
    """Bring what is in a store's log into its file.

    Raises:
        ConflictError: somebody else has it open.
        DatabaseError: it is damaged.
    """
    with opened(store) as held:
        if held.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            raise errors.ConflictError(f"somebody has {store} open", hint="end that program, then try again")


def open_up(path: Path, about: About, *, now_ms: int) -> int:
    """Make a copied backup a store that knows that it was restored; return how many processes are held.

    Raises:
        DatabaseError: it cannot be written.
    """
    migrate.migrate(path)
    with opened(path) as made:
        made.execute("PRAGMA secure_delete=ON")  # the keys in it must not stay in free pages
        made.execute("BEGIN IMMEDIATE")
        for table in (ABOUT, FILES, DIGESTS):
            made.execute(f"DROP TABLE {table}")
        made.execute("DELETE FROM reconciliation")
        made.execute("DELETE FROM token_use")  # no token of then is taken any more
        made.execute("UPDATE transfer SET token_sha256 = NULL")
        held = list(_held(made))
        marker = restored.Restored(
            at=now_ms,
            backup_at=about.taken_at,
            evidence_size=about.evidence_size,
            evidence_head=about.evidence_head,
        )
        made.execute(restored.ADD_RESTORED, restored.restored_row(marker))
        made.executemany(restored.ADD_FINDING, map(restored.finding_row, held))
        _note(made, about, now_ms)
        made.execute("COMMIT")
    return len(held)


def _held(made: sqlite3.Connection) -> Iterable[restored.Finding]:
    for kind in (terms.NEGOTIATION, terms.TRANSFER):
        for process_id, counterparty_id, state in made.execute(_OPEN.format(kind)).fetchall():
            yield restored.Finding(
                kind=kind, process_id=process_id, counterparty_id=counterparty_id, here=state or ""
            )


def _note(made: sqlite3.Connection, about: About, now_ms: int) -> None:
    """Write into each chain of the evidence that it was restored: what follows is no seamless continuation."""
    for chain, size, head in ((0, about.evidence_size, about.evidence_head), *about.further):
        _note_in(made, about, now_ms, entry.Head(size, head), chain)


def _note_in(made: sqlite3.Connection, about: About, now_ms: int, head: entry.Head, chain: int) -> None:
    record = entry.encode(
        entry.Entry(
            at=now_ms,
            direction="out",
            message="restored",
            sha256=head.hash,
            sender=about.participant_id,
            receiver=about.participant_id,
            kind="store",
            process_id="",
            outcome="restored",
            detail=f"from a backup that was taken at {about.taken_at} and ended with row {head.size}",
        )
    )
    following = entry.link(bytes.fromhex(head.hash), record)
    made.execute(
        "INSERT INTO evidence (chain, seq, record, hash) VALUES (?, ?, ?, ?)",
        (chain, head.size + 1, record, following),
    )
