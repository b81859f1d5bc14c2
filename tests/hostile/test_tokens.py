"""Hostile tokens at the listener: each refused with 401 and a sentence that says what to change, and nothing else.

What a token may look like is `support.forging`'s table, which tests/unit/identity/test_verify.py takes one by one at
the check itself; here they come over HTTP, beside what only a listener can meet: headers, DID documents, repeats.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import time

import aiohttp
import pytest

from comity.controlplane import decide, partners
from comity.identity import jose
from comity.net import did as did_net
from support import schemas, wire
from support.forging import Forger
from support.pair import offer_of, wait_for
from support.process import Process, finalized
from support.process import started as started_transfer

BODY = wire.encode(wire.message("CatalogRequestMessage"))
HEADER = frozenset(map(chr, range(0x20, 0x7F)))
NO_ATTACK = {"space-before"}  # white space between scheme and token means nothing (RFC 9110, section 11.4)
FACTS = ("Traceback", ".py", "sqlite", "SELECT", "BEGIN", "keys/", "/tmp")
"""What no answer must have of us."""


def forger(site, peer, **more):
    return Forger(
        peer.did, peer.key.kid, site.did, peer.key, jose.SigningKey.generate(peer.key.kid),
        int(time.time()), BODY, **more,
    )  # fmt: skip


async def ask(site, session, *headers, path="/catalog/request", method="POST", body=BODY):
    """Send a request with exactly these headers."""
    sent = [("Content-Type", "application/json"), *headers]
    async with session.request(method, site.dsp + path, data=body or None, headers=sent) as answer:
        return answer.status, answer.headers, await answer.read(), await reason(answer)


async def reason(answer):
    try:
        return (await answer.json())["reason"][0]
    except (ValueError, KeyError, aiohttp.ContentTypeError):
        return ""


def bearer(token):
    return ("Authorization", f"Bearer {token}")


async def ask_raw(site, authorization: bytes):
    """Send a head that no library would write; return the status, 0 if the connection ends without one."""
    host, port = site.conf.listen.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = (
        b"POST /dsp/2025-1/catalog/request HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n"
    )
    writer.write(head % len(BODY) + authorization + b"\r\n\r\n" + BODY)
    try:
        async with asyncio.timeout(5):
            line = await reader.readline()
    except ConnectionError:
        line = b""
    writer.transport.abort()
    return int(line.split()[1]) if line else 0


@pytest.fixture
async def session():
    async with aiohttp.ClientSession(headers={"User-Agent": "scripted"}) as made:
        yield made


@pytest.fixture
async def untouched(site):
    """What a request that is refused must leave in the store: nothing."""

    async def rows():
        return [
            await site.rows(f"SELECT count(*) FROM {name}")
            for name in ("token_use", "evidence", "negotiation")
        ]

    before = await rows()
    yield
    assert await rows() == before


def is_clear(text):
    """Whether a refusal is a sentence of one line that tells its reader something."""
    return 12 < len(text) < 700 and text.isprintable() and any(word in text for word in WORDS)


WORDS = ("token", "kid", "aud", "exp", "nbf", "iat", "jti", "iss", "sub", "alg", "typ", "header", "signature", "body",
         "claim", "partner", "key")  # fmt: skip


async def test_hostile_tokens_are_refused_with_what_to_change(site, peer, session, untouched, monkeypatch):
    monkeypatch.setattr(did_net, "REFETCH_S", 0.0)  # an unknown key is looked for at once, and refused
    made = forger(site, peer)
    sent = 0
    for name, token, _ in made.hostile():
        if name in NO_ATTACK or not HEADER.issuperset(token) or not token or len(token) > 8000:
            continue
        status, _, body, text = await ask(site, session, bearer(token))
        assert status == 401, (name, status, body)
        assert is_clear(text), (name, text)
        assert not any(each in text for each in FACTS), (name, text)
        assert not schemas.problems({"@context": [wire.CONTEXT], "@type": "CatalogError", "reason": [text]})
        sent += 1
    print(f"hostile tokens at the listener for partners: {sent}")  # noqa: T201  a figure to be read
    assert sent >= 130


async def test_what_no_header_can_hold_is_refused_too(site, peer, untouched):
    good = forger(site, peer).make()
    for name, each in {
        "1 MB": b"a" * 1_000_000,
        "not ASCII": good.encode() + "é".encode(),
        "new line": good.encode()[:50] + b"\r\n " + good.encode()[50:],
        "NUL": good.encode() + b"\0",
        "another header": b"x\r\nAuthorization: Bearer " + good.encode(),
        "7 KiB of spaces": b" " * 7000,
    }.items():
        assert await ask_raw(site, b"Authorization: Bearer " + each) in {0, 400, 401}, name
    for head in (
        b"Authorization : Bearer " + good.encode(),
        b" Authorization: Bearer " + good.encode(),
        b"Proxy-Authorization: Bearer " + good.encode(),
    ):
        assert await ask_raw(site, head) in {400, 401}, head[:20]


async def test_a_token_in_any_other_place_or_form_is_none(site, peer, session, untouched):
    good, other = forger(site, peer).make(), forger(site, peer, jti="urn:2").make()
    for name, headers in {
        "no header": (),
        "two headers": (bearer(good), bearer(other)),
        "the same header twice": (bearer(good), bearer(good)),
        "a bad one behind": (bearer(good), bearer("x.y.z")),
        "a bad one before": (bearer("x.y.z"), bearer(good)),
        "two in one": (("Authorization", f"Bearer {good}, Bearer {other}"),),
        "bare": (("Authorization", good),),
        "another scheme": (("Authorization", f"Token {good}"),),
        "basic": (("Authorization", "Basic " + base64.b64encode(f"x:{good}".encode()).decode()),),
        "a colon": (("Authorization", f"Bearer: {good}"),),
        "a tab": (("Authorization", f"Bearer\t{good}"),),
        "quoted": (("Authorization", f'Bearer "{good}"'),),
        "a word behind": (("Authorization", f"Bearer {good} x"),),
        "twice bearer": (("Authorization", f"Bearer Bearer {good}"),),
        "padded": (bearer(good + "="),),
        "an API key's header": (("X-Api-Key", good),),
        "a cookie": (("Cookie", f"Authorization=Bearer {good}"),),
        "a name without proof": (("Authorization", f'{{"clientId":"{peer.did}","audience":"{site.did}"}}'),),
    }.items():
        status, _, body, text = await ask(site, session, *headers)
        assert status == 401, (name, body)
        assert is_clear(text), (name, text)
    status, *_ = await ask(site, session, path=f"/catalog/request?access_token={good}")
    assert status == 401


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer  "])
async def test_a_good_token_is_taken(site, peer, session, scheme):
    token = forger(site, peer).make(body_sha256=hashlib.sha256(BODY).hexdigest())
    status, *_ = await ask(site, session, ("Authorization", f"{scheme} {token}"))
    assert status == 200


@pytest.mark.parametrize(
    ("shift_s", "status"), [(-389, 200), (-361, 200), (-301, 200), (-391, 401), (-700, 401)]
)
async def test_a_token_counts_until_90_s_after_its_end_so_that_clocks_may_differ(site, peer, shift_s, status):
    """A token of 300 s: one that ended 1 s or 61 s ago is a clock that is slow, one of 91 s ago is old."""
    assert (await peer.get(site, "/catalog/datasets/x", later_s=shift_s)).status == (
        404 if status == 200 else 401
    )


BODIES = {
    "another body": lambda body: body.replace(b"Catalog", b"catalog"),
    "a space more": lambda body: body + b" ",
    "no body": lambda body: b"",
    "another order": lambda body: wire.encode(dict(reversed(wire.message("CatalogRequestMessage").items()))),
}


@pytest.mark.parametrize("change", BODIES.values(), ids=BODIES)
async def test_a_token_is_for_its_body_only(site, peer, session, untouched, change):
    token = forger(site, peer).make(body_sha256=hashlib.sha256(BODY).hexdigest())
    status, _, _, text = await ask(site, session, bearer(token), body=change(BODY))
    assert (status, text) == (
        401,
        "body_sha256 is not the digest of this body (sign the exact bytes that are sent)",
    )


def purposes(peer, *names):
    """Changes of a DID document: the key is there, but only for these purposes."""
    listed = {name: [] for name in ("authentication", "assertionMethod", "capabilityInvocation")}
    return listed | {name: [peer.key.kid] for name in names}


def method(peer, **changes):
    jwk = {name: text for name, text in peer.key.public_jwk().items() if name != "kid"}
    good = {"id": peer.key.kid, "type": "JsonWebKey2020", "controller": peer.did, "publicKeyJwk": jwk}
    return {"verificationMethod": [{**good, **changes}]}


DOCUMENTS = {
    "another's document": lambda peer: {"id": "did:web:somebody.example"},
    "no id": lambda peer: {"id": None},
    "its id in a list": lambda peer: {"id": [peer.did]},
    "its id with a slash": lambda peer: {"id": peer.did + "/"},
    "a key for authentication only": lambda peer: purposes(peer, "authentication"),
    "a key for assertions only": lambda peer: purposes(peer, "assertionMethod"),
    "a key for nothing": purposes,
    "no keys": lambda peer: {"verificationMethod": []},
    "the key twice": lambda peer: {"verificationMethod": method(peer)["verificationMethod"] * 2},
    "another's key": lambda peer: method(peer, controller="did:web:somebody.example"),
    "another key of this name": lambda peer: method(
        peer, publicKeyJwk=jose.SigningKey.generate(peer.key.kid).public_jwk()
    ),
    "a key of RSA": lambda peer: method(peer, publicKeyJwk={"kty": "RSA", "n": "AQAB", "e": "AQAB"}),
    "a secret key": lambda peer: method(peer, publicKeyJwk={"kty": "oct", "k": "AAAA"}),
    "a key for encryption": lambda peer: method(peer, publicKeyJwk={**peer.key.public_jwk(), "use": "enc"}),
    "a private key": lambda peer: method(peer, publicKeyJwk={**peer.key.public_jwk(), "d": "A" * 43}),
    "a point off the curve": lambda peer: method(peer, publicKeyJwk={**peer.key.public_jwk(), "y": "A" * 43}),
}


@pytest.mark.parametrize("change", DOCUMENTS.values(), ids=DOCUMENTS)
async def test_a_document_that_does_not_list_the_key_for_this_makes_its_tokens_worthless(site, peer, change):
    peer.did_changes = change(peer)
    answer = await peer.get(site, "/catalog/datasets/x")
    assert answer.status == 401, answer.body
    assert is_clear(answer.reason)


async def test_a_pinned_key_is_the_only_one_whatever_the_document_says(started, peer):
    site = await started("pinned")
    other = jose.SigningKey.generate(f"{peer.did}#key-2")
    await partners.add(
        site.connector, peer.did, address=peer.dsp, keys=[{**other.public_jwk(), "kid": other.kid}]
    )
    answer = await peer.get(site, "/catalog/datasets/x")
    assert (answer.status, "pinned" in answer.reason) == (401, True)
    assert (await peer.get(site, "/catalog/datasets/x", key=other)).status == 404


async def test_a_key_that_was_revoked_opens_nothing_a_minute_later_at_the_latest(site, peer, monkeypatch):
    assert did_net.FRESH_S <= 60
    assert (await peer.get(site, "/catalog/datasets/x")).status == 404
    stolen, peer.key = peer.key, jose.SigningKey.generate(f"{peer.did}#key-2")
    monkeypatch.setattr(did_net, "FRESH_S", 0.05)
    monkeypatch.setattr(did_net, "REFETCH_S", 0.05)

    async def refused():
        return (await peer.get(site, "/catalog/datasets/x", key=stolen)).status == 401

    await wait_for(refused)


async def test_of_100_copies_of_a_request_at_once_one_counts_and_all_are_answered_alike(site, peer):
    await site.publish()
    process = Process(peer, site)
    offer = offer_of(await peer.dataset(site))
    document = wire.encode(process.message("ContractRequestMessage", offer=offer, callbackAddress=peer.dsp))
    authorization = "Bearer " + peer.token(site.did, document)
    answers = await asyncio.gather(
        *(peer.send(site, "/negotiations/request", document, authorization=authorization) for _ in range(100))
    )
    assert {(answer.status, answer.body) for answer in answers} == {(201, answers[0].body)}
    assert len(await site.rows("SELECT 1 FROM negotiation")) == 1


async def test_of_100_requests_with_one_token_exactly_one_is_taken(site, peer):
    await site.publish()
    offer = offer_of(await peer.dataset(site))
    authorization = "Bearer " + peer.token(site.did, None)
    documents = [
        Process(peer, site).message("ContractRequestMessage", offer=offer, callbackAddress=peer.dsp)
        for _ in range(100)
    ]
    answers = await asyncio.gather(
        *(peer.send(site, "/negotiations/request", each, authorization=authorization) for each in documents)
    )
    assert sorted(answer.status for answer in answers) == [201] + [401] * 99
    assert all("another request" in answer.reason for answer in answers if answer.status == 401)
    assert len(await site.rows("SELECT 1 FROM negotiation")) == 1


@pytest.fixture
async def flowing(site, peer):
    """A transfer that runs: the address and the token of its data."""
    await site.publish()
    _, agreement_id = await finalized(peer, site)
    return await started_transfer(peer, site, agreement_id)


def changed(token, site, peer):
    """What is no data token of this transfer, by name."""
    claims = {"sub": "x", "exp": int(time.time()) + 300}
    letter = "B" if token[0] != "B" else "C"
    return {
        "empty": "", "a word": "token", "spaces": "    ", "shorter": token[:-1], "longer": token + "A",
        "another letter": letter + token[1:], "another case": token.swapcase(), "backwards": token[::-1],
        "padded": token + "=", "a space inside": token[:20] + " " + token[20:], "twice": token * 2,
        "as a list": f"{token}, {token}", "bearer twice": f"Bearer {token}", "quoted": f'"{token}"',
        "its digest": hashlib.sha256(token.encode()).hexdigest(),
        "its digest, as it is stored": base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).decode(),
        "in base64": base64.b64encode(token.encode()).decode(), "percent-encoded": "%41" + token[1:],
        "512 characters": "A" * 512, "513 characters": "A" * 513, "SQL": "' OR token_sha256 IS NOT NULL --",
        "a pattern": "%" * 43, "a path": "../../../etc/passwd/and/more",
        "a control token": peer.token(site.did, b""),
        "a control token in our name": peer.token(site.did, b"", issuer=site.did),
        "alg none": "eyJhbGciOiJub25lIn0." + base64.urlsafe_b64encode(wire.encode(claims)).decode().rstrip("=") + ".",
        "a JWT of ours": site.connector.signing_keys.signing_key().sign(claims),
        "the management key": site.conf.management_key,
    }  # fmt: skip


async def test_hostile_data_tokens_open_nothing(site, peer, session, flowing):
    _, endpoint, token = flowing
    hostile = changed(token, site, peer)
    assert len(hostile) >= 20
    for name, each in hostile.items():
        for value in (f"Bearer {each}", each):
            if value == f"Bearer {token}":
                continue  # "bearer twice", bare: that is how it should be
            async with session.get(endpoint, headers={"Authorization": value}) as answer:
                assert answer.status == 401, (name, value)
                found = await answer.json()
                assert found["code"] == "identity"
                assert not any(each in found["message"] for each in FACTS)
    async with session.get(f"{endpoint}?token={token}&access_token={token}") as answer:
        assert answer.status == 401
    two = [("Authorization", f"Bearer {token}"), ("Authorization", f"Bearer {token}")]
    async with session.get(endpoint, headers=two) as answer:
        assert answer.status == 401
    print(f"hostile data tokens: {len(hostile)}")  # noqa: T201  a figure to be read


@pytest.mark.parametrize("form", ["Bearer {}", "bearer {}", "{}"])
async def test_a_good_data_token_is_taken(session, flowing, form):
    _, endpoint, token = flowing
    async with session.get(endpoint, headers={"Authorization": form.format(token)}) as answer:
        assert answer.status == 200


async def test_a_data_token_of_before_a_pause_opens_nothing_after_it(site, peer, flowing):
    process, endpoint, token = flowing
    await site.move(process.theirs, decide.SUSPEND, reason="x")
    assert (await peer.fetch(endpoint, token)).status in {401, 403}
    await site.reaches(process.theirs, "SUSPENDED")
    await site.move(process.theirs, decide.START)
    await site.reaches(process.theirs, "STARTED")
    assert (await peer.fetch(endpoint, token)).status == 401
    await site.move(process.theirs, decide.TERMINATE, reason="x")
    assert (await peer.fetch(endpoint, token)).status == 401
