"""What interrupts the fetching of data and may change is waited for, shown, and gone on from; the rest ends it."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from comity import errors
from comity.controlplane import get, pulling, transfer_moves
from comity.dataplane import disk, serve, target
from comity.db import pulls
from support import pair as pairs


async def status(site, exchange_id):
    return await get.status(site.connector, exchange_id)


async def begin(pair, folder):
    await pair.provider.publish(files={"a.bin": bytes(range(256)) * 1000})
    return await get.start(pair.consumer.connector, pair.provider.did, "asset", str(folder))


async def told(site, exchange, words):
    """Wait until the exchange shows an error with these words."""

    async def shown():
        return words in (await status(site, exchange.id))["error"]

    await pairs.wait_for(shown, words)
    return await status(site, exchange.id)


async def completed(site, exchange, folder):
    async def done():
        return (await status(site, exchange.id))["stage"] == get.COMPLETED

    await pairs.wait_for(done, "the exchange to be completed", 20)
    assert (await status(site, exchange.id))["error"] == ""
    assert (folder / "a.bin").read_bytes() == bytes(range(256)) * 1000


async def test_full_disk_is_shown_and_the_pull_goes_on_when_there_is_room(pair, tmp_path, monkeypatch):
    room = [0]
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda folder: SimpleNamespace(free=room[0]))
    exchange = await begin(pair, tmp_path / "in")
    seen = await told(pair.consumer, exchange, "no room to write")
    assert seen["stage"] == get.PULLING
    assert str(tmp_path / "in") in seen["error"]
    assert seen["transferState"] == "STARTED"
    room[0] = 2**40
    await completed(pair.consumer, exchange, tmp_path / "in")
    await pair.consumer.reaches((await status(pair.consumer, exchange.id))["transferId"], "COMPLETED")


async def test_folder_in_use_by_another_transfer_is_waited_for(pair, tmp_path):
    held = target.Folder(tmp_path / "in")
    exchange = await begin(pair, tmp_path / "in")
    seen = await told(pair.consumer, exchange, "another transfer is being received into")
    assert seen["stage"] == get.PULLING
    held.close()
    await completed(pair.consumer, exchange, tmp_path / "in")


async def test_folder_that_can_never_be_written_ends_the_exchange(pair, tmp_path):
    (tmp_path / "in").write_bytes(b"a file where a folder should be")
    exchange = await begin(pair, tmp_path / "in")
    seen = await told(pair.consumer, exchange, "cannot be written")
    assert seen["stage"] == get.FAILED
    await pair.consumer.reaches(seen["transferId"], "TERMINATED")


async def test_store_that_fails_for_a_while_does_not_end_the_pull(pair, tmp_path, monkeypatch):
    failures = iter([errors.DatabaseError("the disk is full; nothing was changed")] * 2)
    real = pulls.save_own

    async def save(tx, row):
        failure = next(failures, None) if row.state == pulls.DONE else None
        if failure:
            raise failure
        await real(tx, row)

    monkeypatch.setattr(pulls, "save_own", save)
    exchange = await begin(pair, tmp_path / "in")
    await completed(pair.consumer, exchange, tmp_path / "in")
    assert next(failures, None) is None


async def test_data_that_is_whole_and_the_completion_that_says_so_are_written_together(
    pair, tmp_path, monkeypatch
):
    failures = iter([errors.DatabaseError("the disk is full; nothing was changed")])
    real = transfer_moves.step

    async def step(connector, tx, transfer_id, move):
        for failure in failures:
            raise failure
        await real(connector, tx, transfer_id, move)

    monkeypatch.setattr(transfer_moves, "step", step)
    exchange = await begin(pair, tmp_path / "in")
    await completed(pair.consumer, exchange, tmp_path / "in")
    await pair.consumer.reaches((await status(pair.consumer, exchange.id))["transferId"], "COMPLETED")


async def test_start_that_comes_while_a_pull_ends_is_not_lost(pair, tmp_path, monkeypatch):
    looked = []
    real = pulling.Pulling._load

    async def load(self, transfer_id):
        found = await real(self, transfer_id)
        looked.append(found)
        if (
            len(looked) == 1
        ):  # it looks just before the start is committed, and hears of it before it has ended
            self.notice([pulls.PullReady(transfer_id)])
            return None
        return found

    monkeypatch.setattr(pulling.Pulling, "_load", load)
    exchange = await begin(pair, tmp_path / "in")
    await completed(pair.consumer, exchange, tmp_path / "in")


async def test_a_file_that_contradicts_its_manifest_ends_the_transfer_after_two_tries(
    pair, tmp_path, monkeypatch
):
    asked, real = [], serve.resource

    async def other(source, *more):
        asked.append(source.name)
        return await real(replace(source, sha256="ab" * 32), *more)

    monkeypatch.setattr(serve, "resource", other)
    monkeypatch.setattr(pulling.Tries, "pause_s", lambda _tries, _chance: 0)
    exchange = await begin(pair, tmp_path / "in")
    seen = await told(pair.consumer, exchange, "'a.bin' is not what its manifest says: it has the entity tag")
    await pair.consumer.reaches(seen["transferId"], "TERMINATED")
    seen = await status(pair.consumer, exchange.id)
    assert (seen["stage"], seen["errorType"], asked) == (get.FAILED, "bad-content", ["a.bin"] * 2)


@pytest.mark.parametrize("outages", [0, 20])
def test_refused_token_is_tried_eight_times_however_long_the_partner_was_away(outages):
    tries = pulling.Tries()
    for _ in range(outages):
        tries.count(0)
        assert tries.may_mend(errors.TransientDeliveryError("away"))
    refused = errors.PermanentDeliveryError("no", status=403)
    assert [tries.may_mend(refused) for _ in range(9)] == [True] * 8 + [False]
    assert not tries.may_mend(errors.PermanentDeliveryError("gone", status=410))
    assert not tries.may_mend(errors.StorageError("a file in the way"))


def test_a_token_that_opened_something_may_end_as_often_as_the_transfer_is_long():
    tries = pulling.Tries()
    refused = errors.PermanentDeliveryError("over", status=401)
    for done in range(1, 100):
        tries.count(done)
        assert tries.may_mend(refused)
        assert tries.refused


def test_line_that_brings_something_each_time_is_tried_again_soon():
    tries = pulling.Tries()
    for done in range(1, 100):
        tries.count(done)
        assert tries.pause_s(0.99) < 1
    for _ in range(10):
        tries.count(99)
    assert 4 < tries.pause_s(0.99) <= 8
