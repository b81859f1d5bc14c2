"""Where and how a partner is talked to, asked from its version endpoint; and the catalogs of all partners at once."""

import asyncio

import pytest
from aiohttp import web

from comity.controlplane import catalogs
from support import pair as pairs
from support.dealing import PROTOCOL, offer
from support.edc import SPELLINGS, criterion, query

CONTEXT = {"tx": "https://w3id.org/tractusx/v0.0.1/ns/", "edc": "https://w3id.org/edc/v0.0.1/ns/"}
ONE, ALL, VERSIONS = (
    "connectordiscovery/dspversionparams",
    "connectordiscovery/connectors",
    "protocol-versions/request",
)


@pytest.fixture
async def served():
    """Serves JSON at paths of a new port: `await served({path: document or status})` returns its address."""
    runners = []

    async def serve(answers):
        async def answer(request):
            found = answers.get(request.path, 404)
            return web.Response(status=found) if isinstance(found, int) else web.json_response(found)

        application = web.Application()
        application.router.add_route("*", "/{path:.*}", answer)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        port = pairs.free_port()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        runners.append(runner)
        return f"http://127.0.0.1:{port}"

    yield serve
    for each in runners:
        await each.cleanup()


def versions(*named):
    listed = [{"version": each, "path": f"/dsp/{each}", "binding": "HTTPS"} for each in named]
    return {"protocolVersions": listed}


def params(site):
    return {
        "counterPartyId": site.did,
        "counterPartyAddress": site.dsp,
        "protocol": PROTOCOL,
    }


def without_context(document):
    assert document["@context"]["@vocab"] == CONTEXT["edc"]
    return {name: value for name, value in document.items() if name != "@context"}


@pytest.mark.parametrize("version", ["v3", "v4alpha"])
async def test_a_connector_is_found_as_the_python_sdk_asks_for_it(pair, consumer, version):
    body = {
        "@context": CONTEXT,
        "@type": "tx:ConnectorParamsDiscoveryRequest",
        "tx:bpnl": pair.provider.did,
        "edc:counterPartyAddress": pair.provider.conf.address,
    }
    answer = await consumer.post(f"/management/{version}/{ONE}", body)
    assert answer.status == 200
    assert without_context(answer.json) == params(pair.provider)


@pytest.mark.parametrize("spell", SPELLINGS, ids=lambda spell: spell.__name__)
@pytest.mark.parametrize("place", ["", "/", "/.well-known/dspace-version", "/dsp/2025-1", "/dsp/2025-1/"])
async def test_an_address_may_be_the_root_the_version_endpoint_or_that_of_a_version(
    pair, consumer, spell, place
):
    body = {"counterPartyId": pair.provider.did, "counterPartyAddress": pair.provider.conf.address + place}
    answer = await consumer.post(ONE, spell(body))
    assert answer.status == 200, answer
    assert without_context(answer.json) == params(pair.provider)


async def test_a_partner_may_be_named_as_the_operator_calls_it_and_needs_no_address(pair, consumer):
    await pair.consumer.befriend(pair.provider, name="BPNL000000000001")
    for path, key in ((ONE, "counterPartyId"), (ONE, "tx:bpnl")):
        answer = await consumer.post(path, {key: "BPNL000000000001"})
        assert without_context(answer.json) == params(pair.provider)


@pytest.mark.parametrize("path", [ONE, VERSIONS])
@pytest.mark.parametrize(
    ("body", "place"),
    [
        (None, "$.counterPartyId"),
        ({"counterPartyAddress": "http://127.0.0.1:1"}, "$.counterPartyId"),
        ({"counterPartyId": "did:web:nobody.example"}, "$.counterPartyAddress"),
        ({"counterPartyId": "x", "counterPartyAddress": "ftp://127.0.0.1"}, "$.counterPartyAddress"),
        ({"counterPartyId": "x", "counterPartyAddress": "http://169.254.169.254/"}, "$.counterPartyAddress"),
        ({"counterPartyId": "x", "counterPartyAddress": 7}, "$.counterPartyAddress"),
    ],
)
async def test_a_question_that_cannot_be_asked_is_refused_with_its_place(api, path, body, place):
    answer = await api.post(path, body)
    assert (answer.status, answer.problem["path"]) == (400, place)


@pytest.mark.parametrize("path", [ONE, VERSIONS])
async def test_a_connector_that_does_not_answer_is_502(api, path):
    body = {
        "counterPartyId": "did:web:x.example",
        "counterPartyAddress": f"http://127.0.0.1:{pairs.free_port()}",
    }
    answer = await api.post(path, body)
    assert (answer.status, answer.problem["type"]) == (502, "delivery-transient")


async def test_a_connector_without_a_common_version_is_refused_with_both_sides_versions(api, served):
    address = await served({"/.well-known/dspace-version": versions("2024-1", "0.8")})
    body = {"counterPartyId": "did:web:old.example", "counterPartyAddress": address}
    answer = await api.post(ONE, body)
    assert answer.status == 502
    for version in ("2024-1", "0.8", "2025-1"):
        assert version in answer.problem["message"]
    listed = await api.post(VERSIONS, {"@type": "CatalogRequest", **body, "protocol": "x", "querySpec": None})
    assert listed.status == 200
    assert [each["version"] for each in listed.json["protocolVersions"]] == ["2024-1", "0.8"]


