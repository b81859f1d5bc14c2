"""Tells webhooks of events: after the commit, at least once, in order for each process, over restarts, for 72 hours.

What a webhook has is a cursor in the store, moved once for each page. Within a page the events of one process go one
after the other, those of different processes side by side. A receiver that fails holds up nobody but itself: it is
tried again with growing pauses, at most five minutes apart; after 72 hours without success, or when it answers 410, it
is told no more, and its cursor stays. What is sent is `controlplane.webhooks`' part.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol
from urllib.parse import urlsplit

import msgspec

from comity import errors
from comity.db.events import Page, Recorded
from comity.db.store import Deposed
from comity.db.webhooks import ACTIVE, DISABLED, DONE, Webhook, WebhookAdded, WebhookRemoved
from comity.delivery import retry
from comity.delivery.tasks import Tasks
from comity.management import events as forms
from comity.management.events import Event

SIDE_BY_SIDE = 8
PER_ORIGIN = 16
CEILING_S = 300.0
STORE_S = 30.0
SPARSE = 1000
"""How many events that it does not want a webhook may pass before its cursor is written down."""

log = logging.getLogger(__name__)


class Queue(Protocol):
    """Where the events come from and how far a webhook has come is kept; see `controlplane.webhooks`."""

    async def find_active(self) -> list[Webhook]:
        """Return the webhooks that something may have to be sent to."""

    async def find_page(self, webhook: Webhook) -> Page:
        """Return the next events that a webhook wants."""

    async def prepare(self, webhook: Webhook, event: Event) -> tuple[bytes, Mapping[str, str]]:
        """Return body and headers of a delivery."""

    async def save(self, webhook: Webhook) -> bool:
        """Keep how far it has come; return whether it is still ours to tell."""


Failure = tuple[int, errors.ComityError]
"""The `seq` of an event that was not taken, and why."""
Post = Callable[[str, bytes, Mapping[str, str]], Awaitable[None]]


class Webhooks:
    """One task for each webhook that has something to get; `notice` listens to the store."""

    def __init__(
        self,
        queue: Queue,
        post: Post,
        *,
        now_ms: Callable[[], int],
        chance: Callable[[], float],
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Use `post(url, body, headers)` to send; time (also `pause`, in seconds) and chance are given."""
        self._queue = queue
        self._post = post
        self._now_ms = now_ms
        self._chance = chance
        self._pause = pause
        self._active: dict[str, Webhook] = {}
        self._of: defaultdict[str | None, set[str]] = defaultdict(set)
        self._had: defaultdict[str, set[int]] = defaultdict(set)
        self._tasks = Tasks(self._keep_telling)
        self._origins: defaultdict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(PER_ORIGIN)
        )

    def notice(self, announced: Sequence[object]) -> None:
        """Take what committed steps announced; called in the event loop."""
        woken: set[str] = set()
        for each in announced:
            if isinstance(each, Recorded):
                woken |= self._of[None] | self._of.get(each.subject, set())
            elif isinstance(each, WebhookAdded):
                self._add(each.webhook)
                woken.add(each.webhook.id)
            elif isinstance(each, Deposed):
                for name in list(self._active):
                    self._drop(name)
            elif isinstance(each, WebhookRemoved):
                self._drop(each.webhook_id)
        for name in woken:
            self._tasks.begin(name)

    async def resume(self) -> None:
        """Go on with what a process before this one left undelivered."""
        for webhook in await self._queue.find_active():
            if webhook.id not in self._active:
                self._add(webhook)
                self._tasks.begin(webhook.id)

    async def close(self) -> None:
        """Stop telling; the cursors stay where they are."""
        await self._tasks.close()

    def _add(self, webhook: Webhook) -> None:
        self._active[webhook.id] = webhook
        self._of[webhook.process_id].add(webhook.id)

    def _drop(self, name: str) -> None:
        webhook = self._active.pop(name, None)
        if webhook is not None:
            self._of[webhook.process_id].discard(name)
            if webhook.process_id is not None and not self._of[webhook.process_id]:
                del self._of[webhook.process_id]
        self._had.pop(name, None)
        self._tasks.cancel(name)

    async def _keep_telling(self, name: str) -> None:
        try:
            while (webhook := self._active.get(name)) is not None:
                if not await self._tell_more(webhook):
                    break
        except Exception:
            log.exception("webhook %s", name)

    async def _tell_more(self, webhook: Webhook) -> bool:
        """Tell a webhook of its next page when it is due; return whether to look for more."""
        try:
            wait_s = retry.left_s(webhook.due_at, self._now_ms())
            if wait_s > 0:
                await self._pause(wait_s)
            page = await self._queue.find_page(webhook)
            moved = await self._tell_page(webhook, page)
            worth = page.events or moved.last_delivered >= webhook.last_delivered + SPARSE
            if worth and not await self._queue.save(moved):  # removed, or another replica's now
                self._drop(webhook.id)
                return False
            self._keep(moved)
        except errors.DatabaseError as error:  # a full disk, say
            log.warning("webhook %s: %s", webhook.id, error.message)
            await self._pause(STORE_S)
            return True
        return bool(page.events) or page.more

    def _keep(self, moved: Webhook) -> None:
        if moved.state != ACTIVE:
            self._drop(moved.id)
        elif moved.id in self._active:
            self._active[moved.id] = moved

    async def _tell_page(self, webhook: Webhook, page: Page) -> Webhook:
        """Send the events of a page and return the webhook as it stands after it."""
        had = self._had[webhook.id]
        lines: defaultdict[str, list[Event]] = defaultdict(list)
        for event in page.events:
            if event.seq not in had and forms.wanted(webhook.types, event.type):
                lines[event.subject].append(event)
        cap = asyncio.Semaphore(SIDE_BY_SIDE)
        failed = await _failures([self._tell_line(webhook, line, cap) for line in lines.values()])
        if not failed:
            had.clear()
            return _told(webhook, page)
        seq, error = min(failed, key=lambda each: each[0])
        had -= {each for each in had if each < seq}
        return self._failed(webhook, seq - 1, error)

    async def _tell_line(self, webhook: Webhook, line: list[Event], cap: asyncio.Semaphore) -> Failure | None:
        """Send events one after the other; return the first that was not taken, and why."""
        async with cap:
            for event in line:
                try:
                    await self._send(webhook, event)
                except errors.ComityError as error:
                    return event.seq, error
                self._had[webhook.id].add(event.seq)
        return None

    async def _send(self, webhook: Webhook, event: Event) -> None:
        body, headers = await self._queue.prepare(webhook, event)
        async with self._origins[urlsplit(webhook.url).netloc]:
            await self._post(webhook.url, body, headers)

    def _failed(self, webhook: Webhook, last_delivered: int, error: errors.ComityError) -> Webhook:
        """Return a webhook after a failure: further than before it begins a new count."""
        now_ms = self._now_ms()
        further = last_delivered > webhook.last_delivered
        attempts = 1 if further else webhook.attempts + 1
        since = now_ms if further or webhook.failing_since is None else webhook.failing_since
        gone = isinstance(error, errors.PermanentDeliveryError)
        over = retry.expired(since, now_ms)
        asked_s = error.retry_after_s if isinstance(error, errors.TransientDeliveryError) else None
        pause_s = retry.delay_s(attempts, self._chance(), asked_s=asked_s, ceiling_s=CEILING_S)
        reason = f"not taken for 72 hours: {error.message}" if over and not gone else error.message
        log.info("webhook %s: %s", webhook.id, reason)
        return msgspec.structs.replace(
            webhook,
            last_delivered=last_delivered,
            state=DISABLED if gone or over else ACTIVE,
            failing_since=since,
            attempts=attempts,
            due_at=now_ms + int(pause_s * 1000),
            last_error=reason,
        )


def _told(webhook: Webhook, page: Page) -> Webhook:
    """Return a webhook that has all of a page; one of a process that has ended is done."""
    ended = webhook.process_id is not None and bool(page.events) and page.events[-1].type in forms.ENDS
    return msgspec.structs.replace(
        webhook,
        last_delivered=page.upto,
        state=DONE if ended else ACTIVE,
        failing_since=None,
        attempts=0,
        due_at=0,
        last_error="",
    )


async def _failures(works: Sequence[Awaitable[Failure | None]]) -> list[Failure]:
    """Wait for all; what nobody foresaw is raised when nothing of them runs any more."""
    outcomes = await asyncio.gather(*works, return_exceptions=True)
    for each in outcomes:
        if isinstance(each, BaseException):
            raise each
    return [each for each in outcomes if isinstance(each, tuple)]
