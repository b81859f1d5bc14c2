import asyncio
import logging

import msgspec
import pytest

from comity import errors
from comity.db.outbox import Queued
from comity.delivery import retry, worker
from support.delivery import START_MS, Outcomes, Post, Scene, a_row, refusal, transient


async def test_a_message_that_is_taken_is_acknowledged_with_its_reply_and_token():
    scene = Scene(Outcomes(a_row()), Post(b'{"state": "AGREED"}'))
    await scene.send()
    assert scene.post.sent == [("https://beta.example/1", b"body 1", "Bearer 1")]
    assert scene.outcomes.told == [("acknowledged", 1, b'{"state": "AGREED"}', "Bearer 1")]
    assert scene.clock.pauses == []


async def test_a_message_is_not_sent_before_it_is_due():
    scene = Scene(Outcomes(a_row(due_at=START_MS + 1500)), Post())
    await scene.send()
    assert scene.clock.pauses == [1.5]
    assert scene.outcomes.kinds() == ["acknowledged"]


async def test_other_announcements_are_none_of_its_business():
    scene = Scene(Outcomes(), Post())
    scene.worker.notice([object(), "x"])
    await scene.quiet()
    assert scene.post.sent == []


async def test_a_lost_message_is_sent_again_with_the_same_bytes_and_a_new_token():
    scene = Scene(Outcomes(a_row()), Post(transient(), transient(), b"{}"))
    await scene.send()
    assert [each[1] for each in scene.post.sent] == [b"body 1"] * 3
    assert [each[2] for each in scene.post.sent] == ["Bearer 1", "Bearer 2", "Bearer 3"]
    assert scene.clock.pauses == [0.125, 0.25]
    assert scene.outcomes.kinds() == ["postponed", "postponed", "acknowledged"]
    assert scene.outcomes.told[-1][3] == "Bearer 3"


async def test_retry_after_is_waited_for():
    scene = Scene(Outcomes(a_row()), Post(transient(retry_after_s=17.0), b"{}"))
    await scene.send()
    assert scene.clock.pauses == [17.0]


async def test_after_72_hours_a_message_is_given_up_as_unreachable():
    scene = Scene(Outcomes(a_row()), Post(transient("connection refused")), chance=0.999)
    await scene.send()
    assert scene.outcomes.kinds()[:-1] == ["postponed"] * (len(scene.post.sent) - 1)
    assert len(scene.post.sent) > 72 * 3600 / 30
    last = scene.outcomes.told[-1]
    assert last == ("refused", 1, "the partner could not be reached for 72 hours: connection refused", False)
    assert 0 < scene.clock.now_ms - START_MS - retry.HORIZON_S * 1000 <= 30_000
    assert scene.outcomes.asked == [1]


async def test_the_horizon_counts_from_the_creation_also_over_a_restart():
    row = a_row(created_at=START_MS - int(retry.HORIZON_S * 1000) - 1, attempts=50)
    scene = Scene(Outcomes(row), Post(transient()))
    await scene.send()
    assert scene.outcomes.kinds() == ["refused"]
    assert len(scene.post.sent) == 1


async def test_before_it_is_given_up_the_partner_is_asked_and_may_have_it():
    row = a_row(created_at=START_MS - int(retry.HORIZON_S * 1000) - 1, outcome_unknown=True, attempts=3)
    scene = Scene(Outcomes(row), Post(transient()))
    scene.outcomes.peer = "AGREED"
    await scene.send()
    assert scene.outcomes.told == [("acknowledged", 1, b"", "Bearer 1")]


async def test_a_refusal_ends_it_with_the_partners_words():
    scene = Scene(Outcomes(a_row()), Post(refusal()))
    scene.outcomes.peer = "REQUESTED"
    await scene.send()
    assert scene.outcomes.told == [("refused", 1, "the partner says no", True)]
    assert len(scene.post.sent) == 1


