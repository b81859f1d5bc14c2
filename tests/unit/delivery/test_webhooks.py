"""Telling webhooks: order, repeats, failures and their end; the log is a list, and time passes in pauses only."""

import asyncio

import msgspec
import pytest

from comity import errors
from comity.db.events import Page, Recorded
from comity.db.webhooks import ACTIVE, DISABLED, DONE, Webhook, WebhookAdded, WebhookRemoved
from comity.delivery.webhooks import CEILING_S, SPARSE, Webhooks
from comity.management import events as forms
from comity.management.events import Event
from support.pair import wait_for

START_MS = 1_700_000_000_000
HOUR_MS = 3600 * 1000
URL = "https://app.example/events"


class Log:
    """The log as a list, the webhooks as a dict: what `controlplane.webhooks` keeps in the store."""

    def __init__(self, page=64):
        self.events = []
        self.rows = {}
        self.saves = []
        self.page = page
        self.failing = None

    def add(self, subject, kind="contract.negotiation.requested"):
        number = sum(each.subject == subject for each in self.events) + 1
        seq = len(self.events) + 1
        self.events.append(
            Event(seq=seq, id=f"urn:{seq}", type=kind, subject=subject, number=number, at=1, data=b"{}")
        )
        return Recorded(subject)

    async def find_active(self):
        return [each for each in self.rows.values() if each.state == ACTIVE]

    async def find_page(self, webhook):
        if self.failing:
            raise self.failing.pop()
        await asyncio.sleep(0)
        kinds = () if webhook.process_id else webhook.types
        found = [
            each
            for each in self.events
            if each.seq > webhook.last_delivered
            and webhook.process_id in {None, each.subject}
            and forms.wanted(kinds, each.type)
        ]
        more = len(found) > self.page
        newest = len(self.events)
        return Page(found[: self.page], found[self.page - 1].seq if more else newest, more, 1, newest)

    async def prepare(self, webhook, event):
        return event.id.encode(), {}

    async def save(self, webhook):
        await asyncio.sleep(0)
        self.rows[webhook.id] = webhook
        self.saves.append(webhook)
        return True


class Receiver:
    """Takes what it gets, unless a test says otherwise of an event."""

    def __init__(self):
        self.got = []
        self.tried = 0
        self.away = False
        self.refuses = {}
        self.at_once = self.most = 0

    async def __call__(self, url, body, _headers):
        self.tried += 1
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        name = body.decode()
        if self.away:
            raise errors.TransientDeliveryError("the receiver is away")
        if name in self.refuses:
            raise self.refuses[name]
        self.got.append(name)


class Scene:
    def __init__(self, *rows, page=64):
        self.log, self.receiver = Log(page), Receiver()
        self.now_ms, self.pauses = START_MS, []
        self.until = None
        for row in rows:
            self.log.rows[row.id] = row
        self.telling = self.made()

    def made(self):
        return Webhooks(
            self.log,
            self.receiver,
            now_ms=lambda: self.now_ms,
            chance=lambda: 1.0,
            pause=self.pause,
        )

    async def pause(self, seconds):
        self.pauses.append(seconds)
        self.now_ms += round(seconds * 1000)
        await asyncio.sleep(0)
        if self.until is not None and self.until():
            self.receiver.away = False

    async def happen(self, *announced):
        self.telling.notice(list(announced))
        await self.quiet()

    async def quiet(self):
        while tasks := list(self.telling._tasks.running.values()):
            await asyncio.gather(*tasks)

    async def resume(self):
        self.telling = self.made()
        await self.telling.resume()
        await self.quiet()


def a_webhook(**more):
    values = {"id": "w", "url": URL, "last_delivered": 0, "created_at": 1}
    return Webhook(**{**values, **more})


def names(*numbers):
    return [f"urn:{number}" for number in numbers]


async def test_a_webhook_is_told_what_happens_and_its_cursor_follows():
    scene = Scene(a_webhook())
    await scene.resume()
    await scene.happen(scene.log.add("a"), scene.log.add("a"))
    await scene.happen(scene.log.add("b"))
    assert scene.receiver.got == names(1, 2, 3)
    assert scene.log.rows["w"].last_delivered == 3
    assert len(scene.log.saves) == 2


async def test_a_webhook_that_is_new_is_told_from_its_place_on():
    scene = Scene()
    scene.log.add("a")
    scene.log.add("a")
    await scene.happen(WebhookAdded(a_webhook(last_delivered=1)))
    assert scene.receiver.got == names(2)


async def test_events_of_one_process_go_one_after_the_other_and_those_of_many_side_by_side():
    scene = Scene(a_webhook())
    await scene.resume()
    await scene.happen(*(scene.log.add(subject) for _ in range(4) for subject in "abcdefghijkl"))
    assert scene.receiver.most == 8
    assert sorted(scene.receiver.got) == sorted(names(*range(1, 49)))
    for subject in "abcdefghijkl":
        wanted = [each.id for each in scene.log.events if each.subject == subject]
        assert [name for name in scene.receiver.got if name in wanted] == wanted


