"""A consumer is pushed to: into its folder through its own inbox, or to an endpoint that it names."""

import asyncio
import base64
from types import SimpleNamespace

import msgspec
import pytest

from comity.controlplane import decide, get, processes
from comity.dataplane import disk
from comity.errors import InvalidInputError, StorageError
from comity.techdata import manifest
from support import stores
from support.endpoint import Endpoint
from support.handed import CONTENT, FILES, asked, into, listing, pull_row
from support.pair import wait_for


async def test_a_package_is_pushed_into_the_consumers_folder_and_both_sides_complete(pair, tmp_path):
    transfer_id = await asked(pair, into(tmp_path / "got"), files=FILES)
    await pair.consumer.reaches(transfer_id, "COMPLETED", 20)
    assert listing(tmp_path / "got") == FILES
    hidden = {path.name for path in (tmp_path / "got").iterdir() if path.name.startswith(".")}
    assert hidden == {".comity-before.json", ".comity-manifest.json", ".comity-seal.jws"}
    size = sum(map(len, FILES.values()))
    assert await pull_row(pair.consumer, transfer_id) == ("DONE", 4, 4, size, size, "")
    assert await pair.consumer.rows("SELECT 1 FROM received_file") == []
    document = await processes.load_transfer(pair.consumer.connector, transfer_id)
    assert document["dataDestination"]["path"] == str(tmp_path / "got")
    assert document["transferType"] == "HttpData-PUSH"
    ((theirs,),) = await pair.provider.rows("SELECT id FROM transfer")
    await pair.provider.reaches(theirs, "COMPLETED")
    assert [each["message"] for each in await pair.provider.entries(theirs)] == [
        "TransferRequestMessage",
        "TransferStartMessage",
        "TransferCompletionMessage",
    ]


async def test_the_request_names_an_inbox_and_its_token_is_in_no_database(pair, tmp_path):
    transfer_id = await asked(pair, into(tmp_path / "got"))
    await pair.consumer.reaches(transfer_id, "COMPLETED", 20)
    sent = next(each for each in pair.provider.captured if each.path.endswith("/transfers/request")).document
    address = sent["dataAddress"]
    named = {each["name"].rpartition("/")[2]: each["value"] for each in address["endpointProperties"]}
    assert address["endpointType"] == "HttpData"
    assert named["baseUrl"] == address["endpoint"] == f"{pair.consumer.conf.address}/inbox/{transfer_id}"
    assert named["authKey"] == "Authorization"
    token = named["authCode"].removeprefix("Bearer ")
    assert len(base64.urlsafe_b64decode(token + "==")) == 32
    for site in pair:
        stored = stores.stored(site.conf)
        assert token.encode() not in stored
        assert token not in str(await site.entries())


async def test_an_interrupted_push_into_a_folder_goes_on_where_it_was_on_both_sides(pair, tmp_path):
    big = {"big.bin": CONTENT * 64}
    transfer_id = await asked(pair, into(tmp_path / "got"), files=big)
    part = tmp_path / "got" / ".big.bin.part"
    for site in (pair.consumer, pair.provider):
        before = part.stat().st_size if part.exists() else 0
        await wait_for(lambda before=before: part.exists() and part.stat().st_size > before)
        await site.stop()
        await site.start()
    await pair.consumer.reaches(transfer_id, "COMPLETED", 30)
    assert listing(tmp_path / "got") == big


async def test_a_suspended_push_takes_nothing_and_goes_on_after_the_next_start(pair, tmp_path):
    big = {"big.bin": CONTENT * 64}
    transfer_id = await asked(pair, into(tmp_path / "got"), files=big)
    part = tmp_path / "got" / ".big.bin.part"
    await wait_for(part.exists)
    await pair.consumer.move(transfer_id, decide.SUSPEND, reason="x")
    await pair.consumer.reaches(transfer_id, "SUSPENDED")
    await asyncio.sleep(0.2)
    size = part.stat().st_size
    await asyncio.sleep(0.2)
    assert part.stat().st_size == size < len(big["big.bin"])
    await pair.consumer.move(transfer_id, decide.START)
    await pair.consumer.reaches(transfer_id, "COMPLETED", 30)
    assert listing(tmp_path / "got") == big


