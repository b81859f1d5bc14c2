"""A worker with a scripted partner, an outbox that is a dict, and time that passes only in pauses."""

import asyncio

import msgspec

from comity import errors
from comity.db.outbox import Outgoing, Queued, Removed
from comity.delivery import worker
from comity.delivery.worker import Worker

START_MS = 1_700_000_000_000


PARTNER = "did:web:beta"


def a_row(row_id=1, **more):
    values = {
        "id": row_id,
        "kind": "negotiation",
        "process_id": f"urn:process:{row_id}",
        "counterparty_id": PARTNER,
        "url": f"https://beta.example/{row_id}",
        "message": "ContractAgreementMessage",
        "message_id": f"urn:message:{row_id}",
        "body": f"body {row_id}".encode(),
        "before": "REQUESTED",
        "leads_to": "AGREED",
        "due_at": START_MS,
        "created_at": START_MS,
    }
    return Outgoing(**{**values, **more})


class Clock:
    """Time that passes only in pauses; a pause until the next look at the outbox lasts until `look` is set."""

    def __init__(self):
        self.now_ms = START_MS
        self.pauses = []
        self.look = asyncio.Event()

    async def pause(self, seconds):
        if seconds == worker.POLL_S:
            await self.look.wait()
            self.look.clear()
            return
        self.pauses.append(seconds)
        self.now_ms += round(seconds * 1000)
        await asyncio.sleep(0)


class Outcomes:
    """The outbox as a dict, and what the worker told of it."""

    def __init__(self, *rows):
        self.rows = {row.id: row for row in rows}
        self.told = []
        self.asked = []
        self.peer = None
        self.prepared = 0
        self.notice = lambda announced: None
        self.failing = None

    def prepare(self, row):
        self.prepared += 1
        return row.body, f"Bearer {self.prepared}"

    async def acknowledged(self, row, reply, authorization):
        if self.failing:
            raise self.failing
        self.told.append(("acknowledged", row.id, reply, authorization))
        self._remove(row)

    async def postponed(self, row, error, due_at):
        self.told.append(("postponed", row.id, due_at))
        self.rows[row.id] = msgspec.structs.replace(
            self.rows[row.id],
            attempts=row.attempts + 1,
            due_at=due_at,
            last_error=error.message,
            outcome_unknown=row.outcome_unknown or error.outcome_unknown,
        )

    async def refused(self, row, reason, authorization, *, reachable, status=0):
        self.told.append(("refused", row.id, reason, reachable))
        self._remove(row)

    def _remove(self, row):
        self.withdraw(row.id)
        for each in list(self.rows.values()):
            if each.after_id == row.id:
                self.rows[each.id] = msgspec.structs.replace(each, after_id=None)
                self.notice([Queued(self.rows[each.id])])

    def withdraw(self, row_id):
        """Take a row out, and say so as the store does."""
        self.rows.pop(row_id, None)
        self.notice([Removed(row_id)])

    async def peer_state(self, row):
        self.asked.append(row.id)
        return self.peer

    async def find(self, row):
        await asyncio.sleep(0)
        return self.rows.get(row.id)

    async def find_open(self, after_id):
        await asyncio.sleep(0)
        return [row for row_id, row in sorted(self.rows.items()) if row_id > after_id][:2]

    def kinds(self):
        return [each[0] for each in self.told]


class Post:
    """Answers with what is scripted, one after the other; the last one stays."""

    def __init__(self, *script):
        self.script = list(script) or [b"{}"]
        self.sent = []

    async def __call__(self, url, body, authorization):
        self.sent.append((url, body, authorization))
        await asyncio.sleep(0)
        answer = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class Scene:
    def __init__(self, outcomes, post, chance=0.5):
        self.clock = Clock()
        self.outcomes = outcomes
        self.post = post
        self.worker = Worker(
            outcomes, post, now_ms=lambda: self.clock.now_ms, chance=lambda: chance, pause=self.clock.pause
        )
        outcomes.notice = self.worker.notice

    async def send(self, *rows):
        self.worker.notice([Queued(row) for row in rows or self.outcomes.rows.values()])
        await self.quiet()

    async def quiet(self):
        while tasks := list(self.worker._tasks.values()):
            await asyncio.gather(*tasks)


def transient(message="no answer", **more):
    return errors.TransientDeliveryError(message, **more)


def refusal(status=400, message="the partner says no"):
    return errors.PermanentDeliveryError(message, status=status)
