"""make clients: two unchanged clients of others each drive whole exchanges between two `comity serve` processes.

    python tests/clients/run.py [--only WORD]

Each run has two new connectors, with data folders, SQLite files, keys and did:web names of their own, and a back end
that serves the data. A client's script is a table of named checks; their lines are counted here. Exit status: 1 if a
check failed, 3 if a client was left out because the machine lacks what it needs, else 0.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from clients import install  # noqa: E402
from clients.world import world  # noqa: E402
from support import fetched  # noqa: E402

LINE = re.compile(r"(ok  |FAIL)  ([^:]+): ")
LIMIT_S = 300
MISSING = 3


@dataclass(frozen=True)
class Run:
    """One client with one version of what it speaks; `command` gets the path of a description of the world."""

    label: str
    command: list[str]
    folder: Path


@dataclass
class Result:
    """What a run's lines said, by area."""

    passed: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)

    def count(self, line: str) -> None:
        """Count a line if it is a check's."""
        found = LINE.match(line)
        if found:
            (self.passed if found[1] == "ok  " else self.failed)[found[2]] += 1


def main() -> int:
    """Run all, print every check and the sums; return the exit status."""
    parser = argparse.ArgumentParser(description="Unchanged clients drive exchanges between two connectors.")
    parser.add_argument("--only", default="", help="only the runs whose name contains this word")
    only = parser.parse_args().only
    missing: list[str] = []
    results: dict[str, Result] = {}
    try:
        for run in [each for each in find_runs(missing) if only in each.label]:
            results[run.label] = perform(run)
    except fetched.InstallError as error:
        print(f"clients: {error}", file=sys.stderr)
        return 1
    return report(results, missing)


def find_runs(missing: list[str]) -> Iterator[Run]:
    """Install what is needed and yield the runs; what the machine lacks is added to `missing`."""
    name = f"edc-connector-client {install.node_version()}"
    try:
        node, folder = install.node()
    except fetched.MissingError as error:
        missing.append(f"{name} is left out: {error}")
    else:
        for version in ("v3", "v4"):
            yield Run(f"{name} {version}", [str(node), f"{version}.mjs"], folder)
    name = f"tractusx-sdk {install.sdk_version()}"
    python = install.sdk()
    for version in ("jupiter", "saturn"):
        yield Run(f"{name} {version}", [str(python), "-P", "main.py", version], HERE / "tractusx")


def perform(run: Run) -> Result:
    """Start two connectors, let a client's script drive them, and count its lines."""
    result = Result()
    began = time.monotonic()
    for line in played(run):
        result.count(line)
        print(f"{run.label}  {line}", flush=True)
    print(f"{run.label}  {time.monotonic() - began:.1f} s\n", flush=True)
    return result


def played(run: Run) -> Iterator[str]:
    """Yield a run's lines; a connector that does not start is a failure like others."""
    with tempfile.TemporaryDirectory(prefix="comity-clients-") as name:
        try:
            with world(Path(name)) as described:
                told = Path(name) / "world.json"
                told.write_text(json.dumps(described))
                yield from lines(run, told)
        except AssertionError as error:
            yield f"FAIL  the connectors: {str(error)[-2000:]}"


def lines(run: Run, told: Path) -> Iterator[str]:
    """Yield what a script prints, and a failure if it does not end as its checks say or prints none."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COMITY_")}
    process = subprocess.Popen(
        [*run.command, str(told)],
        cwd=run.folder,
        env={**environment, "NODE_NO_WARNINGS": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    found: Counter[str] = Counter()
    limit = threading.Timer(LIMIT_S, process.kill)
    limit.start()
    with process:
        for line in map(str.strip, process.stdout):
            if match := LINE.match(line):
                found[match[1]] += 1
            yield line
    limit.cancel()
    if process.returncode != bool(found["FAIL"]) or not found:
        yield f"FAIL  the script: it ended with status {process.returncode} after {found.total()} checks"


def report(results: dict[str, Result], missing: list[str]) -> int:
    """Print the sums, by client and area; return the exit status."""
    passed = failed = 0
    for label, result in results.items():
        areas = dict.fromkeys([*result.passed, *result.failed])
        for area in areas:
            good, bad = result.passed[area], result.failed[area]
            print(f"{label}  {area}: {good} of {good + bad}")
        passed += result.passed.total()
        failed += result.failed.total()
    for line in missing:
        print(f"clients: {line}")
    print(f"{passed} passed, {failed} failed")
    if failed or not (passed or missing):
        return 1
    return MISSING if missing else 0


if __name__ == "__main__":
    sys.exit(main())
