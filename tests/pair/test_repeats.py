"""The same message twice: one effect, and the answer of the first time."""

import asyncio

from comity.controlplane import removal
from support import wire
from support.pair import offer_of
from support.process import Process, awaited, finalized, started, transfer

OFFER = {"@id": "urn:offer:1", "@type": "Offer", "target": "asset", "permission": [{"action": "use"}]}


async def first(site, peer):
    await site.publish()
    process = Process(peer, site)
    offer = offer_of(await peer.dataset(site))
    return process, process.message("ContractRequestMessage", offer=offer, callbackAddress=peer.dsp)


async def test_a_first_message_repeated_has_one_effect_and_one_answer(site, peer):
    process, document = await first(site, peer)
    answers = [await peer.send(site, "/negotiations/request", document) for _ in range(3)]
    assert {(answer.status, answer.body) for answer in answers} == {(201, answers[0].body)}
    process.theirs = answers[0].document["providerPid"]
    await site.reaches(process.theirs, "AGREED")
    assert len(await site.rows("SELECT 1 FROM negotiation")) == 1
    assert len(peer.of("/agreement")) == 1


async def test_a_first_message_with_another_id_is_known_by_its_pid(site, peer):
    _, document = await first(site, peer)
    one = await peer.send(site, "/negotiations/request", document)
    two = await peer.send(site, "/negotiations/request", {**document, "@id": wire.new_id()})
    three = await peer.send(site, "/negotiations/request", {n: v for n, v in document.items() if n != "@id"})
    assert one.body == two.body == three.body
    assert len(await site.rows("SELECT 1 FROM negotiation")) == 1


async def test_a_pid_in_use_with_another_request_is_refused(site, peer):
    _, document = await first(site, peer)
    await peer.send(site, "/negotiations/request", document)
    changed = {**document, "offer": {**document["offer"], "permission": [{"action": "read"}]}}
    answer = await peer.send(site, "/negotiations/request", changed)
    assert answer.status == 400
    assert "in use" in answer.reason


async def test_the_same_id_with_another_body_is_refused(site, peer):
    record = await site.request(peer, OFFER)
    await site.reaches(record.id, "REQUESTED")
    process = awaited(peer, site, record.id)
    assert (await process.send("ContractOfferMessage", offer=OFFER, id_="urn:message:1")).status == 200
    answer = await process.send(
        "ContractOfferMessage", offer={**OFFER, "@id": "urn:offer:2"}, id_="urn:message:1"
    )
    assert answer.status == 400
    assert "@id" in answer.reason
    assert (await site.negotiation(record.id)).offer["@id"] == "urn:offer:1"


async def test_the_same_id_with_another_kind_of_message_is_refused(site, peer):
    record = await site.request(peer, OFFER)
    await site.reaches(record.id, "REQUESTED")
    process = awaited(peer, site, record.id)
    assert (await process.send("ContractOfferMessage", offer=OFFER, id_="urn:message:1")).status == 200
    assert (await process.terminate(id_="urn:message:1")).status == 400
    assert await process.state() == "OFFERED"


async def test_a_repeat_of_the_last_message_without_an_id_is_answered_as_before(site, peer):
    await site.publish()
    process, _ = await finalized(peer, site)
    await site.publish("second")
    other = Process(peer, site)
    assert (await other.ask(offer_of(await peer.dataset(site, "second")))).status == 201
    await site.reaches(other.theirs, "AGREED")
    answers = [await other.send("ContractAgreementVerificationMessage", id_=None) for _ in range(2)]
    assert [(a.status, a.document["state"]) for a in answers] == [(200, "VERIFIED"), (200, "VERIFIED")] or [
        (a.status, a.document["state"]) for a in answers
    ] == [(200, "VERIFIED"), (200, "FINALIZED")]
    await site.reaches(other.theirs, "FINALIZED")
    assert len(peer.of(f"/{other.pid}/events")) == 1
    assert await process.state() == "FINALIZED"


async def test_an_old_message_repeated_after_the_end_is_answered_as_before(site, peer):
    process, document = await first(site, peer)
    process.theirs = (await peer.send(site, "/negotiations/request", document)).document["providerPid"]
    await site.reaches(process.theirs, "AGREED")
    verification = process.message("ContractAgreementVerificationMessage")
    path = f"/negotiations/{process.theirs}/agreement/verification"
    one = await peer.send(site, path, verification)
    await site.reaches(process.theirs, "FINALIZED")
    two = await peer.send(site, path, verification)
    assert (one.status, one.body) == (two.status, two.body)
    assert (await peer.send(site, "/negotiations/request", document)).document["state"] == "REQUESTED"


