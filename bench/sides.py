"""The connectors that are measured: processes with a store of their own, and what is read of them from outside.

`Comity` is one `comity serve` on SQLite or PostgreSQL, everything on; `edc.Edc` has the same shape, so that one script
drives both over the management API that they have in common.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol, Self

from comity import data_folder
from comity import settings as configuration
from comity.client import connector as client
from support.ports import free_port

READY_S = 60.0
TICK = os.sysconf("SC_CLK_TCK")
PROTOCOL = "dataspace-protocol-http:2025-1"
Cpu = dict[str, float]
Offered = dict[str, Any]


class Side(Protocol):
    """A connector under measurement."""

    name: str
    participant: str
    dsp: str
    management: str
    headers: dict[str, str]
    database: str
    pause_s: float
    starts: int
    ended_sql: str
    counts_sql: str

    def start(self) -> float:
        """Start it and return the seconds until it answered."""

    def stop(self) -> None:
        """End it."""

    @property
    def pid(self) -> int:
        """Its process."""

    def memory_mib(self) -> float:
        """Resident memory now."""

    def cpu(self) -> Cpu:
        """CPU seconds so far, by part."""

    def body(self, document: dict[str, Any]) -> dict[str, Any]:
        """A management request as this connector reads it."""

    def add_partner(self, other: Side) -> None:
        """Put the other on its list."""

    def offer(self, consumer: Side) -> None:
        """Offer one asset."""

    def find_offer(self, provider: Side) -> Offered:
        """Return the offer of that asset from the provider's catalog."""


class Comity:
    """One `comity serve`; `database` is the URL of its PostgreSQL database, empty for SQLite."""

    pause_s = 0.001
    starts = 7

    def __init__(self, folder: Path, name: str, *, database: str = "", unproven: bool = False) -> None:
        port = free_port()
        self.name, self.database = name, database
        self.settings = data_folder.initialize(
            folder / name,
            address=f"http://127.0.0.1:{port}",
            name=name,
            listen=f"127.0.0.1:{port}",
            management=f"127.0.0.1:{free_port()}",
            roots=[str(folder)],
            insecure=True,
            mock_identity=unproven,
        )
        self.participant = self.settings.participant_id
        self.dsp = f"{self.settings.address}/dsp/2025-1"
        self.management = self.settings.management_address + "/management/v3/"
        self.headers = {"X-Api-Key": self.settings.management_key}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Start it and return the seconds until both listeners answered."""
        given = {name: value for name, value in os.environ.items() if not name.startswith("COMITY_")}
        if self.database:
            given["COMITY_DATABASE_URL"] = self.database
        began = time.monotonic()
        with self.settings.folder.with_suffix(".log").open("ab") as log:
            command = [sys.executable, "-m", "comity", "serve", "--data", str(self.settings.folder)]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=given)
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() - began > READY_S:
                raise SystemExit(f"{self.name} did not start; see {self.settings.folder.with_suffix('.log')}")
            time.sleep(0.002)
        return time.monotonic() - began

    def _answers(self) -> bool:
        host, port = configuration.split_listen(self.settings.management, "management")
        connection = http.client.HTTPConnection(host, port, timeout=5)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200  # noqa: PLR2004  OK
        except OSError:
            return False
        finally:
            connection.close()

    def stop(self) -> None:
        """End it."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(timeout=20)

    @property
    def pid(self) -> int:
        """Its process."""
        if self._process is None:
            raise RuntimeError(f"{self.name} does not run")
        return self._process.pid

    def memory_mib(self) -> float:
        """Resident memory now."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")) / 1024

    def cpu(self) -> Cpu:
        """CPU seconds so far: of the process, its event loop's thread, and the thread that commits."""
        threads = {int(each.name): _cpu_s(each / "stat") for each in Path(f"/proc/{self.pid}/task").iterdir()}
        others = [used for thread, used in threads.items() if thread != self.pid]
        return {
            "process": _cpu_s(
                Path(f"/proc/{self.pid}/stat")
            ),  # with threads that have ended: hashing has some
            "loop": threads[self.pid],
            "commit": max(others, default=0.0),
        }

    def body(self, document: dict[str, Any]) -> dict[str, Any]:
        """A management request as this connector reads it."""
        return document

    @property
    def api(self) -> client.Connector:
        """Its management API."""
        return client.Connector(self.settings.management_address, self.settings.management_key, timeout_s=60)

    def add_partner(self, other: Side) -> None:
        """Put the other on its list."""
        self.api.add_partner(other.participant, name=other.name, address=other.dsp)

    def offer(self, consumer: Side, *, data: dict[str, str] | None = None) -> None:
        """Offer one asset to the consumer until the end of the century; its bytes are those of a `data` address."""
        constraint = [
            {"leftOperand": "recipient", "operator": "eq", "rightOperand": consumer.participant},
            {"leftOperand": "dateTime", "operator": "lteq", "rightOperand": "2099-12-31"},
        ]
        address = data or {"type": "HttpData", "baseUrl": "http://127.0.0.1:9/none"}
        policy = {"@type": "Set", "permission": [{"action": "use", "constraint": constraint}]}
        definition = {"accessPolicyId": "policy", "contractPolicyId": "policy", "assetsSelector": []}
        asset = {"@id": "asset", "properties": {"name": "bench"}, "dataAddress": address}
        self.api.request("POST", "assets", asset)
        self.api.request("POST", "policydefinitions", {"@id": "policy", "policy": policy})
        self.api.request("POST", "contractdefinitions", {"@id": "offer", **definition})

    def find_offer(self, provider: Side) -> Offered:
        """Return the offer of that asset from the provider's catalog."""
        offer = self.api.dataset(provider.participant, "asset")["hasPolicy"][0]
        return {**offer, "target": "asset", "assigner": provider.participant}

    ended_sql = "SELECT id, state = 'FINALIZED' FROM negotiation WHERE state IN ('FINALIZED', 'TERMINATED')"
    counts_sql = (
        "SELECT (SELECT count(*) FROM negotiation WHERE state = 'FINALIZED'), (SELECT count(*) FROM outbox)"
    )