async def test_an_answer_that_says_yes_but_cannot_be_read_is_an_acknowledgement():
    scene = Scene(Outcomes(a_row()), Post(refusal(200, "the answer is too large")))
    await scene.send()
    assert scene.outcomes.told == [("acknowledged", 1, b"", "Bearer 1")]


@pytest.mark.parametrize("status", [400, 404, 409, 401])
async def test_a_refused_retry_of_what_had_arrived_is_an_acknowledgement(status):
    scene = Scene(Outcomes(a_row()), Post(transient(outcome_unknown=True), refusal(status)))
    scene.outcomes.peer = "AGREED"
    await scene.send()
    assert scene.outcomes.kinds() == ["postponed", "acknowledged"]
    assert scene.outcomes.asked == [1]


async def test_a_refused_retry_of_what_had_not_arrived_ends_it():
    scene = Scene(Outcomes(a_row()), Post(transient(outcome_unknown=True), refusal(400)))
    scene.outcomes.peer = "TERMINATED"
    await scene.send()
    assert scene.outcomes.kinds() == ["postponed", "refused"]


async def test_a_message_that_a_killed_process_had_sent_is_not_taken_for_refused():
    scene = Scene(Outcomes(a_row(attempts=0, outcome_unknown=False)), Post(refusal(409)))
    scene.outcomes.peer = "AGREED"
    running = asyncio.create_task(scene.worker.run())
    await asyncio.sleep(0.01)
    await scene.quiet()
    running.cancel()
    assert scene.outcomes.kinds() == ["acknowledged"]


async def test_a_partner_that_cannot_be_asked_is_taken_at_its_word():
    scene = Scene(Outcomes(a_row(outcome_unknown=True, attempts=1)), Post(refusal()))
    scene.outcomes.peer = None
    await scene.send()
    assert scene.outcomes.kinds() == ["refused"]
    assert scene.outcomes.asked == [1]


async def test_a_state_that_the_message_does_not_change_says_nothing_of_a_first_attempt():
    row = a_row(message="TransferStartMessage", before="STARTED", leads_to="STARTED")
    scene = Scene(Outcomes(row), Post(refusal()))
    scene.outcomes.peer = "STARTED"
    await scene.send()
    assert scene.outcomes.kinds() == ["refused"]
    again = Scene(Outcomes(msgspec.structs.replace(row, outcome_unknown=True)), Post(refusal()))
    again.outcomes.peer = "STARTED"
    await again.send()
    assert again.outcomes.kinds() == ["acknowledged"]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409])
async def test_a_refused_first_message_ends_it_at_once_and_nobody_is_asked(status):
    scene = Scene(Outcomes(a_row(before=None, leads_to="REQUESTED")), Post(refusal(status)))
    scene.outcomes.peer = "REQUESTED"
    await scene.send()
    assert scene.outcomes.kinds() == ["refused"]
    assert scene.outcomes.asked == []


@pytest.mark.parametrize("status", [404, 409])
async def test_a_process_not_there_yet_is_tried_again_for_a_minute(status):
    scene = Scene(Outcomes(a_row()), Post(refusal(status)), chance=0.999)
    await scene.send()
    assert set(scene.outcomes.kinds()[:-1]) == {"postponed"}
    assert scene.outcomes.told[-1] == ("refused", 1, "the partner says no", True)
    assert 60_000 < scene.clock.now_ms - START_MS <= 90_000


@pytest.mark.parametrize("status", [404, 409])
async def test_a_process_that_is_there_at_last_is_acknowledged(status):
    scene = Scene(Outcomes(a_row()), Post(refusal(status), refusal(status), b"{}"))
    await scene.send()
    assert scene.outcomes.kinds() == ["postponed", "postponed", "acknowledged"]


