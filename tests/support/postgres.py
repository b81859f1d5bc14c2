"""A PostgreSQL server for the tests, found and started by themselves, with a fresh database for whoever asks.

`server()` is the one of this run, started when it is first asked for, on a Unix socket in a temporary folder. It is
ended with the run, also when that is killed: a small process of its own waits for the end of a pipe. `Server` makes a
private one, for tests that kill or restart it. The server refuses to run as root: then it runs as `postgres` or
`nobody`. COMITY_TEST_POSTGRES_URL names a server to use instead; its user must be allowed to create databases.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import itertools
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import pytest

READY_S = 30.0
USER = "comity"
LOCKED = "locked"  # a user that has to show a password
PASSWORD = "let me in: p@ss/word?"
FASTER = {
    "shared_buffers": "32MB",
    "max_connections": "200",
    "autovacuum": "off",
    "jit": "off",
    "fsync": "off",
}
INITIAL = ("-E", "UTF8", "--locale=C", "--no-sync")
_names = itertools.count(1)

_WATCH = """
import os, pathlib, shutil, signal, sys, time
folder = pathlib.Path(sys.argv[1])
sys.stdin.buffer.read()
try:
    pid = int((folder / 'data' / 'postmaster.pid').read_text().split()[0])
    os.kill(pid, signal.SIGQUIT)
    for _ in range(500):
        os.kill(pid, 0)
        time.sleep(0.01)
except (OSError, ValueError, IndexError):
    pass
shutil.rmtree(folder, ignore_errors=True)
"""


def _version(folder: Path) -> tuple[int, ...]:
    said = subprocess.run(
        [folder / "postgres", "--version"], capture_output=True, text=True, check=True
    ).stdout
    return tuple(int(each) for each in re.findall(r"\d+", said)[:2])


@functools.cache
def binaries() -> Path | None:
    """The folder with the newest server of this machine, None if there is none."""
    found = {Path(each).resolve().parent for each in [shutil.which("initdb")] if each}
    if shutil.which("pg_config"):
        said = subprocess.run(["pg_config", "--bindir"], capture_output=True, text=True, check=False).stdout
        found.add(Path(said.strip()))
    found |= set(Path("/usr/lib/postgresql").glob("*/bin"))
    whole = [each for each in found if (each / "initdb").exists() and (each / "postgres").exists()]
    return max(whole, key=_version) if whole else None


def need_binaries() -> Path:
    """The same, or the end of the test: a failure where CI=true, a skip on a machine that just has no server."""
    found = binaries()
    if found is None:
        reason = "there is no PostgreSQL server here: install the package postgresql"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def _account() -> dict[str, Any]:
    """Who runs the server, as arguments of `subprocess`: nobody special, if we are root."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            found = pwd.getpwnam(name)
            return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": []}
    raise AssertionError("PostgreSQL does not run as root, and there is no account to run it as")


