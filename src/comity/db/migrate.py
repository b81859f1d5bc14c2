"""Brings the schema of a database to the version that this code knows, one migration a transaction.

The version is compared with one query; Alembic is imported only when the schema is behind. A schema that is ahead
belongs to a newer Comity: it is refused, never touched. A kill in the middle leaves the version before.
"""

from __future__ import annotations

import io
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from comity import errors
from comity.db import sqlite

if TYPE_CHECKING:
    from alembic.config import Config

FOLDER = Path(__file__).parent / "migrations"


def known_versions() -> list[str]:
    """Return the revisions that this code has migrations for, oldest first."""
    return sorted(path.name[:4] for path in (FOLDER / "versions").glob("[0-9][0-9][0-9][0-9]_*.py"))


def missing(found: str | None, place: str) -> list[str]:
    """Return the versions that a database at `place`, which has the version `found`, has yet to be brought to.

    Raises:
        SettingsError: the database was written by a newer Comity.
    """
    known = known_versions()
    if found is None:
        return known
    if found not in known:
        raise errors.SettingsError(
            f"{place} has schema {found}, this Comity knows up to {known[-1]}: it was written by a newer version",
            hint="start the newer Comity, or restore the backup made before the upgrade",
        )
    return known[known.index(found) + 1 :]


def current_version(path: Path) -> str | None:
    """Return the revision that the database at `path` has, or None for an empty one.

    Raises:
        DatabaseError: the file is not a database, or is damaged.
    """
    try:
        with closing(sqlite3.connect(path)) as connection:
            known = connection.execute(
                "SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'"
            ).fetchone()
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone() if known else None
    except sqlite3.DatabaseError as error:
        raise errors.DatabaseError(
            f"{path} cannot be read as a Comity database: {error}", hint="restore it from a backup"
        ) from None
    return str(row[0]) if row else None


def migrate(path: Path) -> bool:
    """Bring the database at `path` to the newest known version and return whether anything was done.

    Raises:
        SettingsError: the database was written by a newer Comity.
        DatabaseError: the file is not a database, or the migration could not be written.
    """
    found = current_version(path)
    if not missing(found, str(path)):
        return False
    try:
        _upgrade(path)
    except sqlite3.Error as error:
        raise errors.DatabaseError(
            f"{path} could not be brought from schema {found or 'nothing'} to {known_versions()[-1]}: {error};"
            " it is as it was",
            hint="see that the disk has space and that no other program holds the file, then start again",
        ) from None
    return True


def _upgrade(path: Path) -> None:
    from alembic import command  # noqa: PLC0415  0.8 s and 30 MB that a plain start does not need
    from sqlalchemy import create_engine, event, exc, pool  # noqa: PLC0415

    engine = create_engine(
        "sqlite://", creator=lambda: sqlite.connect(str(path), reading=False), poolclass=pool.NullPool
    )

    @event.listens_for(engine, "begin")
    def _begin(connection: object) -> None:  # the driver would leave DDL outside the transaction
        connection.exec_driver_sql("BEGIN IMMEDIATE")  # type: ignore[attr-defined]

    try:
        command.upgrade(_config(engine=engine), "head")
    except exc.DBAPIError as error:
        raise error.orig or error from None
    finally:
        engine.dispose()


def statements(before: str | None, version: str, *, transactional: bool = True) -> str:
    """Return the script that brings a PostgreSQL database from one version to another.

    Each version is a transaction of it, or, if it is not to be `transactional`, all are part of the caller's.
    """
    from alembic import command  # noqa: PLC0415  as above

    written = io.StringIO()
    command.upgrade(
        _config(statements=written, transactional=transactional), f"{before or 'base'}:{version}", sql=True
    )
    return written.getvalue()


def _config(**given: Any) -> Config:
    from alembic.config import Config  # noqa: PLC0415  as above

    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.attributes.update(given)
    return config
