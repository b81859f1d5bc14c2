"""Every row of the table of deviations, done to a running connector by a counterparty of ours."""

import json

import pytest
from aiohttp import web

from comity import errors
from comity.controlplane import catalog, get
from comity.dsp import terms
from conformance.deviations import table
from support import wire
from support.pair import offer_of, wait_for
from support.process import Process, awaited

USE = {"@id": "urn:o", "@type": "Offer", "target": "asset", "permission": [{"action": "use"}]}


def rows(listed):
    return pytest.mark.parametrize("row", listed, ids=[each.what for each in listed])


async def first_request(site, peer):
    await site.publish(policy=wire.USE)
    process = Process(peer, site)
    offer = offer_of(await peer.dataset(site))
    return process, process.message("ContractRequestMessage", offer=offer, callbackAddress=peer.dsp)


async def nothing_is_stored(site):
    assert await site.rows("SELECT 1 FROM negotiation") == []


@rows(table.REQUESTS)
async def test_a_first_request(site, peer, row):
    process, document = await first_request(site, peer)
    changed = row.change(document)
    answer = await peer.send(site, "/negotiations/request", changed)
    if not row.taken:
        assert answer.status == 400, answer.body
        assert answer.document["@type"] == "ContractNegotiationError"
        assert answer.reason
        await nothing_is_stored(site)
        return
    assert answer.status == 201, answer.body
    process.theirs = answer.document["providerPid"]
    await site.reaches(process.theirs, "AGREED")
    agreed = peer.of(f"/{process.pid}/agreement")[0].document["agreement"]
    assert agreed["permission"][0]["action"] == "use"


@rows([each for each in table.REQUESTS if each.why == table.EARLIER])
async def test_a_message_of_an_earlier_version_gets_one_sentence_with_both_versions_whoever_sends_it(
    site, peer, row
):
    _, document = await first_request(site, peer)
    for authorization in (None, "", "Bearer x.y.z", '{"region":"eu"}'):
        more = {} if authorization is None else {"authorization": authorization}
        answer = await peer.send(site, "/negotiations/request", row.change(document), **more)
        assert answer.status == 400, answer.body
        sentence = answer.reason
        assert "2024-1" in sentence or "0.8" in sentence
        assert "speaks 2025-1 only" in sentence
        assert "\n" not in sentence
    answer = await peer.send(site, "/catalog/request", {
        "@context": {"dspace": table.OLDER}, "@type": "dspace:CatalogRequestMessage", "dspace:filter": "",
    })  # fmt: skip
    assert (answer.status, answer.document["@type"]) == (400, "CatalogError")
    assert "0.8, and this connector speaks 2025-1 only" in answer.reason


@rows(table.HEADERS)
async def test_headers_of_a_first_request(site, peer, row):
    _, document = await first_request(site, peer)
    body = wire.encode(document)
    headers = {"Authorization": "Bearer " + peer.token(site.did, body), **row.change}
    skipped = [name for name, value in headers.items() if not value]
    headers = {name: value for name, value in headers.items() if value}
    async with peer._session.post(
        site.dsp + "/negotiations/request/", data=body, headers=headers, skip_auto_headers=skipped
    ) as answer:
        assert answer.status == (201 if row.taken else 415)
        if not row.taken:
            assert answer.headers["Accept-Encoding"] == "identity"


async def waiting_for_agreement(site, peer):
    record = await site.request(peer, USE)
    await site.reaches(record.id, "REQUESTED")
    process = awaited(peer, site, record.id)
    document = wire.agreement(USE, assigner=peer.did, assignee=site.did)
    return record, process.message("ContractAgreementMessage", agreement=document)


@rows(table.AGREEMENTS)
async def test_an_agreement(site, peer, row):
    record, document = await waiting_for_agreement(site, peer)
    changed = row.change(document)
    answer = await peer.send(site, f"/negotiations/{record.id}/agreement", changed)
    if not row.taken:
        assert answer.status in {400, 404}, answer.body
        assert await site.rows("SELECT 1 FROM agreement") == []
        return
    assert answer.status == 200, answer.body
    await site.reaches(record.id, "VERIFIED")
    held = (await site.agreement(record.id)).document
    for name, value in changed["agreement"].items():
        assert held[name.removeprefix("odrl:")] == value


@rows(table.EVENTS)
async def test_an_acceptance(site, peer, row):
    process, document = await first_request(site, peer)
    offer = {**document["offer"], "permission": [{"action": "read"}]}
    assert (await process.ask(offer)).status == 201
    await site.reaches(process.theirs, "OFFERED")
    event = row.change(process.message("ContractNegotiationEventMessage", eventType="ACCEPTED"))
    answer = await peer.send(site, f"/negotiations/{process.theirs}/events", event)
    assert answer.status == (200 if row.taken else 400), answer.body
    await site.reaches(process.theirs, "AGREED" if row.taken else "OFFERED")


