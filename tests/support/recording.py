"""A recording of two connectors that deal with each other in every way, and what each had acknowledged when.

Each runs under strace from `comity init` on, is stopped and started again in the middle, and has a folder of its own
for what it receives. `Facts` are what must be found on its disk at any later moment, whatever the disk lost.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from comity import settings
from support import disk, processes, tracing
from support.ports import free_port

FILES = {"drawing.txt": b"a drawing\n" * 300, "parts/list.csv": b"part,number\n1,2\n" * 9000}
TABLES = {
    "assets": "asset",
    "packages": "asset",
    "policydefinitions": "policy_definition",
    "contractdefinitions": "contract_definition",
    "contractnegotiations": "negotiation",
    "transferprocesses": "transfer",
    "exchanges": "exchange",
    "secrets": "secret",
    "partners": "partner",
    "webhooks": "webhook",
    "apikeys": "api_key",
}
PULL, PUSH = "HttpData-PULL", "HttpData-PUSH"


class Recorded(tracing.Traced):
    """A connector whose every run has a trace of its own, the first of them `comity init`."""

    def __init__(self, conf: settings.Settings, first: Path) -> None:
        super().__init__(conf)
        self.traces = [first]

    @property
    def trace(self) -> Path:
        return self.traces[-1]

    def words(self, *more: str) -> list[str]:
        self.traces.append(self.conf.folder.parent / f"{len(self.traces)}.trace")
        return super().words(*more)


class Altered(Recorded):
    """A connector whose SQLite is told something else than usual: `instead` of what is `usual`."""

    usual, instead = "", ""

    def words(self, *more: str) -> list[str]:
        serve = ["-c", _SERVE, self.usual, self.instead]
        return [*super().words(*more)[: -len(processes.COMITY) - 1], sys.executable, *serve]


_SERVE = """
import sqlite3, sys

usual, instead = sys.argv[1:]

class Altered(sqlite3.Connection):
    def execute(self, sql, *values):
        return super().execute(sql.replace(usual, instead), *values)

