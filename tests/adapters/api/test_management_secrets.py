"""Secrets under a name, and back ends that ask for them: what is sent where, and what is shown to whom."""

import logging

import pytest
from aiohttp import web

from support import pair as pairs
from support.dealing import CONTENT, agree, fetch, offer, reaches, transfer
from support.edc import EDC, SPELLINGS

SECRET = {"@id": "key-1", "@type": "Secret", "value": "a value that nobody else sees"}
spelled = pytest.mark.parametrize("spell", SPELLINGS, ids=lambda spell: spell.__name__)


@spelled
async def test_a_secret_is_created_read_changed_and_deleted(api, spell):
    assert await api.created("secrets", spell(SECRET)) == "key-1"
    shown = (await api.get("secrets/key-1")).json
    assert shown.pop("createdAt") > 0
    assert shown == {"@context": shown["@context"], **SECRET}
    assert (await api.post("secrets", spell(SECRET))).problem["type"] == "conflict"
    changed = await api.put("secrets", spell({**SECRET, "value": "another"}))
    assert (changed.status, changed.body) == (204, b"")
    assert (await api.get("secrets/key-1")).json["value"] == "another"
    deleted = await api.delete("secrets/key-1")
    assert (deleted.status, deleted.body) == (204, b"")
    for answer in (
        await api.get("secrets/key-1"),
        await api.delete("secrets/key-1"),
        await api.put("secrets", SECRET),
    ):
        assert answer.status == 404


async def test_a_secret_as_expanded_json_ld_has_its_value(api):
    name = await api.created("secrets", {EDC + "value": [{"@value": "v"}], "@type": [EDC + "Secret"]})
    assert name.startswith("urn:uuid:")
    assert (await api.get(f"secrets/{name}")).json["value"] == "v"


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"@id": "x"}, "$.value"),
        ({"@id": "x", "value": ""}, "$.value"),
        ({"@id": "x", "value": 7}, "$.value"),
        ({"@id": "x", "value": "x" * 65537}, "$.value"),
        ({"@id": "", "value": "x"}, "$.@id"),
        ({}, "$.value"),
        (None, "$.value"),
    ],
)
async def test_a_secret_that_cannot_be_is_refused_with_its_place(api, body, path):
    answer = await api.post("secrets", body)
    assert (answer.status, answer.problem["path"]) == (400, path)
    assert (await api.put("secrets", {"value": "x"})).problem["path"] == "$.@id"


async def test_a_value_lies_sealed_in_the_store_and_in_no_log(site, api, caplog):
    with caplog.at_level(logging.DEBUG):
        await api.created("secrets", SECRET)
        await api.put("secrets", {**SECRET, "value": "the second one"})
        await api.post("secrets", {"@id": "key-2", "value": ["not", "a text but secret"]})
    files = [each.read_bytes() for each in site.folder.rglob("*") if each.is_file()]
    for value in (SECRET["value"], "the second one", "a text but secret"):
        assert not any(value.encode() in content for content in files)
        assert value not in caplog.text


@pytest.fixture
async def guarded():
    """A back end that wants a key, and redirects elsewhere; returns (address, headers that came, wanted key)."""
    seen = []
    wanted = {"x-key": "the right one"}

    async def answer(request):
        seen.append((request.path, dict(request.headers)))
        if any(request.headers.get(name) != value for name, value in wanted.items()):
            return web.Response(status=401)
        return web.Response(body=CONTENT)

    async def elsewhere(request):
        seen.append((request.path, dict(request.headers)))
        raise web.HTTPFound(f"http://127.0.0.1:{other}/stolen")

    async def thief(request):
        seen.append((request.path, dict(request.headers)))
        return web.Response(body=b"x")

    first, second = web.Application(), web.Application()
    first.router.add_get("/part.step", answer)
    first.router.add_get("/moved", elsewhere)
    second.router.add_get("/stolen", thief)
    runners, ports = [], []
    for application in (first, second):
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        ports.append(pairs.free_port())
        await web.TCPSite(runner, "127.0.0.1", ports[-1]).start()
        runners.append(runner)
    other = ports[1]
    yield f"http://127.0.0.1:{ports[0]}", seen, wanted
    for runner in runners:
        await runner.cleanup()


async def data_of(consumer, party, name):
    """Negotiate, start, and return the address of the data."""
    started = await transfer(consumer, party, await agree(consumer, party, name))
    await reaches(consumer, f"transferprocesses/{started}", "STARTED")
    return (await consumer.get(f"edrs/{started}/dataaddress")).json


