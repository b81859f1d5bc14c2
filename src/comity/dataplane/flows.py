"""Streams that are open now, by transfer, so that revoking a transfer ends them at once.

A stream lives inside `async with flows.open(transfer_id) as flow`. Open it BEFORE looking up the right:
whoever revokes then either was seen by the look-up or cuts this flow. A cut cancels whatever the stream
waits for (a slow reader, a disk, a back end) and leaves the block as PolicyError; the shell then aborts the
connection. Should a cut be lost, because another process revoked, `watch` asks again every 2 s. In doubt
(the question fails or hangs) the stream is cut.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Final, Literal

from comity.dataplane.pace import Pace
from comity.errors import ConflictError, PolicyError

StillAllowed = Callable[[], Awaitable[bool]]
Ending = Literal["", "cut", "left", "stalled", "settled"]

CHECK_EVERY_S: Final = 2.0
STALL_S: Final = 60.0
PIECE_BYTES: Final = 64 * 1024


class Flow:
    """One open stream: cut it, end it, watch its right, note its progress."""

    def __init__(
        self,
        transfer_id: str,
        scope: asyncio.Timeout,
        check_every_s: float,
        stall_s: float,
        pace: Pace,
    ) -> None:
        self.transfer_id = transfer_id
        self.ending: Ending = ""
        self.bytes_sent = 0
        self._scope = scope
        self._check_every_s = check_every_s
        self._stall_s = stall_s
        self._pace = pace
        self._waiting = 0
        self._watching: asyncio.Task[None] | None = None

    def end(self, ending: Ending) -> None:
        """End the stream now, for the first reason given; a second one changes nothing."""
        if not self.ending:
            self.ending = ending
            self._scope.reschedule(asyncio.get_running_loop().time())

    async def take(self, size_bytes: int) -> None:
        """Wait until so many bytes may be sent; waiting for that is not standing still."""
        if not self._pace.bytes_per_s:
            return
        self._waiting += 1
        try:
            for at in range(0, size_bytes, PIECE_BYTES):
                await self._pace.take(self.transfer_id, min(PIECE_BYTES, size_bytes - at))
        finally:
            self._waiting -= 1

    def settle(self) -> None:
        """Take that all has been moved and only the answer is left: nothing ends it any more."""
        self.ending = self.ending or "settled"

    def watch(self, still_allowed: StillAllowed | None) -> None:
        """From now on ask every 2 s whether the right still holds and whether bytes still move."""
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch(still_allowed))

    def close(self) -> None:
        """Stop watching; the stream is over."""
        if self._watching is not None:
            self._watching.cancel()

    async def _watch(self, still_allowed: StillAllowed | None) -> None:
        stalled_s, before = 0.0, self.bytes_sent
        while not self.ending:
            await asyncio.sleep(self._check_every_s)
            stands = self.bytes_sent == before and not self._waiting
            stalled_s = stalled_s + self._check_every_s if stands else 0.0
            before = self.bytes_sent
            if still_allowed is not None and not await self._holds(still_allowed):
                self.end("cut")
            elif stalled_s >= self._stall_s:
                self.end("stalled")

    async def _holds(self, still_allowed: StillAllowed) -> bool:
        try:
            async with asyncio.timeout(self._check_every_s):
                return await still_allowed()
        except Exception:  # noqa: BLE001  whatever keeps us from knowing means no
            return False


class Flows:
    """All open streams of this process; `per_transfer` and `total` bound how many there may be, `pace` how fast."""

    def __init__(
        self,
        *,
        per_transfer: int = 16,
        total: int = 512,
        check_every_s: float = CHECK_EVERY_S,
        stall_s: float = STALL_S,
        pace: Pace | None = None,
    ) -> None:
        self._open: dict[str, set[Flow]] = {}
        self._per_transfer = per_transfer
        self._total = total
        self._pace = pace or Pace()
        self._count = 0
        self._check_every_s = check_every_s
        self._stall_s = stall_s

    @contextlib.asynccontextmanager
    async def open(self, transfer_id: str) -> AsyncGenerator[Flow, None]:
        """Register a stream for as long as the block runs.

        Raises:
            PolicyError: the transfer was revoked while the block ran.
            ConflictError: the stream was ended for another reason; `flow.ending` says which.
        """
        scope = asyncio.timeout(None)
        flow = Flow(transfer_id, scope, self._check_every_s, self._stall_s, self._pace)
        self._open.setdefault(transfer_id, set()).add(flow)
        self._count += 1
        try:
            async with scope:
                yield flow
        except TimeoutError as error:
            if not scope.expired():
                raise
            raise _ended(flow) from error
        finally:
            flow.close()
            self._count -= 1
            self._open[transfer_id].discard(flow)
            if not self._open[transfer_id]:
                del self._open[transfer_id]

    def crowded(self, transfer_id: str) -> bool:
        """Say whether this stream, already open, is one too many for its transfer or for the process."""
        return self._count > self._total or len(self._open.get(transfer_id, ())) > self._per_transfer

    def cut(self, transfer_id: str) -> int:
        """End every open stream of a transfer at once; returns how many there were."""
        flows = tuple(self._open.get(transfer_id, ()))
        for flow in flows:
            flow.end("cut")
        return len(flows)

    def cut_all(self) -> int:
        """End every open stream, for shutting down."""
        return sum(self.cut(transfer_id) for transfer_id in tuple(self._open))

    def count(self, transfer_id: str | None = None) -> int:
        """Count the open streams of one transfer, or of all."""
        return self._count if transfer_id is None else len(self._open.get(transfer_id, ()))


def _ended(flow: Flow) -> PolicyError | ConflictError:
    if flow.ending == "cut":
        return PolicyError("the transfer no longer allows this stream")
    return ConflictError(f"the stream was ended: {flow.ending}")
