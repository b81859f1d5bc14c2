"""The header Idempotency-Key: the same request again gives the same answer, and creates nothing twice."""

import asyncio
import dataclasses
import json

import msgspec
import pytest

from comity.api import management
from comity.api.management import endpoints
from comity.controlplane import apikeys
from comity.controlplane import framework_proposals as proposals
from support import agreeing, asgi
from support.dealing import agree, dataset_of
from support.edc import USE

DAY_MS = 24 * 3600 * 1000
FILE = {"dataAddress": {"type": "HttpData", "baseUrl": "http://127.0.0.1:1/x"}}
CREATING = sorted(key for key, row in endpoints.ENDPOINTS.items() if row.creates)
PARTY = {"participant": "someone", "address": "http://127.0.0.1:1/dsp"}


def headers(site, key, **more):
    return {"x-api-key": site.conf.management_key, "idempotency-key": key, **more}


def created(answer):
    assert answer.status == 200, answer
    return answer.json["@id"]


async def test_the_same_request_again_gives_the_same_answer(api, site):
    sent = headers(site, "8e03978e-40d5-43e8-bc93-6894a57f9324")
    first = await api.post("assets", FILE, headers=sent)
    again = await api.post("assets", FILE, headers=sent)
    assert (again.status, again.body) == (200, first.body)
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert len(await api.found("assets/request")) == 1


async def test_without_a_key_there_are_two(api):
    assert created(await api.post("assets", FILE)) != created(await api.post("assets", FILE))


async def test_the_same_body_may_be_written_otherwise(api, site):
    sent = headers(site, "k")
    body = {"properties": {"b": 1, "a": 2}, **FILE}
    name = created(await api.post("assets", body, headers=sent))
    other = json.dumps(dict(reversed(body.items())), indent=3).replace('"a"', '"\\u0061"').encode()
    assert created(await api.post("assets", other, headers=sent)) == name
    assert created(await api.post("//management//v3//assets//", body, headers=sent)) == name


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("assets", {**FILE, "properties": {"a": 1}}),
        ("assets", {"@id": "x", **FILE}),
        ("policydefinitions", {"policy": USE}),
        ("assets?x=1", FILE),
        ("/management/v4beta/assets", None),
    ],
)
async def test_another_request_with_the_key_is_422(api, site, path, body):
    sent = headers(site, "k")
    created(await api.post("assets", FILE, headers=sent))
    answer = await api.post(path, body, headers=sent)
    assert (answer.status, answer.problem["type"]) == (422, "idempotency-key-reused")
    assert len(await api.found("assets/request")) == 1
    assert await api.found("policydefinitions/request") == []


async def test_a_key_is_one_caller_s(api, site):
    other = (await api.post("apikeys", {"name": "other", "role": "operator"})).json["key"]
    mine = created(await api.post("assets", FILE, headers=headers(site, "k")))
    theirs = {"x-api-key": other, "idempotency-key": "k"}
    assert created(await api.post("assets", {**FILE, "properties": {}}, headers=theirs)) != mine


async def test_while_the_first_is_running_the_second_is_409(api, site, monkeypatch):
    begun, go_on = asyncio.Event(), asyncio.Event()
    row = endpoints.ENDPOINTS["POST", "assets", ""]

    async def slow(connector, call):
        begun.set()
        await go_on.wait()
        return await row.run(connector, call)

    monkeypatch.setitem(endpoints.ENDPOINTS, ("POST", "assets", ""), msgspec.structs.replace(row, run=slow))
    first = asyncio.create_task(api.post("assets", FILE, headers=headers(site, "k")))
    await begun.wait()
    same = await api.post("assets", FILE, headers=headers(site, "k"))
    assert (same.status, same.problem["type"]) == (409, "still-running")
    other = await api.post("assets", {**FILE, "properties": {}}, headers=headers(site, "k"))
    assert (other.status, other.problem["type"]) == (422, "idempotency-key-reused")
    go_on.set()
    name = created(await first)
    assert created(await api.post("assets", FILE, headers=headers(site, "k"))) == name


