"""Two connectors driven through their management APIs: catalog, negotiation, agreement, transfer, data."""

import asyncio

import aiohttp
import pytest
from aiohttp import web

from support import pair as pairs
from support.edc import EDC, SPELLINGS, USE, compact, criterion, query

PROTOCOL = "dataspace-protocol-http:2025-1"
DSPACE = "https://w3id.org/dspace/2025/1/context.jsonld"
CONTENT = bytes(range(256)) * 4096
ENDED = {"FINALIZED", "TERMINATED"}


@pytest.fixture
async def back_end():
    """A server of the provider's own; returns its address."""

    async def answer(request):
        return web.Response(body=CONTENT, headers={"ETag": '"v1"'}, content_type="application/x-step")

    application = web.Application()
    application.router.add_get("/data/part.step", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    port = pairs.free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield f"http://127.0.0.1:{port}/data"
    await runner.cleanup()


@pytest.fixture
async def offered(pair, provider):
    """A File asset offered to everybody on the provider's list; returns what a client says about the provider."""
    path = pair.provider.folder.parent / "part.step"
    path.write_bytes(CONTENT)
    await offer(provider, "part", {"type": "File", "path": str(path)})
    return {
        "counterPartyId": pair.provider.did,
        "counterPartyAddress": pair.provider.dsp,
        "protocol": PROTOCOL,
    }


async def offer(provider, name, address, policy=USE, **properties):
    await provider.created("assets", {"@id": name, "properties": properties, "dataAddress": address})
    await provider.created("policydefinitions", {"@id": f"{name}-p", "policy": policy})
    selector = [criterion(EDC + "id", "=", name)]
    body = {
        "@id": f"{name}-c",
        "accessPolicyId": f"{name}-p",
        "contractPolicyId": f"{name}-p",
        "assetsSelector": selector,
    }
    await provider.created("contractdefinitions", body)


async def dataset_of(consumer, party, name="part"):
    answer = await consumer.post("catalog/dataset/request", {"@id": name, **party})
    assert answer.status == 200, answer
    return answer.json


async def request(consumer, party, name="part", **more):
    """Negotiate as EDC's TypeScript client does, and return the negotiation's id."""
    (policy, *_) = (await dataset_of(consumer, party, name))["hasPolicy"]
    offered = {**policy, "assigner": party["counterPartyId"], "target": name, **more}
    return await consumer.created(
        "contractnegotiations", compact({**party, "policy": offered, "callbackAddresses": []})
    )


async def reaches(api, path, *states):
    async def there():
        found = (await api.get(f"{path}/state")).json
        return found if found["state"] in states else None

    return (await pairs.wait_for(there, f"{path} is {states}"))["state"]


async def agree(consumer, party, name="part"):
    negotiation = await request(consumer, party, name)
    assert await reaches(consumer, f"contractnegotiations/{negotiation}", *ENDED) == "FINALIZED"
    return (await consumer.get(f"contractnegotiations/{negotiation}")).json["contractAgreementId"]


async def transfer(consumer, party, agreement, **more):
    body = {
        **party,
        "contractId": agreement,
        "transferType": "HttpData-PULL",
        "callbackAddresses": [],
        **more,
    }
    return await consumer.created("transferprocesses", compact(body))


async def fetch(edr, **headers):
    """Fetch data as EDC's clients do: the token without "Bearer"."""
    sent = {"Authorization": edr["authorization"], **headers}
    async with aiohttp.ClientSession() as session, session.get(edr["endpoint"], headers=sent) as answer:
        return answer.status, await answer.read()


async def test_a_catalog_is_what_clients_read(pair, provider, consumer, offered):
    for extra in (
        {},
        {"querySpec": None, "additionalScopes": None},
        {"querySpec": {}},
        {"@type": "CatalogRequest"},
    ):
        answer = await consumer.post("catalog/request", compact({**offered, **extra}))
        assert answer.status == 200
        catalog = answer.json
        assert DSPACE in catalog["@context"]
        assert (catalog["@type"], catalog["participantId"]) == ("Catalog", pair.provider.did)
        (dataset,) = catalog["dataset"]
        assert dataset["@id"] == "part"
        (policy,) = dataset["hasPolicy"]
        assert (policy["@type"], policy["permission"]) == ("Offer", [{"action": "use"}])
        assert dataset["distribution"][0]["format"] == "HttpData-PULL"


async def test_the_address_of_a_listed_partner_may_be_left_out(pair, consumer, offered):
    for address in (None, ""):
        party = {**offered, "counterPartyAddress": address, "protocol": None}
        assert (await consumer.post("catalog/request", party)).status == 200
        assert (await dataset_of(consumer, party))["@id"] == "part"


async def test_a_catalog_is_filtered_and_paged(pair, provider, consumer, offered, back_end):
    address = {"type": "HttpData", "baseUrl": f"{back_end}/part.step"}
    await offer(provider, "other", address, **{"dct:type": {"@id": "urn:t"}, "n": 2})
    await offer(provider, "third", address, **{"http://purl.org/dc/terms/type": {"@id": "urn:t"}, "n": 1})

    async def ids(spec, **more):
        answer = await consumer.post("catalog/request", {**offered, "querySpec": {**query(*spec), **more}})
        assert answer.status == 200, answer
        found = answer.json.get("dataset", [])
        return [each["@id"] for each in found]

    assert await ids([criterion(EDC + "id", "=", "part")]) == ["part"]
    assert await ids([criterion("'http://purl.org/dc/terms/type'.'@id'", "=", "urn:t")]) == ["other", "third"]
    assert await ids([criterion("id", "in", ["part", "third"])]) == ["part", "third"]
    assert await ids([criterion("id", "=", "nothing")]) == []
    assert await ids([], limit=1, offset=1) == ["other"]


@pytest.mark.parametrize(
    "path",
    [
        "catalog/request",
        "catalog/dataset/request",
        "contractnegotiations",
        "contractnegotiations/offers",
        "exchanges",
    ],
)
async def test_an_unknown_partner_is_404(api, path):
    await api.created(
        "assets", {"@id": "part", "dataAddress": {"type": "HttpData", "baseUrl": "http://127.0.0.1:1/"}}
    )
    policy = {"@id": "urn:o", "@type": "Offer", "target": "part", **USE}
    body = {
        "@id": "part",
        "counterPartyId": "did:web:nobody.example",
        "assetId": "part",
        "destination": "",
        "policy": policy,
    }
    answer = await api.post(path, body)
    assert (answer.status, answer.problem["type"]) == (404, "not-found")
    assert "did:web:nobody.example" in answer.problem["message"]


@pytest.mark.parametrize("path", ["catalog/request", "catalog/dataset/request", "exchanges"])
async def test_a_partner_that_cannot_be_reached_is_502_with_a_hint(api, path):
    address = f"http://127.0.0.1:{pairs.free_port()}/dsp"
    added = await api.post("partners", {"participant": "gone", "address": address})
    assert added.status == 200, added
    answer = await api.post(path, {"@id": "x", "counterPartyId": "gone", "assetId": "x"})
    assert answer.status == 502
    assert answer.problem["type"].startswith("delivery")
    assert answer.problem["hint"]


@pytest.mark.parametrize(
    "address",
    [
        "no address",
        "ftp://x.example/",
        "http://169.254.169.254/",
        "http://u:p@127.0.0.1/",
        "http://127.0.0.1/#x",
        7,
        ["a", "b"],
    ],
)
@pytest.mark.parametrize("path", ["catalog/request", "catalog/dataset/request", "contractnegotiations"])
async def test_an_address_that_may_not_be_asked_is_refused_with_its_place(
    pair, consumer, offered, path, address
):
    policy = {"@id": "urn:o", "@type": "Offer", "target": "part", **USE}
    answer = await consumer.post(
        path, {**offered, "@id": "part", "policy": policy, "counterPartyAddress": address}
    )
    assert (answer.status, answer.problem["path"]) == (400, "$.counterPartyAddress")


@pytest.mark.parametrize(
    "path", ["catalog/request", "catalog/dataset/request", "contractnegotiations", "transferprocesses"]
)
async def test_another_protocol_is_refused_with_its_place(api, path):
    for protocol in ("dataspace-protocol-http:2024-1", "ftp", 7):
        body = {
            "@id": "x",
            "counterPartyId": "x",
            "contractId": "x",
            "transferType": "HttpData-PULL",
            "protocol": protocol,
        }
        answer = await api.post(path, {**body, "policy": {"@id": "x", "target": "x", **USE}})
        assert (answer.status, answer.problem["path"]) == (400, "$.protocol")


@pytest.mark.parametrize("spell", SPELLINGS, ids=lambda spell: spell.__name__)
async def test_a_negotiation_is_begun_in_any_spelling_and_shown_in_one(pair, consumer, offered, spell):
    (policy,) = (await dataset_of(consumer, offered))["hasPolicy"]
    body = {
        **offered,
        "policy": {**policy, "assigner": {"@id": pair.provider.did}, "target": {"@id": "part"}},
    }
    name = await consumer.created("contractnegotiations", spell(body))
    assert await reaches(consumer, f"contractnegotiations/{name}", *ENDED) == "FINALIZED"
    found = (await consumer.get(f"contractnegotiations/{name}")).json
    assert found["@context"]["@vocab"] == EDC
    expected = {
        "@type": "ContractNegotiation",
        "@id": name,
        "type": "CONSUMER",
        "protocol": PROTOCOL,
        "state": "FINALIZED",
        "counterPartyId": pair.provider.did,
        "counterPartyAddress": pair.provider.dsp,
        "assetId": "part",
        "callbackAddresses": [],
    }
    assert {key: found[key] for key in expected} == expected
    assert found["correlationId"].startswith("urn:uuid:")
    assert "errorDetail" not in found
    assert await consumer.found("contractnegotiations/request") == [found]


async def test_an_offer_as_the_python_sdk_sends_it(pair, consumer, offered):
    """`odrl:Offer`, no counterPartyId, rules with prefixes and single objects."""
    (policy,) = (await dataset_of(consumer, offered))["hasPolicy"]
    body = {
        "@context": [{"@vocab": EDC}, "http://www.w3.org/ns/odrl.jsonld"],
        "@type": "ContractRequest",
        "counterPartyAddress": pair.provider.dsp,
        "protocol": PROTOCOL,
        "callbackAddresses": None,
        "policy": {
            "@context": "http://www.w3.org/ns/odrl.jsonld",
            "@id": policy["@id"],
            "@type": "odrl:Offer",
            "odrl:assigner": {"@id": pair.provider.did},
            "odrl:target": {"@id": "part"},
            "odrl:permission": {"odrl:action": {"@id": "odrl:use"}, "odrl:constraint": []},
            "odrl:prohibition": [],
            "odrl:obligation": None,
        },
    }
    name = await consumer.created("contractnegotiations", body)
    assert await reaches(consumer, f"contractnegotiations/{name}", *ENDED) == "FINALIZED"


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"policy": None}, "$.policy"),
        ({"policy": []}, "$.policy"),
        ({"policy": {"target": "part", **USE}}, "$.policy.@id"),
        ({"policy": {"@id": "urn:o", **USE}}, "$.policy.target"),
        ({"policy": {"@id": "urn:o", "target": "part"}}, "$.policy.permission"),
        ({"policy": {"@id": "urn:o", "target": "part", "permission": [{}]}}, "$.policy.permission[0].action"),
        ({"counterPartyId": None}, "$.counterPartyId"),
        ({"counterPartyId": 7}, "$.counterPartyId"),
        ({"callbackAddresses": [{"uri": "http://127.0.0.1:1/"}]}, "$.callbackAddresses"),
    ],
)
async def test_a_negotiation_that_cannot_be_is_refused_with_its_place(pair, consumer, offered, change, path):
    policy = {"@id": "urn:o", "@type": "Offer", "target": "part", **USE}
    answer = await consumer.post("contractnegotiations", {**offered, "policy": policy, **change})
    assert (answer.status, answer.problem["path"]) == (400, path)
    assert await consumer.found("contractnegotiations/request") == []


