"""Measures reading at a partner through `comity://`: a file from its beginning to its end, and ranges from anywhere.

Two `comity serve` processes; this one reads as pandas would, through the consumer's connector. Plain HTTP on loopback,
SQLite, policy and evidence on; random bytes, and nothing of them in the file system's cache before.

    python bench/ranges.py [--mib 200] [--ranges 500] [--rounds 3]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import fsspec
from sides import Comity

Figures = dict[str, float]
MIB = 1024 * 1024
RANGE_BYTES = 64 * 1024
AT_ONCE = 8
ASSET = "measured"


def sequential(fs: Any, url: str, size: int, count: int) -> tuple[int, int]:
    """Read a file in order, 1 MiB at a time; return bytes and reads."""
    del count
    read = 0
    with fs.open(url) as file:
        while got := len(file.read(MIB)):
            read += got
    if read != size:
        raise SystemExit(f"{read} bytes came instead of {size}")
    return read, -(-size // MIB)


def scattered(fs: Any, url: str, size: int, count: int) -> tuple[int, int]:
    """Read ranges of 64 KiB from anywhere, one after the other."""
    chance = random.Random(7)  # noqa: S311
    with fs.open(url) as file:
        for _ in range(count):
            file.seek(chance.randrange(size - RANGE_BYTES))
            if len(file.read(RANGE_BYTES)) != RANGE_BYTES:
                raise SystemExit("a range came short")
    return count * RANGE_BYTES, count


def together(fs: Any, url: str, size: int, count: int) -> tuple[int, int]:
    """Read ranges of 64 KiB from anywhere, eight at once."""
    chance = random.Random(8)  # noqa: S311
    starts = [chance.randrange(size - RANGE_BYTES) for _ in range(count)]
    ends = [each + RANGE_BYTES for each in starts]
    got = fs.cat_ranges([url] * count, starts, ends, batch_size=AT_ONCE, on_error="raise")
    return sum(map(len, got)), count


WAYS: dict[str, Callable[[Any, str, int, int], tuple[int, int]]] = {
    "in order, 1 MiB at a time": sequential,
    "64 KiB from anywhere, one at a time": scattered,
    "64 KiB from anywhere, eight at once": together,
}


def measure(mib: int = 200, ranges: int = 500, rounds: int = 3) -> dict[str, Figures]:
    """Return of each way MB/s, reads a second, and CPU seconds a GiB of all three processes; medians of some rounds."""
    with tempfile.TemporaryDirectory(prefix="comity-ranges-") as name, ExitStack() as stack:
        folder = Path(name)
        sides = [Comity(folder, side) for side in ("provider", "consumer")]
        for side in sides:
            stack.callback(side.stop)
            side.start()
        provider, consumer = sides
        size = publish(provider, consumer, folder / "published", mib)
        url = f"comity://provider/{ASSET}/file.bin"
        taken: dict[str, list[Figures]] = {way: [] for way in WAYS}
        for at in range(rounds + 1):
            for way, read in WAYS.items():
                found = once(sides, lambda fs, read=read: read(fs, url, size, ranges))
                if at:  # the first round agrees, and fills the page cache
                    taken[way].append(found)
        return {
            way: {figure: statistics.median(each[figure] for each in found) for figure in found[0]}
            for way, found in taken.items()
        }


def publish(provider: Comity, consumer: Comity, folder: Path, mib: int) -> int:
    """Publish a file of random bytes and return its size."""
    folder.mkdir()
    with (folder / "file.bin").open("wb") as file:
        for _ in range(mib):
            file.write(os.urandom(MIB))
    provider.add_partner(consumer)
    consumer.add_partner(provider)
    provider.api.publish(str(folder), timeout_s=600, asset_id=ASSET)
    return mib * MIB


def once(sides: list[Comity], read: Callable[[Any], tuple[int, int]]) -> Figures:
    """Read one way with nothing in the cache, and return what it took."""
    consumer = sides[1].settings
    fs = fsspec.filesystem(
        "comity",
        address=consumer.management_address,
        api_key=consumer.management_key,
        skip_instance_cache=True,
    )
    before, began, own = [side.cpu()["process"] for side in sides], time.perf_counter(), time.process_time()
    size, count = read(fs)
    took_s = time.perf_counter() - began
    spent = [side.cpu()["process"] - each for side, each in zip(sides, before, strict=True)]
    gib = size / 1024**3
    return {
        "mb_per_s": size / took_s / 1e6,
        "reads_per_s": count / took_s,
        "provider_cpu_s_per_gib": spent[0] / gib,
        "consumer_cpu_s_per_gib": spent[1] / gib,
        "reader_cpu_s_per_gib": (time.process_time() - own) / gib,
        "provider_mib": sides[0].memory_mib(),
        "consumer_mib": sides[1].memory_mib(),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--mib", type=int, default=200)
    parser.add_argument("--ranges", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    wanted = parser.parse_args()
    print(json.dumps(measure(wanted.mib, wanted.ranges, wanted.rounds), indent=1))


if __name__ == "__main__":
    main()
