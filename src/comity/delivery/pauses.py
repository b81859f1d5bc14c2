"""The pause before an attempt of a message, and what makes it longer or shorter.

A partner that needs time to record its own steps gets it. The pause after a failure ends early when a partner that was
away answers again: else a message that failed often would wait up to half a minute although its partner is back and
takes others. After a restart of our own nothing is known of a partner: the first answer wakes what waits for it.

While a partner does not answer, all that is due for it is not tried at once but one after the other, in the end one
message a second: ten thousand that wait for it would take a whole core, for days.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from comity.db.outbox import Outgoing
from comity.delivery import retry

WAKE_EVERY_S = 10.0
SETTLE_S = 0.25
"""How long a slow partner has to record its own step, and our answer to it, before our next message comes."""
FREE = 32
STEP_S, PROBE_S = 0.02, 1.0
"""After so many attempts in a row without an answer each one makes the gap before the next longer, up to a second."""


class Silence:
    """That a partner has not answered so many attempts in a row, and when the next one may be made."""

    def __init__(self) -> None:
        self.attempts = 0
        self.next_ms = 0
        self.over = asyncio.Event()


class Pauses:
    """Waiting for the next attempt, cut short when a partner that did not answer does so again.

    A partner's own wish (`Retry-After`) stands, and one message is woken every 10 s at most: it may be the one that the
    partner cannot take while it takes all others.
    """

    def __init__(self, now_ms: Callable[[], int], pause: Callable[[float], Awaitable[None]]) -> None:
        self._now_ms = now_ms
        self._pause = pause
        self._answering: set[str] = set()
        self._slow: set[str] = set()
        self._asked: set[int] = set()
        self._woken_ms: dict[int, int] = {}
        self._waiting: dict[str, dict[int, asyncio.Event]] = {}
        self._silent: dict[str, Silence] = {}

    def note_slow(self, partner: str) -> None:
        """Take that a partner needs time before what follows its messages: EDC, or one that was not ready once (409).

        EDC refuses what comes too early, or takes it and forgets it when it records its own step after that.
        """
        self._slow.add(partner)

    def before_s(self, row: Outgoing) -> float:
        """Return the seconds to wait before the next attempt, zero or less if it is due."""
        follows = row.before is not None and row.counterparty_id in self._slow
        due_ms = max(row.due_at, row.created_at + int(SETTLE_S * 1000)) if follows else row.due_at
        return retry.left_s(due_ms, self._now_ms())

    def note_failure(self, row: Outgoing, *, asked: bool) -> None:
        """Take that a partner did not answer, or (`asked`) said when to come again."""
        if asked:
            self._asked.add(row.id)
        else:
            self._asked.discard(row.id)
            self._answering.discard(row.counterparty_id)
            self._silent.setdefault(row.counterparty_id, Silence()).attempts += 1

    def note_answer(self, partner: str) -> None:
        """Take that a partner answered; wake what waits for it if it did not answer before."""
        if (silence := self._silent.pop(partner, None)) is not None:
            silence.over.set()
        if partner not in self._answering:
            self._answering.add(partner)
            for woken in self._waiting.get(partner, {}).values():
                woken.set()

    def forget(self, row_id: int) -> None:
        """Take that nothing is sent for this row any more."""
        self._asked.discard(row_id)
        self._woken_ms.pop(row_id, None)

    async def wait(self, row: Outgoing, pause_s: float) -> None:
        """Wait so long, or until it is woken."""
        if not row.attempts or row.id in self._asked:
            await self._pause(pause_s)
            return
        due_ms, woken = self._now_ms() + int(pause_s * 1000), asyncio.Event()
        self._waiting.setdefault(row.counterparty_id, {})[row.id] = woken
        try:
            await _first(self._pause(pause_s), woken.wait())
        finally:
            del self._waiting[row.counterparty_id][row.id]
        if woken.is_set():
            await self._wait_since_woken(row.id, due_ms)

    async def turn(self, partner: str) -> bool:
        """Wait until a partner that does not answer may be tried again, and return whether that took time."""
        waited = False
        while (silence := self._silent.get(partner)) is not None:
            gap_s = min(PROBE_S, (silence.next_ms - self._now_ms()) / 1000)
            if gap_s <= 0:
                gap_s = min(PROBE_S, STEP_S * max(0, silence.attempts - FREE))
                silence.next_ms = self._now_ms() + int(gap_s * 1000)
                break
            await _first(self._pause(gap_s), silence.over.wait())
            waited = True
        return waited

    async def _wait_since_woken(self, row_id: int, due_ms: int) -> None:
        last_ms = self._woken_ms.get(row_id)
        if last_ms is not None:
            early_ms = min(due_ms, last_ms + int(WAKE_EVERY_S * 1000)) - self._now_ms()
            if early_ms > 0:
                await self._pause(early_ms / 1000)
        self._woken_ms[row_id] = self._now_ms()


async def _first(*waits: Awaitable[object]) -> None:
    """Wait until one of these is done, and drop the others."""
    tasks = [asyncio.ensure_future(each) for each in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
