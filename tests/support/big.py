"""Big files that take little room, for tests that cut a transfer in the middle."""

from __future__ import annotations

import random
from pathlib import Path

MIB = 2**20


def write(path: Path, size_bytes: int) -> None:
    """Of every 4 MiB one is pseudo-random and different, the rest a hole."""
    block = random.Random(7).randbytes(MIB)
    with path.open("wb") as file:
        for at in range(0, size_bytes, 4 * MIB):
            file.seek(at)
            file.write(at.to_bytes(8) + block[8:])
        file.truncate(size_bytes)


def size_of(path: Path) -> int:
    """Its size in bytes, 0 while there is none."""
    return path.stat().st_size if path.exists() else 0