@pytest.mark.parametrize("status", [401, 403])
async def test_a_token_that_is_not_accepted_now_may_be_accepted_later(status):
    scene = Scene(Outcomes(a_row()), Post(refusal(status), b"{}"))
    await scene.send()
    assert scene.outcomes.kinds() == ["postponed", "acknowledged"]


async def test_a_message_that_is_withdrawn_while_it_waits_is_not_sent():
    scene = Scene(Outcomes(a_row(due_at=START_MS + 1000)), Post())
    scene.worker.notice([Queued(scene.outcomes.rows[1])])
    scene.outcomes.rows.clear()
    await scene.quiet()
    assert scene.post.sent == []
    assert scene.outcomes.told == []


async def test_a_message_that_is_withdrawn_between_two_attempts_is_not_sent_again():
    outcomes = Outcomes(a_row())
    scene = Scene(outcomes, Post(transient()))

    async def withdraw(_seconds):
        outcomes.rows.clear()

    scene.worker._pause = withdraw
    await scene.send()
    assert len(scene.post.sent) == 1


def withdraw_here(scene, row_id):
    scene.outcomes.withdraw(row_id)


def withdraw_elsewhere(scene, row_id):
    del scene.outcomes.rows[row_id]
    scene.clock.now_ms += worker.FRESH_MS


@pytest.mark.parametrize("withdraw", [withdraw_here, withdraw_elsewhere])
async def test_a_message_that_is_withdrawn_while_others_are_in_its_way_is_not_sent(withdraw):
    scene, gate, rows = await crowded()
    withdraw(scene, rows[-1].id)
    gate.set()
    await scene.quiet()
    assert rows[-1].url not in scene.post.sent


async def test_a_message_that_waits_for_others_for_a_moment_is_not_read_again():
    scene, gate, rows = await crowded()
    scene.outcomes.find = None
    scene.clock.now_ms += worker.FRESH_MS - 1
    gate.set()
    await scene.quiet()
    assert rows[-1].url in scene.post.sent


async def crowded():
    """Return a scene in which as many messages are under way as a partner gets at a time, and one waits."""
    rows = [a_row(number) for number in range(1, worker.PER_PARTNER + 2)]
    gate = asyncio.Event()

    async def post(url, _body, _authorization):
        post.sent.append(url)
        await gate.wait()
        return b"{}"

    post.sent = []
    scene = Scene(Outcomes(*rows), post)
    scene.worker.notice([Queued(row) for row in rows])
    await asyncio.sleep(0.01)
    assert len(post.sent) == worker.PER_PARTNER
    return scene, gate, rows


async def test_a_row_that_was_read_before_it_was_acknowledged_is_not_sent_again():
    outcomes = Outcomes(a_row())
    scene = Scene(outcomes, Post())
    stale = await outcomes.find_open(0)
    await scene.send()

    async def find_open(after_id):
        return [row for row in stale if row.id > after_id]

    outcomes.find_open = find_open
    await scene.worker._poll()
    await scene.quiet()
    assert len(scene.post.sent) == 1


async def test_a_message_waits_for_the_one_before_it():
    first, second = a_row(1), a_row(2, after_id=1, leads_to="TERMINATED")
    scene = Scene(Outcomes(first, second), Post(transient(), transient(), b"{}"))
    await scene.send(second, first)
    assert [each[0][-1] for each in scene.post.sent] == ["1", "1", "1", "2"]
    assert [each[1] for each in scene.outcomes.told if each[0] == "acknowledged"] == [1, 2]


async def test_a_message_follows_also_when_the_one_before_it_was_refused():
    scene = Scene(Outcomes(a_row(1), a_row(2, after_id=1)), Post(refusal(), b"{}"))
    await scene.send()
    assert scene.outcomes.kinds() == ["refused", "acknowledged"]