async def test_a_negotiation_that_the_provider_ends_says_why(pair, consumer, offered):
    name = await request(consumer, offered, **{"@id": "urn:no-such-offer", "target": "nothing"})
    assert await reaches(consumer, f"contractnegotiations/{name}", *ENDED) == "TERMINATED"
    assert "offer is not known" in (await consumer.get(f"contractnegotiations/{name}")).json["errorDetail"]
    assert (await consumer.get(f"contractnegotiations/{name}/agreement")).status == 404


async def test_an_agreement_is_found_by_all_that_names_it(pair, consumer, provider, offered):
    agreement = await agree(consumer, offered)
    shown = (await consumer.get(f"contractagreements/{agreement}")).json
    assert shown["@type"] == "ContractAgreement"
    assert (shown["providerId"], shown["consumerId"]) == (pair.provider.did, pair.consumer.did)
    assert shown["assetId"] == "part"
    assert 1_700_000_000 < shown["contractSigningDate"] < 5_000_000_000
    assert shown["policy"]["permission"] == [{"action": "use"}]
    negotiation = (await consumer.get(f"/management/v3//contractagreements/{agreement}/negotiation")).json
    assert (await consumer.get(f"contractnegotiations/{negotiation['@id']}/agreement")).json == shown
    for field, value in (
        ("id", agreement),
        ("agreementId", agreement),
        (EDC + "assetId", "part"),
        ("contractNegotiationId", negotiation["@id"]),
    ):
        assert await consumer.found("contractagreements/request", query(criterion(field, "=", value))) == [
            shown
        ]
        assert await consumer.found("contractagreements/request", query(criterion(field, "=", "x"))) == []
    theirs = (await provider.get(f"contractagreements/{agreement}")).json
    assert theirs["policy"] == shown["policy"]
    await pair.provider.reaches(negotiation["correlationId"], "FINALIZED")
    answer = await provider.delete("assets/part")
    assert (answer.status, answer.problem["type"]) == (409, "conflict")


