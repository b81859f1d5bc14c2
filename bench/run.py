"""`make bench`: all that is measured, in one run, written as JSON, as a plot and into a page of `docs/reference`.

    python bench/run.py [--only WORD ...] [--edc VERSION] [--count N] [--rounds N] [--limit SECONDS] [--write FOLDER]

Two `comity serve` processes and the script share this machine: plain HTTP on loopback, ES256 tokens, policy and
evidence on; SQLite with `synchronous=FULL`, PostgreSQL with `fsync` and `synchronous_commit`. Negotiations have four
messages, are started through the consumer's management API and counted FINALIZED in both stores with nothing left to
send. EDC stands beside it under the same script, on the same PostgreSQL server (see `edc`). Figures are medians with
their range; what there is by then is written after each round and each part.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import catalog
import negotiations
import packages
import page
import plot
import pull
import ranges
from edc import Edc
from negotiations import Figures, Keep, Pair
from sides import Comity, Side

from interop.edc import stock
from support import postgres
from support.ports import free_port

EDC_VERSION = "0.15.1"


def make_pairs(folder: Path, server: str, version: str) -> list[Pair]:
    """Return every pair that is asked for; `version` is that of EDC, or "none"."""
    edc = ("defaults", "tuned") if version != "none" else ()
    return [
        Pair("Comity, SQLite", lambda name: Comity(folder / "sqlite", name)),
        Pair(
            "Comity, PostgreSQL",
            lambda name: Comity(folder / "pg", name, database=fresh(server, f"comity_{name}")),
        ),
        *(Pair(f"EDC {version}, PostgreSQL, {label}", _edc(version, folder, server, label)) for label in edc),
    ]


def _edc(version: str, folder: Path, server: str, label: str) -> Callable[[str], Side]:
    def make(name: str) -> Side:
        jars = _jars(version, folder)  # what is missing costs this pair only
        database = fresh(server, f"edc_{label}_{name}")
        return Edc(version, jars, folder / label, name, database=database, tuned=label == "tuned")

    return make


@functools.cache
def _jars(version: str, folder: Path) -> Path:
    stock.check_machine()
    return stock.bring(version, folder, "sql")


def start_postgres(stack: ExitStack) -> str:
    """Start a server with PostgreSQL's own durability and return the beginning of its databases' URLs.

    Both connectors reach it over TCP: EDC's driver knows no Unix sockets.
    """
    server = postgres.Server(fsync="on", shared_buffers="256MB", autovacuum="on", max_connections="400")
    stack.callback(server.close)
    port = free_port()
    postgres.run(
        server.url("postgres"),
        "ALTER SYSTEM SET listen_addresses = '127.0.0.1'",
        f"ALTER SYSTEM SET port = {port}",
    )
    server.restart()
    return f"postgresql://{postgres.USER}@127.0.0.1:{port}/"


def settings(server: str) -> Figures:
    """Return what a server says of itself: the figures hold for these settings."""
    names = ("server_version", "fsync", "synchronous_commit", "shared_buffers", "max_connections", "jit")
    return {name: postgres.rows(f"{server}postgres", f"SHOW {name}")[0][0] for name in names}


def fresh(server: str, name: str) -> str:
    """Make an empty database and return its URL."""
    postgres.run(f"{server}postgres", f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'")
    return server + name


def main() -> None:
    """Measure what is asked for, print it and write it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--only",
        nargs="+",
        default=["negotiations", "catalog", "data", "packages", "ranges"],
        help="parts to measure",
    )
    parser.add_argument(
        "--edc", default=EDC_VERSION, help="the version of EDC beside it; 'none' leaves it out"
    )
    parser.add_argument("--count", type=int, default=2000, help="negotiations a round, at most")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--limit", type=float, default=20.0, help="seconds of a round, after which no more is begun"
    )
    parser.add_argument(
        "--write", type=Path, help=f"write performance.json and .svg, and the tables of {page.NAME}, there"
    )
    parser.add_argument(
        "--redraw",
        action="store_true",
        help="measure nothing: write plot and tables from the JSON that is there",
    )
    wanted = parser.parse_args()
    if wanted.redraw:
        write(wanted.write, json.loads((wanted.write / "performance.json").read_text()))
        return
    found: Figures = {
        "taken": datetime.now(UTC).isoformat(timespec="minutes"),
        "machine": machine(),
        "rounds": {"rounds": wanted.rounds, "count": wanted.count, "limit_s": wanted.limit},
    }

    def keep(part: Figures) -> None:
        found.update(part)
        if wanted.write:
            write(wanted.write, found)

    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="comity-bench-") as folder, ExitStack() as stack:
        if "negotiations" in wanted.only:
            measure_pairs(Path(folder), wanted, stack, keep)
    for part, measure in (
        ("catalog", catalog.measure_all),
        ("data", pull.measure),
        ("ranges", ranges.measure),
        ("packages", functools.partial(packages.measure, *packages.USUAL)),
        (
            "large",
            functools.partial(packages.measure, *packages.LARGE),
        ),  # 20 GiB of disk: where it is asked for
    ):
        if part in wanted.only:
            print(f"{part}, after {time.monotonic() - began:.0f} s", flush=True)
            keep({part: measure()})
    keep({"took_s": round(time.monotonic() - began)})
    print(json.dumps(found, indent=1))


def write(folder: Path, found: Figures) -> None:
    """Write the figures, the plot of them, and the tables of the page."""
    (folder / "performance.json").write_text(json.dumps(found, indent=1) + "\n")
    (folder / "performance.svg").write_text(plot.draw(found))
    text = folder / page.NAME
    if text.exists():
        text.write_text(page.updated(text.read_text(), found))


def measure_pairs(folder: Path, wanted: argparse.Namespace, stack: ExitStack, keep: Keep) -> None:
    """Measure negotiations, starts and memory of all pairs."""
    server = start_postgres(stack)
    keep({"postgresql": settings(server)})
    pairs = make_pairs(folder, server, wanted.edc)
    for pair in pairs:
        stack.callback(pair.end)
    negotiations.measure(pairs, wanted.count, wanted.rounds, wanted.limit, keep)
    negotiations.measure_starts(pairs, keep)


def machine() -> Figures:
    """Say what it was measured on."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    return {"cores": os.cpu_count(), "processor": model, "python": platform.python_version()}


if __name__ == "__main__":
    main()
