"""What was written down a moment ago, so that who reads on by ranges is not written down for each of them.

Whether something may be opened is asked each time all the same.
"""

from __future__ import annotations

from collections import OrderedDict

KEPT_MS = 5 * 60 * 1000
MOST = 4096


class Openings:
    """Remembers when what was written down last; forgets the oldest."""

    def __init__(self, *, kept_ms: int = KEPT_MS) -> None:
        """Remember for `kept_ms`."""
        self._kept_ms = kept_ms
        self._at: OrderedDict[tuple[str, ...], int] = OrderedDict()

    def is_new(self, what: tuple[str, ...], now_ms: int) -> bool:
        """Return whether this is to be written down, and remember it as that."""
        at = self._at.get(what)
        if at is not None and 0 <= now_ms - at < self._kept_ms:
            return False
        self.forget(what)
        self._at[what] = now_ms
        while len(self._at) > MOST:
            self._at.popitem(last=False)
        return True

    def forget(self, what: tuple[str, ...]) -> None:
        """Have it written down again: it was not."""
        self._at.pop(what, None)
