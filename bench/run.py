"""`make bench`: everything that is measured, in one run, written as JSON and as a plot into `docs/reference`.

    python bench/run.py [--only WORD ...] [--edc VERSION] [--count N] [--rounds N] [--write FOLDER]

Two `comity serve` processes and the script share this machine: plain HTTP on loopback, ES256 tokens, policy and
evidence on; SQLite with `synchronous=FULL`, PostgreSQL with `fsync` and `synchronous_commit`. Negotiations have four
messages, are started through the consumer's management API and counted FINALIZED in both stores with nothing left to
send. EDC stands beside it under the same script (see `edc`). What is printed are medians with
their range.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import catalog
import negotiations
import plot
import pull
from edc import Edc
from negotiations import Figures, Pair
from sides import Comity, Side, free_port

from interop.edc import stock
from support import postgres

EDC_VERSION = "0.15.1"


def make_pairs(folder: Path, server: str, version: str, jars: dict[str, Path]) -> list[Pair]:
    """Return every pair that this machine can run."""
    made = [
        Pair("Comity, SQLite", lambda name: Comity(folder / "sqlite", name)),
        Pair(
            "Comity, PostgreSQL",
            lambda name: Comity(folder / "pg", name, database=fresh(server, f"comity_{name}")),
        ),
    ]
    if jars:
        for label, tuned in (("defaults", False), ("tuned", True)):
            make = _edc(version, jars["sql"], folder / label, server, tuned)
            made.append(Pair(f"EDC {version}, PostgreSQL, {label}", make))
    return made


def _edc(
    version: str,
    jars: Path,
    folder: Path,
    server: str,
    tuned: bool,  # noqa: FBT001
) -> Callable[[str], Side]:
    def make(name: str) -> Side:
        database = fresh(server, f"edc_{'tuned' if tuned else 'defaults'}_{name}") if server else ""
        return Edc(version, jars, folder, name, database=database, tuned=tuned)

    return make


def start_postgres(stack: ExitStack) -> str:
    """Start a server with PostgreSQL's own durability and return the beginning of its databases' URLs.

    Both connectors reach it over TCP: EDC's driver knows no Unix sockets.
    """
    server = postgres.Server(shared_buffers="256MB", autovacuum="on", max_connections="400")
    stack.callback(server.close)
    port = free_port()
    postgres.run(
        server.url("postgres"),
        "ALTER SYSTEM SET listen_addresses = '127.0.0.1'",
        f"ALTER SYSTEM SET port = {port}",
    )
    server.restart()
    return f"postgresql://{postgres.USER}@127.0.0.1:{port}/"


def fresh(server: str, name: str) -> str:
    """Make an empty database and return its URL."""
    postgres.run(f"{server}postgres", f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'")
    return server + name


def main() -> None:
    """Measure what is asked for, print it and write it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--only", nargs="+", default=["negotiations", "catalog", "data"], help="parts to measure"
    )
    parser.add_argument(
        "--edc", default=EDC_VERSION, help="the version of EDC beside it; 'none' leaves it out"
    )
    parser.add_argument("--count", type=int, default=2000, help="negotiations a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", type=Path, help="write performance.json and performance.svg there")
    wanted = parser.parse_args()
    found: Figures = {"taken": datetime.now(UTC).isoformat(timespec="minutes"), "machine": machine()}
    with tempfile.TemporaryDirectory(prefix="comity-bench-") as folder, ExitStack() as stack:
        if "negotiations" in wanted.only:
            found |= measure_pairs(Path(folder), wanted, stack)
        if "catalog" in wanted.only:
            found["catalog"] = catalog.measure_pages()
        if "data" in wanted.only:
            found["data"] = pull.measure()
    if wanted.write:
        (wanted.write / "performance.json").write_text(json.dumps(found, indent=1) + "\n")
        (wanted.write / "performance.svg").write_text(plot.draw(found))
    print(json.dumps(found, indent=1))


def measure_pairs(folder: Path, wanted: argparse.Namespace, stack: ExitStack) -> Figures:
    """Measure negotiations, starts and memory of all pairs."""
    server = start_postgres(stack)
    jars: dict[str, Path] = {}
    try:
        if wanted.edc != "none":
            stock.check_machine()
            jars = {"sql": stock.bring(wanted.edc, folder, "sql")}
    except stock.MissingError as missing:
        print(f"without EDC: {missing}", file=sys.stderr)
    pairs = make_pairs(folder, server, wanted.edc, jars)
    for pair in pairs:
        stack.callback(pair.end)
        pair.begin()
        pair.rest()
    return {
        "negotiations": negotiations.measure(pairs, wanted.count, wanted.rounds),
        "starts": negotiations.measure_starts(pairs),
    }


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