async def test_a_partner_gets_only_so_many_messages_at_a_time_and_holds_up_nobody_else():
    slow = [a_row(number) for number in range(1, 101)]
    other = a_row(500, counterparty_id="did:web:gamma")
    gate = asyncio.Event()
    open_now, most = 0, 0

    async def post(url, _body, _authorization):
        nonlocal open_now, most
        if url.endswith("/500"):
            return b"{}"
        open_now += 1
        most = max(most, open_now)
        await gate.wait()
        open_now -= 1
        return b"{}"

    scene = Scene(Outcomes(*slow, other), post)
    scene.worker.notice([Queued(row) for row in [*slow, other]])
    await asyncio.sleep(0.01)
    assert open_now == worker.PER_PARTNER
    assert scene.outcomes.told == [("acknowledged", 500, b"{}", scene.outcomes.told[0][3])]
    gate.set()
    await scene.quiet()
    assert most == worker.PER_PARTNER
    assert len(scene.outcomes.told) == 101


async def test_a_message_that_waits_for_its_time_takes_no_place_from_others():
    waiting = [a_row(number, due_at=START_MS + 1) for number in range(1, 2 * worker.PER_PARTNER)]
    ready = a_row(900)
    scene = Scene(Outcomes(*waiting, ready), Post())
    held = asyncio.Event()

    async def pause(_seconds):
        await held.wait()

    scene.worker._pause = pause
    scene.worker.notice([Queued(row) for row in [*waiting, ready]])
    await asyncio.sleep(0.01)
    assert [each[1] for each in scene.outcomes.told] == [900]
    held.set()
    await scene.quiet()


async def test_what_was_left_in_the_outbox_is_sent_after_a_restart_in_pages():
    rows = [a_row(number, attempts=number % 2) for number in range(1, 8)]
    rows.append(a_row(8, after_id=7))
    scene = Scene(Outcomes(*rows), Post())
    running = asyncio.create_task(scene.worker.run())
    await asyncio.sleep(0.01)
    await scene.quiet()
    assert sorted(each[1] for each in scene.outcomes.told) == list(range(1, 9))
    assert scene.outcomes.rows == {}
    running.cancel()


async def test_a_row_is_sent_by_one_task_only():
    scene = Scene(Outcomes(a_row()), Post())
    running = asyncio.create_task(scene.worker.run())
    scene.worker.notice([Queued(a_row()), Queued(a_row())])
    await asyncio.sleep(0.01)
    await scene.quiet()
    running.cancel()
    assert len(scene.post.sent) == 1


async def test_a_store_that_fails_for_a_while_loses_nothing(caplog):
    outcomes = Outcomes(a_row())
    scene = Scene(outcomes, Post())
    outcomes.failing = errors.DatabaseError("the disk is full")
    running = asyncio.create_task(scene.worker.run())
    await asyncio.sleep(0.01)
    assert outcomes.told == []
    assert "the disk is full" in caplog.text
    outcomes.failing = None
    scene.clock.look.set()
    await asyncio.sleep(0.01)
    assert outcomes.kinds() == ["acknowledged"]
    running.cancel()


async def test_a_message_whose_answer_cannot_be_written_is_sent_again_more_and_more_rarely():
    outcomes = Outcomes(a_row())
    scene = Scene(outcomes, Post())
    outcomes.failing = errors.DatabaseError("the disk is full")
    running = asyncio.create_task(scene.worker.run())
    while len(scene.clock.pauses) < 6:  # noqa: ASYNC110  its own clock
        await asyncio.sleep(0)
    assert scene.clock.pauses[:6] == [1, 2, 4, 5, 5, 5]
    outcomes.failing = None
    while not outcomes.told:  # noqa: ASYNC110  the same
        await asyncio.sleep(0)
    assert outcomes.kinds() == ["acknowledged"]
    running.cancel()


