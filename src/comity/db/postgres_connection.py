"""One connection to PostgreSQL: how it is made and set, what its errors mean, and its words for our SQL.

Durability is ours to see to: `synchronous_commit` is on, and a server that does not sync is refused. Whoever hangs in
the middle of a transaction (a process that was stopped) loses its connection, so that its locks hold up nobody.
"""

from __future__ import annotations

import asyncio
import functools
import re
from typing import TypeAlias
from urllib.parse import parse_qs, urlsplit

from comity import errors

try:
    import asyncpg
except ImportError:
    raise errors.SettingsError(
        "database.url is set, but the driver of PostgreSQL is not installed",
        hint=f"install it: {errors.install('postgres')}",
    ) from None

Connection: TypeAlias = "asyncpg.Connection"
CONNECT_S = 3.0
START_S = 5.0
"""How long a start waits for a server that cannot be reached yet."""
LONGEST_S = 30.0
LONGEST_PAUSE_S = 1.0
_SET = {
    "application_name": "comity",
    "lock_timeout": "3s",
    "statement_timeout": f"{LONGEST_S:.0f}s",
    "idle_in_transaction_session_timeout": "3s",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}
FAILURES = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)
"""What the driver raises; everything else is raised by a unit."""
_LOST_RACE = frozenset({"40001", "40P01", "23505", "23503"})
_AWAY = frozenset({"57P01", "57P02", "57P03", "25P03", "25006", "53300"})
"""The server ends, starts, has had enough of us, only reads, or takes nobody more: another connection may do better."""
_NOT_TEXT = frozenset({"22021", "22P05"})
_REFUSED = {
    "28P01": "the password is wrong",
    "28000": "this user may not connect",
    "3D000": "there is no such database",
    "42501": "this user may not use it",
    "42704": "the URL has a parameter that the server does not know",
}


@functools.lru_cache(maxsize=4096)
def translated(sql: str) -> str:
    """Return a statement with PostgreSQL's parameters: $1 for ?1."""
    return re.sub(r"\?(\d+)", r"$\1", sql)


def shown(url: str) -> str:
    """Return a URL of a database without who connects and with what password."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or parse_qs(parts.query).get("host", ["localhost"])[0]
        return f"{parts.path.lstrip('/')} at {host}" + (f":{parts.port}" if parts.port else "")
    except ValueError:
        return "of database.url"


async def connect(url: str, **settings: str) -> Connection:
    """Connect, and set what every connection of ours needs; `settings` are further ones of the server.

    Raises:
        SettingsError: the URL, the user or the password is wrong.
        DatabaseError: the server does not answer now.
    """
    try:
        return await asyncpg.connect(
            url,
            timeout=CONNECT_S,
            command_timeout=LONGEST_S + 5,
            server_settings=_SET | settings,
            statement_cache_size=1024,
            max_cached_statement_lifetime=0,
        )
    except asyncpg.PostgresError as error:
        if error.sqlstate in _REFUSED:
            raise _unusable(url, _REFUSED[error.sqlstate]) from None
        raise translate(error) from None
    except (OSError, TimeoutError) as error:
        raise translate(error) from None
    except (ValueError, asyncpg.InterfaceError):  # its text may have parts of the URL
        raise _unusable(url, "the URL cannot be read, or asks for what the server does not offer") from None


def _unusable(url: str, what: str) -> errors.SettingsError:
    return errors.SettingsError(
        f"the database {shown(url)} cannot be used: {what}",
        hint="see database.url in comity.toml, or COMITY_DATABASE_URL",
    )


async def connect_first(url: str, *, insecure: bool) -> Connection:
    """Connect at a start: wait some time for a server that starts too, and look whether it keeps what it takes.

    Raises:
        SettingsError: the URL is wrong, or the server cannot be trusted with anything.
        DatabaseError: the server does not answer.
    """
    clock = asyncio.get_running_loop().time
    deadline = clock() + START_S
    while True:
        try:
            connection = await connect(url)
            break
        except errors.DatabaseError as error:
            if clock() > deadline:
                raise errors.DatabaseError(
                    error.message.replace("the database", f"the database {shown(url)}", 1),
                    hint="is it running, and is this the right host and port? See database.url in comity.toml,"
                    " or COMITY_DATABASE_URL",
                ) from None
        await asyncio.sleep(0.1)
    unsafe = await connection.fetch("SELECT name FROM pg_settings WHERE name = 'fsync' AND setting = 'off'")
    if unsafe and not insecure:
        await connection.close()
        raise _unusable(
            url, "its setting fsync is off, so it loses what it has acknowledged when the power fails"
        )
    return connection


async def sync_commits(connection: Connection) -> None:
    """See to it that COMMIT returns when the transaction is on the disk, whatever the server's own setting."""
    await connection.execute(
        "SELECT set_config('synchronous_commit', 'on', false)"
        " WHERE current_setting('synchronous_commit') NOT IN ('on', 'remote_apply')"
    )


