"""The versions of the management API: v3 takes any spelling, v4 wants a body to say what it is, EDC's other names."""

import pytest

from comity.api.management import endpoints
from comity.errors import DatabaseError
from comity.management import forms, versions
from support.dealing import agree, dataset_of, reaches
from support.edc import EDC, USE

V2 = "https://w3id.org/edc/connector/management/v2"
HEAD = {"@context": [V2]}
FILE = {"type": "HttpData", "baseUrl": "http://127.0.0.1:1/x"}
ASSET = {**HEAD, "@type": "Asset", "@id": "a", "properties": {"name": "A"}, "dataAddress": FILE}
RULE = {"action": "use"}
QUERY = {**HEAD, "@type": "QuerySpec", "limit": 5}
CRITERION = {"@type": "Criterion", "operandLeft": "id", "operator": "=", "operandRight": "a"}


def without(body, *names):
    return {name: value for name, value in body.items() if name not in names}


async def test_one_thing_has_each_version_s_context(api):
    name = await api.post("/management/v4/assets", ASSET)
    assert name.json == {
        "@context": [V2],
        "@type": "IdResponse",
        "@id": "a",
        "createdAt": name.json["createdAt"],
    }
    new, old = (
        (await api.get("/management/v4/assets/a")).json,
        (await api.get("/management/v3/assets/a")).json,
    )
    assert new["@context"] == [V2]
    assert old["@context"]["@vocab"] == EDC
    assert without(new, "@context") == without(old, "@context")
    (listed,) = (await api.post("/management/v4/assets/request", QUERY)).json
    assert listed == new


async def test_our_own_documents_keep_their_words_in_v4(api):
    await api.post("/management/v4/partners", {"participant": "p", "address": "http://127.0.0.1:1/dsp"})
    (partner,) = (await api.get("/management/v4/partners")).json
    assert partner["@context"][0] == V2
    assert partner["@context"][1]["@vocab"] == EDC


@pytest.mark.parametrize(
    ("path", "body", "place"),
    [
        ("assets", without(ASSET, "@context"), "$.@context"),
        ("assets", {**ASSET, "@context": V2}, "$.@context"),
        ("assets", {**ASSET, "@context": {"@vocab": EDC}}, "$.@context"),
        ("assets", {**ASSET, "@context": ["https://example.org/x"]}, "$.@context"),
        ("assets", {**ASSET, "@context": [V2, {"@vocab": EDC}]}, "$.@context"),
        ("assets", without(ASSET, "@type"), "$.@type"),
        ("assets", {**ASSET, "@type": "asset"}, "$.@type"),
        ("assets", {**ASSET, "@type": "edc:Asset"}, "$.@type"),
        ("assets", {**ASSET, "@id": 7}, "$.@id"),
        ("assets", without(ASSET, "properties"), "$.properties"),
        ("assets", {**without(ASSET, "properties"), "edc:properties": {}}, "$.properties"),
        ("assets", {**ASSET, "properties": []}, "$.properties"),
        ("assets", {}, "$.@context"),
        ("assets/request", {"limit": 5}, "$.@context"),
        ("assets/request", without(QUERY, "@type"), "$.@type"),
        ("assets/request", {**QUERY, "limit": "5"}, "$.limit"),
        ("assets/request", {**QUERY, "filterExpression": CRITERION}, "$.filterExpression"),
        (
            "assets/request",
            {**QUERY, "filterExpression": [CRITERION, without(CRITERION, "@type")]},
            "$.filterExpression[1].@type",
        ),
        (
            "assets/request",
            {**QUERY, "filterExpression": [without(CRITERION, "operandRight")]},
            "$.filterExpression[0].operandRight",
        ),
        ("assets/request", {**QUERY, "filterExpression": ["x"]}, "$.filterExpression[0]"),
        ("policydefinitions", {**HEAD, "@type": "PolicyDefinition"}, "$.policy"),
        (
            "policydefinitions",
            {**HEAD, "@type": "PolicyDefinition", "policy": {"permission": [RULE]}},
            "$.policy.@type",
        ),
        (
            "policydefinitions",
            {**HEAD, "@type": "PolicyDefinition", "policy": {"@type": "Set", "permission": RULE}},
            "$.policy.permission",
        ),
        (
            "policydefinitions",
            {**HEAD, "@type": "PolicyDefinition", "policy": {**USE, "prohibition": []}},
            "$.policy.prohibition",
        ),
        (
            "contractdefinitions",
            {**HEAD, "@type": "ContractDefinition", "accessPolicyId": {"@id": "p"}, "contractPolicyId": "p"},
            "$.accessPolicyId",
        ),
        ("transferprocesses/x/terminate", {"reason": "x"}, "$.@context"),
        ("transferprocesses/x/terminate", {**HEAD, "@type": "TerminateNegotiation"}, "$.@type"),
    ],
)
async def test_what_v4_does_not_take_is_refused_with_its_place(api, path, body, place):
    answer = await api.post(f"/management/v4/{path}", body)
    assert (answer.status, answer.problem["path"]) == (400, place)
    assert (await api.post(f"/management/v4beta/{path}", body)).problem == answer.problem


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({}, ""),
        ({"protocol": None, "profile": "dataspace-protocol-http:2025-1"}, ""),
        ({"profile": "dataspace-protocol-http:2025-1"}, "$.profile"),
        ({"protocol": None}, "$.protocol"),
        ({"counterPartyAddress": None}, "$.counterPartyAddress"),
        ({"policy": {"@type": None}}, "$.policy.@type"),
        ({"policy": {"@type": "odrl:Offer"}}, "$.policy.@type"),
        ({"policy": {"@id": None}}, "$.policy.@id"),
        ({"policy": {"assigner": None}}, "$.policy.assigner"),
        ({"policy": {"assigner": {"@id": "did:web:x"}}}, "$.policy.assigner"),
        ({"profile": "another", "protocol": None}, "$.profile"),
    ],
)
async def test_a_negotiation_is_begun_in_the_words_of_v4(pair, consumer, offered, changes, place):
    (policy, *_) = (await dataset_of(consumer, offered))["hasPolicy"]
    offer = {**policy, "assigner": pair.provider.did, "target": "part", **changes.get("policy", {})}
    body = {**HEAD, "@type": "ContractRequest", **offered, **changes}
    body["policy"] = {name: value for name, value in offer.items() if value is not None}
    sent = {name: value for name, value in body.items() if value is not None}
    answer = await consumer.post("/management/v4/contractnegotiations", sent)
    if place:
        assert (answer.status, answer.problem["path"]) == (400, place)
        return
    name = answer.json["@id"]
    assert await reaches(consumer, f"/management/v4/contractnegotiations/{name}", "FINALIZED") == "FINALIZED"
    found = (await consumer.get(f"/management/v4/contractnegotiations/{name}")).json
    assert found["@context"] == [V2]
    assert found["profile"] == found["protocol"] == "dataspace-protocol-http:2025-1"