async def test_an_event_that_comes_while_the_last_page_is_read_is_not_forgotten():
    scene = Scene(a_webhook())
    await scene.resume()
    scene.telling.notice([scene.log.add("a")])
    for _ in range(6):
        await asyncio.sleep(0)
        scene.telling.notice([scene.log.add("a")])
    await scene.quiet()
    assert scene.receiver.got == names(*range(1, 8))


async def test_only_what_is_wanted_is_told_and_a_long_way_without_it_is_written_down():
    scene = Scene(a_webhook(types=("transfer.process",)))
    await scene.resume()
    await scene.happen(scene.log.add("a"), scene.log.add("t", "transfer.process.started"), scene.log.add("a"))
    assert scene.receiver.got == names(2)
    scene.log.saves.clear()
    await scene.happen(*(scene.log.add("a") for _ in range(10)))
    assert scene.log.saves == []
    await scene.happen(*(scene.log.add("a") for _ in range(SPARSE)))
    assert scene.log.rows["w"].last_delivered == len(scene.log.events)
    assert scene.receiver.got == names(2)


async def test_a_receiver_that_is_away_for_a_day_gets_everything_in_order_afterwards():
    scene = Scene(a_webhook(), page=10)
    scene.receiver.away = True
    scene.until = lambda: scene.now_ms >= START_MS + 24 * HOUR_MS
    await scene.resume()
    await scene.happen(*(scene.log.add("a") for _ in range(50)))
    assert scene.receiver.got == names(*range(1, 51))
    assert max(scene.pauses) == CEILING_S
    assert scene.pauses[:4] == [0.5, 1.0, 2.0, 4.0]
    stored = scene.log.rows["w"]
    assert (stored.state, stored.last_delivered) == (ACTIVE, 50)
    assert (stored.failing_since, stored.attempts, stored.due_at, stored.last_error) == (None, 0, 0, "")


async def test_while_it_is_away_the_row_says_since_when_how_often_and_why():
    scene = Scene(a_webhook())
    scene.receiver.away = True
    waiting = asyncio.Event()
    tries = []

    async def pause(seconds):
        tries.append(seconds)
        scene.now_ms += round(seconds * 1000)
        if len(tries) == 3:
            await waiting.wait()

    await scene.resume()
    scene.telling._pause = pause
    scene.telling.notice([scene.log.add("a")])
    await wait_for(lambda: len(tries) == 3, "three failures")
    stored = scene.log.rows["w"]
    assert (stored.failing_since, stored.attempts) == (START_MS, 3)
    assert stored.due_at > START_MS
    assert stored.last_error == "the receiver is away"
    await scene.telling.close()


async def test_after_72_hours_a_receiver_is_told_no_more_and_its_place_stays():
    scene = Scene(a_webhook())
    await scene.resume()
    await scene.happen(scene.log.add("a"))
    scene.receiver.away = True
    await scene.happen(scene.log.add("a"))
    stored = scene.log.rows["w"]
    assert (stored.state, stored.last_delivered) == (DISABLED, 1)
    assert stored.last_error == "not taken for 72 hours: the receiver is away"
    assert 72 * HOUR_MS < scene.now_ms - START_MS < 73 * HOUR_MS
    scene.receiver.away = False
    tried = scene.receiver.tried
    await scene.happen(scene.log.add("a"))
    await scene.resume()
    assert scene.receiver.tried == tried


async def test_the_72_hours_go_on_over_a_restart():
    since = START_MS - 71 * HOUR_MS
    scene = Scene(a_webhook(failing_since=since, attempts=900, due_at=START_MS + 5000))
    scene.log.add("a")
    scene.receiver.away = True
    await scene.resume()
    assert scene.pauses[0] == 5.0
    assert scene.log.rows["w"].state == DISABLED
    assert scene.now_ms - START_MS < 2 * HOUR_MS


async def test_a_receiver_that_answers_gone_is_told_no_more_at_once():
    scene = Scene(a_webhook())
    await scene.resume()
    scene.receiver.refuses = {"urn:2": errors.PermanentDeliveryError("gone", status=410)}
    await scene.happen(scene.log.add("a"), scene.log.add("a"), scene.log.add("a"))
    stored = scene.log.rows["w"]
    assert (stored.state, stored.last_delivered, stored.last_error) == (DISABLED, 1, "gone")
    assert scene.receiver.got == names(1)
    assert scene.pauses == []


async def test_one_event_that_is_not_taken_holds_up_its_process_and_is_not_repeated_for_the_others():
    scene = Scene(a_webhook())
    await scene.resume()
    scene.receiver.refuses = {"urn:1": errors.TransientDeliveryError("not now")}
    scene.until = lambda: len(scene.pauses) == 2 and scene.receiver.refuses.clear()
    await scene.happen(*(scene.log.add(subject) for subject in ("a", "b", "a", "b")))
    assert scene.receiver.got == names(2, 4, 1, 3)
    assert scene.log.rows["w"].last_delivered == 4


