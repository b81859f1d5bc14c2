"""Measures a package of many files: publishing it, getting it into a folder, getting it again, and what that costs.

Two `comity serve` processes, plain HTTP on loopback, SQLite, everything on. Files have random bytes and equal sizes, a
hundred to a folder. What is got a second time is there already: that is what looking costs.

    python bench/packages.py [--files 10000] [--mib 10240] [--folder FOLDER]
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from sides import Comity

Figures = dict[str, float]
MIB = 1024 * 1024
POLL_S = 0.05
USUAL = ((1, 1024), (1000, 1024))
"""Files and MiB in all of what is measured each time."""
LARGE = ((10_000, 10_240), (100_000, 2_048))
LONGEST_S = 4 * 3600.0


def make(folder: Path, files: int, size_bytes: int) -> None:
    """Write files of random bytes, a hundred to a folder."""
    for at in range(files):
        place = folder / f"{at // 100:04}"
        if at % 100 == 0:
            place.mkdir(parents=True)
        (place / f"{at:06}.bin").write_bytes(os.urandom(size_bytes))


def timed(sides: list[Comity], work: Callable[[], object], size_bytes: int) -> Figures:
    """Return what a piece of work took: time, CPU of both, and the most memory that each has had so far."""
    before, began = [side.cpu()["process"] for side in sides], time.perf_counter()
    work()
    took_s = time.perf_counter() - began
    spent = [side.cpu()["process"] - each for side, each in zip(sides, before, strict=True)]
    return {
        "took_s": round(took_s, 2),
        "mb_per_s": round(size_bytes / took_s / 1e6, 1),
        "provider_cpu_s": round(spent[0], 2),
        "consumer_cpu_s": round(spent[1], 2),
        "provider_peak_mib": peak_mib(sides[0]),
        "consumer_peak_mib": peak_mib(sides[1]),
    }


def peak_mib(side: Comity) -> float:
    """Return the most memory that a connector has had."""
    status = Path(f"/proc/{side.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) // 1024


def get(consumer: Comity, provider: Comity, asset: str, into: Path) -> None:
    """Get an asset into a folder and wait until it is there."""
    name = consumer.api.start_exchange(provider.participant, asset, str(into))["@id"]
    until = time.monotonic() + LONGEST_S
    while (found := consumer.api.exchange(name))["stage"] not in {"COMPLETED", "FAILED"}:
        if time.monotonic() > until:
            break
        time.sleep(POLL_S)
    if found["stage"] != "COMPLETED":
        raise SystemExit(f"it is {found['stage']}: {found['error']}")


def measure(*sizes: tuple[int, int]) -> list[dict[str, object]]:
    """Return what publishing and getting took, of packages of so many files and MiB each."""
    return [measure_one(*each) for each in sizes]


def measure_one(files: int, mib: int, place: Path | None = None) -> dict[str, object]:
    """Return what publishing and getting took."""
    with tempfile.TemporaryDirectory(prefix="comity-packages-", dir=place) as name, ExitStack() as stack:
        folder = Path(name)
        sides = [Comity(folder, side) for side in ("provider", "consumer")]
        for side in sides:
            stack.callback(side.stop)
            side.start()
        provider, consumer = sides
        provider.add_partner(consumer)
        consumer.add_partner(provider)
        size_bytes = mib * MIB // files
        make(folder / "published", files, size_bytes)
        size = size_bytes * files
        found: dict[str, object] = {"files": files, "mib": size / MIB}
        found["publish"] = timed(
            sides,
            lambda: provider.api.publish(str(folder / "published"), timeout_s=LONGEST_S, asset_id="package"),
            size,
        )
        found["get"] = timed(sides, lambda: get(consumer, provider, "package", folder / "got"), size)
        found["get again"] = timed(sides, lambda: get(consumer, provider, "package", folder / "got"), size)
        return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--mib", type=int, default=10_240)
    parser.add_argument("--folder", type=Path, help="where there is room for it twice")
    wanted = parser.parse_args()
    print(json.dumps(measure_one(wanted.files, wanted.mib, wanted.folder), indent=1))


if __name__ == "__main__":
    main()
