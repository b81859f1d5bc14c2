"""What was seen at partners' data planes a moment ago: kept in memory, for this process.

A look costs the partner a round trip and us a manifest's bytes, and a table of data is read in many ranges.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from comity.dataplane import serve
from comity.storage.source import Source

FRESH_MS: Final = 30_000
"""How long what was seen is taken as still there; what changed meanwhile is refused by its entity tag."""
KEPT: Final = 64


class Looked:
    """What was seen for each reading."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, tuple[int, serve.Package | Source]] = OrderedDict()

    def find(self, reading_id: str, now_ms: int) -> serve.Package | Source | None:
        """Return what was seen for a reading, None if that is long ago."""
        at, found = self._seen.get(reading_id, (0, None))
        return found if now_ms - at < FRESH_MS else None

    def last(self, reading_id: str) -> serve.Package | Source | None:
        """Return what was seen for a reading, however long ago."""
        return self._seen.get(reading_id, (0, None))[1]

    def keep(self, reading_id: str, found: serve.Package | Source, now_ms: int) -> None:
        """Keep what was seen for a reading."""
        self._seen[reading_id] = (now_ms, found)
        self._seen.move_to_end(reading_id)
        while len(self._seen) > KEPT:
            self._seen.popitem(last=False)

    def forget(self, reading_id: str) -> None:
        """Look again the next time."""
        self._seen.pop(reading_id, None)
