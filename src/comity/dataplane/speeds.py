"""How fast bytes of transfers may come and go, as the operator set it for all and somebody may have for one.

What comes is paced before it is asked for, what goes before it is sent: see `pace`, and `ahead` for the rest.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from comity.dataplane import ahead
from comity.dataplane.pace import Pace


async def at_once(_size_bytes: int) -> None:
    """Wait for nothing: there is no limit."""


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast one transfer is: how far ahead it asks, over how many streams, and what it waits for before bytes."""

    bytes_ahead: int = ahead.AHEAD_BYTES
    streams: int = ahead.STREAMS
    pace: Callable[[int], Awaitable[None]] = at_once
    bytes_per_s: int = 0

    def open(self) -> ahead.Ahead:
        """Begin to ask ahead."""
        return ahead.Ahead(
            bytes_ahead=self.bytes_ahead, streams=self.streams, pace=self.pace, bytes_per_s=self.bytes_per_s
        )


class Speeds:
    """The limits of a connector: one for all that comes and one for all that goes, each shared by its transfers."""

    def __init__(
        self, *, bytes_per_s: int = 0, bytes_ahead: int = ahead.AHEAD_BYTES, streams: int = ahead.STREAMS
    ) -> None:
        """Let at most `bytes_per_s` come, and as many go; 0 is no limit."""
        self.incoming, self.outgoing = Pace(bytes_per_s), Pace(bytes_per_s)
        self.bytes_ahead = bytes_ahead
        self.streams = streams

    def of(self, transfer_id: str, bytes_per_s: int = 0) -> Speed:
        """Return how fast a transfer may come in that may have a limit of its own."""
        own = Pace(bytes_per_s)

        async def pace(size_bytes: int) -> None:
            await own.take(transfer_id, size_bytes)
            await self.incoming.take(transfer_id, size_bytes)

        limits = [each for each in (bytes_per_s, self.incoming.bytes_per_s) if each]
        return Speed(self.bytes_ahead, self.streams, pace, min(limits, default=0))
