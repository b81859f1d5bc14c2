"""HTTP Message Signatures between a connector and a scripted partner: held, missing, spoiled, and demanded."""

from __future__ import annotations

import time
from hashlib import sha256

import pytest
from aiohttp import web

from comity.identity import http_signature as signatures
from comity.identity import jose
from comity.identity.http_signature import Fields
from support import wire
from support.pair import wait_for
from support.peer import raw

OFFER = {"@id": "urn:offer:1", "@type": "Offer", "target": "asset", "permission": [{"action": "use"}]}
REQUEST = "/negotiations/request"


def first(peer):
    return wire.message(
        "ContractRequestMessage", consumerPid=wire.new_id(), offer=OFFER, callbackAddress=peer.dsp
    )


def digest_of(body):
    return sha256(body).hexdigest()


def signed(peer, body, url, *, method="POST", key=None, created=None):
    """The fields of a request of the peer to a URL."""
    key = key or peer.key
    lines = signatures.request_lines(method, url, digest_of(body))
    made = signatures.sign(
        key, key.kid, signatures.REQUEST, lines, created=int(time.time()) if created is None else created
    )
    return signatures.fields(made, digest_of(body))


def fields_of(headers):
    return Fields(*(headers.get(name, "") for name in ("Content-Digest", "Signature-Input", "Signature")))


def answering(body=None, *, spoil=None):
    """Answer politely (or with `body`) and sign it, or as `spoil` changes the fields."""

    async def answer(peer, request, seen):
        polite = peer.polite(request, seen)
        content = polite.body if body is None else body
        lines = signatures.reply_lines(
            polite.status, digest_of(content), "POST", str(request.url), digest_of(seen.body)
        )
        made = signatures.sign(peer.key, peer.key.kid, signatures.REPLY, lines, created=int(time.time()))
        headers = signatures.fields(made, digest_of(content))
        if spoil:
            spoil(headers)
        return web.Response(
            body=content, status=polite.status, headers=headers, content_type="application/json"
        )

    return answer


async def only_record(site, direction):
    (found,) = [
        each
        for each in await site.entries()
        if each["direction"] == direction and each["kind"] == "negotiation"
    ]
    return found


async def test_each_side_signs_and_holds_what_the_other_one_signed(site, peer):
    peer.script(REQUEST, answering())
    record = await site.request(peer, OFFER)
    await site.reaches(record.id, "REQUESTED")
    (got,) = peer.of(REQUEST)
    found = signatures.read(fields_of(got.headers))
    key = jose.public_key(site.connector.signing_keys.signing_key().public_jwk())
    lines = signatures.request_lines("POST", peer.dsp + REQUEST, digest_of(got.body))
    signatures.check_signer(found, site.did)
    signatures.check(found, lines, keys={found.keyid: key}, now_s=int(time.time()))
    kept = await only_record(site, "out")
    assert kept["request"]["signature"] == found.text
    assert kept["reply"]["signatureInput"].startswith(signatures.REPLY)
    assert "note" not in kept["reply"]
    (row,) = await site.rows("SELECT body, answer FROM evidence WHERE body = ?1", got.body)
    assert digest_of(row[1]) == kept["reply"]["sha256"]
    assert [row[0] for row in await site.rows("SELECT kid FROM public_key WHERE participant_id = ?1", peer.did)] == [
        peer.key.kid
    ]  # fmt: skip


async def test_a_partner_that_does_not_sign_works_and_the_record_says_so(site, peer):
    record = await site.request(peer, OFFER)
    await site.reaches(record.id, "REQUESTED")
    assert (await only_record(site, "out"))["reply"]["note"] == "not signed"
    others = {"Signature-Input": 'sig1=("@authority");tag="edc"', "Signature": "sig1=:AA==:"}
    for fields in ({}, others):
        answer = await peer.get(site, "/negotiations/urn:x", fields=fields)
        assert answer.status == 404
        found = signatures.read(fields_of(answer.headers))
        assert found.covered == signatures.REPLY_TO_UNSIGNED
    assert (await peer.send(site, REQUEST, first(peer))).status == 400
    kept = await only_record(site, "in")
    assert kept["request"] == {"method": "POST", "target": site.dsp + REQUEST, "note": "not signed"}
    assert (kept["outcome"], kept["reply"]["status"]) == ("refused", 400)
    assert kept["reply"]["signatureInput"].startswith(signatures.REPLY_TO_UNSIGNED)


BAD_REQUESTS = {
    "another address": ({"url": "https://other.example" + REQUEST}, "not one of"),
    "another method": ({"method": "PUT"}, "not one of"),
    "another content": ({"body": b"{}"}, "Content-Digest"),
    "of long ago": ({"created": 1_700_000_000}, "check the clocks"),
    "of another key": ({"key": jose.SigningKey.generate("did:web:x#key-1")}, "and the token by"),
}


@pytest.mark.parametrize("change", BAD_REQUESTS)
async def test_a_request_whose_signature_does_not_hold_is_refused_with_the_reason(site, peer, change):
    changes, words = BAD_REQUESTS[change]
    body = wire.encode(first(peer))
    fields = signed(peer, **{"body": body, "url": site.dsp + REQUEST, **changes})
    answer = await peer.send(site, REQUEST, body, fields=fields)
    assert answer.status == 401
    assert "signature does not hold" in answer.reason
    assert words in answer.reason
    good = signed(peer, body, site.dsp + REQUEST)
    assert (await peer.send(site, REQUEST, body, fields=good)).status == 400  # the offer is unknown


SPOILED = {
    "content": answering(
        b"<html>log in</html>", spoil=lambda headers: headers.update({"Content-Digest": "x"})
    ),
    "signature": answering(spoil=lambda headers: headers.update({"Signature": f"comity=:{'A' * 86}==:"})),
    "key": answering(
        spoil=lambda headers: headers.update(
            {"Signature-Input": headers["Signature-Input"].replace("#key-1", "#key-2")}
        )
    ),
}


@pytest.mark.parametrize("what", SPOILED)
async def test_an_answer_whose_signature_does_not_hold_is_asked_for_again(site, peer, what):
    peer.script(REQUEST, SPOILED[what], answering())
    record = await site.request(peer, OFFER)
    await site.reaches(record.id, "REQUESTED")
    kept = await only_record(site, "out")
    assert (kept["attempts"], "note" in kept["reply"]) == (2, False)


async def test_of_a_partner_that_has_to_sign_nothing_unsigned_is_taken(site, peer):
    await site.befriend(peer, signed=True)
    refused = await peer.send(site, REQUEST, first(peer))
    assert (refused.status, "nothing unsigned" in refused.reason) == (401, True)
    peer.script(REQUEST, status_of_a_network, raw(b"x" * (1 << 20) + b"x"))
    record = await site.request(peer, OFFER)

    async def tried():
        return [row for row in await site.outbox() if row[0] == record.id and row[2] > 2]

    await wait_for(tried, "")
    assert "has to sign" in (await site.outbox())[0][3]
    peer.script(REQUEST, *[answering()] * 9)
    await site.reaches(record.id, "REQUESTED")


async def status_of_a_network(peer, request, seen):
    """Refuse, as something between the two may, without a signature."""
    return web.json_response({"reason": ["no"]}, status=400)
