"""Values of every kind in every place, and partners that answer nonsense: an error that says what, never a 500."""

import copy

import pytest
from aiohttp import web

from comity.api.management import endpoints
from comity.management import forms
from support import pair as pairs
from support.edc import USE, criterion

VALUES = (
    None, 0, -1, 1.5, True, "", "x", "a\x00b", "x" * 20_000, [], [1], [None], [[]], ["a", "b"], {}, {"@id": 1},
    {"@id": []}, {"@value": {}}, {"@id": "x"}, [{"@id": "x"}], {"a": {"b": []}}, "http://[::1", "did:web:", "../..",
    "\u202e", 2**63 - 1,
)  # fmt: skip
CONSTRAINT = {"leftOperand": "dateTime", "operator": "lteq", "rightOperand": "2030-01-01"}
POLICY = {
    "@id": "urn:o",
    "@type": "Offer",
    "assigner": "gone",
    "target": "a",
    "profile": "p",
    "permission": [{"action": "use", "constraint": [CONSTRAINT, {"and": [CONSTRAINT]}]}],
    "prohibition": [],
    "obligation": [],
}
QUERY = {
    "offset": 0,
    "limit": 5,
    "sortField": "createdAt",
    "sortOrder": "DESC",
    "filterExpression": [criterion("id", "=", "x"), criterion("id", "in", ["x"]), criterion("id", "<", 5)],
}
BODIES = {
    "assets": {
        "@id": "a",
        "properties": {"id": "a", "n": 1},
        "privateProperties": {"m": 1},
        "dataAddress": {
            "type": "HttpData",
            "baseUrl": "http://127.0.0.1:1/",
            "path": "x",
            "name": "n",
            "proxyPath": "true",
        },
    },
    "policydefinitions": {"@id": "p", "policy": POLICY, "privateProperties": {}},
    "contractdefinitions": {
        "@id": "c",
        "accessPolicyId": "p0",
        "contractPolicyId": "p0",
        "assetsSelector": [criterion("id", "=", "a")],
        "privateProperties": {},
    },
    "contractnegotiations": {
        "counterPartyId": "gone",
        "counterPartyAddress": "http://127.0.0.1:1/dsp",
        "protocol": "dataspace-protocol-http:2025-1",
        "policy": POLICY,
        "callbackAddresses": [],
    },
    "transferprocesses": {
        "contractId": "x",
        "transferType": "HttpData-PULL",
        "assetId": "a",
        "dataDestination": {"type": "File", "path": "/x"},
        "privateProperties": {},
    },
    "partners": {
        "participant": "p",
        "name": "n",
        "address": "http://127.0.0.1:1/",
        "purpose": [],
        "spatial": [],
        "keys": [{"kid": "k", "kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "B" * 43}],
        "pin": True,
    },
    "packages": {
        "folder": "/x",
        "assetId": "p",
        "title": "t",
        "policy": POLICY,
        "accessPolicy": POLICY,
        "properties": {"a": 1},
        "replace": True,
    },
    "exchanges": {"counterPartyId": "nobody", "assetId": "a", "destination": "", "offerId": "o"},
    "catalog": {
        "@id": "x",
        "counterPartyId": "nobody",
        "counterPartyAddress": "http://127.0.0.1:1/",
        "protocol": None,
        "querySpec": QUERY,
    },
}


def places(value, path=()):
    """The path of every member below a value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, member in items:
        yield (*path, name)
        yield from places(member, (*path, name))


def variants(body):
    """The body with each value in each place, one at a time."""
    for path in places(body):
        for value in VALUES:
            made = copy.deepcopy(body)
            here = made
            for name in path[:-1]:
                here = here[name]
            here[path[-1]] = value
            yield path, made


def body_of(row):
    _, noun, rest = row
    if rest == "request" and noun != "catalog":
        return QUERY
    if "{id}/" in rest:
        return {"policy": POLICY, "reason": "x"}
    return BODIES.get(noun) or forms.BODIES[endpoints.ENDPOINTS[row].takes].example


WITH_BODY = sorted(
    row
    for row, found in endpoints.ENDPOINTS.items()
    if row[0] in {"POST", "PUT"} and (found.takes or "{id}/" in row[2])  # one takes no body at all
)


@pytest.mark.parametrize("row", WITH_BODY, ids=" ".join)
async def test_no_value_in_any_place_is_a_server_error(api, row):
    await api.created("partners", {"participant": "gone", "address": "http://127.0.0.1:1/dsp"})
    await api.created("policydefinitions", {"@id": "p0", "policy": USE})
    method, noun, rest = row
    path = f"{noun}/{rest.replace('{id}', 'x')}".rstrip("/")
    for place, body in variants(body_of(row)):
        answer = await api.request(method, path, body)
        assert answer.status in {200, 204, 400, 404, 409, 422, 502}, (place, body, answer)
        if answer.status >= 400:
            assert len(answer.problem["message"]) < 1000, (place, answer)


@pytest.mark.parametrize("row", WITH_BODY, ids=" ".join)
async def test_a_list_of_everything_is_too_much_or_taken(api, row):
    method, noun, rest = row
    body = copy.deepcopy(body_of(row))
    for name in body:
        answer = await api.request(
            method,
            f"{noun}/{rest.replace('{id}', 'x')}".rstrip("/"),
            {**body, name: [copy.deepcopy(body)] * 2000},
        )
        assert answer.status in {200, 204, 400, 404, 409, 422, 502}, (name, answer.status)


GARBAGE = [
    b"",
    b"<html>",
    b"[]",
    b"null",
    b'{"dataset": 7}',
    b'{"dataset": [7]}',
    b'{"dataset": {"@id": 7}}',
    b'{"hasPolicy": 7}',
    b'{"hasPolicy": [7, null]}',
    b'{"hasPolicy": [{"@id": 7}]}',
    b'{"hasPolicy": [{"@id": "o"}]}',
    b'{"hasPolicy": [{"@id": "o", "permission": "x"}]}',
    b'{"hasPolicy": [{"permission": [{"action": "use"}]}]}',
    b'{"@id": "x", "@id": "y"}',
    b"[" * 100_000,
    b"\xff\xfe",
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=lambda value: repr(value[:30]))
async def test_a_partner_that_answers_garbage_is_502_or_has_nothing(api, garbage):
    async def answer(request):
        return web.Response(body=garbage, content_type="application/json")

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    port = pairs.free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        await api.created("partners", {"participant": "odd", "address": f"http://127.0.0.1:{port}/dsp"})
        listed = await api.post("catalog/request", {"counterPartyId": "odd"})
        one = await api.post("catalog/dataset/request", {"@id": "x", "counterPartyId": "odd"})
        got = await api.post("exchanges", {"counterPartyId": "odd", "assetId": "x"})
    finally:
        await runner.cleanup()
    assert listed.status in {200, 502}
    assert one.status in {200, 502}
    assert got.status in {404, 502}
    assert got.problem["message"]
    assert await api.found("exchanges/request") == []


async def test_a_pattern_of_many_wildcards_takes_no_time(api):
    address = {"type": "HttpData", "baseUrl": "http://127.0.0.1:1/"}
    await api.created("assets", {"@id": "a", "properties": {"t": "a" * 5000}, "dataAddress": address})
    for operator in ("like", "ilike"):
        found = await api.found(
            "assets/request", {"filterExpression": [criterion("t", operator, "%a" * 900 + "%b")]}
        )
        assert found == []
