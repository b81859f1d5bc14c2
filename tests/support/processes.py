"""Real `comity serve` processes: made, started, killed with -9, stopped, asked, and their stores read from outside.

Everything is what an operator has: a data folder, the command, the management API, the database.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from comity import data_folder, settings
from comity.client.connector import PROTOCOL, Connector
from comity.db import evidence
from comity.evidence import entry
from support import stores
from support.ports import free_port

READY_S = 20.0
COMITY = [sys.executable, "-m", "comity"]
TAKEN = {"accepted", "acknowledged", ""}


def environment(folder: Path | None = None) -> dict[str, str]:
    """What a process of ours gets: nothing of the caller's connector, and the data folder if one is named."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COMITY_")}
    return kept | ({"COMITY_DATA": str(folder)} if folder else {})


@dataclass
class Served:
    """A connector with its data folder and, while it runs, its process."""

    conf: settings.Settings
    process: subprocess.Popen[bytes] | None = None
    starts_s: list[float] = field(default_factory=list)

    @property
    def did(self) -> str:
        return self.conf.participant_id

    @property
    def dsp(self) -> str:
        return f"{self.conf.address}/dsp/2025-1"

    @property
    def api(self) -> Connector:
        return Connector(self.conf.management_address, self.conf.management_key, timeout_s=20)

    @property
    def log(self) -> Path:
        return self.conf.folder.with_suffix(".log")

    def start(self, *more: str) -> float:
        """Start it and return the seconds until both listeners answered."""
        began = time.monotonic()
        self.process = self.launch(*more)
        wait_until(self.answers, f"{self.conf.name} to answer", READY_S, self)
        self.starts_s.append(time.monotonic() - began)
        return self.starts_s[-1]

    def words(self, *more: str) -> list[str]:
        """The command that starts it."""
        return [*COMITY, "serve", *more]

    def launch(self, *more: str) -> subprocess.Popen[bytes]:
        """Start its process and do not wait until it answers."""
        with self.log.open("ab") as log:
            return subprocess.Popen(
                self.words(*more), env=environment(self.conf.folder), stdout=log, stderr=log
            )

    def answers(self) -> bool:
        """Whether the management listener answers; it is bound after the public one."""
        host, port = settings.split_listen(self.conf.management, "management")
        connection = http.client.HTTPConnection(host, port, timeout=5)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def kill(self) -> None:
        """End it as a power switch would, without a chance to say anything."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(timeout=10)

    def stop(self) -> float:
        """Ask it to stop and return the seconds that it took."""
        assert self.process is not None
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(timeout=15) == 0, self.tail()
        return time.monotonic() - began

    def end(self) -> None:
        """Leave nothing running, whatever happened."""
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-4000:] if self.log.exists() else ""

    def memory_kib(self, name: str = "VmHWM") -> int:
        """A figure of /proc/<pid>/status: VmHWM is the peak, VmRSS what is resident now."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(f"{name}:"))

    def run(self, *words: str, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a command as this connector's people would."""
        return command(*words, folder=self.conf.folder, timeout_s=timeout_s)

    def begin(self, *words: str) -> subprocess.Popen[str]:
        """Start a command and let it run."""
        return subprocess.Popen(
            [*COMITY, *words],
            env=environment(self.conf.folder),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Read the store from outside, while it runs or not."""
        return stores.rows(self.conf, sql, *values)

    def entries(self) -> list[dict[str, Any]]:
        """The evidence, after its chains were verified."""
        found: list[dict[str, Any]] = []
        for chain, each in evidence.read_chains(self.conf.database_url or self.conf.database):
            rows = list(each)
            entry.verify(rows, chain)
            found += [json.loads(record) for _, record, _ in rows]
        return found

    def steps(self) -> dict[str, list[str]]:
        """The states that the evidence says each process has reached, in order."""
        reached: dict[str, list[str]] = defaultdict(list)
        for each in self.entries():
            if each.get("outcome", "") in TAKEN and "after" in each:  # a notice leads to no state
                reached[each.get("processId", "")].append(each["after"])
        return reached


def command(
    *words: str, folder: Path | None = None, timeout_s: float = 60, database: str | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMITY, *words],
        env=environment(folder) | ({"COMITY_DATABASE_URL": database} if database else {}),
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def make(
    folder: Path, name: str, *, port: int = 0, address: str = "", kind: str = stores.SQLITE, **more: Any
) -> Served:
    """Make a data folder below `folder`, which is also the one that may be published from and received into."""
    port = port or free_port()
    conf = data_folder.initialize(
        folder / name,
        address=address or f"http://127.0.0.1:{port}",
        name=name,
        listen=f"127.0.0.1:{port}",
        management=f"127.0.0.1:{free_port()}",
        roots=[str(folder)],
        **{
            "insecure": True,
            "database": stores.fresh(kind, folder / name) if kind != stores.SQLITE else "",
            **more,
        },
    )
    return Served(conf)


def introduce(one: Served, other: Served) -> None:
    """Put each on the other's list."""
    one.api.add_partner(other.did, name=other.conf.name)
    other.api.add_partner(one.did, name=one.conf.name)


def contract_request(provider: Served, consumer: Served, asset_id: str) -> dict[str, Any]:
    """The body that begins a negotiation of the first offer of an asset."""
    offer = consumer.api.dataset(provider.did, asset_id)["hasPolicy"][0]
    return {
        "@type": "ContractRequest",
        "counterPartyId": provider.did,
        "counterPartyAddress": provider.dsp,
        "protocol": PROTOCOL,
        "policy": {**offer, "target": asset_id, "assigner": provider.did},
    }


def agreement(provider: Served, consumer: Served, asset_id: str) -> str:
    """Negotiate the first offer of an asset to its end and return the agreement's id."""
    body = contract_request(provider, consumer, asset_id)
    name = consumer.api.request("POST", "contractnegotiations", body)["@id"]
    found = wait_until(
        lambda: (
            (one := consumer.api.request("GET", f"contractnegotiations/{name}"))["state"] == "FINALIZED"
            and one
        ),
        "the agreement",
        20,
        provider,
        consumer,
    )
    return str(found["contractAgreementId"])


def wait_until(check: Any, what: str, seconds: float, *sides: Served, every_s: float = 0.01) -> Any:
    """Return the first true result of `check`; a side whose process has ended meanwhile ends the waiting."""
    deadline = time.monotonic() + seconds
    while not (found := check()):
        for side in sides:
            if side.process is None or side.process.poll() is not None:
                raise AssertionError(f"{side.conf.name} has ended; its log:\n{side.tail()}")
        if time.monotonic() > deadline:
            logs = "\n".join(f"--- {side.conf.name}\n{side.tail()}" for side in sides)
            raise AssertionError(f"waited {seconds:g} s for {what}\n{logs}")
        time.sleep(every_s)
    return found
