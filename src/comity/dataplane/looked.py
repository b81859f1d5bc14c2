"""What was seen at partners' data planes a moment ago: kept in memory, for this process.

A look costs the partner a round trip and us a manifest's bytes, and a table of data is read in many ranges.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Final
from weakref import WeakValueDictionary

from comity.dataplane import serve
from comity.storage.source import Source

FRESH_MS: Final = 30_000
"""How long what was seen is taken as still there; what changed meanwhile is refused by its entity tag."""
KEPT: Final = 64
KEPT_FILES: Final = 200_000
"""How many files all packages that are kept may name, but for the newest: a partner says how many its have."""


class Looked:
    """What was seen for each reading."""

    def __init__(self) -> None:
        self._looking: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._seen: OrderedDict[str, tuple[int, serve.Package | Source]] = OrderedDict()

    def one_at_a_time(self, reading_id: str) -> asyncio.Lock:
        """Return the lock to look with: who comes meanwhile takes what is seen."""
        return self._looking.setdefault(reading_id, asyncio.Lock())

    def find(self, reading_id: str, since_ms: int) -> serve.Package | Source | None:
        """Return what was seen for a reading after a moment, None if nobody has looked since."""
        at, found = self._seen.get(reading_id, (0, None))
        return found if at > since_ms else None

    def last(self, reading_id: str) -> serve.Package | Source | None:
        """Return what was seen for a reading, however long ago."""
        return self._seen.get(reading_id, (0, None))[1]

    def keep(self, reading_id: str, found: serve.Package | Source, at_ms: int) -> None:
        """Keep what was seen for a reading by a look that began at `at_ms`."""
        self._seen[reading_id] = (at_ms, found)
        self._seen.move_to_end(reading_id)
        files = sum(_files(each) for _, each in self._seen.values())
        while len(self._seen) > KEPT or (files > KEPT_FILES and len(self._seen) > 1):
            files -= _files(self._seen.popitem(last=False)[1][1])

    def forget(self, reading_id: str) -> None:
        """Look again the next time; what was seen last is still known, so that only another manifest is sent."""
        if reading_id in self._seen:
            self._seen[reading_id] = (0, self._seen[reading_id][1])


def _files(found: serve.Package | Source) -> int:
    return len(found.files) if isinstance(found, serve.Package) else 1