async def test_a_file_is_transferred_and_fetched_with_its_data_address(pair, consumer, offered):
    agreement = await agree(consumer, offered)
    name = await transfer(consumer, offered, agreement, dataDestination={"type": "HttpProxy"})
    await reaches(consumer, f"transferprocesses/{name}", "STARTED")
    edr = (await consumer.get(f"edrs/{name}/dataaddress?auto_refresh=True")).json
    assert edr["@type"] == "DataAddress"
    assert edr["type"] == edr["endpointType"] == "https://w3id.org/idsa/v4.1/HTTP"
    assert edr["@context"]["@vocab"] == EDC
    assert await fetch(edr) == (200, CONTENT)
    assert await fetch(edr, Range="bytes=0-9") == (206, CONTENT[:10])
    shown = (await consumer.get(f"transferprocesses/{name}")).json
    assert (shown["@type"], shown["type"], shown["state"]) == ("TransferProcess", "CONSUMER", "STARTED")
    assert shown["contractId"] == agreement
    for field in ("contractAgreementId", "contractId", "agreementId", EDC + "contractId"):
        assert await consumer.found("transferprocesses/request", query(criterion(field, "=", agreement))) == [
            shown
        ]
    suspended = await consumer.post(f"transferprocesses/{name}/suspend")
    assert (suspended.status, suspended.body) == (204, b"")
    await reaches(consumer, f"transferprocesses/{name}", "SUSPENDED")
    assert (await consumer.get(f"edrs/{name}/dataaddress")).status == 404
    assert (await fetch(edr))[0] in {401, 403, 404}
    assert (await consumer.post(f"transferprocesses/{name}/resume")).status == 204
    await reaches(consumer, f"transferprocesses/{name}", "STARTED")
    anew = await pairs.wait_for(lambda: consumer.get(f"edrs/{name}/dataaddress"))
    assert await fetch(anew.json) == (200, CONTENT)
    ended = await consumer.post(f"transferprocesses/{name}/terminate", {"@id": name, "reason": "enough"})
    assert (ended.status, ended.body) == (204, b"")
    await reaches(consumer, f"transferprocesses/{name}", "TERMINATED")
    assert (await consumer.get(f"transferprocesses/{name}")).json["errorDetail"] == "enough"