@rows(table.TERMINATIONS)
async def test_a_termination(site, peer, row):
    process, document = await first_request(site, peer)
    assert (await process.ask(document["offer"])).status == 201
    await site.reaches(process.theirs, "AGREED")
    ended = row.change(process.message("ContractNegotiationTerminationMessage", reason=["enough"]))
    answer = await peer.send(site, f"/negotiations/{process.theirs}/termination", ended)
    assert answer.status == 200, answer.body
    await site.reaches(process.theirs, "TERMINATED")
    said = (await site.negotiation(process.theirs)).error
    assert ("enough" in said) if "enough" in json.dumps(ended) else said


def says(status, body, **headers):
    async def answer(peer, request, seen):
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return web.Response(
            body=content, status=status, headers=headers or None, content_type="application/json"
        )

    return answer


@rows(table.ANSWERS)
async def test_an_answer_to_our_first_request(site, peer, row):
    async def answer(peer, request, seen):
        pids = {
            "consumerPid": seen.document["consumerPid"],
            "providerPid": peer.pid_for(seen.document["consumerPid"]),
        }
        status, reply = row.change(wire.message("ContractNegotiation", id_=None, state="REQUESTED", **pids))
        return await says(status, reply)(peer, request, seen)

    peer.script("/negotiations/request", answer)
    record = await site.request(peer, USE)
    await site.reaches(record.id, "REQUESTED")
    assert len(peer.of("/negotiations/request")) == (1 if row.taken else 2)
    assert (await site.negotiation(record.id)).counterparty_pid == peer.pid_for(record.id)


@rows(table.LATER_ANSWERS)
async def test_an_answer_to_our_agreement(site, peer, row):
    process, document = await first_request(site, peer)
    peer.script("/agreement", says(*row.change))
    assert (await process.ask(document["offer"])).status == 201
    await site.reaches(process.theirs, "AGREED")
    assert len(peer.of("/agreement")) == 1


@rows(table.REFUSALS)
async def test_a_refusal_of_our_first_request(site, peer, row):
    peer.script("/negotiations/request", says(404, row.change))
    record = await site.request(peer, USE)
    await site.reaches(record.id, "TERMINATED")
    assert "no such offer" in (await site.negotiation(record.id)).error


CATALOG = {
    "@context": [wire.CONTEXT],
    "@id": "urn:c",
    "@type": "Catalog",
    "participantId": "urn:p",
    "dataset": [{"@id": "asset", "@type": "Dataset", "hasPolicy": [
        {"@id": "urn:o", "@type": "Offer", "permission": [{"action": "use"}]}]}],
}  # fmt: skip


@rows(table.CATALOGS)
async def test_a_catalog(site, peer, row):
    changed = row.change(CATALOG)
    peer.script("/catalog/request", says(200, changed))
    if not row.taken:
        with pytest.raises(errors.PermanentDeliveryError, match="something else than a catalog"):
            await catalog.request(site.connector, peer.did)
        return
    found = await catalog.request(site.connector, peer.did)
    assert found == changed
    listed = changed.get("dataset", changed.get("dcat:dataset"))
    dataset = (listed[0] if isinstance(listed, list) and listed else listed) or CATALOG["dataset"][0]

    async def tells(peer, request, seen):
        return web.json_response({"@context": [wire.CONTEXT], **dataset})

    peer.polite = lambda request, seen: (
        web.json_response({"@context": [wire.CONTEXT], **dataset})
        if "/catalog/datasets/" in request.path
        else type(peer).polite(peer, request, seen)
    )
    await get.start(site.connector, peer.did, "asset", str(site.folder.parent / "got"))
    asked = (await wait_for(lambda: peer.of("/negotiations/request")))[0].document["offer"]
    assert asked == USE


async def test_an_offer_that_stands_in_two_spellings_is_not_taken(site, peer):
    dataset = CATALOG["dataset"][0]
    peer.polite = lambda request, seen: web.json_response({**dataset, "odrl:hasPolicy": dataset["hasPolicy"]})
    with pytest.raises(errors.PermanentDeliveryError, match="twice, in two spellings"):
        await get.start(site.connector, peer.did, "asset", str(site.folder.parent / "got"))


def test_no_row_is_there_twice_and_each_has_its_reason():
    listed = [each for group in table.GROUPS.values() for each in group]
    assert len({each.what for each in listed}) == len(listed)
    assert all(len(each.why) > 5 for each in listed)
    assert terms.CONTEXT == wire.CONTEXT