async def test_of_many_at_once_one_creates(api, site):
    many = [api.post("assets", FILE, headers=headers(site, "k")) for _ in range(20)]
    answers = await asyncio.gather(*many)
    assert {answer.status for answer in answers} <= {200, 409}
    assert len({answer.body for answer in answers if answer.status == 200}) == 1
    assert len(await api.found("assets/request")) == 1


async def test_after_a_refusal_the_key_is_free(api, site):
    sent = headers(site, "k")
    assert (await api.post("assets", {}, headers=sent)).status == 400
    name = created(await api.post("assets", FILE, headers=sent))
    assert created(await api.post("assets", FILE, headers=sent)) == name


@pytest.mark.parametrize("sent", ["k", '"k"', ' "k" '])
async def test_a_key_may_be_quoted(api, site, sent):
    name = created(await api.post("assets", FILE, headers=headers(site, "k")))
    assert created(await api.post("assets", FILE, headers=headers(site, sent))) == name


@pytest.mark.parametrize("sent", ["x" * 256, "a\tb", "ü", "a\x7f"])
async def test_what_is_no_key_is_refused(api, site, sent):
    answer = await api.post("assets", FILE, headers=headers(site, sent))
    assert (answer.status, answer.problem["path"]) == (400, "Idempotency-Key")
    assert await api.found("assets/request") == []


async def test_a_low_role_is_refused_before_the_key_is_looked_at(api, site):
    viewer = (await api.post("apikeys", {"name": "v", "role": "viewer"})).json["key"]
    answer = await api.post("assets", FILE, headers={"x-api-key": viewer, "idempotency-key": ""})
    assert (answer.status, answer.taken) == (403, 0)


async def test_a_key_is_kept_for_a_day(api, site):
    clock = [site.connector.now_ms()]
    connector = dataclasses.replace(site.connector, now_ms=lambda: clock[0])
    keys = apikeys.Keys(connector.database, site.conf.management_key, now_ms=connector.now_ms)
    client = asgi.Client(management.application(connector, keys.find), site.conf.management_key)
    first = created(await client.post("assets", FILE, headers=headers(site, "k")))
    clock[0] += DAY_MS
    assert created(await client.post("assets", FILE, headers=headers(site, "k"))) == first
    clock[0] += 1
    second = created(await client.post("assets", FILE, headers=headers(site, "k")))
    assert second != first
    assert created(await client.post("assets", FILE, headers=headers(site, "k"))) == second


@pytest.mark.parametrize("version", ["v3", "v4"])
async def test_a_repeat_is_answered_as_its_version_answers(api, site, version):
    body = {
        "@context": ["https://w3id.org/edc/connector/management/v2"],
        "@type": "Asset",
        "properties": {},
        **FILE,
    }
    path = f"/management/{version}/assets"
    first = await api.post(path, body, headers=headers(site, "k"))
    assert (await api.post(path, body, headers=headers(site, "k"))).body == first.body


class Killed(BaseException):
    """What a kill is for a request: it ends in the middle."""