class Server:
    """A server of our own: started, stopped, killed with -9 and started again in the same place."""

    def __init__(self, **configuration: str) -> None:
        """Make and start it; `configuration` are settings of the server beside those that make it quick."""
        self._binaries = need_binaries()
        self._account = _account()
        self.folder = Path(tempfile.mkdtemp(prefix="comity-pg-"))
        self._watch = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _WATCH, self.folder],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        self.folder.chmod(0o755)
        if self._account:
            os.chown(self.folder, self._account["user"], self._account["group"])
        self._process: subprocess.Popen[bytes] | None = None
        self._initialize(FASTER | configuration)
        self.start()
        run(self.url("postgres"), f"CREATE ROLE {LOCKED} LOGIN CREATEDB PASSWORD '{PASSWORD}'")

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def url(self, name: str, *, user: str = USER, password: str = "") -> str:
        """The address of one of its databases."""
        who = f"{user}:{quote(password, safe='')}" if password else user
        return f"postgresql://{who}@/{name}?host={self.folder}"

    def _initialize(self, configuration: dict[str, str]) -> None:
        done = subprocess.run(
            [self._binaries / "initdb", "-D", self.data, "-U", USER, "-A", "trust", *INITIAL],
            capture_output=True,
            text=True,
            cwd="/",
            check=False,
            **self._account,
        )
        assert done.returncode == 0, done.stderr
        lines = [f"{name} = '{value}'" for name, value in configuration.items()]
        lines += ["listen_addresses = ''", f"unix_socket_directories = '{self.folder}'"]
        with (self.data / "postgresql.conf").open("a") as file:
            file.write("\n".join(lines) + "\n")
        access = self.data / "pg_hba.conf"
        access.write_text(f"local all {LOCKED} scram-sha-256\n" + access.read_text())

    def start(self) -> None:
        """Start it and return when it takes connections."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._binaries / "postgres", "-D", self.data],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
                **self._account,
            )
        deadline = time.monotonic() + READY_S
        while not self._is_ready():
            assert self._process.poll() is None, self.tail()
            assert time.monotonic() < deadline, self.tail()
            time.sleep(0.01)

    def _is_ready(self) -> bool:
        with contextlib.suppress(
            OSError, ValueError
        ):  # the file is written line by line, and stays after a kill
            pid, *_, state = (self.data / "postmaster.pid").read_text().splitlines()[:8]
            return (pid, state.strip()) == (str(self.pid), "ready")
        return False

    def _end(self, number: signal.Signals) -> None:
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(number)
        self._process.wait(timeout=60)

    def stop(self) -> None:
        """Stop it as an administrator would who does not wait for clients ("fast")."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End all of it at once (kill -9): the next start recovers from its log."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)  # so that it starts no further one meanwhile
        _wait_until(lambda: _state(self.pid) in {"T", "Z", ""})
        ended = _children(self.pid)
        for pid in (*ended, self.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait(timeout=60)
        # a server does not start while one that served another still holds its memory
        _wait_until(lambda: all(_state(pid) in {"Z", ""} for pid in ended))

    def restart(self) -> None:
        """Stop and start it."""
        self.stop()
        self.start()

    def close(self) -> None:
        """End it and remove its folder."""
        if self._process is not None:
            self._end(signal.SIGQUIT)
        assert self._watch.stdin is not None
        self._watch.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._watch.wait(timeout=5)
        self._watch.returncode = 0  # removing hundreds of databases takes its time: it goes on without us

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-4000:] if self.log.exists() else ""


def _children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(each) for each in found]


def _state(pid: int) -> str:
    """Return the letter of a process's state, nothing if there is no such process."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return ""


def _wait_until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + READY_S
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.001)


class _Given:
    """The server that COMITY_TEST_POSTGRES_URL names."""

    def __init__(self, address: str) -> None:
        self._parts = urlsplit(address)

    def url(self, name: str) -> str:
        return urlunsplit(self._parts._replace(path=f"/{name}"))


@functools.cache
def server() -> Server | _Given:
    """The server that this run's tests share; not to be stopped by one of them."""
    given = os.environ.get("COMITY_TEST_POSTGRES_URL")
    if given:
        return _Given(given)
    made = Server()
    atexit.register(made.close)
    return made


def run(url: str, *statements: str) -> None:
    """Execute statements, each in a transaction of its own, from anywhere: also beside a running event loop."""
    _aside(_execute(url, statements))


def rows(url: str, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    """Read a database from outside; parameters are $1, $2 or, as in Comity's own SQL, ?1, ?2."""
    return _aside(_fetch(url, sql, values))


def _aside(work: Any) -> Any:
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result(timeout=120)


async def _execute(url: str, statements: tuple[str, ...]) -> None:
    import asyncpg  # noqa: PLC0415  only who tests PostgreSQL needs it

    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def _fetch(url: str, sql: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    import asyncpg  # noqa: PLC0415  the same

    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(re.sub(r"\?(\d)", r"$\1", sql), *values)]
    finally:
        await connection.close()


def create(template: str = "", on: Server | _Given | None = None) -> str:
    """Make a new database, empty or as the one named `template`, and return its URL."""
    on = on or server()
    name = f"comity_{os.getpid()}_{next(_names)}"
    copy = (
        f' TEMPLATE "{template}"'
        if template
        else " TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'"
    )
    run(on.url("postgres"), f'CREATE DATABASE "{name}"{copy}')
    return on.url(name)


def drop(url: str) -> None:
    """Remove a database, whoever is connected to it."""
    name, on = name_of(url), urlsplit(url)
    run(urlunsplit(on._replace(path="/postgres")), f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def name_of(url: str) -> str:
    """The name of the database that a URL is of."""
    return urlsplit(url).path.lstrip("/")
