"""What one partner may have of us at once: how many open processes, and how many messages that are refused.

Each process is rows in our store until it ends, and each refused message a record in the evidence, for ever: a partner
could fill a disk with either. Both are answered 429 with Retry-After, which a sender takes as "again, later": nothing
that was agreed is lost, and a message that is not looked at leaves no trace. Kept in memory, for this process.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from comity import errors
from comity.db import negotiations, transfers
from comity.db.store import Transaction
from comity.dsp import terms

HOUR_MS: Final = 3600 * 1000
STEP: Final = 100
"""After how many new processes of a partner those that are open are counted again."""
FULL_MS: Final = 10_000
"""How long a partner with too many of them is refused without being counted again."""
_COUNT: Final[dict[str, Callable[[Transaction, str], Awaitable[int]]]] = {
    terms.NEGOTIATION: negotiations.count_open_with,
    terms.TRANSFER: transfers.count_open_with,
}


@dataclass
class Limits:
    """How much one partner may have, and how much each has now."""

    open_processes: int = 100_000
    refused_per_hour: int = 1000
    _places: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    """Kind of process and partner -> how many more it may begin before they are counted; till when it is refused."""
    _refusals: dict[str, tuple[float, int]] = field(default_factory=dict)
    """Partner -> how many more of its messages may be refused, and when that was so."""

    async def take_place(self, tx: Transaction, kind: str, partner_id: str, now_ms: int) -> None:
        """Let a partner begin one more process of a kind.

        Raises:
            CrowdedError: as many of them are open as it may have.
        """
        before = self._places.get((kind, partner_id))
        left, refused_until = before or (0, 0)
        if not left and not 0 < refused_until - now_ms <= FULL_MS:
            left = min(STEP, max(0, self.open_processes - await _COUNT[kind](tx, partner_id)))
            refused_until = now_ms + FULL_MS
            now = self._places.get((kind, partner_id))
            if now is not None and now is not before:  # others have counted meanwhile, and taken places since
                left, refused_until = now[0], now[1] or refused_until
        if not left:
            self._places[kind, partner_id] = (0, refused_until)
            raise errors.CrowdedError(
                f"{self.open_processes} {kind}s between us are open, the most that are possible",
                retry_after_s=FULL_MS / 1000,
                hint="end some of them first, or ask the operator here for more (limits.open_processes)",
            )
        self._places[kind, partner_id] = (left - 1, 0)

    def check_refusals(self, partner_id: str, now_ms: int) -> None:
        """Look at no further message of a partner of which too many were refused.

        Raises:
            CrowdedError: that is so now.
        """
        if partner_id in self._refusals and (left := self._left(partner_id, now_ms)) < 1:
            raise errors.CrowdedError(
                f"more than {self.refused_per_hour} of your messages were refused within an hour",
                retry_after_s=(1 - left) * HOUR_MS / self.refused_per_hour / 1000,
                hint="read the reasons that were given, and send the rest later",
            )

    def note_refusal(self, partner_id: str, now_ms: int) -> None:
        """Count a message of a partner that was refused."""
        self._refusals[partner_id] = (self._left(partner_id, now_ms) - 1, now_ms)

    def _left(self, partner_id: str, now_ms: int) -> float:
        left, at = self._refusals.get(partner_id, (float(self.refused_per_hour), now_ms))
        return min(self.refused_per_hour, left + max(0, now_ms - at) * self.refused_per_hour / HOUR_MS)