async def test_a_store_that_is_away_for_days_ends_no_message(caplog):
    outcomes = Outcomes(a_row())
    scene = Scene(outcomes, Post())
    outcomes.failing = errors.DatabaseError("the database is away")
    scene.worker.notice([Queued(outcomes.rows[1])])
    while len(scene.clock.pauses) < 1200:  # noqa: ASYNC110  its own clock
        await asyncio.sleep(0)
    assert list(scene.worker._tasks) == [1]
    assert set(scene.clock.pauses[3:]) == {worker.UNRECORDED_S}
    assert not [each for each in caplog.records if each.exc_info]
    outcomes.failing = None
    await scene.quiet()
    assert outcomes.kinds() == ["acknowledged"]


async def test_what_was_recorded_makes_no_pause_for_the_store_longer():
    outcomes = Outcomes(a_row())
    scene = Scene(outcomes, Post(transient(), b"{}"))
    find = outcomes.find

    async def away(row):
        if outcomes.told and len(scene.clock.pauses) < 5:
            raise errors.DatabaseError("the database is away")
        return await find(row)

    outcomes.find = away
    await scene.send()
    assert scene.clock.pauses[:5] == [worker.STORE_S] * 5
    assert outcomes.kinds() == ["postponed", "acknowledged"]


async def test_an_outbox_that_cannot_be_read_is_read_again_later(caplog):
    outcomes = Outcomes(a_row())
    scene = Scene(outcomes, Post())
    find_open = outcomes.find_open

    looked = []

    async def failing(_after_id):
        looked.append(scene.clock.now_ms)
        raise errors.DatabaseError("locked")

    outcomes.find_open = failing
    running = asyncio.create_task(scene.worker.run())
    await asyncio.sleep(0.01)
    assert set(caplog.messages) == {"the outbox cannot be used now, messages wait: locked"}
    assert len(caplog.messages) == len({(each - looked[0]) // 60_000 for each in looked}) < len(looked)
    outcomes.find_open = find_open
    scene.clock.look.set()
    await asyncio.sleep(0.01)
    assert outcomes.kinds() == ["acknowledged"]
    running.cancel()


async def test_an_unforeseen_error_with_one_message_stops_no_other(caplog):
    class Bad(Outcomes):
        def prepare(self, row):
            if row.id == 1:
                raise ZeroDivisionError
            return super().prepare(row)

    scene = Scene(Bad(a_row(1), a_row(2)), Post())
    with caplog.at_level(logging.ERROR):
        await scene.send()
    assert [each[1] for each in scene.outcomes.told] == [2]
    assert "ZeroDivisionError" in caplog.text
    assert 1 in scene.outcomes.rows


async def test_closing_stops_sending_and_keeps_what_was_not_acknowledged():
    async def never(_url, _body, _authorization):
        await asyncio.Event().wait()

    scene = Scene(Outcomes(a_row(1), a_row(2)), never)
    scene.worker.notice([Queued(row) for row in scene.outcomes.rows.values()])
    await asyncio.sleep(0)
    await scene.worker.close()
    scene.worker.notice([Queued(a_row(3))])
    assert scene.worker._tasks == {}
    assert scene.outcomes.told == []
    assert set(scene.outcomes.rows) == {1, 2}


async def test_a_refusal_by_a_partner_that_cannot_be_asked_for_its_state_ends_nothing_yet():
    outcomes = Outcomes(a_row())
    answers = [transient("no answer to that either"), "AGREED"]

    async def peer_state(_row):
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    outcomes.peer_state = peer_state
    scene = Scene(outcomes, Post(refusal(400)))
    await scene.send()
    assert outcomes.kinds() == ["postponed", "acknowledged"]


async def test_a_partner_that_cannot_be_asked_for_its_state_at_the_end_of_the_horizon_is_given_up():
    outcomes = Outcomes(a_row(created_at=START_MS - 73 * 3600 * 1000))

    async def peer_state(_row):
        raise transient("away")

    outcomes.peer_state = peer_state
    scene = Scene(outcomes, Post(transient("away")))
    await scene.send()
    assert [each[:1] + each[3:] for each in outcomes.told] == [("refused", False)]
