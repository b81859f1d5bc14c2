"""Transfers of packages that are cut again and again, at any byte: exact, and at most 1 MiB is sent again for each cut.

Pulls and pushes. What cuts: the connections are reset, the consumer or the provider is killed with -9, the provider is
restarted. Counted is every byte that the provider puts on the wire, heads and manifests too, over all its lives.
`COMITY_LINE_CUTS` says how many cuts (8), `COMITY_SEED` repeats what was drawn; `make cuts N=1000`.
"""

import hashlib
import json
import os
import random
import statistics
import time
from pathlib import Path

import pytest

from crash import cutting
from support import pair, processes

MIB = 2**20
CUTS = int(os.environ.get("COMITY_LINE_CUTS", "8"))
SEED = int(os.environ.get("COMITY_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)
KINDS = ("reset",) * 5 + ("consumer", "provider", "restart")
BIG_MIB, SMALL, SMALL_BYTES = (96, 60, 300_000) if CUTS > 50 else (24, 40, 100_000)
MOST_BETWEEN = 3 * MIB if CUTS > 50 else 4 * MIB
HEADS = 64 * 1024
"""What the heads of answers or requests, the manifest and messages of the protocol take between two cuts, at most."""


PULL, PUSH = "pull", "push"


@pytest.fixture
def sides(serving, way):
    """The provider behind a wire where the consumer pulls, the consumer behind it where the provider pushes."""
    port = pair.free_port()
    wire = cutting.Wire(port, asked=way == PUSH)
    behind = {"port": port, "address": f"http://127.0.0.1:{wire.port}"}
    provider = serving("provider", **(behind if way == PULL else {}))
    consumer = serving("consumer", **(behind if way == PUSH else {}))
    processes.introduce(provider, consumer)
    yield provider, consumer, wire
    wire.end()


def make_package(folder: Path, chance: random.Random) -> dict[str, str]:
    """Write a package of one large file and many small ones; return the SHA-256 of each."""
    folder.mkdir()
    sizes = {"big.bin": BIG_MIB * MIB + chance.randrange(MIB)}
    sizes |= {f"part-{at:03}.bin": chance.randrange(SMALL_BYTES) for at in range(SMALL)}
    for name, size in sizes.items():
        (folder / name).write_bytes(chance.randbytes(size))
    return digests(folder)


def digests(folder: Path) -> dict[str, str]:
    found = {}
    for path in sorted(folder.iterdir()):
        if path.is_file() and not path.name.startswith("."):
            with path.open("rb") as file:
                found[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


ENDS = {"COMPLETED", "FAILED", "TERMINATED"}


class Course:
    """One transfer under cuts; `lost` is what each of its cuts cost, in bytes."""

    def __init__(self, sides, into: Path, chance: random.Random) -> None:
        self.provider, self.consumer, self.wire = sides
        self.into = into
        self.chance = chance
        self.lost: list[tuple[str, int]] = []

    def begin(self, asset: str) -> str:
        """Begin to get a package."""
        return self.consumer.api.start_exchange(self.provider.did, asset, str(self.into))["@id"]

    def state(self, exchange: str) -> tuple[str, str]:
        """Where it is now, and what went wrong."""
        found = self.consumer.api.exchange(exchange)
        return found["stage"], found["error"]

    def run(self, asset: str, most: int) -> None:
        """Get a package and cut at most so often."""
        exchange = self.begin(asset)
        wasted = None
        while len(self.lost) < most:
            self.wire.tell_after(self.chance.randrange(1, MOST_BETWEEN))
            if not self._wait(exchange):
                break
            kind = self.chance.choice(KINDS)
            now = self._cut(kind)
            if wasted is not None:
                self.lost.append((kind, now - wasted))
            wasted = now
        self._finish(exchange)

    def _wait(self, exchange: str) -> bool:
        """Wait for the moment of the next cut; False if the transfer ended before."""
        deadline = time.monotonic() + 120
        while not self.wire.reached.wait(0.1):
            if self.state(exchange)[0] in ENDS:
                return False
            assert time.monotonic() < deadline, self.consumer.tail()
        return True

    def _cut(self, kind: str) -> int:
        """Cut, and return how many bytes were answered so far that are not on the consumer's disk."""
        self.wire.close()
        if kind == "reset":
            self.wire.cut()
        elif kind == "restart":
            self.provider.stop()
        else:
            {"consumer": self.consumer, "provider": self.provider}[kind].kill()
        self.wire.cut()
        wasted = self._settled()
        if kind == "consumer":
            self.consumer.start()
        elif kind != "reset":
            self.provider.start()
        self.wire.open()
        return wasted

    def _settled(self) -> int:
        """What is wasted, once the consumer has written what had come."""
        before, since = -1, time.monotonic()
        while time.monotonic() - since < 0.08:
            now = self.wire.answered - cutting.on_disk(self.into)
            if now != before:
                before, since = now, time.monotonic()
            time.sleep(0.01)
        return before

    def _finish(self, exchange: str) -> None:
        ended = processes.wait_until(
            lambda: (found := self.state(exchange))[0] in ENDS and found,
            "the transfer to end", 120, self.provider, self.consumer,
        )  # fmt: skip
        assert ended[0] == "COMPLETED", ended[1]  # our last message may have met a cut, too


class Pushed(Course):
    """The same, of a transfer that the provider pushes."""

    def begin(self, asset: str) -> str:
        body = {
            "contractId": processes.agreement(self.provider, self.consumer, asset),
            "transferType": "HttpData-PUSH",
            "dataDestination": {"type": "File", "path": str(self.into)},
        }
        return self.consumer.api.request("POST", "transferprocesses", body)["@id"]

    def state(self, exchange: str) -> tuple[str, str]:
        found = self.consumer.api.request("GET", f"transferprocesses/{exchange}")
        return found["state"], found.get("errorDetail") or ""


@pytest.mark.timeout(60 + 6 * CUTS)
@pytest.mark.parametrize(
    ("way", "made", "cuts"), [(PULL, Course, CUTS), (PUSH, Pushed, -(-CUTS // 3))], ids=[PULL, PUSH]
)
def test_every_cut_costs_at_most_one_mib_and_everything_arrives_exact(
    sides, way, made, cuts, tmp_path, record_property
):
    provider = sides[0]
    chance = random.Random(SEED)
    lost: list[tuple[str, int]] = []
    transfers, began = 0, time.monotonic()
    while len(lost) < cuts:
        transfers += 1
        name = f"package-{transfers}"
        expected = make_package(tmp_path / name, chance)
        provider.api.publish(str(tmp_path / name), timeout_s=120, asset_id=name)
        course = made(sides, tmp_path / f"got-{transfers}", chance)
        course.run(name, cuts - len(lost))
        lost += course.lost
        assert digests(tmp_path / f"got-{transfers}") == expected, f"seed {SEED}"
        assert not list((tmp_path / f"got-{transfers}").glob(".*.part"))
        for folder in (tmp_path / name, tmp_path / f"got-{transfers}"):
            for path in folder.iterdir():
                path.unlink()
    costs = [cost for _, cost in lost]
    figures = {
        "way": way,
        "seed": SEED,
        "cuts": len(lost),
        "transfers": transfers,
        "kinds": {kind: sum(each == kind for each, _ in lost) for kind in sorted(set(KINDS))},
        "sent_again_kib": {
            "median": round(statistics.median(costs) / 1024),
            "mean": round(statistics.mean(costs) / 1024),
            "most": round(max(costs) / 1024),
        },
        "took_s": round(time.monotonic() - began),
    }
    record_property("figures", figures)
    print(json.dumps(figures))  # noqa: T201  a figure to be read
    assert max(costs) <= MIB + HEADS, f"seed {SEED}: {max(lost, key=lambda each: each[1])}"