async def test_the_versions_of_a_connector_are_told_as_it_says_them(pair, consumer):
    body = {"counterPartyId": pair.provider.did}
    answer = await consumer.post(f"/management/v4alpha/{VERSIONS}", body)
    assert answer.json["protocolVersions"] == [
        {"version": "2025-1", "path": "/dsp/2025-1", "binding": "HTTPS"}
    ]


async def test_every_connector_of_a_did_document_and_the_known_ones_is_found_once(pair, consumer, served):
    other = await served({"/.well-known/dspace-version": versions("2025-1")})
    silent = f"http://127.0.0.1:{pairs.free_port()}"
    body = {"edc:counterPartyId": pair.provider.did, "tx:knownConnectors": [other, pair.provider.dsp, silent]}
    answer = await consumer.post(ALL, body)
    assert [each["counterPartyAddress"] for each in answer.json] == [pair.provider.dsp, f"{other}/dsp/2025-1"]
    assert {each["counterPartyId"] for each in answer.json} == {pair.provider.did}


async def test_a_participant_none_of_whose_connectors_answers_is_502(api, served):
    document = {"id": ""}
    address = await served({"/.well-known/did.json": document})
    document |= {"id": f"did:web:{address.removeprefix('http://').replace(':', '%3A')}"}
    assert (await api.post(ALL, {"counterPartyId": document["id"]})).status == 404
    document["service"] = [{"id": "#a", "type": "DataService", "serviceEndpoint": f"{address}/nothing"}]
    answer = await api.post(
        ALL, {"counterPartyId": document["id"], "tx:knownConnectors": [f"{address}/more"]}
    )
    assert answer.status in {404, 502}


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({}, "$.counterPartyId"),
        ({"counterPartyId": "BPNL1"}, "$.counterPartyId"),
        ({"counterPartyId": "did:web:x", "tx:knownConnectors": [7]}, "$.knownConnectors"),
        ({"counterPartyId": "did:web:x", "tx:knownConnectors": ["http://x"] * 21}, "$.knownConnectors"),
        (
            {"counterPartyId": "did:web:x", "tx:knownConnectors": ["http://169.254.169.254/"]},
            "$.knownConnectors",
        ),
    ],
)
async def test_connectors_that_cannot_be_sought_are_refused_with_the_place(api, body, place):
    answer = await api.post(ALL, body)
    assert (answer.status, answer.problem["path"]) == (400, place)


async def test_the_catalogs_of_all_partners_are_fetched_and_one_that_is_away_hides_nobody(
    pair, consumer, offered, started
):
    third, away = await started("third"), await started("away")
    for each in (third, away):
        await pair.consumer.befriend(each)
        await each.befriend(pair.consumer)
    await third.publish("theirs")
    await away.stop()
    found = await consumer.found("catalogs/request")
    assert [each["participantId"] for each in found] == [pair.provider.did, third.did, away.did]
    assert {each["@type"] for each in found} == {"Catalog"}
    assert all(each["@context"] for each in found)
    assert [[dataset["@id"] for dataset in each.get("dataset", [])] for each in found] == [
        ["part"],
        ["theirs"],
        [],
    ]
    assert ["comity:errorDetail" in each for each in found] == [False, False, True]
    wanted = query(criterion("participantId", "!=", pair.provider.did), limit=1)
    assert [each["participantId"] for each in await consumer.found("catalogs/request", wanted)] == [third.did]
    await away.start()


async def test_catalogs_have_one_deadline_for_all(pair, consumer, offered, monkeypatch):
    monkeypatch.setattr(catalogs, "DEADLINE_S", 0.2)
    hold = pair.provider.hold("/catalog/request")
    (found,) = await consumer.found("catalogs/request")
    assert "no answer within" in found["comity:errorDetail"]
    pair.provider.release(hold)
    await asyncio.sleep(0)


async def test_catalogs_share_one_size_and_one_that_is_too_large_can_be_asked_alone(
    pair, consumer, offered, monkeypatch
):
    monkeypatch.setattr(catalogs, "MAX_BYTES", 300)
    (found,) = await consumer.found("catalogs/request")
    assert "more than 300 bytes" in found["comity:errorDetail"]
    assert found["dataset"] == []
    alone = await consumer.post("catalog/request", params(pair.provider))
    assert (alone.status, len(alone.json["dataset"])) == (200, 1)


async def test_a_query_about_something_else_than_the_participant_is_refused(
    pair, provider, consumer, offered
):
    await offer(provider, "more", {"type": "HttpData", "baseUrl": "http://127.0.0.1:1/"})
    answer = await consumer.post("catalogs/request", query(criterion("datasets.id", "=", "part")))
    assert (answer.status, answer.problem["path"]) == (400, "$.filterExpression[0].operandLeft")
    answer = await consumer.post("catalogs/request?flatten=true")
    assert (answer.status, answer.problem["path"]) == (400, "$.flatten")
    (found,) = await consumer.found("catalogs/request?flatten=false", {"limit": 10, "filterExpression": None})
    assert len(found["dataset"]) == 2


async def test_without_partners_there_are_no_catalogs(api):
    assert await api.found("catalogs/request") == []
