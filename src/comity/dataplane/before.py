"""What lay in a folder before anything was received into it: it is somebody's own, neither replaced nor removed.

It is noted in the folder before the first file comes, since afterwards nothing tells it from what came: a file that
happens to be the same was not put there by us.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import Struct

BEFORE_NAME: Final = ".comity-before.json"


class Before(Struct, frozen=True, omit_defaults=True):
    """What lay there: `files` by path with their SHA-256 (hex), `folders` below it; `made`: not even itself."""

    made: bool = False
    files: dict[str, str] = {}
    folders: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        """Say whether there is anything to note."""
        return self != Before()

    def has(self, path: str, sha256: str) -> bool:
        """Say whether a file with these contents lay there."""
        return self.files.get(path) == sha256

    def encode(self) -> bytes:
        """Return it as it is noted."""
        return msgspec.json.encode(self, order="sorted")


def decode(data: bytes) -> Before:
    """Read what was noted; what cannot be read says nothing."""
    try:
        return msgspec.json.decode(data, type=Before)
    except msgspec.MsgspecError:
        return Before()


def folders_of(paths: Iterable[str]) -> set[str]:
    """Return all folders that paths go through."""
    found: set[str] = set()
    for path in paths:
        folder = path.rpartition("/")[0]
        while folder and folder not in found:
            found.add(folder)
            folder = folder.rpartition("/")[0]
    return found
