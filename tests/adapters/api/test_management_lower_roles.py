"""What a key with a lower role cannot get at by a detour: secrets, tokens in our name."""

import pytest
from aiohttp import web

from support import asgi
from support import pair as pairs
from support.pair import wait_for


@pytest.fixture
async def thief():
    """A server that keeps the headers it is sent; returns (address, headers)."""
    seen = []

    async def answer(request):
        seen.append(dict(request.headers))
        return web.Response(body=b"x")

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    port = pairs.free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield f"http://127.0.0.1:{port}", seen
    await runner.cleanup()


async def key_of(owner, site, role):
    made = await owner.post("apikeys", {"name": f"a {role}", "role": role})
    return asgi.Client(site.parts.internal, made.json["key"])


@pytest.mark.parametrize("path", ["catalog/request", "catalog/dataset/request"])
async def test_a_viewer_has_nothing_signed_for_an_address_of_its_own(pair, consumer, offered, thief, path):
    viewer = await key_of(consumer, pair.consumer, "viewer")
    address, seen = thief
    asked = {"@id": "part", **offered}
    for given in (asked["counterPartyAddress"], asked["counterPartyAddress"] + "/", "", None):
        assert (await viewer.post(path, {**asked, "counterPartyAddress": given})).status == 200
    for given in (address, asked["counterPartyAddress"] + "/more"):
        answer = await viewer.post(path, {**asked, "counterPartyAddress": given})
        assert (answer.status, answer.problem["type"]) == (403, "role-too-low")
    assert seen == []
    operator = await key_of(consumer, pair.consumer, "operator")
    assert (await operator.post(path, {**asked, "counterPartyAddress": address})).status == 502
    assert len(seen) == 1


async def wanted(consumer, offered):
    found = await consumer.post("catalog/dataset/request", {"@id": "part", **offered})
    return {**found.json["hasPolicy"][0], "target": "part", "assigner": offered["counterPartyId"]}


async def test_an_operator_sends_no_secret_to_a_receiver_of_its_own(pair, consumer, offered, thief):
    address, seen = thief
    await consumer.created("secrets", {"@id": "vault", "value": "canary-4711"})
    operator = await key_of(consumer, pair.consumer, "operator")
    callback = {
        "uri": address,
        "events": ["contract.negotiation"],
        "authKey": "X-Key",
        "authCodeId": "vault",
    }
    body = {**offered, "policy": await wanted(consumer, offered), "callbackAddresses": [callback]}
    agreed = await consumer.created("contractnegotiations", {**body, "callbackAddresses": []})
    await pair.consumer.reaches(agreed, "FINALIZED")
    contract = (await consumer.get(f"contractnegotiations/{agreed}")).json["contractAgreementId"]
    for path, more in (
        ("contractnegotiations", {}),
        ("edrs", {}),
        ("contractnegotiations/offers", {}),
        ("transferprocesses", {"contractId": contract, "transferType": "HttpData-PULL"}),
    ):
        answer = await operator.post(path, {**body, **more})
        assert (answer.status, answer.problem["type"]) == (403, "role-too-low"), path
        assert "admin" in answer.problem["message"]
    assert seen == []
    plain = {"uri": address, "events": ["contract.negotiation"]}
    await operator.created("contractnegotiations", {**body, "callbackAddresses": [plain]})
    await consumer.created("contractnegotiations", body)
    await wait_for(lambda: [each for each in seen if each.get("X-Key") == "canary-4711"])


async def test_an_operator_names_no_secret_for_a_back_end_of_its_own(site, api):
    await api.created("secrets", {"@id": "vault", "value": "canary-4711"})
    operator = await key_of(api, site, "operator")
    address = {
        "@type": "DataAddress",
        "type": "HttpData",
        "baseUrl": "http://127.0.0.1:9/data",
        "authKey": "X-Key",
        "secretName": "vault",
    }
    answer = await operator.post("assets", {"@id": "a", "dataAddress": address})
    assert (answer.status, answer.problem["type"]) == (403, "role-too-low")
    await api.created("assets", {"@id": "a", "dataAddress": address})
    moved = {"@id": "a", "dataAddress": {**address, "baseUrl": "http://127.0.0.1:10/stolen"}}
    answer = await operator.put("assets", moved)
    assert (answer.status, answer.problem["type"]) == (403, "role-too-low")
    shown = (await operator.get("assets/a")).json
    assert shown["dataAddress"]["baseUrl"] == "http://127.0.0.1:9/data"
    shown["properties"]["name"] = "another name"
    assert (await operator.put("assets", shown)).status == 204
    own = {**address, "authCode": "mine"}
    del own["secretName"]
    assert (await operator.put("assets", {"@id": "a", "dataAddress": own})).status == 204
    assert (await api.put("assets", moved)).status == 204


async def test_a_viewer_is_shown_the_evidence_without_tokens_that_might_still_be_good(
    pair, consumer, offered
):
    assert (await consumer.post("catalog/request", offered)).status == 200
    role_of = {role: await key_of(consumer, pair.consumer, role) for role in ("viewer", "operator")}
    shown = (await role_of["viewer"].get("evidence")).json
    whole = (await role_of["operator"].get("evidence")).json
    assert whole["entries"]
    assert all(each["token"].count(".") == 2 for each in whole["entries"])
    without = [{name: value for name, value in each.items() if name != "token"} for each in whole["entries"]]
    assert shown == {**whole, "entries": without}