async def test_a_transfer_is_asked_for_in_the_words_of_v4(consumer, offered):
    agreement = await agree(consumer, offered)
    body = {
        **HEAD,
        "@type": "TransferRequest",
        **offered,
        "contractId": agreement,
        "transferType": "HttpData-PULL",
    }
    name = (await consumer.post("/management/v4/transferprocesses", body)).json["@id"]
    assert await reaches(consumer, f"/management/v4/transferprocesses/{name}", "STARTED") == "STARTED"
    why = {**HEAD, "@type": "SuspendTransfer", "reason": "x"}
    assert (await consumer.post(f"/management/v4/transferprocesses/{name}/suspend", why)).status == 204


async def test_no_body_is_taken_where_nothing_has_to_be_said(api):
    assert (await api.post("/management/v4/assets/request")).json == []


async def test_the_examples_are_what_each_version_takes(api):
    """Each example of the documents is well-formed: what is refused is refused for what it names, not for its form."""
    from comity.api.management import schemas  # noqa: PLC0415  the thing under test

    for (method, noun, rest), row in endpoints.ENDPOINTS.items():
        for version in versions.VERSIONS:
            if not row.takes or (body := schemas.example(version, row.takes)) is None:
                continue
            path = f"/management/{version.name}/{noun}/{rest.replace('{id}', body.get('@id', 'x'))}"
            answer = await api.request(method, path, body)
            assert answer.status in {200, 204, 400, 404, 409, 422, 502}, (path, answer)
            if answer.status == 400:
                assert "@" not in answer.problem["path"], (path, answer)
                assert "missing" not in answer.problem["message"], (path, answer)


async def test_an_unknown_version_is_404_with_those_that_there_are(api):
    for version in ("v1", "v2", "v5beta"):
        answer = await api.post(f"/management/{version}/assets/request")
        assert (answer.status, answer.problem["type"]) == (404, "unknown-version")
        assert answer.problem["hint"] == "there is: v3, v4"


async def test_a_path_without_a_version_is_served(api):
    await api.created("assets", {"@id": "a", "dataAddress": FILE})
    for path in ("/management/assets/a", "/management//assets//a", "/management/v4alpha//assets/a"):
        assert (await api.get(path)).json["@context"]["@vocab"] == EDC


@pytest.mark.parametrize("prefix", ["/management", "/api", "//management/"])
async def test_health_is_said_to_everybody_as_edc_does(api, prefix):
    for kind in ("health", "liveness", "readiness", "startup"):
        answer = await api.get(f"{prefix}/check/{kind}?", headers={})
        assert (answer.status, answer.json["isSystemHealthy"]) == (200, True), kind
        assert all(each["isHealthy"] for each in answer.json["componentResults"])
    assert (await api.get(f"{prefix}/check/health", headers={})).json["componentResults"][0][
        "component"
    ] == "store"


async def test_a_store_that_is_gone_is_no_health(api, site, monkeypatch):
    async def broken(unit):
        raise DatabaseError("the store is closed")

    monkeypatch.setattr(site.connector.database, "read", broken)
    for kind, status in (("health", 503), ("readiness", 503), ("startup", 503), ("liveness", 200)):
        answer = await api.get(f"/management/check/{kind}", headers={})
        assert answer.status == status
        assert answer.json["isSystemHealthy"] is (status == 200)
    failed = (await api.get("/api/check/health", headers={})).json["componentResults"][0]
    assert failed["failure"] == {"messages": ["the store is closed"]}


@pytest.mark.parametrize("path", ["/management/v1/version", "/api/v1/version"])
async def test_the_versions_are_said_to_everybody(api, path):
    answer = await api.get(path, headers={})
    served = {each["urlPath"]: each["version"] for each in answer.json["management"]}
    assert served == {"/v3": "3.1.6", "/v4": "4.1.0"}


@pytest.mark.parametrize("path", ["/api/v3/assets/request", "/api/openapi.json", "/check/health", "/api"])
async def test_elsewhere_is_nothing_and_the_key_is_asked_for_first(api, path):
    assert (await api.get(path, headers={})).status == 401
    assert (await api.get(path)).status == 404


def test_every_form_that_the_table_names_is_there():
    for key, row in endpoints.ENDPOINTS.items():
        assert not row.takes or row.takes in forms.BODIES, key
        assert not row.gives or row.gives.strip("[]") in forms.ANSWERS, key
        assert set(row.parameters) <= set(forms.PARAMETERS), key