def undone(status: str) -> BaseException:
    """Return the error of a COMMIT that was answered by undoing all: a unit swallowed the error of a statement."""
    return asyncpg.InFailedSQLTransactionError(f"COMMIT was answered with {status}")  # type: ignore[no-any-return]


def is_lost(error: BaseException, connection: Connection | None = None) -> bool:
    """Return whether an error says that the connection is of no use any more."""
    state = getattr(error, "sqlstate", None)
    gone = isinstance(
        error,
        (
            OSError,
            TimeoutError,
            asyncpg.PostgresConnectionError,
            asyncpg.InternalClientError,  # the server has said good-bye while nobody listened
        ),
    )
    return gone or state in _AWAY or (connection is not None and connection.is_closed())


def is_lost_race(error: BaseException) -> bool:
    """Return whether the same unit may well succeed when it is run again."""
    return getattr(error, "sqlstate", None) in _LOST_RACE


def is_locked(error: BaseException) -> bool:
    """Return whether a statement waited in vain for somebody's lock: a process that was stopped loses it meanwhile."""
    return getattr(error, "sqlstate", None) == "55P03"


def translate(error: BaseException) -> errors.ComityError:
    """Return an error of the driver as one of ours."""
    state = getattr(error, "sqlstate", None) or ""
    if state == "53100":
        return errors.DatabaseError(
            "the database's disk is full; nothing was changed", hint="free space there, then try again"
        )
    if is_locked(error):
        return errors.DatabaseError(
            "another process holds what this needs in the database (lock timeout); nothing was changed"
        )
    if state in _NOT_TEXT:
        return errors.InvalidInputError("a text has a character that cannot be stored, such as U+0000")
    if state == "25006":
        return errors.DatabaseError("the database only reads now (a standby?); nothing was changed")
    if is_lost(error) or state.startswith(("08", "53", "57")):
        what = _words(error) or type(error).__name__
        return errors.DatabaseError(f"the database does not answer ({what}); nothing was changed")
    return errors.DatabaseError(
        f"the store did not take it ({state or type(error).__name__}: {_words(error)}); nothing was changed"
    )


def _words(error: BaseException) -> str:
    """Return what an error says, without the details: they show whole rows."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error.args[0]) if error.args else ""


class Door:
    """The way to the server; while that is away, somebody tries now and then, and all others hear of it at once."""

    def __init__(self, url: str, **settings: str) -> None:
        self.leads_to = shown(url)
        self._url = url
        self._settings = settings
        self._closed: errors.ComityError | None = None
        self._again_at = 0.0
        self._pause_s = 0.0

    async def connect(self) -> Connection:
        """Return a new connection.

        Raises:
            DatabaseError: there is none to be had now.
        """
        clock = asyncio.get_running_loop().time
        if self._closed is not None and clock() < self._again_at:
            raise errors.DatabaseError(self._closed.message)
        try:
            connection = await connect(self._url, **self._settings)
        except (
            errors.ComityError
        ) as error:  # also a password that has been changed meanwhile: it may be put right
            self._pause_s = min(max(0.05, 2 * self._pause_s), LONGEST_PAUSE_S)
            self._again_at = clock() + self._pause_s
            self._closed = error
            raise errors.DatabaseError(error.message) from None
        self._closed, self._pause_s = None, 0.0
        return connection


async def close(connection: Connection) -> None:
    """Say good-bye to the server, or leave without where it does not listen."""
    try:
        await connection.close(timeout=CONNECT_S)
    except FAILURES:
        connection.terminate()
