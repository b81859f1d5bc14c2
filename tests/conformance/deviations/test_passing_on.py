"""What is not known here is kept and passed on where documents are passed on, and no context is ever fetched."""

import pytest
from aiohttp import web

from comity.controlplane import catalog, get, offers, processes
from comity.management import offers as forms
from comity.management import processes as process_forms
from support import wire
from support.pair import offer_of, wait_for
from support.process import Process, awaited

PROFILE = {"cx": "https://profile.example/"}


def further(peer):
    """A context that lies where every request to it would be counted."""
    return peer.address + "/contexts/profile.jsonld"


def fetched(peer):
    return [each.path for each in peer.received if each.path.startswith("/contexts/")]


@pytest.fixture
def dataset(peer):
    """A dataset of the peer's with words that nobody here knows, at every level."""
    constraint = {"leftOperand": "cx:Framework", "operator": "eq", "rightOperand": "cx:2.0", "cx:note": "n"}
    return {
        "@context": [wire.CONTEXT, further(peer), PROFILE],
        "@id": "asset",
        "@type": "Dataset",
        "cx:semanticId": {"@id": "urn:samm:x"},
        "hasPolicy": [
            {
                "@id": "urn:o",
                "@type": "Offer",
                "permission": [{"action": "use", "cx:level": 3, "constraint": [constraint]}],
                "cx:price": {"amount": "12", "unit": "EUR"},
                "dct:description": "as it was said",
            }
        ],
        "distribution": [
            {"format": "HttpData-PULL", "accessService": {"@id": "urn:s", "cx:x": []}, "cx:y": 1}
        ],
    }


@pytest.fixture
def provider(peer, dataset):
    """The peer answers with its dataset."""
    polite = peer.polite
    peer.polite = lambda request, seen: (
        web.json_response(dataset) if "/catalog/datasets/" in request.path else polite(request, seen)
    )
    return peer


async def test_an_offer_of_a_partner_goes_back_to_it_with_all_it_says_and_its_contexts(
    site, provider, dataset
):
    peer = provider
    await get.start(site.connector, peer.did, "asset", str(site.folder.parent / "got"))
    (asked,) = await wait_for(lambda: peer.of("/negotiations/request"))
    (theirs,) = dataset["hasPolicy"]
    assert asked.document["@context"] == [wire.CONTEXT, further(peer)]
    assert asked.document["offer"] == {**theirs, "target": "asset", "@context": [PROFILE]}
    record_id = asked.document["consumerPid"]
    await site.reaches(record_id, "REQUESTED")
    process = awaited(peer, site, record_id)
    agreement = wire.agreement({**theirs, "target": "asset"}, assigner=peer.did, assignee=site.did)
    message = process.message("ContractAgreementMessage", agreement=agreement)
    message["@context"] = [wire.CONTEXT, further(peer), PROFILE]
    answer = await peer.send(site, f"/negotiations/{record_id}/agreement", message)
    assert answer.status == 200, answer.body
    await site.reaches(record_id, "VERIFIED")
    shown = (await processes.load_negotiation(site.connector, record_id))["offer"]
    assert shown["cx:price"] == theirs["cx:price"]
    assert shown["@context"][1:] == [further(peer), PROFILE]
    assert (await peer.send(site, f"/negotiations/{record_id}/events", process.message(
        "ContractNegotiationEventMessage", eventType="FINALIZED"))).status == 200  # fmt: skip
    held = (await processes.load_agreement(site.connector, agreement["@id"]))["policy"]
    assert {name: held[name] for name in agreement} == agreement
    assert held["@context"][1:] == [further(peer), PROFILE]
    assert fetched(peer) == []


async def test_a_catalog_and_a_dataset_are_shown_as_they_came(site, provider, dataset):
    bare = {name: value for name, value in dataset.items() if name != "@context"}
    document = wire.message(
        "Catalog", id_="urn:c", participantId=provider.did, dataset=[bare], **{"cx:all": None}
    )
    document |= {"@context": dataset["@context"], "cx:all": [1, {"a": None}]}

    async def answer(peer, request, seen):
        return web.json_response(document)

    provider.script("/catalog/request", answer)
    assert await catalog.request(site.connector, provider.did) == document
    assert await catalog.request_dataset(site.connector, provider.did, None, "asset") == dataset
    assert fetched(provider) == []


async def test_what_our_own_policy_and_asset_say_is_in_the_catalog_the_agreement_and_on_both_sides(pair):
    await pair.provider.publish(properties={"cx:semanticId": "urn:samm:x", "dct:publisher": {"a": [1, None]}})
    body = {
        "@id": "titled",
        "policy": {"dct:title": "T", "permission": [{"action": "use", "dct:title": "R"}]},
    }
    await offers.create_policy(pair.provider.connector, forms.decode_policy(body))
    body = {"@id": "all", "accessPolicyId": "titled", "contractPolicyId": "titled", "assetsSelector": []}
    await offers.create_contract(pair.provider.connector, forms.decode_contract(body))
    found = await catalog.request_dataset(pair.consumer.connector, pair.provider.did, None, "asset")
    assert (found["cx:semanticId"], found["dct:publisher"]) == ("urn:samm:x", {"a": [1, None]})
    offer = next(
        offer_of(found, at) for at, each in enumerate(found["hasPolicy"]) if each.get("dct:title") == "T"
    )
    assert offer["dct:title"] == "T"
    record = await pair.consumer.request(pair.provider, offer)
    await pair.consumer.reaches(record.id, "FINALIZED")
    ours = (await pair.consumer.agreement(record.id)).document
    assert (ours["dct:title"], ours["permission"][0]["dct:title"]) == ("T", "R")
    rows = await pair.provider.rows("SELECT id FROM negotiation")
    assert (await pair.provider.agreement(rows[0][0])).document == ours


async def test_what_a_consumer_adds_to_our_offer_is_not_agreed_to(site, peer):
    await site.publish(policy=wire.USE)
    offer = {**offer_of(await peer.dataset(site)), "x:alsoPermits": "everything", "dct:title": "all is free"}
    process = Process(peer, site)
    document = process.message("ContractRequestMessage", offer=offer, callbackAddress=peer.dsp)
    document["@context"] = [wire.CONTEXT, further(peer)]
    assert (await process.send("ContractRequestMessage", document=document)).status == 201
    await site.reaches(process.theirs, "AGREED")
    agreed = peer.of(f"/{process.pid}/agreement")[0].document
    assert "x:alsoPermits" not in agreed["agreement"]
    assert "dct:title" not in agreed["agreement"]
    assert agreed["@context"] == [wire.CONTEXT, further(peer)]
    assert fetched(peer) == []


async def test_what_a_program_says_of_an_offer_beside_its_terms_goes_to_the_partner(site, peer):
    policy = {
        "@id": "urn:o",
        "@type": "Offer",
        "target": "asset",
        "assigner": peer.did,
        **wire.USE,
        "cx:ref": "7",
    }
    body = {"counterPartyId": peer.did, "counterPartyAddress": peer.dsp, "policy": policy}
    record, _ = await processes.request_contract(site.connector, process_forms.decode_contract_request(body))
    (asked,) = await wait_for(lambda: peer.of("/negotiations/request"))
    assert asked.document["offer"]["cx:ref"] == "7"
    assert record