async def test_the_data_of_a_back_end_is_transferred(pair, provider, consumer, offered, back_end):
    await offer(
        provider,
        "remote",
        {"type": "HttpData", "baseUrl": back_end, "path": "/part.step", "proxyPath": "false"},
    )
    name = await transfer(consumer, offered, await agree(consumer, offered, "remote"))
    await reaches(consumer, f"transferprocesses/{name}", "STARTED")
    edr = (await consumer.get(f"edrs/{name}/dataaddress")).json
    assert await fetch(edr) == (200, CONTENT)
    assert back_end not in str(edr)
    assert (await consumer.post(f"transferprocesses/{name}/complete")).status == 204
    await reaches(consumer, f"transferprocesses/{name}", "COMPLETED")


async def test_data_is_received_into_a_folder(pair, consumer, offered, tmp_path):
    destination = {"type": "File", "path": str(tmp_path / "got")}
    name = await transfer(consumer, offered, await agree(consumer, offered), dataDestination=destination)
    await reaches(consumer, f"transferprocesses/{name}", "COMPLETED")
    assert (tmp_path / "got" / "part.step").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("change", "status", "path"),
    [
        ({"contractId": None}, 400, "$.contractId"),
        ({"contractId": "nothing"}, 404, None),
        ({"transferType": "HttpData-PUSH"}, 400, "$.transferType"),
        ({"transferType": None}, 400, "$.transferType"),
        ({"dataDestination": {"type": "AmazonS3"}}, 400, "$.dataDestination.type"),
        ({"dataDestination": {"type": "File"}}, 400, "$.dataDestination.path"),
        ({"dataDestination": {"type": "File", "path": "/etc"}}, 422, None),
        ({"dataDestination": []}, 400, "$.dataDestination"),
        ({"callbackAddresses": [{"uri": "http://127.0.0.1:1/"}]}, 400, "$.callbackAddresses"),
        ({"counterPartyAddress": "nowhere"}, 400, "$.counterPartyAddress"),
    ],
)
async def test_a_transfer_that_cannot_be_is_refused_with_its_place(
    pair, consumer, offered, change, status, path
):
    agreement = await agree(consumer, offered)
    body = {**offered, "contractId": agreement, "transferType": "HttpData-PULL", **change}
    answer = await consumer.post("transferprocesses", body)
    assert answer.status == status
    assert answer.problem.get("path") == path
    assert await consumer.found("transferprocesses/request") == []