@pytest.fixture
async def requests(pair, provider, consumer, offered, tmp_path):
    """For each path that creates something: whose it is, and a body that it takes."""
    agreed = await agree(consumer, offered)
    (policy, *_) = (await dataset_of(consumer, offered))["hasPolicy"]
    folder = tmp_path / "release"
    folder.mkdir()
    (folder / "a.txt").write_bytes(b"a")
    document = agreeing.document((pair.provider.did, pair.consumer.did))
    urn = await proposals.propose(pair.provider.connector, document, str(agreeing.write(tmp_path / "texts")))
    wanted = {**offered, "policy": {**policy, "assigner": pair.provider.did, "target": "part"}}
    of_provider = {
        "assets": FILE,
        "policydefinitions": {"policy": USE},
        "contractdefinitions": {"accessPolicyId": "part-p", "contractPolicyId": "part-p"},
        "contractnegotiations/offers": {
            "counterPartyId": pair.consumer.did,
            "policy": {"target": "part", **USE},
        },
        "partners": {"participant": "someone", "address": "http://127.0.0.1:1/dsp"},
        "packages": {"folder": str(folder)},
        "frameworks/deliveries": {"frameworkAgreement": urn, "commitment": "C2", "quantity": "4"},
        "secrets": {"value": "v"},
        "webhooks": {"url": "http://127.0.0.1:1/hook", "types": ["transfer.process"]},
    }
    of_consumer = {
        "contractnegotiations": wanted,
        "edrs": wanted,
        "transferprocesses": {**offered, "contractId": agreed, "transferType": "HttpData-PULL"},
        "exchanges": {"counterPartyId": pair.provider.did, "assetId": "part"},
        "frameworks/sign": {"counterPartyId": pair.provider.did, "frameworkAgreement": urn},
        "inquiries": {
            "agreementId": agreed,
            "kind": "question",
            "text": "Why?",
            "manifestSha256": "0" * 64,
        },
    }
    return {
        **{path: (pair.provider, body) for path, body in of_provider.items()},
        **{path: (pair.consumer, body) for path, body in of_consumer.items()},
    }


class Killable:
    """A store that lets a request be killed right before, or right after, it commits what the request creates."""

    def __init__(self, store, creates, *, after):
        self.store, self.creates, self.after = store, creates, after
        self.read, self.subscribe = store.read, store.subscribe
        self.created = []

    async def write(self, unit):
        async def dying(tx):
            result = await unit(tx)
            if isinstance(result, self.creates) and not self.after:
                raise Killed
            return result

        result = await self.store.write(dying)
        if isinstance(result, self.creates):
            self.created.append(result.id)
            raise Killed
        return result


async def kept(site):
    return await site.rows("SELECT created_id FROM repeatable")


@pytest.mark.parametrize("key", CREATING, ids=" ".join)
async def test_a_kill_leaves_what_was_created_and_its_key_or_neither(requests, key):
    """Whatever the table says creates something: killed before its commit, after it, and sent again."""
    row = endpoints.ENDPOINTS[key]
    path = f"{key[1]}/{key[2]}".rstrip("/")
    site, body = requests[path]
    sent = headers(site, "k")

    def process(store):
        connector = dataclasses.replace(site.connector, database=store)
        keys = apikeys.Keys(store, site.conf.management_key, now_ms=connector.now_ms)
        return asgi.Client(management.application(connector, keys.find), site.conf.management_key)

    before, after = (Killable(site.connector.database, row.creates, after=each) for each in (False, True))
    with pytest.raises(Killed):
        await process(before).post(path, body, headers=sent)
    assert await kept(site) == []
    with pytest.raises(Killed):
        await process(after).post(path, body, headers=sent)
    assert await kept(site) == [(name,) for name in after.created]
    answer = await process(site.connector.database).post(path, body, headers=sent)
    assert answer.headers["idempotency-replayed"] == "true"
    assert [created(answer)] == after.created
    assert answer.json["@type"] == "IdResponse"
    assert answer.json["createdAt"] > 0


@pytest.mark.parametrize("key", CREATING, ids=" ".join)
async def test_every_creation_is_answered_alike_again(requests, key):
    path = f"{key[1]}/{key[2]}".rstrip("/")
    site, body = requests[path]
    client = asgi.Client(site.parts.internal, site.conf.management_key)
    first = await client.post(path, body, headers=headers(site, "k"))
    again = await client.post(path, body, headers=headers(site, "k"))
    assert await kept(site) == [(created(first),)]
    assert again.json == first.json
    assert again.headers["idempotency-replayed"] == "true"
