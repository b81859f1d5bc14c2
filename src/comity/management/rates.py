"""How many bytes a second, as people write it: `5MB/s`, `800 kB/s`, `1.5MiB/s`, `20000000`.

Whoever wants none writes nothing. What is too slow for a stream that counts as moving is refused.
"""

from __future__ import annotations

import re
from typing import Final

from comity import errors

_RATE: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?) ?(?:([kKMG]i?)?B?(?:/s)?)?")
_UNITS: Final = {"k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30, "": 1}
LEAST: Final = 10_000
"""Slower than this a connection counts as one that does not move."""


def parse(text: str, path: str = "$") -> int:
    """Return bytes a second; empty is 0, no limit.

    Raises:
        InvalidInputError: at `path`; it is not so written, or too slow.
    """
    if not text:
        return 0
    found = _RATE.fullmatch(text.strip())
    if found is None:
        raise errors.InvalidInputError(
            f"{text[:50]!r} is no number of bytes a second", path=path, hint="write it as 5MB/s or 800kB/s"
        )
    bytes_per_s = float(found[1]) * _UNITS[(found[2] or "").lower()]
    if bytes_per_s < LEAST:
        raise errors.InvalidInputError(
            f"a limit is at least {LEAST // 1000} kB/s",
            path=path,
            hint="leave it out where there shall be none",
        )
    return int(bytes_per_s)