async def test_a_wish_to_be_asked_later_is_respected():
    scene = Scene(a_webhook())
    await scene.resume()
    scene.receiver.refuses = {"urn:1": errors.TransientDeliveryError("busy", retry_after_s=900.0)}
    scene.until = scene.receiver.refuses.clear
    await scene.happen(scene.log.add("a"))
    assert scene.pauses == [900.0]
    assert scene.receiver.got == names(1)


async def test_a_crash_before_the_cursor_is_written_repeats_the_same_events_under_the_same_ids():
    scene = Scene(a_webhook())
    scene.log.add("a")
    scene.log.add("a")
    stuck = asyncio.Event()

    async def never(_):
        stuck.set()
        await asyncio.Event().wait()

    save, scene.log.save = scene.log.save, never
    scene.telling = scene.made()
    await scene.telling.resume()
    await stuck.wait()
    await scene.telling.close()
    scene.log.save = save
    assert scene.receiver.got == names(1, 2)
    await scene.resume()
    assert scene.receiver.got == names(1, 2, 1, 2)
    await scene.resume()
    assert scene.receiver.got == names(1, 2, 1, 2)


async def test_a_callback_is_told_of_its_own_process_and_done_at_its_end():
    scene = Scene(a_webhook(process_id="a", types=("contract.negotiation.agreed",)))
    await scene.resume()
    await scene.happen(scene.log.add("b", "contract.negotiation.agreed"), scene.log.add("a"))
    await scene.happen(scene.log.add("a", "contract.negotiation.agreed"))
    assert scene.receiver.got == names(3)
    assert scene.log.rows["w"].state == ACTIVE
    await scene.happen(scene.log.add("a", "contract.negotiation.finalized"))
    assert scene.receiver.got == names(3)
    assert scene.log.rows["w"].state == DONE
    assert not scene.telling._active
    assert not {key for key in scene.telling._of if key is not None}


async def test_a_webhook_that_is_removed_gets_nothing_more_not_even_what_is_tried_again():
    scene = Scene(a_webhook())
    scene.receiver.away = True
    paused = asyncio.Event()

    async def pause(_):
        paused.set()
        await asyncio.Event().wait()

    await scene.resume()
    scene.telling._pause = pause
    scene.telling.notice([scene.log.add("a")])
    await paused.wait()
    tried = scene.receiver.tried
    scene.telling.notice([WebhookRemoved("w")])
    scene.receiver.away = False
    await asyncio.gather(*scene.telling._tasks.running.values(), return_exceptions=True)
    await scene.happen(scene.log.add("a"))
    assert scene.receiver.tried == tried


async def test_one_webhook_that_fails_holds_up_no_other():
    scene = Scene(a_webhook(id="bad"), a_webhook(id="good", url="https://good.example"))
    got = []

    async def post(url, body, _headers):
        if url == URL:
            await asyncio.Event().wait()
        got.append(body.decode())

    scene.telling = Webhooks(scene.log, post, now_ms=lambda: START_MS, chance=lambda: 0.5)
    await scene.telling.resume()
    scene.telling.notice([scene.log.add("a")])
    await wait_for(lambda: got, "the good one is told")
    scene.telling.notice([scene.log.add("a")])
    await wait_for(lambda: len(got) == 2, "the good one is told again")
    assert got == names(1, 2)
    await scene.telling.close()


async def test_a_store_that_does_not_answer_is_asked_again():
    scene = Scene(a_webhook())
    await scene.resume()
    scene.log.failing = [errors.DatabaseError("the disk is full")]
    await scene.happen(scene.log.add("a"))
    assert scene.pauses == [30.0]
    assert scene.receiver.got == names(1)


async def test_what_nobody_foresaw_is_logged_and_the_next_event_begins_anew(caplog):
    scene = Scene(a_webhook())
    await scene.resume()
    scene.receiver.refuses = {"urn:1": ValueError("what?")}
    await scene.happen(scene.log.add("a"), scene.log.add("b"))
    assert "what?" in caplog.text
    assert scene.receiver.got == names(2)
    scene.receiver.refuses.clear()
    await scene.happen(scene.log.add("b"))
    assert scene.receiver.got == names(2, 1, 3)


@pytest.mark.parametrize(
    "error", [errors.NotFoundError("there is no secret x"), errors.DatabaseError("sealed")]
)
async def test_a_credential_that_is_missing_is_a_failure_that_may_mend(error):
    scene = Scene(a_webhook())
    await scene.resume()
    prepare = scene.log.prepare

    async def failing(webhook, event):
        if not scene.pauses:
            raise error
        return await prepare(webhook, event)

    scene.log.prepare = failing
    await scene.happen(scene.log.add("a"))
    assert scene.receiver.got == names(1)
    assert [each.last_error for each in scene.log.saves] == [error.message, ""]
    assert msgspec.structs.replace(scene.log.saves[-1], last_delivered=0) == a_webhook()
