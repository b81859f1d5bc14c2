"""Data is served under an agreement in force, to its partner, while the transfer runs, and to nobody else."""

import asyncio
import time

import aiohttp
import pytest

from comity import errors, runtime
from comity.controlplane import decide, get
from support import process as processes
from support import schemas, stores, wire
from support.pair import offer_of, wait_for
from support.process import Process, access, awaited, bought, finalized, started, transfer

BIG = {"big.bin": b"\x07" * (48 << 20)}


async def cut(stream, pause_s=0.0):
    """Read until the stream breaks off and return how much came; a whole answer fails."""
    received = 0
    try:
        while piece := await stream.content.read(1 << 16):
            received += len(piece)
            await asyncio.sleep(pause_s)
    except (aiohttp.ClientError, ConnectionError):
        return received
    raise AssertionError(f"the answer ended as if it were whole, with {received} bytes more")


async def running(site, peer, **published):
    await site.publish(**published)
    _, agreement_id = await finalized(peer, site)
    return (*await started(peer, site, agreement_id), agreement_id)


async def test_a_token_opens_its_transfer_and_nothing_else(site, peer):
    process, endpoint, token, agreement_id = await running(site, peer)
    assert (await peer.fetch(endpoint, token)).status == 200
    assert (await peer.fetch(endpoint + "/files/a.txt", token)).body == b"hello"
    _, other_endpoint, other_token = await started(peer, site, agreement_id)
    assert token != other_token
    for address, wrong in (
        (endpoint, other_token),
        (other_endpoint, token),
        (endpoint, ""),
        (endpoint, token + "x"),
    ):
        answer = await peer.fetch(address, wrong)
        assert answer.status == 401
        assert b"hello" not in answer.body
    missing = await peer.fetch(endpoint.replace(process.theirs[-12:], "0" * 12), token)
    known = await peer.fetch(endpoint, other_token)
    assert (missing.status, missing.body) == (known.status, known.body)


async def test_a_message_token_is_no_data_token_and_the_other_way_round(site, peer):
    _, endpoint, token, _ = await running(site, peer)
    assert (await peer.fetch(endpoint, peer.token(site.did, None))).status == 401
    assert (await peer.get(site, "/catalog/datasets/asset", authorization=f"Bearer {token}")).status == 401