async def test_the_provider_of_an_agreement_cannot_ask_for_its_data(pair, provider, consumer, offered):
    agreement = await agree(consumer, offered)
    body = {"contractId": agreement, "transferType": "HttpData-PULL"}
    answer = await provider.post("transferprocesses", body)
    assert (answer.status, answer.problem["path"]) == (400, "$.contractId")


async def test_moves_that_the_protocol_does_not_allow_are_conflicts(pair, provider, consumer, offered):
    agreement = await agree(consumer, offered)
    negotiation = (await consumer.get(f"contractagreements/{agreement}/negotiation")).json["@id"]
    for move in ("terminate", "accept", "request", "verify", "finalize", "agree", "offer"):
        answer = await consumer.post(
            f"contractnegotiations/{negotiation}/{move}", {"policy": USE, "reason": "x"}
        )
        assert (answer.status, answer.problem["type"]) == (409, "illegal-move"), move
    assert (await consumer.get(f"contractnegotiations/{negotiation}")).json["state"] == "FINALIZED"
    name = await transfer(consumer, offered, agreement)
    await reaches(consumer, f"transferprocesses/{name}", "STARTED")
    answer = await consumer.post(f"transferprocesses/{name}/resume")
    assert (answer.status, answer.problem["type"]) == (409, "illegal-move")
    await consumer.post(f"transferprocesses/{name}/terminate")
    await reaches(consumer, f"transferprocesses/{name}", "TERMINATED")
    for move in ("suspend", "resume", "complete", "terminate"):
        assert (await consumer.post(f"transferprocesses/{name}/{move}")).status == 409


async def test_a_provider_offers_and_the_consumer_accepts(pair, provider, consumer, offered):
    policy = {"@type": "Offer", "target": "part", **USE}
    body = {"counterPartyId": pair.consumer.did, "policy": policy}
    name = await provider.created("contractnegotiations/offers", body)
    await reaches(provider, f"contractnegotiations/{name}", "OFFERED")
    (theirs,) = await consumer.found(
        "contractnegotiations/request", query(criterion("state", "=", "OFFERED"))
    )
    assert theirs["offer"]["permission"] == USE["permission"]
    assert (await consumer.post(f"contractnegotiations/{theirs['@id']}/accept")).status == 204
    assert await reaches(consumer, f"contractnegotiations/{theirs['@id']}", *ENDED) == "FINALIZED"
    assert await reaches(provider, f"contractnegotiations/{name}", *ENDED) == "FINALIZED"


