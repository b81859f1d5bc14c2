"""Catalogs and datasets of a partner through the management API, and partners that cannot be asked."""

import pytest

from support import pair as pairs
from support.dealing import dataset_of, offer
from support.edc import EDC, USE, compact, criterion, query

DSPACE = "https://w3id.org/dspace/2025/1/context.jsonld"


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
