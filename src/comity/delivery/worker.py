"""Sends the outbox: woken after a commit, one task a message, a cap for each partner, retries over restarts.

The partner decides by its answer: 2xx acknowledges, 4xx refuses, anything else is tried again. Before a message is
given up the partner is asked for its state: an attempt may have arrived without an answer, also one that was made by
this process before it was killed. When a partner that was away answers again, its other messages do not wait for
the rest of their pauses. What is recorded, and what follows, is the control plane's part (`Outcomes`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from comity import errors
from comity.db.outbox import Outgoing, Queued, Removed
from comity.db.partners import Heard, Slow
from comity.delivery import pauses, retry
from comity.dsp import notice

PER_PARTNER = 32
FRESH_MS = 1000
"""How long a message may wait for others before it is read again: what another process did is not heard of."""
POLL_S = 30.0
STORE_S, UNRECORDED_S = 1.0, 5.0
"""How long to wait for the store; at most so long where what it does not take is that a message was sent."""
SAY_AWAY_MS = 60_000
OK, MULTIPLE_CHOICES = 200, 300
CONFLICT = 409
NOT_YET = (404, CONFLICT)
"""The partner may not have recorded its own step yet, or holds a lock on the process (EDC says 409 to both)."""
UNAUTHORIZED = (401, 403)

log = logging.getLogger(__name__)


class Outcomes(Protocol):
    """Where the worker gets what to send and tells what became of it; see `controlplane.outcome`.

    An `attempt` is what proves a request and knows the answer to it: the worker hands it on.
    """

    def prepare(self, row: Outgoing) -> tuple[bytes, Any]:
        """Return body and attempt; a PermanentDeliveryError when the partner is known not to take it."""

    async def acknowledged(self, row: Outgoing, reply: bytes, attempt: Any) -> None:
        """Record that the partner took it."""

    async def postponed(self, row: Outgoing, error: errors.TransientDeliveryError, due_at: int) -> None:
        """Record a failed attempt."""

    async def refused(
        self, row: Outgoing, reason: str, attempt: Any, *, reachable: bool, status: int = 0
    ) -> None:
        """Record that it is given up, after an answer with `status` if there was one."""

    async def peer_state(self, row: Outgoing) -> str | None:
        """Ask the partner for its state; a TransientDeliveryError when it cannot be asked now."""

    async def find(self, row: Outgoing) -> Outgoing | None:
        """Return the row as it is now, None if it is gone."""

    async def find_open(self, after_id: int) -> list[Outgoing]:
        """Return open rows in order of their ids, after an id."""


Post = Callable[[str, bytes, Any], Awaitable[bytes]]


class Worker:
    """Keeps every open row of the outbox moving."""

    def __init__(  # noqa: PLR0913  time, chance and pauses are given
        self,
        outcomes: Outcomes,
        post: Post,
        *,
        now_ms: Callable[[], int],
        chance: Callable[[], float],
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        kept: Callable[[Outgoing], bool] = lambda _: False,
    ) -> None:
        """Use `post(url, body, attempt)` to send; time (also `pause`, in seconds) and chance are given.

        What is `kept` is not sent now; it is looked at again when it is announced again.
        """
        self._kept = kept
        self._outcomes = outcomes
        self._post = post
        self._now_ms = now_ms
        self._chance = chance
        self._pause = pause
        self._caps: dict[str, asyncio.Semaphore] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._sent: set[int] = set()
        """Rows that were sent, of which the store has not taken yet what became of that."""
        self._removed: set[int] = set()
        """Rows that are in the outbox no more, although a task here is still about them."""
        self._pauses = pauses.Pauses(now_ms, self._wait)
        self._closing = False
        self._away_said_ms = -SAY_AWAY_MS

    def notice(self, announced: Sequence[object]) -> None:
        """Take rows that a committed step announced; called in the event loop."""
        for event in announced:
            if isinstance(event, Queued):
                self._begin(event.row, fresh=not event.released)
            elif isinstance(event, Removed):
                if event.row_id in self._tasks:
                    self._removed.add(event.row_id)
            elif isinstance(event, Slow):
                self._pauses.note_slow(event.partner_id)
            elif isinstance(event, Heard):
                self._pauses.note_answer(event.partner_id)

    async def run(self) -> None:
        """Look for rows that nobody sends, at the start and then from time to time, until cancelled."""
        while True:
            try:
                await self._poll()
            except errors.DatabaseError as error:
                self._say_away(error)
                await self._pause(STORE_S)
                continue
            await self._pause(POLL_S)

    def _say_away(self, error: errors.DatabaseError) -> None:
        """Say that the store is away once a minute: each message finds it out again every second."""
        if not 0 <= self._now_ms() - self._away_said_ms < SAY_AWAY_MS:
            self._away_said_ms = self._now_ms()
            log.warning("the outbox cannot be used now, messages wait: %s", error.message)

    async def _poll(self) -> None:
        last = 0
        while rows := await self._outcomes.find_open(last):
            for row in rows:
                self._begin(row, fresh=False)
            last = rows[-1].id

    async def close(self) -> None:
        """Stop sending; what was not acknowledged stays in the outbox."""
        self._closing = True
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, row: Outgoing, *, fresh: bool) -> None:
        """Send a row that nobody sends yet; one that is not `fresh` may be gone since it was read."""
        if row.id not in self._tasks and row.after_id is None and not self._closing and not self._kept(row):
            self._tasks[row.id] = asyncio.create_task(self._keep_sending(row, fresh=fresh))

    async def _keep_sending(self, row: Outgoing, *, fresh: bool) -> None:
        try:
            # an answer that is due in this turn of the loop goes out before our next message
            await asyncio.sleep(0)
            sending: Outgoing | None = row
            pause_s = STORE_S
            while sending is not None and not self._closing:
                try:
                    sending, fresh = await self._send_when_due(sending, fresh=fresh), True
                    pause_s = STORE_S
                except errors.DatabaseError as error:
                    # the store is away, or full: the row is read when it is back
                    self._say_away(error)
                    await self._pause(pause_s)
                    if row.id in self._sent or isinstance(error, errors.UnstampedError):  # it may last
                        pause_s = min(pause_s * 2, UNRECORDED_S)
                    fresh = False
        except errors.ComityError as error:
            log.warning("%s to %s: %s", row.message, row.counterparty_id, error)
        except Exception:
            log.exception("%s to %s", row.message, row.counterparty_id)
        finally:
            self._sent.discard(row.id)
            self._removed.discard(row.id)
            self._tasks.pop(row.id, None)
            self._pauses.forget(row.id)

    async def _wait(self, pause_s: float) -> None:
        await self._pause(pause_s)

    async def _send_when_due(self, row: Outgoing, *, fresh: bool) -> Outgoing | None:
        """Make the next attempt and return the row if another one is needed."""
        pause_s, since_ms = self._pauses.before_s(row), self._now_ms()
        if pause_s > 0:
            await self._pauses.wait(row, pause_s)
        cap = self._caps.setdefault(row.counterparty_id, asyncio.Semaphore(PER_PARTNER))
        fresh = fresh and pause_s <= 0 and row.attempts == 0
        async with cap:
            waited = await self._pauses.turn(row.counterparty_id)
            fresh = fresh and not waited and row.id not in self._removed
            fresh = fresh and 0 <= self._now_ms() - since_ms < FRESH_MS
            found = row if fresh else await self._outcomes.find(row)
            if found is None:
                return None  # withdrawn in the meantime
            again = await self._attempt(found)
            self._sent.discard(row.id)
        return await self._outcomes.find(row) if again else None

    async def _attempt(self, row: Outgoing) -> bool:
        """Send once and return whether to send again."""
        attempt: Any = None
        try:
            body, attempt = self._outcomes.prepare(row)
            self._sent.add(row.id)
            await self._outcomes.acknowledged(row, await self._taken(row, body, attempt), attempt)
        except errors.TransientDeliveryError as error:
            self._pauses.note_failure(row, asked=error.retry_after_s is not None)
            return await self._postpone(row, error, attempt)
        except errors.PermanentDeliveryError as error:
            if error.status:
                self._pauses.note_answer(row.counterparty_id)
            return await self._turned_down(row, error, attempt)
        self._pauses.note_answer(row.counterparty_id)
        return False

    async def _taken(self, row: Outgoing, body: bytes, attempt: Any) -> bytes:
        """Return the body of a 2xx answer; one that cannot be read (too large, say) acknowledges all the same."""
        try:
            return await self._post(row.url, body, attempt)
        except errors.PermanentDeliveryError as error:
            if not OK <= error.status < MULTIPLE_CHOICES:
                raise
            return b""

    async def _postpone(self, row: Outgoing, error: errors.TransientDeliveryError, attempt: Any) -> bool:
        now_ms = self._now_ms()
        if retry.expired(row.created_at, now_ms):
            if not await self._arrived_at_last(row, attempt):
                reason = f"the partner could not be reached for 72 hours: {error.message}"
                await self._outcomes.refused(row, reason, attempt, reachable=False)
            return False
        pause_s = retry.delay_s(row.attempts, self._chance(), asked_s=error.retry_after_s)
        log.info("%s to %s: %s; again in %.1f s", row.message, row.counterparty_id, error.message, pause_s)
        await self._outcomes.postponed(row, error, now_ms + int(pause_s * 1000))
        return True

    async def _turned_down(self, row: Outgoing, error: errors.PermanentDeliveryError, attempt: Any) -> bool:
        """A 4xx ends it, unless it answers a repeat of what the partner had taken, or may yet change."""
        try:
            if await self._arrived(row, attempt):
                return False
        except errors.TransientDeliveryError:  # what arrived is not known: not the time to give up
            return await self._postpone(row, errors.TransientDeliveryError(error.message), attempt)
        may_change = error.status in UNAUTHORIZED or (
            error.status in NOT_YET
            and not (row.kind == notice.KIND and error.status in notice.NO_ENDPOINT)
            and not retry.expired(row.created_at, self._now_ms(), horizon_s=retry.NOT_YET_HORIZON_S)
        )
        if row.before is not None and may_change:
            wait_s = pauses.SETTLE_S if error.status == CONFLICT else None
            if error.status == CONFLICT:
                self._pauses.note_slow(row.counterparty_id)
            later = errors.TransientDeliveryError(error.message, retry_after_s=wait_s)
            return await self._postpone(row, later, attempt)
        await self._outcomes.refused(row, error.message, attempt, reachable=True, status=error.status)
        return False

    async def _arrived_at_last(self, row: Outgoing, attempt: Any) -> bool:
        """Ask as `_arrived` does; a partner that cannot be asked either does not have it."""
        try:
            return await self._arrived(row, attempt)
        except errors.TransientDeliveryError:
            return False

    async def _arrived(self, row: Outgoing, attempt: Any) -> bool:
        """Ask the partner whether it is where this message leads; if so, that is the acknowledgement.

        Of a first message it cannot tell: only the acknowledgement brings its pid. A state that the message does not
        change says something only where an attempt may have arrived.
        """
        tells = row.before != row.leads_to or row.attempts > 0 or row.outcome_unknown
        if row.before is None or not tells or await self._outcomes.peer_state(row) != row.leads_to:
            return False
        await self._outcomes.acknowledged(row, b"", attempt)
        return True
