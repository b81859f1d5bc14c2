"""API keys and their roles; every endpoint with every key is in tests/hostile/test_authorization.py."""

import re
from urllib.parse import quote

import pytest

from comity import runtime
from comity.api import management
from comity.controlplane import apikeys
from comity.management import roles
from support import asgi

DAY_MS = 24 * 3600 * 1000


@pytest.fixture
async def clients(api, site):
    """A client for each role."""
    made = {}
    for role in roles.ROLES:
        key = (await api.post("apikeys", {"name": f"a {role}", "role": role})).json["key"]
        made[role] = asgi.Client(site.parts.internal, key)
    return made


@pytest.mark.parametrize("version", ["v4", "v4alpha"])
async def test_a_role_is_the_same_in_every_version(clients, version):
    assert (await clients["viewer"].post(f"/management/{version}/assets")).status == 403
    assert (await clients["operator"].post(f"/management/{version}/apikeys")).status == 403
    assert (await clients["viewer"].post(f"/management/{version}/assets/request")).status == 200


async def test_a_key_is_shown_once_and_not_stored(api, site):
    made = (await api.post("apikeys", {"name": "dashboard", "role": "viewer"})).json
    assert made["@type"] == "ApiKey"
    assert made["@id"] == "dashboard"
    assert re.fullmatch(r"comity-[A-Za-z0-9_-]{43}", made["key"])
    (listed,) = (await api.get("apikeys")).json
    assert listed == {name: value for name, value in made.items() if name != "key"}
    stored = await site.rows("SELECT * FROM api_key")
    assert made["key"] not in repr(stored)
    assert made["key"].removeprefix("comity-") not in repr(stored)


async def test_a_removed_key_opens_nothing_from_then_on(api, site):
    key = (await api.post("apikeys", {"name": "a/b", "role": "operator"})).json["key"]
    other = asgi.Client(site.parts.internal, key)
    assert (await other.get("partners")).status == 200
    assert (await api.delete(f"apikeys/{quote('a/b', safe='')}")).status == 204
    assert (await other.get("partners")).status == 401
    assert (await api.get("apikeys")).json == []
    assert (await api.delete("apikeys/x")).status == 404


async def test_a_key_opens_nothing_after_its_time(api, site):
    ends = runtime.now_ms() + DAY_MS
    made = (await api.post("apikeys", {"name": "guest", "role": "viewer", "expiresAt": ends})).json
    assert made["expiresAt"] == ends
    clock = [ends - 1]
    keys = apikeys.Keys(site.connector.database, site.conf.management_key, now_ms=lambda: clock[0])
    application = management.application(site.connector, keys.find)
    guest, own = (asgi.Client(application, key) for key in (made["key"], site.conf.management_key))
    assert (await guest.get("partners")).status == 200
    clock[0] = ends
    assert (await guest.get("partners")).status == 401
    assert (await own.get("partners")).status == 200


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "$.name"),
        ({"name": "a"}, "$.role"),
        ({"name": "", "role": "viewer"}, "$.name"),
        ({"name": "a\nb", "role": "viewer"}, "$.name"),
        ({"name": "a", "role": "owner"}, "$.role"),
        ({"name": "a", "role": ["viewer", "admin"]}, "$.role"),
        ({"name": "a", "role": "viewer", "expiresAt": 1}, "$.expiresAt"),
        ({"name": "a", "role": "viewer", "expiresAt": "tomorrow"}, "$.expiresAt"),
        ({"name": "a", "role": "viewer", "expiresAt": True}, "$.expiresAt"),
        ({"name": "a", "role": "viewer", "expiresAt": 10**18}, "$.expiresAt"),
    ],
)
async def test_a_key_that_cannot_be_is_refused_with_its_place(api, body, path):
    answer = await api.post("apikeys", body)
    assert (answer.status, answer.problem["path"]) == (400, path)


async def test_a_name_has_one_key(api):
    body = {"name": "a", "role": "viewer"}
    assert (await api.post("apikeys", body)).status == 200
    answer = await api.post("apikeys", {**body, "role": "admin"})
    assert (answer.status, answer.problem["type"]) == (409, "conflict")
    assert [each["role"] for each in (await api.get("apikeys")).json] == ["viewer"]


async def test_a_key_is_looked_up_without_the_store(api, site):
    key = (await api.post("apikeys", {"name": "a", "role": "viewer"})).json["key"]
    client = asgi.Client(site.parts.internal, key)
    read = site.connector.database.read
    asked = []

    async def counting(unit):
        asked.append(unit)
        return await read(unit)

    assert (await client.get("nothing")).status == 404
    site.connector.database.read = counting
    for sent in (key, "wrong", "comity-" + "x" * 43):
        answer = await client.get("nothing", headers={"x-api-key": sent})
        assert answer.status == (404 if sent == key else 401)
    assert asked == []


async def test_a_key_outlives_the_process(api, site, client):
    key = (await api.post("apikeys", {"name": "a", "role": "viewer"})).json["key"]
    async with runtime.connector(site.conf) as parts:
        again = asgi.Client(parts.internal, key)
        assert (await again.get("partners")).status == 200
        assert (await again.post("assets")).status == 403
