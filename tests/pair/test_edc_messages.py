"""What EDC 0.15.1 really sends, as `make interop` recorded it (edc_messages.json), against a connector of ours.

Ids and parties are those of the test; everything else stays as EDC wrote it. `make interop ARGS="--keep FOLDER"` writes
the messages anew.
"""

import json
import time
from pathlib import Path

import pytest
from aiohttp import web

from comity import errors
from comity.controlplane import catalog, processes
from comity.delivery import pauses
from comity.management import policy
from comity.management import processes as forms
from support import wire
from support.pair import offer_of
from support.process import Process, transfer

EDC = json.loads((Path(__file__).parent / "edc_messages.json").read_text())
DATASET = EDC["answer 200 to GET /protocol/2025-1/catalog/datasets/edc-pump"]
OFFER = {**offer_of(DATASET), "target": "edc-pump"}


def said(name, **fields):
    return {**EDC[name], "@id": wire.new_id(), **fields}


def answers(status, name, **fields):
    """An answer of EDC's; it names the consumer's process and, of its own, one made of that."""

    async def answer(peer, request, seen):
        sent = seen.document
        pids = {"consumerPid": sent["consumerPid"], "providerPid": peer.pid_for(sent["consumerPid"])}
        return web.json_response({**EDC[name], **(pids if status < 300 else {}), **fields}, status=status)

    return answer


def refuses(kind, status=409):
    return answers(status, f"answer {status} to {kind}")


async def negotiated(site, peer):
    """A negotiation that we asked EDC for, up to its agreement."""
    peer.script("/negotiations/request", answers(200, "answer 200 to ContractRequestMessage"))
    record = await site.request(peer, OFFER)
    await site.reaches(record.id, "REQUESTED")
    process = Process(peer, site, consumer=False, pid=peer.pid_for(record.id), theirs=record.id)
    message = said("ContractAgreementMessage", consumerPid=record.id, providerPid=process.pid)
    message["agreement"] = {**message["agreement"], "@id": wire.new_id()}
    message["agreement"] |= {"assigner": peer.did, "assignee": site.did}
    assert (await process.send("ContractAgreementMessage", document=message)).status == 200
    await site.reaches(record.id, "VERIFIED")
    return process, message["agreement"]


async def agreed(site, peer):
    """A negotiation to its end; returns the agreement's id."""
    process, agreement = await negotiated(site, peer)
    pids = {"consumerPid": process.theirs, "providerPid": process.pid}
    final = said("ContractNegotiationEventMessage FINALIZED", **pids)
    assert (await process.send("ContractNegotiationEventMessage", document=final)).status == 200
    await site.reaches(process.theirs, "FINALIZED")
    return agreement["@id"]


async def asked(site, peer, **more):
    """A negotiation that EDC asked us for, in its spelling."""
    policy = wire.constrained("recipient", "eq", peer.did)
    await site.publish(policy=policy, **more)
    offer = offer_of(await peer.dataset(site))
    message = said("ContractRequestMessage", consumerPid=wire.new_id(), callbackAddress=peer.dsp)
    constraint = {**message["offer"]["permission"][0]["constraint"][0], "rightOperand": peer.did}
    message["offer"] |= {"@id": offer["@id"], "target": "asset", "assigner": site.did}
    message["offer"] |= {"permission": [{"action": "use", "constraint": [constraint]}]}
    process = Process(peer, site, pid=message["consumerPid"])
    assert (await process.send("ContractRequestMessage", document=message)).status == 201
    return process, message["offer"]


async def test_its_catalog_is_read_with_an_offer_that_can_be_asked_for(site, peer):
    async def page(peer, request, seen):
        return web.json_response(EDC["answer 200 to CatalogRequestMessage"])

    peer.script("/catalog/request", page)
    found = await catalog.request(site.connector, peer.did)
    assert sorted(each["@id"] for each in found["dataset"]) == ["edc-expired", "edc-manual", "edc-pump"]
    for each in found["dataset"]:
        assert policy.read_offer({"policy": each["hasPolicy"][0]}).terms["permission"]
        assert {one["format"] for one in each["distribution"]} >= {"HttpData-PUSH"}


async def test_its_agreement_as_provider_is_taken_verbatim(site, peer):
    agreement_id = await agreed(site, peer)
    held = await processes.load_agreement(site.connector, agreement_id)
    assert held["policy"]["permission"] == EDC["ContractAgreementMessage"]["agreement"]["permission"]
    assert (held["providerId"], held["consumerId"]) == (peer.did, site.did)