ENDS = {
    "we suspend": lambda site, process: site.move(process.theirs, decide.SUSPEND, reason="x"),
    "we complete": lambda site, process: site.move(process.theirs, decide.COMPLETE),
    "we terminate": lambda site, process: site.move(process.theirs, decide.TERMINATE, reason="x"),
    "they suspend": lambda site, process: process.send("TransferSuspensionMessage", reason=["x"]),
    "they complete": lambda site, process: process.send("TransferCompletionMessage"),
    "they terminate": lambda site, process: process.terminate(),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
async def test_a_token_dies_with_the_step_and_an_open_stream_is_cut(site, peer, end):
    process, endpoint, token, _ = await running(site, peer, files=BIG)
    async with peer.stream(endpoint + "/files/big.bin", token) as stream:
        assert stream.status == 200
        await stream.content.readexactly(1 << 20)
        begun_s = time.monotonic()
        await end(site, process)
        assert (await peer.fetch(endpoint, token)).status == 401
        await cut(stream)
        assert time.monotonic() - begun_s < 5


async def test_a_stream_is_cut_while_its_receiver_does_not_read(site, peer):
    process, endpoint, token, _ = await running(site, peer, files=BIG)
    async with peer.stream(endpoint + "/files/big.bin", token) as stream:
        await stream.content.readexactly(1 << 20)
        await site.move(process.theirs, decide.SUSPEND, reason="x")
        assert await cut(stream) < len(BIG["big.bin"]) - (1 << 20)


async def test_a_token_is_dead_even_if_the_partner_cannot_be_told(site, peer):
    process, endpoint, token, _ = await running(site, peer)
    await peer.disappear()
    await site.move(process.theirs, decide.SUSPEND, reason="x")
    await peer.listen()
    assert (await peer.fetch(endpoint, token)).status == 401


async def test_resuming_gives_a_new_token_and_the_old_one_stays_dead(site, peer):
    process, endpoint, token, _ = await running(site, peer)
    await site.move(process.theirs, decide.SUSPEND, reason="x")
    await site.reaches(process.theirs, "SUSPENDED")
    await site.move(process.theirs, decide.START)
    await site.reaches(process.theirs, "STARTED")
    again, fresh = access(peer, process)
    assert fresh != token
    assert (await peer.fetch(endpoint, token)).status == 401
    assert (await peer.fetch(again, fresh)).status == 200


async def test_a_second_start_replaces_the_token_of_a_running_transfer(site, peer):
    process, endpoint, token, _ = await running(site, peer)
    await site.move(process.theirs, decide.START)
    await site.reaches(process.theirs, "STARTED")
    assert len(peer.of(f"/{process.pid}/start")) == 2
    assert (await peer.fetch(endpoint, token)).status == 401
    assert (await peer.fetch(*access(peer, process))).status == 200


async def test_a_consumers_start_is_answered_with_a_start_that_has_a_new_token(site, peer):
    process, endpoint, token, _ = await running(site, peer)
    assert (await process.send("TransferSuspensionMessage", reason=["x"])).status == 200
    answer = await process.send("TransferStartMessage")
    assert answer.document["state"] == "STARTED"
    await wait_for(lambda: len(peer.of(f"/{process.pid}/start")) == 2)
    await site.reaches(process.theirs, "STARTED")
    assert (await peer.fetch(endpoint, token)).status == 401
    assert (await peer.fetch(*access(peer, process))).status == 200


async def test_a_consumer_does_not_undo_what_the_provider_suspended(site, peer):
    process, endpoint, token, _ = await running(site, peer)
    await site.move(process.theirs, decide.SUSPEND, reason="under review")
    await site.reaches(process.theirs, "SUSPENDED")
    answer = await process.send("TransferStartMessage")
    assert answer.status == 400
    assert "only the provider resumes it" in answer.reason
    assert (await peer.fetch(endpoint, token)).status == 401
    assert len(peer.of(f"/{process.pid}/start")) == 1
    await site.move(process.theirs, decide.START)
    await site.reaches(process.theirs, "STARTED")
    assert (await peer.fetch(*access(peer, process))).status == 200


async def test_a_suspended_pull_goes_on_after_the_next_start_with_exact_files(pair, tmp_path):
    content = {"big.bin": bytes(range(256)) * (1 << 18)}
    await pair.provider.publish(files=content)
    begun = await get.start(pair.consumer.connector, pair.provider.did, "asset", str(tmp_path / "got"))

    async def handed():
        return await pair.provider.rows("SELECT id FROM transfer WHERE state = 'STARTED'")

    theirs = (await wait_for(handed))[0][0]
    pauses = 0
    while pauses < 3 and await _paused(pair.provider, theirs):
        pauses += 1
        await pair.provider.move(theirs, decide.START)

    async def done():
        return (await get.status(pair.consumer.connector, begun.id))["stage"] in {get.COMPLETED, get.FAILED}

    await wait_for(done, timeout_s=20)
    assert (await get.status(pair.consumer.connector, begun.id))["error"] == ""
    assert (tmp_path / "got" / "big.bin").read_bytes() == content["big.bin"]
    await pair.provider.reaches(theirs, "COMPLETED")
    assert pauses


async def _paused(site, transfer_id):
    """Suspend as soon as the last start has arrived; false if the transfer is complete before."""

    async def tried():
        try:
            await site.move(transfer_id, decide.SUSPEND, reason="pause")
        except errors.LocalProtocolError:
            return await site.state(transfer_id) == "COMPLETED"
        return True

    async def settled():
        return await site.state(transfer_id) in {"SUSPENDED", "COMPLETED"}

    await wait_for(tried)
    await wait_for(settled)
    return await site.state(transfer_id) == "SUSPENDED"


class TestAgreements:
    async def test_an_unfinalized_agreement_gives_nothing(self, site, peer):
        await site.publish()
        process = Process(peer, site)
        assert (await process.ask(offer_of(await peer.dataset(site)))).status == 201
        await site.reaches(process.theirs, "AGREED")
        agreement_id = peer.of("/agreement")[0].document["agreement"]["@id"]
        answer = await transfer(peer, site).request_data(agreement_id)
        assert answer.status == 400
        assert answer.document["@type"] == "TransferError"
        assert not schemas.problems(answer.document)
        assert await process.state() == "AGREED"

    async def test_a_terminated_negotiations_agreement_gives_nothing(self, site, peer):
        await site.publish()
        process = Process(peer, site)
        assert (await process.ask(offer_of(await peer.dataset(site)))).status == 201
        await site.reaches(process.theirs, "AGREED")
        agreement_id = peer.of("/agreement")[0].document["agreement"]["@id"]
        await process.terminate()
        assert (await transfer(peer, site).request_data(agreement_id)).status == 400

    async def test_an_agreement_in_which_we_are_the_consumer_gives_nothing(self, site, peer):
        offer = {"@id": "urn:o", "@type": "Offer", "target": "asset", "permission": [{"action": "use"}]}
        await site.publish()
        record = await site.request(peer, offer)
        await site.reaches(record.id, "REQUESTED")
        process = awaited(peer, site, record.id)
        assert (await process.agree(offer, **{"@id": "urn:agreement:theirs"})).status == 200
        await site.reaches(record.id, "VERIFIED")
        assert (await process.event("FINALIZED")).status == 200
        assert (await transfer(peer, site).request_data("urn:agreement:theirs")).status == 400

    @pytest.mark.parametrize("wrong", ["HttpData-PUSHED", "AmazonS3-PULL", "", None, 3])
    async def test_a_wrong_format_is_refused(self, site, peer, wrong):
        await site.publish()
        _, agreement_id = await finalized(peer, site)
        answer = await transfer(peer, site).request_data(agreement_id, format=wrong)
        assert answer.status == 400
        assert "format" in answer.reason
        assert await site.rows("SELECT 1 FROM transfer") == []

    async def test_the_number_of_transfers_is_limited_by_a_count(self, site, peer):
        await site.publish(policy=wire.constrained("count", "lteq", "2"), access_policy=wire.USE)
        _, agreement_id = await finalized(peer, site)
        handed = [await started(peer, site, agreement_id) for _ in range(2)]
        third = transfer(peer, site)
        assert (await third.request_data(agreement_id)).status == 201
        await site.reaches(third.theirs, "TERMINATED")
        assert "count" in peer.of(f"/{third.pid}/termination")[0].document["reason"][0]
        assert not peer.of(f"/{third.pid}/start")
        for process, endpoint, token in handed:
            assert (await peer.fetch(endpoint, token)).status == 200
            await site.move(process.theirs, decide.SUSPEND, reason="x")
            await site.reaches(process.theirs, "SUSPENDED")
            await site.move(process.theirs, decide.START)
            await site.reaches(process.theirs, "STARTED")
            assert (await peer.fetch(*access(peer, process))).status == 200

    async def test_a_new_agreement_does_not_begin_a_new_count(self, site, peer):
        await site.publish(policy=wire.constrained("count", "lteq", "2"), access_policy=wire.USE)
        agreed = [(await finalized(peer, site))[1] for _ in range(2)]
        for agreement_id in agreed:
            await started(peer, site, agreement_id)
        third = transfer(peer, site)
        assert (await third.request_data(agreed[1])).status == 201
        await site.reaches(third.theirs, "TERMINATED")
        process = Process(peer, site)
        assert (await process.ask(offer_of(await peer.dataset(site)))).status == 201
        await site.reaches(process.theirs, "TERMINATED")
        assert "count" in peer.of(f"/{process.pid}/termination")[0].document["reason"][0]

    async def test_a_count_holds_when_many_ask_at_once(self, site, peer):
        await site.publish(policy=wire.constrained("count", "lteq", "3"), access_policy=wire.USE)
        _, agreement_id = await finalized(peer, site)
        asked = [transfer(peer, site) for _ in range(12)]
        await asyncio.gather(*(each.request_data(agreement_id) for each in asked))

        async def settled():
            return not await site.outbox()

        await wait_for(settled)
        states = sorted([await each.state() for each in asked])
        assert states == ["STARTED"] * 3 + ["TERMINATED"] * 9


class Clock:
    def __init__(self):
        self.ahead_ms = 0

    def __call__(self):
        return time.time_ns() // 1_000_000 + self.ahead_ms


async def test_an_agreement_that_expires_refuses_requests_and_cuts_open_streams(started, peer, monkeypatch):
    clock = Clock()
    monkeypatch.setattr(runtime, "now_ms", clock)
    site = await started("site")
    await site.befriend(peer)
    await site.publish(policy=wire.until("2090-01-01T00:00:00Z"), files=BIG)
    _, agreement_id = await finalized(peer, site)
    process, endpoint, token = await processes.started(peer, site, agreement_id)
    async with peer.stream(endpoint + "/files/big.bin", token) as stream:
        await stream.content.readexactly(1 << 20)
        clock.ahead_ms = 80 * 366 * 24 * 3600 * 1000
        begun_s = time.monotonic()
        answer = await peer.fetch(endpoint, token)
        assert answer.status == 403
        assert b"dateTime" not in answer.body or b"2090" in answer.body
        await cut(stream, pause_s=0.02)
        assert time.monotonic() - begun_s < 5
    assert (await process.send("TransferSuspensionMessage", reason=["x"])).status == 200
    with pytest.raises(errors.PolicyError):
        await site.move(process.theirs, decide.START)
    assert (await process.send("TransferStartMessage")).status == 200
    await site.reaches(process.theirs, "TERMINATED")
    assert "dateTime" in peer.of("/termination")[0].document["reason"][0]


class TestConsumer:
    async def handed(self, site, peer):
        record = await bought(peer, site)
        asked = await site.ask_for_data(record.id)
        await site.reaches(asked.id, "REQUESTED")
        return awaited(peer, site, asked.id, collection="transfers")

    async def test_a_start_of_a_pull_without_an_address_is_refused(self, site, peer):
        process = await self.handed(site, peer)
        answer = await process.send("TransferStartMessage")
        assert answer.status == 400
        assert "dataAddress" in answer.reason
        assert await process.state() == "REQUESTED"

    async def test_illegal_steps_are_refused_and_change_nothing(self, site, peer):
        process = await self.handed(site, peer)
        for kind in ("TransferSuspensionMessage", "TransferCompletionMessage"):
            answer = await process.send(kind)
            assert answer.status == 400
            assert answer.document["@type"] == "TransferError"
            assert not schemas.problems(answer.document)
        assert await process.state() == "REQUESTED"
        assert (await process.terminate()).status == 200
        for kind in ("TransferSuspensionMessage", "TransferCompletionMessage", "TransferStartMessage"):
            assert (await process.send(kind, dataAddress=None)).status == 400
        assert await process.state() == "TERMINATED"

    async def test_the_address_is_not_readable_in_the_database(self, site, peer):
        process = await self.handed(site, peer)
        address = {
            "@type": "DataAddress",
            "endpointType": "https://w3id.org/idsa/v4.1/HTTP",
            "endpoint": "http://127.0.0.1:1/x",
            "endpointProperties": [
                {"@type": "EndpointProperty", "name": "authorization", "value": "canary-4711"}
            ],
        }
        assert (await process.send("TransferStartMessage", dataAddress=address)).status == 200
        stored = stores.stored(site.conf)
        assert b"canary-4711" not in stored