async def test_a_state_on_its_way_is_shown_as_edc_does(pair, consumer, offered):
    hold = pair.provider.hold("/negotiations/request")
    name = await request(consumer, offered)
    await hold.arrived.wait()
    assert (await consumer.get(f"contractnegotiations/{name}/state")).json["state"] == "REQUESTING"
    (found,) = await consumer.found(
        "contractnegotiations/request", query(criterion("state", "=", "REQUESTING"))
    )
    assert found["@id"] == name
    pair.provider.release(hold)
    assert await reaches(consumer, f"contractnegotiations/{name}", *ENDED) == "FINALIZED"


async def exchange(consumer, party, folder):
    body = {"counterPartyId": party["counterPartyId"], "assetId": "part", "destination": str(folder)}
    return await consumer.created("exchanges", body)


async def ends(consumer, name):
    async def ended():
        found = (await consumer.get(f"exchanges/{name}")).json
        return found if found["stage"] in {"COMPLETED", "FAILED"} else None

    return await pairs.wait_for(ended)


async def test_an_exchange_goes_on_under_one_id_and_the_next_reuses_the_agreement(
    pair, consumer, offered, tmp_path
):
    hold = pair.provider.hold("/negotiations/request")
    name = await exchange(consumer, offered, tmp_path / "got")
    await hold.arrived.wait()
    assert await exchange(consumer, offered, tmp_path / "got") == name
    pair.provider.release(hold)
    first = await ends(consumer, name)
    assert (first["stage"], first["@type"], first["error"]) == ("COMPLETED", "Exchange", "")
    assert first["bytesDone"] == first["bytesTotal"] == len(CONTENT)
    assert (tmp_path / "got" / "part.step").read_bytes() == CONTENT
    again = await exchange(consumer, offered, tmp_path / "again")
    assert again != name
    second = await ends(consumer, again)
    assert second["agreementId"] == first["agreementId"]
    assert second["transferId"] != first["transferId"]
    assert len(await consumer.found("contractnegotiations/request")) == 1
    assert [each["@id"] for each in await consumer.found("exchanges/request")] == [name, again]
    wanted = query(criterion("stage", "=", "COMPLETED"), sortField="createdAt", sortOrder="DESC", limit=1)
    (newest,) = await consumer.found("exchanges/request", wanted)
    assert newest["@id"] == again
    assert newest["@context"]["@vocab"] == EDC


async def test_exchanges_asked_for_at_once_are_one(pair, consumer, offered, tmp_path):
    names = await asyncio.gather(*(exchange(consumer, offered, tmp_path / "got") for _ in range(5)))
    assert len(set(names)) == 1
    assert len(await consumer.found("contractnegotiations/request")) == 1
    assert (await ends(consumer, names[0]))["stage"] == "COMPLETED"


async def test_an_exchange_needs_a_dataset_and_an_offer_that_there_are(pair, consumer, offered):
    body = {"counterPartyId": pair.provider.did, "assetId": "part", "offerId": "urn:nothing"}
    answer = await consumer.post("exchanges", body)
    assert (answer.status, answer.problem["type"]) == (404, "not-found")
    answer = await consumer.post("exchanges", {**body, "assetId": "nothing"})
    assert answer.status in {404, 502}
    assert "nothing" in answer.problem["message"]


async def test_evidence_comes_in_pages_that_chain(pair, consumer, offered):
    agreement = await agree(consumer, offered)
    negotiation = (await consumer.get(f"contractagreements/{agreement}/negotiation")).json
    await pair.consumer.reaches(negotiation["@id"], "FINALIZED")
    whole = (await consumer.get("evidence")).json
    assert [each["seq"] for each in whole["entries"]] == list(range(1, whole["head"]["size"] + 1))
    assert whole["entries"][-1]["hash"] == whole["head"]["hash"]
    pieces = [
        (await consumer.get(f"evidence?after={at}&limit=1")).json["entries"]
        for at in range(len(whole["entries"]))
    ]
    assert [each for piece in pieces for each in piece] == whole["entries"]
    assert (await consumer.get(f"evidence?after={whole['head']['size']}")).json["entries"] == []
    assert {each["record"]["direction"] for each in whole["entries"]} == {"in", "out"}