def _cpu_s(path: Path) -> float:
    fields = path.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def tree_cpu_s(pid: int) -> float:
    """Return the CPU seconds so far of a process and of its children, those that have ended with them."""
    total = 0.0
    for each in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = each.read_text().rpartition(")")[2].split()
            if int(each.parent.name) == pid:
                total += sum(map(int, fields[11:15])) / TICK
            elif int(fields[1]) == pid:
                total += sum(map(int, fields[11:13])) / TICK
    return total


class Reader:
    """Reads from a side's store, from outside, how far its negotiations are."""

    def __init__(self, side: Side) -> None:
        self._side = side
        self._sqlite: Any = None
        self._postgres: Any = None

    async def __aenter__(self) -> Self:
        if self._side.database:
            import asyncpg  # noqa: PLC0415  only where such a store is measured

            self._postgres = await asyncpg.connect(self._side.database)
        elif isinstance(self._side, Comity):
            self._sqlite = sqlite3.connect(self._side.settings.database)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._postgres is not None:
            await self._postgres.close()
        if self._sqlite is not None:
            self._sqlite.close()

    async def ended(self, ids: Iterable[str]) -> dict[str, bool]:
        """Return which of some negotiations have ended, and whether FINALIZED; the others are TERMINATED."""
        wanted = list(ids)
        if self._postgres is not None:
            rows = await self._postgres.fetch(f"{self._side.ended_sql} AND id = ANY($1)", wanted)
        else:
            places = ", ".join("?" * len(wanted))
            rows = self._sqlite.execute(f"{self._side.ended_sql} AND id IN ({places})", wanted)
        return {row[0]: bool(row[1]) for row in rows}

    async def counts(self) -> tuple[int, int]:
        """Return the numbers of FINALIZED negotiations and of messages still on their way."""
        if self._postgres is not None:
            row = await self._postgres.fetchrow(self._side.counts_sql)
        else:
            row = self._sqlite.execute(self._side.counts_sql).fetchone()
        return int(row[0]), int(row[1])
