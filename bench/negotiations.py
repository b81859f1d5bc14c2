"""Measures negotiations a second between two real connectors on this machine, everything on.

Two `comity serve` processes with a data folder each (SQLite, synchronous=FULL), plain HTTP on loopback, ES256 tokens,
policy and evidence. Negotiations of four messages are started through the consumer's management API with a given
concurrency and counted FINALIZED in both stores with empty outboxes. CPU is read from /proc for each process, and
within it for the event loop (HTTP, codec, identity) and the store's writer (SQL, policy, evidence, commit).

    python bench/negotiations.py [--count 2000] [--concurrency 32] [--rounds 3] [--unproven]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from comity import settings as configuration
from comity.settings import Settings

READY_S = 20.0
TICK = os.sysconf("SC_CLK_TCK")
POLL_S = 0.002


@dataclass(frozen=True)
class Side:
    """A running connector."""

    settings: Settings
    process: subprocess.Popen[bytes]

    def count_finalized(self) -> tuple[int, int]:
        """Return the numbers of finalized negotiations and of open rows in the outbox, read from the store."""
        with closing(sqlite3.connect(self.settings.database)) as store:
            finalized = store.execute(
                "SELECT count(*) FROM negotiation WHERE state = 'FINALIZED'"
            ).fetchone()[0]
            return finalized, store.execute("SELECT count(*) FROM outbox").fetchone()[0]

    def cpu_s(self) -> dict[str, float]:
        """Return CPU seconds so far: of the process, its event loop's thread, and the store's writer."""
        threads = {
            int(each.name): _cpu(each / "stat") for each in Path(f"/proc/{self.process.pid}/task").iterdir()
        }
        others = [cpu for thread, cpu in threads.items() if thread != self.process.pid]
        return {
            "process": sum(threads.values()),
            "loop": threads[self.process.pid],
            "writer": max(others, default=0.0),  # the other threads read now and then
        }


def _cpu(path: Path) -> float:
    fields = path.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(folder: Path, name: str, *, unproven: bool) -> Side:
    """Make a connector's data folder and start it."""
    port = free_port()
    settings = configuration.initialize(
        folder / name,
        address=f"http://127.0.0.1:{port}",
        name=name,
        listen=f"127.0.0.1:{port}",
        management=f"127.0.0.1:{free_port()}",
        roots=[str(folder)],
        insecure=True,
        mock_identity=unproven,
    )
    log = (folder / f"{name}.log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "comity", "serve", "--data", str(settings.folder)], stdout=log, stderr=log
    )
    return Side(settings, process)


