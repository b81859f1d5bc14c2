"""Opens the store that the settings name, its schema brought to the newest version, and takes the data folder.

SQLite is a file of the data folder; PostgreSQL is named by a URL, and its driver imported only then.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

from comity import errors
from comity.db import migrate, sqlite
from comity.db.store import Store, T, Unit

LOCK = "comity.lock"


@contextlib.asynccontextmanager
async def opened(
    path: Path, url: str = "", *, insecure: bool = False, place: str = ""
) -> AsyncIterator[Store]:
    """Keep a store open for as long as the block runs: PostgreSQL at `url`, or, if that is empty, SQLite at `path`.

    `insecure` takes a server that may lose what it has acknowledged. With a `place`, a name that no other process has
    at the same time, this one takes part in the work of all that use the database.

    Raises:
        SettingsError: the URL is wrong, or leads to no database that can be used.
        DatabaseError: the store does not answer, or cannot be read.
    """
    if url:
        from comity.db import postgres  # noqa: PLC0415  start-up time, and the driver is an extra

        async with postgres.opened(url, insecure=insecure, place=place) as found:
            yield found
        return
    migrate.migrate(path)
    store = sqlite.Database(path)
    try:
        yield store
    finally:
        store.close()


def prepare(path: Path, url: str = "", *, insecure: bool = False) -> None:
    """Bring a store to the newest version, for a command without an event loop.

    Raises:
        SettingsError, DatabaseError: as `opened`.
    """
    if not url:
        migrate.migrate(path)
        return
    from comity.db import postgres  # noqa: PLC0415  start-up time, and the driver is an extra

    asyncio.run(postgres.bring_on(url, insecure=insecure))


async def check_current(url: str) -> None:
    """See that a PostgreSQL database has the newest schema, without bringing it on.

    Raises:
        SettingsError, NotFoundError, DatabaseError: as `postgres.check_current`.
    """
    from comity.db import postgres  # noqa: PLC0415  start-up time, and the driver is an extra

    await postgres.check_current(url)


async def read(path: Path, url: str, unit: Unit[T]) -> T:
    """Run `unit` on one snapshot of a store that a connector may be using.

    Raises:
        DatabaseError: there is none, or its schema is an older one: no connector has run on it since the upgrade.
    """
    if url:
        await check_current(url)
        async with opened(url=url, path=path, insecure=True) as found:  # who only reads acknowledges nothing
            return await found.read(unit)
    if not await asyncio.to_thread(_is_current, path):
        raise errors.DatabaseError(
            f"there is no database of this version at {path}", hint="start the connector first"
        )
    store = sqlite.Database(path)
    try:
        return await store.read(unit)
    finally:
        store.close()


def _is_current(path: Path) -> bool:
    return path.exists() and migrate.current_version(path) == migrate.known_versions()[-1]


def place(folder: Path) -> str:
    """Return the name of the process that has the lock of a data folder, among all on a PostgreSQL database."""
    return f"{socket.gethostname()}:{folder.absolute()}"


def note_use(lock: int, url: str | None) -> None:
    """Note beside the lock of a data folder which kind of store its connector runs on; None: it has ended."""
    with contextlib.suppress(OSError):  # a full disk: it is only a help
        os.ftruncate(lock, 0)
        if url is not None:
            os.pwrite(lock, _kind(url), 0)


def check_use(folder: Path, url: str) -> None:
    """Refuse to read a store that is not the one that the folder's connector was started on and has not left.

    Raises:
        SettingsError: the connector was told another one, by COMITY_DATABASE_URL.
    """
    try:
        noted = (folder / LOCK).read_bytes()
    except OSError:
        return
    if noted in {b"", _kind(url)}:
        return
    raise errors.SettingsError(
        f"the connector of {folder} runs on another store than this command: {noted.decode(errors='replace')}",
        hint="give this command the COMITY_DATABASE_URL that the connector has",
    )


def _kind(url: str) -> bytes:
    return b"a PostgreSQL database" if url else b"SQLite in the data folder"


def lock_folder(folder: Path) -> int:
    """Take the data folder for this process alone and return the lock's descriptor; it ends with the process.

    Raises:
        SettingsError: another connector runs on this folder, or it cannot be written.
    """
    try:
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise errors.SettingsError(f"the data folder {folder} cannot be written: {error.strerror}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise errors.SettingsError(
            f"another connector runs on the data folder {folder}",
            hint="stop it, or name another folder with --data",
        ) from None
    return descriptor