connect = sqlite3.connect
sqlite3.connect = lambda *given, **named: connect(*given, **{"factory": Altered, **named})
sys.argv = ["comity", "serve"]
from comity.cli import main
main.run()
"""


class Tidy(Altered):
    """A connector that brings its log to the database file, and begins it anew, often while it is in use."""

    usual, instead = "wal_autocheckpoint=4000", "wal_autocheckpoint=100"


def initialized(folder: Path, name: str, kind: type[Recorded] = Recorded) -> Recorded:
    """Run `comity init` for a connector that may receive into `folder`."""
    folder.mkdir()
    port, management = free_port(), free_port()
    said = [
        "--address",
        f"http://127.0.0.1:{port}",
        "--name",
        name,
        "--root",
        str(folder.parent),
        "--insecure",
    ]
    words = ["init", *said, "--management", f"127.0.0.1:{management}"]
    trace = folder.parent / f"{name}.trace"
    subprocess.run(
        [*tracing.under_strace(trace, sockets=False), *processes.COMITY, *words],
        env=processes.environment(folder / name), check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    tracing.wait_written(trace)
    return kind(settings.load(folder / name), trace)


@dataclass
class Facts:
    """What a connector had said by a line of its recording: messages taken, things made, keys, steps."""

    line: int
    messages: set[str] = field(default_factory=set)
    made: set[tuple[str, str]] = field(default_factory=set)
    keys: set[str] = field(default_factory=set)

    def after(self, each: tracing.Exchange, line: int) -> Facts:
        """What it has said once it answered `each` with 2xx."""
        found = Facts(line, set(self.messages), set(self.made), set(self.keys))
        noun = each.path.removeprefix("/management/v3/").partition("?")[0]
        if each.path.startswith("/dsp/") and "/catalog/" not in each.path:
            found.messages.add(sha256(each.request).hexdigest())
        elif noun in TABLES and each.method == "POST":
            found.made.add(
                (TABLES[noun], json.loads(each.answer).get("@id") or json.loads(each.answer)["id"])
            )
        elif noun == "identity/rotate":
            found.keys |= {key["kid"].rpartition("#")[2] for key in json.loads(each.answer)["keys"]}
        return found


@dataclass
class Recording:
    """What a connector did with its folder, and said; `before` makes the disk as it was when it began."""

    folder: Path
    data: Path
    calls: list[tracing.Call]
    facts: list[Facts]
    contents: dict[str, bytes]

    def disk(self, **more) -> disk.Disk:
        made = disk.Disk(self.folder, **more)
        made.top = disk.Folder()
        return made


def read(side: Recorded) -> Recording:
    """Read all traces of a connector, one after the other."""
    made: list[tracing.Call] = []
    facts = [Facts(-1)]
    ports = [int(each.rpartition(":")[2]) for each in (side.conf.listen, side.conf.management)]
    for number, trace in enumerate(side.traces):
        found = tracing.calls(trace)
        first = made[-1].ended + 1 if made else 0
        for each in found:
            each.began += first
            each.ended += first
        for each in tracing.exchanges(found, *ports):
            if 200 <= each.status < 300 and each.method != "GET":
                facts.append(facts[-1].after(each, each.answered_at))
        made += found
        if number == 0:
            facts.append(Facts(max(each.ended for each in found) + 1, keys={"key-1"}))
        trace.unlink()
    return Recording(side.conf.folder.parent, side.conf.folder, made, facts, FILES)


def record(folder: Path, *, negotiations: int) -> list[Recording]:
    """Let two connectors deal, of which the second is `Tidy`, and return what each did."""
    folder.mkdir(exist_ok=True)
    with ThreadPoolExecutor(2) as pool:
        named = (("alpha", Recorded), ("beta", Tidy))
        sides = list(pool.map(lambda each: initialized(folder / each[0], *each), named))
    source = folder / "source"
    for name, content in FILES.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(content)
    with contextlib.ExitStack() as stack:
        for side in sides:
            stack.callback(side.end)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda side: side.start(), sides))
        _deal(sides, source, negotiations)
        for side in sides:
            side.stop()
    return [read(side) for side in sides]


def record_alone(folder: Path, *, kind: type[Recorded] = Recorded) -> Recording:
    """Let a connector be asked for a few things by its own people, and return what it did."""
    folder.mkdir(exist_ok=True)
    side = initialized(folder / "alone", "alone", kind)
    try:
        side.start()
        for number in range(20):
            side.api.request("POST", "secrets", {"@id": f"secret-{number}", "value": "hidden"})
        side.stop()
    finally:
        side.end()
    return read(side)


def _deal(sides: list[Recorded], source: Path, negotiations: int) -> None:
    processes.introduce(*sides)
    for side in sides:
        side.api.publish(str(source), timeout_s=30, asset_id="package")
        _offer(side)
    alpha, beta = sides
    _negotiate(alpha, beta, negotiations // 2)
    _fetch(alpha, beta, "first")
    alpha.api.rotate_key(lead_s=330, grace_s=600)
    alpha.stop()  # what is in the log goes to the database file, and the log away
    alpha.start()
    _negotiate(beta, alpha, negotiations - negotiations // 2)
    _fetch(beta, alpha, "second")
    for side in sides:
        processes.wait_until(lambda side=side: _quiet(side), "all to come to an end", 60, *sides)


def _offer(side: Recorded) -> None:
    use = {"@type": "Set", "permission": [{"action": "use"}]}
    wanted = [{"operandLeft": "id", "operator": "=", "operandRight": "part"}]
    address = {"type": "HttpData", "baseUrl": "https://pdm.example/part"}
    side.api.request("POST", "assets", {"@id": "part", "properties": {}, "dataAddress": address})
    side.api.request("POST", "policydefinitions", {"@id": "use", "policy": use})
    both = {"accessPolicyId": "use", "contractPolicyId": "use", "assetsSelector": wanted}
    side.api.request("POST", "contractdefinitions", {"@id": "parts", **both})
    side.api.request("POST", "secrets", {"@id": "secret", "value": "hidden"})


def _negotiate(consumer: Recorded, provider: Recorded, count: int) -> None:
    body = processes.contract_request(provider, consumer, "part")
    with ThreadPoolExecutor(4) as pool:
        begun = list(
            pool.map(
                lambda _: consumer.api.request("POST", "contractnegotiations", body)["@id"], range(count)
            )
        )
    processes.wait_until(
        lambda: all(consumer.api.load("contractnegotiations", each)["state"] == "FINALIZED" for each in begun),
        "the agreements", 60, consumer, provider,
    )  # fmt: skip


def _fetch(consumer: Recorded, provider: Recorded, name: str) -> None:
    """Get the package twice: pulled and pushed."""
    into = consumer.conf.folder.parent / f"pulled-{name}"
    begun = consumer.api.start_exchange(provider.did, "package", str(into))["@id"]
    ended = processes.wait_until(
        lambda: (found := consumer.api.exchange(begun))["stage"] in {"COMPLETED", "FAILED"} and found,
        "the package", 30, consumer, provider,
    )  # fmt: skip
    assert ended["stage"] == "COMPLETED", ended
    body = {
        "contractId": ended["agreementId"],
        "transferType": PUSH,
        "dataDestination": {"type": "File", "path": str(consumer.conf.folder.parent / f"pushed-{name}")},
    }
    pushed = consumer.api.request("POST", "transferprocesses", body)["@id"]
    processes.wait_until(
        lambda: consumer.api.load("transferprocesses", pushed)["state"] == "COMPLETED",
        "the push", 30, consumer, provider,
    )  # fmt: skip


def _quiet(side: Recorded) -> bool:
    with contextlib.closing(sqlite3.connect(side.conf.database)) as store:
        return not store.execute("SELECT count(*) FROM outbox").fetchone()[0]
