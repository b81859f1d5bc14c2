"""Backups of a connector, as files: taken while it runs, put back while none does.

A backup is one file with the store, the settings and the keys: without `seal.key` what is sealed in the store is lost,
without the signing key partners know us no more. What is in the store's part is `db.backup`'s. Nothing here is
half done: a file gets its name when it is whole and on the disk, and what is replaced is kept beside it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from msgspec import Struct

from comity import errors
from comity.db import backup, evidence, stores
from comity.db.backup import About
from comity.evidence import entry
from comity.storage import descriptor

SEAL = "keys/seal.key"
DATABASE = "comity.sqlite"
_KEPT = ("comity.toml", "keys/*.pem", "keys/*.key", "keys/keyring.json")


class Server(Struct, frozen=True):
    """A PostgreSQL database; `insecure` takes one that may lose what it has acknowledged."""

    url: str
    insecure: bool = False


class Restore(Struct, frozen=True):
    """What was restored: of which backup, how many processes wait for a word from their partner, what was replaced."""

    about: About
    held: int
    replaced: Path | None
    aside: str = ""
    """The schema of the database with what was there, if that could not be read."""


def take(  # the store, the folder, and where to
    store: Path,
    folder: Path,
    to: Path,
    *,
    participant_id: str,
    now_ms: int,
    force: bool,
    server: Server | None = None,
) -> About:
    """Write a backup of the store and of the data folder's keys and settings, also while a connector runs.

    The store is the SQLite file `store`, or that of a PostgreSQL `server`.

    Raises:
        ConflictError: there is a file of that name, and not `force`.
        DatabaseError, BrokenChainError, SettingsError: the store is damaged; nothing was written.
        StorageError: the file cannot be written.
    """
    if to.exists() and not force:
        raise errors.ConflictError(f"{to} is there already", hint="give another name, or --force")
    files = {name: path.read_bytes() for name, path in _files(folder)}
    with _whole(to) as unfinished:
        if server is not None:
            from comity.db import copy  # noqa: PLC0415  the driver is an extra

            copy.database_to_file(server.url, unfinished)
            backup.to_one_file(unfinished)
        else:
            backup.copy(store, unfinished)
        return backup.seal(unfinished, participant_id, now_ms, files, server=server is not None)


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    for pattern in _KEPT:
        for path in sorted(folder.glob(pattern)):
            yield path.relative_to(folder).as_posix(), path


@contextlib.contextmanager
def _whole(to: Path) -> Iterator[Path]:
    """Give a place to write to, readable by its owner only; the file has its name when the block has ended well."""
    with contextlib.ExitStack() as begun:
        with _writing(to):
            unfinished = begun.enter_context(descriptor.whole(to))
        try:
            yield unfinished
        finally:
            for more in ("-wal", "-shm", "-journal"):  # its log, if it broke off
                unfinished.with_name(unfinished.name + more).unlink(missing_ok=True)
        with _writing(to):
            begun.close()


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise errors.StorageError(f"{path} cannot be written: {error.strerror}") from None


def restore(
    file: Path,
    folder: Path,
    store: Path,
    *,
    now_ms: int,
    force: bool,
    server: Server | None = None,
    participant_id: str = "",
) -> Restore:
    """Put a backup into a data folder on which no connector runs; the store that was there is kept beside it.

    With `server` the store is that PostgreSQL database; what it held is kept as a backup in the folder, or, if it
    cannot be read and `force`, as it is in a schema beside. The folder is `participant_id`'s, if it is anybody's yet.

    Keys that are there stay: they are as old as the backup's or newer. Only the key that the store was sealed with
    must be the backup's.

    Raises:
        SettingsError: a connector runs on the folder, or the backup is of a newer Comity.
        ConflictError: it is another participant's; somebody has the store open; or, without `force`, the folder holds a
            newer state, or the backup is of a PostgreSQL database and there is no `server`.
        DatabaseError, BrokenChainError: the backup is damaged, or, without `force`, what is in the database; nothing
            was changed.
        StorageError: the folder cannot be written.
    """
    about, files = backup.read(file)
    _check_names(file, files)
    backup.check(file)
    backup.check_content(file)
    if participant_id not in {"", about.participant_id}:
        raise errors.ConflictError(
            f"this backup is of another participant, {about.participant_id}: the folder is {participant_id}'s",
            hint="name another folder with --data",
        )
    if about.server and server is None and not force:
        raise errors.ConflictError(
            "this backup is of a PostgreSQL database, and neither comity.toml nor COMITY_DATABASE_URL names one",
            hint="set COMITY_DATABASE_URL as the connector has it; --force restores into SQLite in the folder",
        )
    with _writing(folder):
        descriptor.make_folder(str(folder.absolute()), 0o700)
    with _locked(folder):
        if not force:
            _check_seal(files, folder)
            if server is None:
                _check_older(about, store)
        made = store.with_name(store.name + ".restored")
        with _whole(made) as unfinished:
            backup.copy(file, unfinished)
            held = backup.open_up(unfinished, about, now_ms=now_ms)
        aside = ""
        try:
            if server is None:
                replaced = _put_in_place(folder, store, files, now_ms)
            else:
                replaced, aside = _put_into_database(server, folder, made, files, about, now_ms, force=force)
        finally:
            made.unlink(missing_ok=True)
        return Restore(about, held, replaced, aside)


def _check_names(file: Path, files: Iterable[str]) -> None:
    """See that a backup, whoever made it, puts files where a data folder has them and nowhere else."""
    for name in files:
        path = PurePosixPath(str(name))
        if not any(path.match(each) and len(path.parts) == len(PurePosixPath(each).parts) for each in _KEPT):
            raise errors.DatabaseError(f"{file} is no backup of a connector: it holds a file {name[:100]!r}")


def _check_older(about: About, store: Path) -> None:
    if not store.exists():
        return
    try:
        older = backup.is_older(about, store)
    except (errors.DatabaseError, entry.BrokenChainError):  # damaged: that is what backups are for
        return
    if older:
        raise _newer(store)


def _check_seal(files: dict[str, bytes], folder: Path) -> None:
    mine = folder / SEAL
    if _is_another_seal(mine, SEAL, files):
        raise errors.ConflictError(
            f"{mine} is not the key that this backup was sealed with",
            hint="--force puts the backup's in its place",
        )


def _put_in_place(folder: Path, store: Path, files: dict[str, bytes], now_ms: int) -> Path | None:
    """Exchange the store and put back the files that are missing; at every moment a whole store is in its place."""
    with _writing(folder):
        replaced = _keep(folder, store, files, now_ms)
        with _putting_back(folder, files):
            for more in ("-wal", "-shm"):  # it is kept; the new store must not meet it
                store.with_name(store.name + more).unlink(missing_ok=True)
            store.with_name(store.name + ".restored").replace(store)
            descriptor.sync_folder(folder)
    return replaced


@contextlib.contextmanager
def _putting_back(folder: Path, files: dict[str, bytes]) -> Iterator[None]:
    """Write the files that are missing; they get their names after the block, so that key and store fit if it fails."""
    with contextlib.ExitStack() as written:
        for name, content in files.items():
            path = folder / name
            if not path.exists() or _is_another_seal(path, name, files):
                descriptor.make_folder(str(path.parent.absolute()), 0o700)
                written.enter_context(_whole(path)).write_bytes(content)
        yield


def _is_another_seal(path: Path, name: str, files: dict[str, bytes]) -> bool:
    """Return whether a file is the key of a folder, and not the one that the store in a backup was sealed with."""
    there = name == SEAL and name in files and path.exists()
    return there and path.read_bytes().strip() != files[name].strip()


def _put_into_database(
    server: Server,
    folder: Path,
    made: Path,
    files: dict[str, bytes],
    about: About,
    now_ms: int,
    *,
    force: bool,
) -> tuple[Path, str]:
    """Put the restored store into PostgreSQL in one transaction; what was there becomes a backup in the folder.

    If it cannot be read, and `force`, it is put aside where it is. Return the folder, and its schema then.
    """
    from comity.db import copy  # noqa: PLC0415  the driver is an extra

    place, aside = stores.place(folder), ""
    copy.check_alone(server.url, place)
    try:
        stores.prepare(made, server.url, insecure=server.insecure)
        if not force:
            _check_database_older(about, server)
        kept = _folder_for(folder, now_ms)
        whose, file = about.participant_id, kept / "database.backup"
        take(made, folder, file, participant_id=whose, now_ms=now_ms, force=False, server=server)
    except (errors.DatabaseError, entry.BrokenChainError) as damage:
        kept = _folder_for(folder, now_ms)
        if not force:
            kept.rmdir()
            raise errors.DatabaseError(
                f"what is in the database cannot be read: {damage.message}",
                hint="--force puts it aside as it is, into a schema of its own, and restores in its place",
            ) from None
        aside = kept.name.replace("-", "_").replace(".", "_").lower()
    with _writing(folder):
        _keep_seal(folder, kept, files)
        with _putting_back(folder, files):
            copy.file_to_database(
                made, server.url, place=place, replace=True, aside=aside, insecure=server.insecure
            )
    return kept, aside


def _check_database_older(about: About, server: Server) -> None:
    known = {(0, about.evidence_size, about.evidence_head), *about.further}
    with contextlib.closing(evidence.read_chains(server.url)) as chains:
        found = {chain: entry.verify(rows, chain) for chain, rows in chains}
    if any((chain, each.size, each.hash) not in known for chain, each in found.items() if each.size):
        raise _newer("the database")


def _newer(what: object) -> errors.ConflictError:
    return errors.ConflictError(
        f"{what} holds a state that this backup does not have: what happened since would be lost",
        hint="--force replaces it and keeps it beside; partners are then asked what they know",
    )


def _folder_for(folder: Path, now_ms: int) -> Path:
    """Make the folder that keeps what is replaced now."""
    moment = datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y%m%dT%H%M%S.%f")[:-3]
    kept = folder / f"replaced-{moment}Z"
    with _writing(folder):
        descriptor.make_folder(str(kept.absolute()), 0o700)
    return kept


def _keep(folder: Path, store: Path, files: dict[str, bytes], now_ms: int) -> Path | None:
    """Keep what will be replaced in a folder of its own.

    Raises:
        ConflictError: somebody else has the store open: its log cannot be brought into it.
    """
    if not store.exists():
        return None
    kept = _folder_for(folder, now_ms)
    with contextlib.suppress(errors.DatabaseError):
        backup.bring_together(store)
    for path in (store, store.with_name(store.name + "-wal")):
        if path.exists():
            os.link(path, kept / path.name)
    _keep_seal(folder, kept, files)
    return kept


def _keep_seal(folder: Path, kept: Path, files: dict[str, bytes]) -> None:
    """Keep the key of a folder, if that will be replaced, and all that is kept, on the disk."""
    seal = folder / SEAL
    if _is_another_seal(seal, SEAL, files):
        os.link(seal, kept / seal.name)
    descriptor.sync_folder(kept)
    descriptor.sync_folder(folder)


def copy(source: str, to: str, *, insecure: bool = False) -> list[Any]:
    """Carry a store from a data folder to an empty PostgreSQL database, or back into a folder that has none.

    Raises:
        InvalidInputError: that is not one of each.
        ConflictError, SettingsError: a connector runs on one side, or the target is not empty.
        DatabaseError, BrokenChainError, StorageError: one side cannot be used; the target is as it was.
    """
    from comity.db import copy as copying  # noqa: PLC0415  the driver is an extra

    urls = [each.startswith(("postgres://", "postgresql://")) for each in (source, to)]
    if urls == [False, True]:
        store = Path(source) / DATABASE
        with _locked(store.parent):
            if not store.exists():
                raise errors.NotFoundError(f"there is no database at {store}")
            return copying.file_to_database(store, to, place=stores.place(store.parent), insecure=insecure)
    if urls != [True, False]:
        raise errors.InvalidInputError(
            "a copy goes from a data folder to a postgresql:// URL, or back", path="--to"
        )
    store = Path(to) / DATABASE
    with _locked(store.parent):
        if store.exists():
            raise errors.ConflictError(f"there is a database at {store} already", hint="move it away")
        with _whole(store) as unfinished:
            done = copying.database_to_file(source, unfinished, alone=True, place=stores.place(store.parent))
            backup.to_one_file(unfinished)
        return done


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    lock = stores.lock_folder(folder)
    try:
        yield
    finally:
        os.close(lock)
