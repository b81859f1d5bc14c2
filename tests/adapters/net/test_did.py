from __future__ import annotations

import asyncio
import json

import pytest

from comity import errors
from comity.identity import did as did_web
from comity.identity import jose
from comity.net import did, http

KEY = jose.SigningKey.generate("key-1")


class World:
    """One DID host with a document that can change, and a clock that is set by hand."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.status = "200 OK"
        self.body: bytes | None = None
        self.hold: asyncio.Event | None = None
        self.keys = ["key-1"]
        self.asked = asyncio.Event()

    async def script(self, answer):
        self.asked.set()
        if self.hold is not None:
            await self.hold.wait()
        yield answer(self.document() if self.body is None else self.body, self.status, Connection="close")

    def document(self) -> bytes:
        jwks = [{**KEY.public_jwk(), "kid": kid} for kid in self.keys]
        return json.dumps(did_web.document(self.did, jwks, address=self.server.url)).encode()


@pytest.fixture
async def world(serve, client, answer):
    made = World()
    made.server = await serve(lambda *_: made.script(answer))
    made.did = did_web.format_did_web(f"http://127.0.0.1:{made.server.port}/a")
    made.kid = f"{made.did}#key-1"
    made.resolver = did.Resolver(client, clock_s=lambda: made.now_s, insecure=True)
    return made


def fetches(world) -> int:
    return len(world.server.requests)


async def failure(world, kind=errors.IdentityError, kid=None):
    with pytest.raises(kind) as caught:
        await world.resolver.keys(world.did, kid or world.kid)
    return caught.value


async def test_keys_are_fetched_once_and_kept_for_a_minute(world):
    keys = await world.resolver.keys(world.did, world.kid)
    assert set(keys) == {world.kid}
    assert world.server.requests[0][0] == "GET /a/did.json HTTP/1.1"
    world.now_s += 59
    assert await world.resolver.keys(world.did, world.kid) is keys
    assert fetches(world) == 1
    world.now_s += 1
    await world.resolver.keys(world.did, world.kid)
    assert fetches(world) == 2


async def test_fetched_key_verifies(world):
    keys = await world.resolver.keys(world.did, world.kid)
    signed, _, signature = KEY.sign({"a": 1}).rpartition(".")
    assert keys[world.kid].holds(signed.encode(), jose.decode_segment(signature.encode()))


async def test_a_new_key_is_found_30_s_after_the_last_fetch_and_until_then_its_sender_is_asked_to_wait(world):
    await world.resolver.keys(world.did, world.kid)
    world.keys = ["key-2"]
    new = f"{world.did}#key-2"
    world.now_s += 10
    assert (await failure(world, errors.TransientDeliveryError, new)).retry_after_s == 20
    assert fetches(world) == 1
    world.now_s += 20
    assert set(await world.resolver.keys(world.did, new)) == {new}
    assert fetches(world) == 2


async def test_a_removed_key_is_gone_when_any_unknown_one_is_asked_for_and_after_a_minute_at_the_latest(
    world,
):
    await world.resolver.keys(world.did, world.kid)
    world.keys = ["key-2"]
    world.now_s += 59
    assert world.kid in await world.resolver.keys(world.did, world.kid)
    world.now_s += 1
    assert world.kid not in await world.resolver.keys(world.did, world.kid)
    world.keys = ["key-3"]
    world.now_s += 30
    assert set(await world.resolver.keys(world.did, f"{world.did}#key-3")) == {f"{world.did}#key-3"}
    assert f"{world.did}#key-2" not in (await world.resolver.keys(world.did, f"{world.did}#key-3"))


async def test_a_removed_key_is_not_kept_by_a_document_that_is_out_of_reach(world):
    await world.resolver.keys(world.did, world.kid)
    world.status = "503 Busy"
    for _ in range(29):
        world.now_s += 10
        assert world.kid in await world.resolver.keys(world.did, world.kid)
        with pytest.raises(errors.TransientDeliveryError):
            await world.resolver.keys(world.did, f"{world.did}#other")
    world.now_s += 10
    await failure(world, errors.TransientDeliveryError)


async def test_kids_that_are_not_there_are_remembered_in_bounds(world, monkeypatch):
    monkeypatch.setattr(did, "REFETCH_S", 0.0)
    for number in range(100):
        assert "x" not in await world.resolver.keys(world.did, f"{world.did}#{number}")
    assert len(world.resolver._known[world.did].absent) <= did.MAX_ABSENT


async def test_unknown_kid_makes_one_fetch_in_30_s(world):
    for _ in range(10):
        assert "x" not in await world.resolver.keys(world.did, "x")
    assert fetches(world) == 1
    world.now_s += 30
    for _ in range(10):
        await world.resolver.keys(world.did, "x")
    assert fetches(world) == 2


async def test_many_callers_share_one_fetch(world):
    world.hold = asyncio.Event()
    waiting = [asyncio.create_task(world.resolver.keys(world.did, world.kid)) for _ in range(50)]
    await world.asked.wait()
    waiting[0].cancel()
    world.hold.set()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert all(set(keys) == {world.kid} for keys in results[1:])
    assert fetches(world) == 1


async def test_failure_is_kept_for_30_s_and_then_tried_again(world):
    world.status = "404 Not Found"
    for _ in range(3):
        assert (await failure(world)).step == "did-document"
    assert fetches(world) == 1
    world.status = "200 OK"
    world.now_s += 30
    assert set(await world.resolver.keys(world.did, world.kid)) == {world.kid}


async def test_forgotten_did_is_fetched_again(world):
    await world.resolver.keys(world.did, world.kid)
    world.resolver.forget(world.did)
    await world.resolver.keys(world.did, world.kid)
    assert fetches(world) == 2


@pytest.mark.parametrize("status", ["500 Oops", "502 Bad", "503 Busy", "429 Slow", "408 Late"])
async def test_host_in_trouble_is_transient(world, status):
    world.status = status
    for pause_s in (1, 2, 4, 8, 16, 30, 30):
        before = fetches(world)
        for _ in range(2):
            assert (await failure(world, errors.TransientDeliveryError)).retry_after_s == pause_s
        assert fetches(world) == before + 1
        world.now_s += pause_s
    world.status = "200 OK"
    assert set(await world.resolver.keys(world.did, world.kid)) == {world.kid}


async def test_keys_stay_known_while_their_document_is_out_of_reach(world):
    await world.resolver.keys(world.did, world.kid)
    world.status = "503 Busy"
    world.now_s += 299
    await failure(world, errors.TransientDeliveryError, f"{world.did}#other")
    assert fetches(world) == 2
    assert set(await world.resolver.keys(world.did, world.kid)) == {world.kid}
    world.now_s += 1
    await failure(world, errors.TransientDeliveryError)


async def test_keys_are_forgotten_when_their_document_is_gone(world):
    await world.resolver.keys(world.did, world.kid)
    world.status = "404 Not Found"
    world.now_s += 30
    await failure(world, kid=f"{world.did}#other")
    await failure(world)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b"\xff", b"<html>", b'{"id":"did:web:other"}', b"{}", b"[" * 50_000, b'{"a":NaN}',
        b'{"id":"a","id":"b"}', b"x" * 70_000,
    ],
    ids=lambda body: repr(body[:20]),
)  # fmt: skip
async def test_document_that_is_none_is_refused(world, body):
    world.body = body
    assert (await failure(world)).step == "did-document"


async def test_insecure_falls_back_to_https_when_nothing_answers_http(world, monkeypatch):
    asked = []

    async def unreachable(method, url, **_):
        asked.append(url)
        raise errors.TransientDeliveryError("broken")

    monkeypatch.setattr(world.resolver._client, "request", unreachable)
    await failure(world, errors.TransientDeliveryError)
    assert [url.partition("://")[0] for url in asked] == ["http", "https"]


async def test_redirect_of_a_document_is_not_followed(world):
    world.status = "302 Found\r\nLocation: http://127.0.0.1:1/did.json"
    assert "302" in (await failure(world)).message


async def test_key_of_a_foreign_kind_does_not_spoil_the_others(world):
    document = json.loads(world.document())
    foreign = {
        **document["verificationMethod"][0],
        "id": f"{world.did}#rsa",
        "publicKeyJwk": {"kty": "RSA", "n": "A", "e": "B"},
    }
    document["verificationMethod"].append(foreign)
    document["capabilityInvocation"].append(foreign["id"])
    world.body = json.dumps(document).encode()
    assert set(await world.resolver.keys(world.did, world.kid)) == {world.kid}


@pytest.mark.parametrize("name", ["did:web:", "did:key:abc", "did:web:h:..", "x", ""])
async def test_malformed_did_is_refused_and_remembered(world, name):
    for _ in range(2):
        with pytest.raises(errors.IdentityError) as caught:
            await world.resolver.keys(name, name + "#k")
        assert caught.value.step == "did"


@pytest.mark.parametrize(
    "host", ["127.0.0.1%3A6379", "10.0.0.1", "169.254.169.254", "2130706433", "0x7f.1", "localhost", "0"]
)
async def test_did_inside_our_network_is_refused_without_a_connection(serve, answer, host):
    canary = await serve(lambda *_: answer())
    strict = http.HttpClient(http.Guard())
    resolver = did.Resolver(strict, clock_s=lambda: 0.0, insecure=False)
    for name in (f"did:web:{host}", f"did:web:127.0.0.1%3A{canary.port}"):
        with pytest.raises(errors.IdentityError):
            await resolver.keys(name, name + "#k")
    await strict.close()
    assert canary.connections == 0


async def test_memory_for_dids_is_bounded(world, monkeypatch):
    monkeypatch.setattr(did, "MAX_DIDS", 5)
    for number in range(20):
        with pytest.raises(errors.IdentityError):
            await world.resolver.keys(f"did:bad:{number}", "k")
    assert len(world.resolver._known) == 5
    assert not world.resolver._fetching
