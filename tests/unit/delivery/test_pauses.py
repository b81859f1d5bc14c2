"""Messages that wait for a partner that is away, and what wakes them."""

import asyncio

from comity.db.outbox import Queued
from comity.db.partners import Heard
from comity.delivery import pauses
from support.delivery import START_MS, Outcomes, Scene, a_row, refusal, transient


def waiting_scene(*rows, post):
    """A scene whose pauses after failures last until the clock is moved by hand."""
    scene = Scene(Outcomes(*rows), post)
    scene.pauses = []

    async def pause(seconds):
        scene.pauses.append(seconds)
        await asyncio.Event().wait()

    scene.worker._pause = pause
    return scene


def refused_once(status):
    class Post:
        def __init__(self):
            self.sent = []

        async def __call__(self, url, _body, _authorization):
            self.sent.append(url)
            if len(self.sent) == 1:
                raise refusal(status)
            return b"{}"

    return Post()


async def test_a_partner_that_was_not_ready_gets_time_before_what_follows_its_messages():
    rows = [a_row(1), a_row(2, created_at=START_MS + 60_000), a_row(3, created_at=START_MS + 120_000)]
    scene = Scene(Outcomes(*rows), refused_once(409))
    await scene.send(rows[0])
    assert scene.clock.pauses == [pauses.SETTLE_S]
    for at, row in enumerate(rows[1:], 1):
        scene.clock.now_ms = START_MS + at * 60_000 + 50
        await scene.send(row)
        assert scene.clock.pauses[at:] == [pauses.SETTLE_S - 0.05]
    first = a_row(4, before=None, created_at=scene.clock.now_ms)
    other = a_row(5, counterparty_id="did:web:gamma.example", created_at=scene.clock.now_ms)
    scene.outcomes.rows |= {each.id: each for each in (first, other)}
    await scene.send(first, other)
    assert len(scene.clock.pauses) == len(rows)


async def test_a_partner_that_knows_no_such_process_is_not_waited_for():
    rows = [a_row(1), a_row(2, created_at=START_MS + 60_000)]
    scene = Scene(Outcomes(*rows), refused_once(404))
    await scene.send(rows[0])
    scene.clock.now_ms, scene.clock.pauses[:] = START_MS + 60_000, []
    await scene.send(rows[1])
    assert scene.clock.pauses == []


class Partner:
    """Takes nothing while it is away; `poison` is the row that it can never take."""

    def __init__(self, *, poison=None, **failure):
        self.away, self.sent, self.poison, self.failure = True, [], poison, failure

    async def __call__(self, url, _body, _authorization):
        self.sent.append(url)
        if self.away or (self.poison and self.poison in url):
            raise transient(**self.failure)
        return b"{}"


async def settle():
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_partner_that_answers_again_gets_at_once_what_waited_for_it():
    rows = [a_row(number, attempts=6, url=f"http://partner/{number}") for number in (1, 2, 3)]
    partner = Partner()
    scene = waiting_scene(*rows, a_row(4, url="http://partner/4"), post=partner)
    scene.worker.notice([Queued(row) for row in rows])
    await settle()
    assert len(partner.sent) == len(scene.pauses) == 3
    partner.away = False
    scene.worker.notice([Queued(scene.outcomes.rows[4])])
    await settle()
    assert sorted(scene.outcomes.kinds()) == ["acknowledged"] * 4 + ["postponed"] * 3
    await scene.worker.close()


async def test_a_message_for_which_the_partner_said_when_is_not_woken():
    row = a_row(1, attempts=6)
    partner = Partner(retry_after_s=17.0)
    scene = waiting_scene(row, a_row(2), post=partner)
    scene.worker.notice([Queued(row)])
    await settle()
    partner.away = False
    scene.worker.notice([Queued(scene.outcomes.rows[2])])
    await settle()
    assert len(partner.sent) == 2
    assert scene.pauses == [17.0]
    await scene.worker.close()


async def test_a_message_that_alone_is_not_taken_is_woken_every_10_s_at_most():
    poisoned = a_row(1, attempts=20, url="http://partner/poison")
    partner = Partner(poison="poison")
    scene = waiting_scene(poisoned, *(a_row(number) for number in range(2, 20)), post=partner)
    partner.away = False
    scene.worker.notice([Queued(poisoned)])
    await settle()
    for number in range(2, 20):
        scene.worker.notice([Queued(scene.outcomes.rows[number])])
        await settle()
    tries = [url for url in partner.sent if "poison" in url]
    assert len(tries) == 2
    assert len(partner.sent) == 2 + 18
    assert scene.pauses[-1] == pauses.WAKE_EVERY_S
    await scene.worker.close()


async def test_after_a_restart_the_first_answer_of_a_partner_wakes_what_waits_for_it():
    row = a_row(1, attempts=6, due_at=START_MS + 25_000)
    partner = Partner()
    partner.away = False
    scene = waiting_scene(row, a_row(2), post=partner)
    running = asyncio.create_task(scene.worker.run())
    await settle()
    assert sorted(scene.outcomes.kinds()) == ["acknowledged"] * 2
    running.cancel()
    await scene.worker.close()


async def test_a_partner_that_asks_for_something_gets_what_waited_for_it():
    row = a_row(1, attempts=6)
    partner = Partner()
    scene = waiting_scene(row, post=partner)
    scene.worker.notice([Queued(row)])
    await settle()
    assert len(partner.sent) == 1
    partner.away = False
    scene.worker.notice([Heard(row.counterparty_id)])
    await settle()
    assert scene.outcomes.kinds() == ["postponed", "acknowledged"]
    await scene.worker.close()


async def test_a_partner_that_does_not_answer_is_tried_by_one_message_after_the_other():
    rows = [a_row(number) for number in range(1, 201)]
    away, at_ms = True, []

    async def post(_url, _body, _authorization):
        at_ms.append(scene.clock.now_ms)
        if away:
            raise transient()
        return b"{}"

    scene = waiting_scene(*rows, post=post)
    held = []

    async def pause(seconds):
        woken = asyncio.Event()
        held.append((scene.clock.now_ms + round(seconds * 1000), woken))
        await woken.wait()

    async def pass_by(seconds):
        until = scene.clock.now_ms + round(seconds * 1000)
        while due := sorted(each[0] for each in held if each[0] <= until):
            scene.clock.now_ms = max(scene.clock.now_ms, due[0])
            for each in [each for each in held if each[0] <= scene.clock.now_ms]:
                held.remove(each)
                each[1].set()
            for _ in range(30):  # each message comes to its next pause
                await asyncio.sleep(0)
        scene.clock.now_ms = until

    scene.worker._pause = pause
    scene.worker.notice([Queued(row) for row in rows])
    await asyncio.sleep(0.01)
    await pass_by(60)
    tried = len(at_ms)
    assert pauses.FREE <= tried <= pauses.FREE + 2 * 50 + 60
    assert min(late - early for early, late in zip(at_ms[-10:], at_ms[-9:], strict=False)) >= 900
    away = False
    await pass_by(2)
    await asyncio.sleep(0.05)
    assert len(at_ms) - tried == len(rows), "the first answer wakes all"
    assert scene.outcomes.rows == {}