async def test_a_full_disk_is_waited_for(pair, tmp_path, monkeypatch):
    room = [0]
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: SimpleNamespace(free=room[0]))
    transfer_id = await asked(pair, into(tmp_path / "got"), files=FILES)

    async def shown():
        return "no room to write" in (await pull_row(pair.consumer, transfer_id))[5]

    await wait_for(shown)
    assert listing(tmp_path / "got") == {}
    room[0] = 2**40
    monkeypatch.setattr("comity.delivery.retry.delay_s", lambda *_, **__: 0.01)
    theirs = (await pair.provider.rows("SELECT id FROM transfer"))[0][0]
    await pair.provider.move(theirs, decide.SUSPEND, reason="not for a minute")
    await pair.provider.reaches(theirs, "SUSPENDED")
    await pair.provider.stop()
    await pair.provider.start()
    await pair.provider.move(theirs, decide.START)
    await pair.consumer.reaches(transfer_id, "COMPLETED", 20)
    assert listing(tmp_path / "got") == FILES


async def test_a_file_of_the_consumers_own_is_not_replaced_and_ends_the_transfer(pair, tmp_path):
    (tmp_path / "got").mkdir()
    (tmp_path / "got/a.txt").write_bytes(b"mine")
    transfer_id = await asked(pair, into(tmp_path / "got"), files=FILES)
    await pair.consumer.reaches(transfer_id, "TERMINATED", 20)
    state, *_, error = await pull_row(pair.consumer, transfer_id)
    assert state == "FAILED"
    assert "not received here" in error
    assert (tmp_path / "got/a.txt").read_bytes() == b"mine"


async def test_a_folder_outside_the_roots_is_refused(pair, tmp_path):
    with pytest.raises(StorageError, match="outside the folders"):
        await asked(pair, into("/etc/comity"))
    assert await pair.consumer.rows("SELECT 1 FROM transfer") == []


async def test_data_is_pushed_to_an_endpoint_that_the_consumer_names(pair, tmp_path):
    async with Endpoint() as endpoint:
        destination = {
            "type": "HttpData",
            "baseUrl": endpoint.url,
            "authKey": "X-Api-Key",
            "authCode": "canary-4711",
        }
        transfer_id = await asked(pair, destination, files={"a.bin": CONTENT})
        await pair.consumer.reaches(transfer_id, "COMPLETED", 20)
        assert endpoint.whole == {"/up/secret-place": CONTENT}
        assert endpoint.of("POST")[0].headers["X-Api-Key"] == "canary-4711"
    for site in pair:
        stored = stores.stored(site.conf)
        assert b"canary-4711" not in stored


async def test_get_takes_a_push_where_the_provider_offers_nothing_else(pair, tmp_path, monkeypatch):
    monkeypatch.setattr("comity.dsp.transfer.FORMATS", ("HttpData-PUSH",))
    await pair.provider.publish(files=FILES)
    begun = await get.start(pair.consumer.connector, pair.provider.did, "asset", str(tmp_path / "got"))

    async def done():
        return (await get.status(pair.consumer.connector, begun.id))["stage"] in {get.COMPLETED, get.FAILED}

    await wait_for(done, timeout_s=20)
    told = await get.status(pair.consumer.connector, begun.id)
    assert (told["stage"], told["error"], told["filesDone"]) == (get.COMPLETED, "", 4)
    assert listing(tmp_path / "got") == FILES
    await pair.consumer.reaches(told["transferId"], "COMPLETED", 20)


async def test_get_without_a_folder_says_that_a_provider_only_pushes(pair, monkeypatch):
    monkeypatch.setattr("comity.dsp.transfer.FORMATS", ("HttpData-PUSH",))
    await pair.provider.publish()
    with pytest.raises(InvalidInputError, match="only pushes"):
        await get.start(pair.consumer.connector, pair.provider.did, "asset", "")


def _other_title(kept):
    other = msgspec.structs.replace(manifest.decode(kept.manifest.encode()), title="another")
    return msgspec.structs.replace(kept, manifest=manifest.encode(other).decode())


async def test_a_package_other_than_the_catalogs_ends_the_transfer(pair, tmp_path, monkeypatch):
    monkeypatch.setattr("comity.dsp.transfer.FORMATS", ("HttpData-PUSH",))
    await pair.provider.publish(files=FILES)
    hold = pair.provider.hold("/transfers/request")
    begun = await get.start(pair.consumer.connector, pair.provider.did, "asset", str(tmp_path / "got"))
    await hold.arrived.wait()
    await pair.provider.hand_out(_other_title, shown=False)
    pair.provider.release(hold)

    async def failed():
        return (await get.status(pair.consumer.connector, begun.id))["stage"] == get.FAILED

    await wait_for(failed, timeout_s=20)
    assert (await get.status(pair.consumer.connector, begun.id))["errorType"] == "hash-mismatch"
    assert listing(tmp_path / "got") == {}
