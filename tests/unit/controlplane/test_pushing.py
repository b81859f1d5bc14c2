"""When a push is tried again, for how long, and what ends it; the clock and the pauses are the test's."""

import asyncio

import msgspec
import pytest

from comity import errors
from comity.controlplane import pushing, transfer_moves
from comity.dataplane import serve
from comity.db import pushes, transfers
from comity.dsp import machine, push, terms, transfer
from comity.storage import source
from support.bench import ADDRESS, NOW_MS, THEM
from support.pair import wait_for

HOUR_MS = 3_600_000
CONTENT = source.Source(kind="file", address="/x", size_bytes=10, sha256="ab" * 32, name="x")


class Contents:
    def __init__(self):
        self.content = CONTENT
        self.refusal = None

    async def to_push(self, transfer_id):
        if self.refusal is not None:
            raise self.refusal
        return serve.Grant(transfer_id, self.content)


class Sender:
    """Does what the test says: an error each time, or bytes and then an error."""

    def __init__(self, *outcomes):
        self.outcomes = list(outcomes)
        self.runs = []

    async def run(self, grant, destination, *, files_done, on_progress):
        self.runs.append((destination, files_done))
        outcome = self.outcomes.pop(0) if self.outcomes else errors.TransientDeliveryError("away")
        if isinstance(outcome, Exception):
            raise outcome
        on_progress(0, outcome, 10)
        if outcome < 10:
            raise errors.TransientDeliveryError("cut")
        return 10


class Worked:
    """A started push on the workbench; each pause moves the clock on."""

    def __init__(self, bench, sender, contents):
        self.bench, self.sender, self.contents = bench, sender, contents
        self.pauses = []
        self.pushing = pushing.Pushing(
            bench.connector, contents, sender, chance=lambda: 0.999, pause=self.pause
        )

    async def pause(self, seconds):
        self.pauses.append(seconds)
        self.bench.now_ms += int(seconds * 1000)
        await asyncio.sleep(0)

    async def run(self):
        self.pushing.notice([pushes.PushReady("urn:push")])
        await wait_for(lambda: not self.pushing._tasks.running, "the pushing to end", 60)

    async def row(self):
        return await self.bench.database.read(lambda tx: pushes.find(tx, "urn:push"))

    async def message(self):
        (row,) = await self.bench.outbox("urn:push")
        return msgspec.json.decode(row.body)


@pytest.fixture
async def worked(bench):
    address = msgspec.json.encode(push.data_address("https://them.example/in", {}))
    record = transfer.Transfer(
        id="urn:push",
        role=terms.PROVIDER,
        counterparty_id=THEM,
        counterparty_address=ADDRESS,
        counterparty_pid="urn:theirs",
        state=terms.STARTED,
        version=0,
        agreement_id="urn:a",
        asset_id="a",
        format=transfer.PUSH,
        data_address_sealed=bench.connector.seal.close(address, transfer_moves.ADDRESS + "urn:push"),
        created_at=NOW_MS,
        updated_at=NOW_MS,
    )

    async def unit(tx):
        await transfers.insert(tx, record)
        await pushes.save(tx, pushes.Push(transfer_id="urn:push", moved_at=NOW_MS, updated_at=NOW_MS))

    await bench.database.write(unit)
    return lambda *outcomes: Worked(bench, Sender(*outcomes), Contents())


async def test_a_receiver_that_is_away_is_tried_for_72_hours_and_then_given_up(worked):
    made = worked()
    await made.run()
    hours = (made.bench.now_ms - NOW_MS) / HOUR_MS
    assert 72 < hours < 72.1
    assert max(made.pauses) < 30
    assert len(made.sender.runs) > 72 * 3600 / 30
    told = await made.message()
    assert told["@type"] == machine.TRANSFER_TERMINATION
    assert told["reason"] == ["the endpoint did not take the data for 72 hours: away"]
    assert ((await made.row()).state, (await made.row()).error) == (pushes.FAILED, "away")


async def test_bytes_that_got_through_begin_the_72_hours_anew(worked):
    made = worked(3)
    made.bench.now_ms += 71 * HOUR_MS
    await made.run()
    assert (made.bench.now_ms - NOW_MS) / HOUR_MS > 71 + 72


async def test_a_receiver_that_asks_for_patience_gets_it_up_to_an_hour(worked):
    made = worked(
        errors.TransientDeliveryError("busy", retry_after_s=120),
        errors.TransientDeliveryError("b", retry_after_s=9e9),
        10,
    )
    await made.run()
    assert made.pauses == [120, 3600]
    assert (await made.message())["@type"] == machine.COMPLETION


async def test_pauses_grow_and_begin_anew_when_bytes_got_through(worked):
    away = errors.TransientDeliveryError("away")
    made = worked(away, away, away, 5, away, 10)
    await made.run()
    rounded = [round(seconds, 1) for seconds in made.pauses]
    assert rounded == [0.5, 1.0, 2.0, 0.5, 1.0] or rounded[3] < rounded[2], rounded
    assert (await made.row()).state == pushes.DONE


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (errors.PermanentDeliveryError("the receiver answers with status 403"), "status 403"),
        (source.changed("'/srv/secret/x' changed"), "not what was published"),
        (errors.NotFoundError("the data is not there any more"), "not there any more"),
    ],
)
async def test_what_stays_wrong_ends_the_transfer_without_a_word_about_our_files(worked, error, reason):
    made = worked(error)
    await made.run()
    assert made.pauses == []
    told = (await made.message())["reason"][0]
    assert reason in told
    assert "/srv" not in told


async def test_a_disk_that_cannot_be_read_now_is_waited_for(worked):
    made = worked(errors.StorageError("'/srv/secret' cannot be read"), 10)
    await made.run()
    assert len(made.pauses) == 1
    assert (await made.message())["@type"] == machine.COMPLETION


async def test_an_agreement_that_does_not_allow_it_any_more_ends_the_transfer(worked):
    made = worked()
    made.contents.refusal = errors.PolicyError("no", reasons=("dateTime lteq 2020",))
    await made.run()
    told = await made.message()
    assert (told["code"], "dateTime lteq 2020" in told["reason"][0]) == ("policy", True)
    assert made.sender.runs == []


async def test_a_suspended_transfer_is_left_alone(worked):
    made = worked()
    await made.bench.change(transfers, "urn:push", state=terms.SUSPENDED)
    await made.run()
    assert (made.sender.runs, await made.bench.outbox("urn:push")) == ([], [])


async def test_other_contents_than_those_begun_with_are_not_sent_as_the_rest(worked):
    made = worked(5)
    row = pushes.Push(
        transfer_id="urn:push", content="cd" * 32, bytes_done=5, moved_at=NOW_MS, updated_at=NOW_MS
    )
    await made.bench.database.write(lambda tx: pushes.save(tx, row))
    await made.run()
    assert made.sender.runs == []
    assert "not what was published" in (await made.message())["reason"][0]


async def test_a_restart_finds_what_is_open_and_nothing_else(worked):
    made = worked(10)
    await made.pushing.resume()
    await wait_for(lambda: not made.pushing._tasks.running)
    assert (await made.row()).state == pushes.DONE
    made.sender.runs.clear()
    await made.pushing.resume()
    assert made.pushing._tasks.running == {}