class Management:
    """A side's management API."""

    def __init__(self, session: aiohttp.ClientSession, settings: Settings) -> None:
        self._session = session
        self._base = settings.management_address + "/management/v3/"
        self._headers = {"X-Api-Key": settings.management_key}

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request and return the decoded answer; anything but 2xx ends the run."""
        async with self._session.request(
            method, self._base + path, json=body, headers=self._headers
        ) as answer:
            text = await answer.text()
            if answer.status >= 300:  # noqa: PLR2004  2xx
                raise SystemExit(f"{method} {path}: {answer.status} {text}")
            return json.loads(text) if text else None


async def wait_ready(session: aiohttp.ClientSession, side: Side) -> None:
    """Wait until a connector answers."""
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and side.process.poll() is None:
        try:
            async with session.get(f"{side.settings.management_address}/health") as answer:
                if answer.status == 200:  # noqa: PLR2004  OK
                    return
        except aiohttp.ClientError:
            await asyncio.sleep(POLL_S)
    raise SystemExit(f"{side.settings.name} did not start; see its log beside {side.settings.folder}")


async def prepare(provider: Management, consumer: Management, sides: tuple[Side, Side]) -> dict[str, Any]:
    """Make the two partners of each other, offer one asset and return its offer from the catalog."""
    for api, other in ((provider, sides[1]), (consumer, sides[0])):
        await api.call(
            "POST",
            "partners",
            {
                "participant": other.settings.participant_id,
                "name": other.settings.name,
                "address": f"{other.settings.address}/dsp/2025-1",
            },
        )
    await provider.call(
        "POST",
        "assets",
        {
            "@id": "asset",
            "properties": {"name": "bench"},
            "dataAddress": {"type": "HttpData", "baseUrl": "http://127.0.0.1:9/none"},
        },
    )
    constraint = [
        {"leftOperand": "recipient", "operator": "eq", "rightOperand": sides[1].settings.participant_id},
        {"leftOperand": "dateTime", "operator": "lteq", "rightOperand": "2099-12-31"},
    ]
    policy = {"@type": "Set", "permission": [{"action": "use", "constraint": constraint}]}
    await provider.call("POST", "policydefinitions", {"@id": "policy", "policy": policy})
    await provider.call(
        "POST",
        "contractdefinitions",
        {"@id": "offer", "accessPolicyId": "policy", "contractPolicyId": "policy", "assetsSelector": []},
    )
    catalog = await consumer.call(
        "POST",
        "catalog/request",
        {"counterPartyId": sides[0].settings.participant_id, "protocol": "dataspace-protocol-http:2025-1"},
    )
    datasets = catalog.get("dataset") or catalog["dcat:dataset"]
    dataset = datasets[0] if isinstance(datasets, list) else datasets
    offers = dataset.get("hasPolicy") or dataset["odrl:hasPolicy"]
    offer: dict[str, Any] = offers[0] if isinstance(offers, list) else offers
    return {**offer, "target": "asset", "assigner": sides[0].settings.participant_id}


async def negotiate(
    consumer: Management, request: dict[str, Any], count: int, concurrency: int, sides: tuple[Side, Side]
) -> float:
    """Start `count` negotiations, `concurrency` unfinished at a time; return the seconds until all are done."""
    before = [side.count_finalized()[0] for side in sides]
    began = time.perf_counter()
    waiting: set[str] = set()
    started = 0
    with closing(sqlite3.connect(sides[1].settings.database)) as store:
        while started < count or waiting:
            room = min(concurrency - len(waiting), count - started)
            begun = await asyncio.gather(
                *(consumer.call("POST", "contractnegotiations", request) for _ in range(room))
            )
            waiting |= {each["@id"] for each in begun}
            started += room
            await asyncio.sleep(POLL_S)
            waiting -= finalized(store, waiting)
    while True:
        done = [side.count_finalized() for side in sides]
        grown = [total - first for (total, _), first in zip(done, before, strict=True)]
        if min(grown) == count and not any(left for _, left in done):
            return time.perf_counter() - began
        await asyncio.sleep(POLL_S)


def finalized(store: sqlite3.Connection, ids: set[str]) -> set[str]:
    """Return which of some negotiations are finalized."""
    places = ", ".join("?" * len(ids))
    query = f"SELECT id FROM negotiation WHERE state = 'FINALIZED' AND id IN ({places})"  # noqa: S608  places only
    return {row[0] for row in store.execute(query, tuple(ids))}


async def measure(arguments: argparse.Namespace, sides: tuple[Side, Side]) -> None:
    """Run the rounds and print the figures."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        for side in sides:
            await wait_ready(session, side)
        provider, consumer = (Management(session, side.settings) for side in sides)
        offer = await prepare(provider, consumer, sides)
        request = {
            "@type": "ContractRequest",
            "counterPartyId": sides[0].settings.participant_id,
            "counterPartyAddress": f"{sides[0].settings.address}/dsp/2025-1",
            "protocol": "dataspace-protocol-http:2025-1",
            "policy": offer,
        }
        await negotiate(consumer, request, 100, arguments.concurrency, sides)
        rates: list[float] = []
        for at in range(arguments.rounds):
            cpu = [side.cpu_s() for side in sides]
            own = time.process_time()
            took = await negotiate(consumer, request, arguments.count, arguments.concurrency, sides)
            rates.append(arguments.count / took)
            print(f"round {at + 1}: {rates[-1]:.0f} negotiations/s", _parts(cpu, sides, own, arguments.count))
        print(
            f"median {statistics.median(rates):.0f} [{min(rates):.0f}-{max(rates):.0f}] negotiations/s,"
            f" {arguments.rounds} rounds of {arguments.count}, concurrency {arguments.concurrency},"
            f" identity {'unproven' if arguments.unproven else 'ES256 tokens'};"
            " FINALIZED in both stores, outboxes empty"
        )


def _parts(before: list[dict[str, float]], sides: tuple[Side, Side], own: float, count: int) -> str:
    shown = []
    for name, side, was in zip(("provider", "consumer"), sides, before, strict=True):
        now = side.cpu_s()
        each = {part: (now[part] - was[part]) / count * 1e6 for part in now}
        shown.append(f"{name} {each['process']:.0f} (loop {each['loop']:.0f}, writer {each['writer']:.0f})")
    shown.append(f"driver {(time.process_time() - own) / count * 1e6:.0f}")
    return "| CPU us a negotiation: " + ", ".join(shown)


def main() -> None:
    """Start two connectors, measure, stop them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=2000, help="negotiations a round")
    parser.add_argument("--concurrency", type=int, default=32, help="negotiations under way at a time")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--unproven", action="store_true", help="without tokens: the identity that tests use")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        sides = [start(Path(folder), name, unproven=arguments.unproven) for name in ("provider", "consumer")]
        for side in sides:
            stack.callback(side.process.wait)
            stack.callback(side.process.send_signal, signal.SIGTERM)
        asyncio.run(measure(arguments, (sides[0], sides[1])))


if __name__ == "__main__":
    main()