@pytest.mark.parametrize("how", ["authCode", "secretName"])
async def test_a_back_end_gets_the_key_that_it_asks_for_and_nobody_else_sees_it(
    pair, provider, consumer, offered, guarded, how
):
    address, seen, wanted = guarded
    await provider.created("secrets", {"@id": "back end", "value": wanted["x-key"]})
    given = {"authCode": wanted["x-key"]} if how == "authCode" else {"secretName": "back end"}
    data_address = {"type": "HttpData", "baseUrl": address, "path": "part.step", "authKey": "X-Key", **given}
    await offer(provider, "remote", data_address)
    edr = await data_of(consumer, offered, "remote")
    assert await fetch(edr) == (200, CONTENT)
    assert seen
    assert all(headers["X-Key"] == wanted["x-key"] for _, headers in seen)
    shown = await provider.get("assets/remote")
    assert wanted["x-key"] not in shown.body.decode()
    assert shown.json["dataAddress"].get("secretName") == given.get("secretName")
    captured = pair.provider.captured + pair.consumer.captured
    assert not any(wanted["x-key"].encode() in each.body for each in captured)
    stored = await pair.provider.rows("SELECT * FROM asset")
    assert wanted["x-key"] not in repr(stored)
    unchanged = await provider.put("assets", shown.json)  # what was shown stands for what is stored
    assert unchanged.status == 204
    assert await fetch(edr) == (200, CONTENT)


async def test_a_changed_secret_is_used_from_the_next_request_on(
    provider, consumer, offered, guarded, caplog
):
    address, _, wanted = guarded
    await provider.created("secrets", {"@id": "k", "value": "the wrong one"})
    await offer(
        provider,
        "remote",
        {"type": "HttpData", "baseUrl": f"{address}/part.step", "authKey": "X-Key", "secretName": "k"},
    )
    edr = await data_of(consumer, offered, "remote")
    assert (await fetch(edr))[0] == 503
    assert (await provider.put("secrets", {"@id": "k", "value": wanted["x-key"]})).status == 204
    assert await fetch(edr) == (200, CONTENT)
    assert (await provider.delete("secrets/k")).status == 204
    caplog.clear()
    status, body = await fetch(edr)
    assert status == 503
    assert b"secret" not in body  # the partner hears that it cannot be read now, the operator why
    assert "names the secret 'k', and there is none" in caplog.text
    assert (await provider.post("secrets", {"@id": "k", "value": "two\nlines"})).status == 200
    assert (await fetch(edr))[0] == 503
    assert "cannot be sent as a header" in caplog.text
    assert "two" not in caplog.text


async def test_a_key_never_follows_a_redirect(provider, consumer, offered, guarded):
    address, seen, wanted = guarded
    await offer(
        provider,
        "remote",
        {"type": "HttpData", "baseUrl": f"{address}/moved", "authKey": "X-Key", "authCode": wanted["x-key"]},
    )
    edr = await data_of(consumer, offered, "remote")
    assert (await fetch(edr))[0] == 503
    assert {path for path, _ in seen} == {"/moved"}


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({"authKey": "X-Key"}, "authCode"),
        ({"authCode": "v"}, "authKey"),
        ({"secretName": "s"}, "authKey"),
        ({"authKey": "X-Key", "authCode": "v", "secretName": "s"}, "authCode"),
        ({"authKey": "X Key", "authCode": "v"}, "authKey"),
        ({"authKey": "Host", "authCode": "v"}, "authKey"),
        ({"authKey": "range", "authCode": "v"}, "authKey"),
        ({"authKey": 7, "authCode": "v"}, "authKey"),
        ({"authKey": "X-Key", "authCode": "two\r\nlines"}, "authCode"),
        ({"authKey": "X-Key", "authCode": "\u00e9"}, "authCode"),
        ({"authKey": "X-Key", "authCode": 7}, "authCode"),
        ({"authKey": "X-Key", "secretName": ""}, "secretName"),
        ({"authKey": "X-Key", "secretName": "s", "oauth2:tokenUrl": "https://x.example"}, "oauth2:tokenUrl"),
        ({"oauth2:clientId": "c"}, "oauth2:clientId"),
        ({"header:X-Key": "v"}, "header:X-Key"),
        ({"type": "File", "path": "/x", "authKey": "X-Key", "authCode": "v"}, "type"),
    ],
)
async def test_a_credential_that_could_not_be_sent_is_refused_with_its_place(api, more, path):
    address = {"type": "HttpData", "baseUrl": "http://127.0.0.1:1/", **more}
    answer = await api.post("assets", {"@id": "a", "dataAddress": address})
    assert (answer.status, answer.problem["path"]) == (400, f"$.dataAddress.{path}")