async def test_a_late_copy_of_what_began_a_deleted_negotiation_begins_none_anew(site, peer):
    process = Process(peer, site, consumer=False)
    first = process.message("ContractOfferMessage", offer=OFFER, callbackAddress=peer.dsp)
    process.theirs = (await peer.send(site, "/negotiations/offers", first)).document["consumerPid"]
    assert (await process.terminate()).status == 200
    await removal.remove_negotiation(site.connector, process.theirs)
    answer = await peer.send(site, "/negotiations/offers", first)
    assert (answer.status, "deleted" in answer.reason) == (400, True)
    assert await site.rows("SELECT 1 FROM negotiation") == []
    assert (await Process(peer, site, consumer=False).propose(OFFER)).status == 201


async def test_repeats_leave_one_record_of_each_step(site, peer):
    process, document = await first(site, peer)
    for _ in range(5):
        process.theirs = (await peer.send(site, "/negotiations/request", document)).document["providerPid"]
    await site.reaches(process.theirs, "AGREED")
    taken = [each for each in await site.entries(process.theirs) if each["direction"] == "in"]
    assert len(taken) == 1


async def test_a_transfer_request_repeated_is_known_by_its_pid(site, peer):
    await site.publish()
    _, agreement_id = await finalized(peer, site)
    process = transfer(peer, site)
    fields = {"agreementId": agreement_id, "format": "HttpData-PULL", "callbackAddress": peer.dsp}
    document = process.message("TransferRequestMessage", **fields)
    answers = await asyncio.gather(
        *(peer.send(site, "/transfers/request", {**document, "@id": wire.new_id()}) for _ in range(20))
    )
    assert {(answer.status, answer.body) for answer in answers} == {(201, answers[0].body)}
    await site.reaches(answers[0].document["providerPid"], "STARTED")
    assert len(peer.of(f"/{process.pid}/start")) == 1
    assert (await site.rows("SELECT uses FROM agreement"))[0][0] == 1


async def test_suspend_start_suspend_with_equal_bodies_are_three_steps(site, peer):
    await site.publish()
    _, agreement_id = await finalized(peer, site)
    process, _, _ = await started(peer, site, agreement_id)
    for _ in range(2):
        assert (await process.send("TransferSuspensionMessage", id_=None, reason=["pause"])).status == 200
        await site.reaches(process.theirs, "SUSPENDED")
        assert (await process.send("TransferStartMessage", id_=None)).status == 200
        await site.reaches(process.theirs, "STARTED")
    starts = peer.of(f"/{process.pid}/start")
    assert len(starts) == 3


async def test_a_completion_repeated_is_answered_as_before(site, peer):
    await site.publish()
    _, agreement_id = await finalized(peer, site)
    process, _, _ = await started(peer, site, agreement_id)
    answers = [await process.send("TransferCompletionMessage", id_=None) for _ in range(3)]
    assert {(answer.status, answer.body) for answer in answers} == {(200, answers[0].body)}
    assert (await process.send("TransferSuspensionMessage", reason=["x"])).status == 400


async def test_a_consumer_takes_a_repeated_agreement_once(site, peer):
    record = await site.request(peer, OFFER)
    await site.reaches(record.id, "REQUESTED")
    process = awaited(peer, site, record.id)
    agreement = wire.agreement(OFFER, assigner=peer.did, assignee=site.did)
    document = process.message("ContractAgreementMessage", agreement=agreement)
    answers = [await process.send("ContractAgreementMessage", document=document) for _ in range(3)]
    assert {(answer.status, answer.body) for answer in answers} == {(200, answers[0].body)}
    await site.reaches(record.id, "VERIFIED")
    assert len(peer.of("/verification")) == 1
    assert len(await site.rows("SELECT 1 FROM agreement")) == 1


async def test_no_id_of_a_later_message_is_taken_for_that_of_the_first(site, peer):
    await site.publish()
    process = Process(peer, site)
    assert (await process.ask(offer_of(await peer.dataset(site)))).status == 201
    await site.reaches(process.theirs, "AGREED")
    answer = await process.send("ContractAgreementVerificationMessage", id_="first")
    assert answer.status == 200, answer.body
