"""`make interop`: a stock EDC and a real `comity serve` drive an exchange in every role, over both management APIs.

    python -m interop.edc [--edc VERSION ...] [--keep FOLDER]

Each step is a named check with what was seen. Exit status: 0 all held, 1 something did not, 3 the machine lacks Java
or Maven, or Maven cannot bring EDC.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from interop.edc import catalogs, negotiations, record, stock, transfers
from interop.edc.checks import Checks
from interop.edc.world import EDC_ID, World

VERSIONS = ["0.14.0", "0.15.1"]
MISSING = 3


def main() -> int:
    """Run every version and return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--edc", nargs="+", default=VERSIONS, metavar="VERSION", help="versions of EDC")
    parser.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="write tables, diagrams and messages there"
    )
    wanted = parser.parse_args()
    os.environ["COLUMNS"] = "200"  # no table of a command is cut
    runs: list[Checks] = []
    try:
        stock.check_machine()
        with tempfile.TemporaryDirectory(prefix="comity-interop-") as folder:
            jars = {version: stock.bring(version, Path(folder)) for version in wanted.edc}
            runs += [run(each, jars[each], Path(folder) / each, wanted.keep) for each in wanted.edc]
    except stock.MissingError as missing:
        print(missing)
        return MISSING
    if wanted.keep is not None:
        record.write_table(runs, wanted.keep)
    failed = sum(each.failed for each in runs)
    print(f"{sum(len(each.done) for each in runs) - failed} passed, {failed} failed")
    return 1 if failed else 0


def run(version: str, jars: Path, folder: Path, keep: Path | None) -> Checks:
    """Check one version of EDC against this Comity."""
    folder.mkdir()
    checks = Checks(f"EDC {version}")
    world = World.make(folder, version, jars)
    try:
        if checks.step("both start", lambda: start(world)):
            for part in (catalogs, negotiations, transfers):
                part.run(world, checks)
            checks.step("both are still there", lambda: figures(world))
        if checks.failed:
            print(f"--- the end of EDC's log\n{world.edc.tail()}", file=sys.stderr)
            print(f"--- the end of Comity's log\n{world.us.tail()}", file=sys.stderr)
        if keep is not None:
            record.write(world, checks, keep)
    finally:
        world.close()
    return checks


def start(world: World) -> str:
    """Start both, and put each other's names where they belong."""
    world.edc.start(world.to_edc.address)
    world.us.start()
    done = world.us.run("partner", "add", EDC_ID, "--name", "EDC", "--address", world.edc.dsp)
    if done.returncode:
        raise RuntimeError(done.stderr)
    world.offer_all()
    return (
        f"EDC after {world.edc.starts_s:.1f} s, Comity after {world.us.starts_s[-1]:.1f} s; {figures(world)}"
    )


def figures(world: World) -> str:
    """Return the memory of both."""
    return (
        f"EDC {world.edc.memory_mib():.0f} MiB, Comity {world.us.memory_kib('VmRSS') / 1024:.0f} MiB resident"
    )


if __name__ == "__main__":
    sys.exit(main())