async def test_its_request_as_consumer_is_agreed_to_in_its_own_spelling(site, peer):
    process, offer = await asked(site, peer)
    await site.reaches(process.theirs, "AGREED")
    (sent,) = peer.of(f"/{process.pid}/agreement")
    assert sent.document["agreement"]["permission"] == offer["permission"]
    assert "odrl:recipient" in json.dumps(offer)


async def test_it_has_time_to_record_its_own_step_before_the_next_message(site, peer):
    began = time.monotonic()
    process, _ = await asked(site, peer)
    await site.reaches(process.theirs, "AGREED")
    assert time.monotonic() - began >= pauses.SETTLE_S


async def test_a_step_that_it_has_not_recorded_yet_is_sent_again(site, peer):
    """EDC sends a verification, has our answer, and says 409 to what follows until it has stored its own step."""
    process, _ = await asked(site, peer)
    await site.reaches(process.theirs, "AGREED")
    peer.script(f"/{process.pid}/events", *[refuses("ContractAgreementMessage")] * 2)
    pids = {"consumerPid": process.pid, "providerPid": process.theirs}
    document = said("ContractAgreementVerificationMessage", **pids)
    await process.send("ContractAgreementVerificationMessage", document=document)
    await site.reaches(process.theirs, "FINALIZED")
    assert len(peer.of(f"/{process.pid}/events")) == 3


async def test_a_start_that_it_cannot_take_yet_is_sent_again(site, peer):
    await site.publish()
    process = Process(peer, site)
    await process.ask(offer_of(await peer.dataset(site)))
    await site.reaches(process.theirs, "AGREED")
    agreement_id = peer.of(f"/{process.pid}/agreement")[-1].document["agreement"]["@id"]
    await process.verify()
    await site.reaches(process.theirs, "FINALIZED")
    handed = transfer(peer, site)
    peer.script(f"/{handed.pid}/start", refuses("TransferRequestMessage"))
    message = said("TransferRequestMessage", consumerPid=handed.pid, agreementId=agreement_id)
    await handed.send("TransferRequestMessage", document={**message, "callbackAddress": peer.dsp})
    await site.reaches(handed.theirs, "STARTED")
    assert len(peer.of(f"/{handed.pid}/start")) == 2
    pids = {"consumerPid": handed.pid, "providerPid": handed.theirs}
    for kind, state in (
        ("TransferSuspensionMessage", "SUSPENDED"),
        ("TransferStartMessage", "STARTED"),
        ("TransferTerminationMessage", "TERMINATED"),
    ):
        assert (await handed.send(kind, document=said(kind, **pids))).status == 200
        await site.reaches(handed.theirs, state)


async def test_its_push_is_asked_for_started_and_completed(site, peer):
    agreement_id = await agreed(site, peer)
    peer.script("/transfers/request", answers(200, "answer 200 to TransferRequestMessage"))
    form = forms.TransferRequest("", "", agreement_id, "", "HttpData-PUSH", "", "http://127.0.0.1:1/in")
    name, _ = await processes.request_transfer(site.connector, form)
    await site.reaches(name, "REQUESTED")
    process = Process(peer, site, consumer=False, collection="transfers", pid=peer.pid_for(name), theirs=name)
    pids = {"consumerPid": name, "providerPid": process.pid}
    for kind, state in (("TransferStartMessage", "STARTED"), ("TransferCompletionMessage", "COMPLETED")):
        assert (await process.send(kind, document=said(kind, **pids))).status == 200
        await site.reaches(name, state)


@pytest.mark.parametrize(
    ("status", "words"), [(404, "Not found"), (409, "Cannot process ContractAgreementMessage")]
)
async def test_the_words_of_its_refusal_are_kept(site, peer, status, words):
    kind = "ContractRequestMessage" if status == 404 else "ContractAgreementMessage"
    peer.script("/negotiations/request", refuses(kind, status))
    record = await site.request(peer, OFFER)
    await site.reaches(record.id, "TERMINATED")
    assert words in (await site.negotiation(record.id)).error


async def test_an_error_of_its_catalog_is_told(site, peer):
    async def error(peer, request, seen):
        return web.json_response(EDC["answer 404 to ContractRequestMessage"], status=404)

    peer.script("/catalog/request", error)
    with pytest.raises(errors.PermanentDeliveryError, match="Not found"):
        await catalog.request(site.connector, peer.did)
