"""Keys change while messages are under way: on either side, planned or because one was stolen; nothing is lost."""

import asyncio
import json

import pytest

from comity import errors
from comity.controlplane import catalog, keyring, partners
from comity.db import evidence, public_keys
from comity.evidence import tokens
from comity.identity import jose, token, verify
from comity.net import did
from support import wire
from support.pair import offer_of, wait_for


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    """A document may be fetched again after a moment, not after half a minute."""
    monkeypatch.setattr(did, "REFETCH_S", 0.3)


def kid_of(text):
    return verify.peek(text).kid


@pytest.fixture
async def begin(pair):
    """Begins many negotiations at once."""
    await pair.provider.publish()
    found = await catalog.request(pair.consumer.connector, pair.provider.did)
    offer = offer_of(found["dataset"][0])

    async def begun(number):
        return [await pair.consumer.request(pair.provider, offer) for _ in range(number)]

    return begun


async def all_finalized(site, records):
    await asyncio.gather(*(site.reaches(each.id, "FINALIZED", 30) for each in records))


def statuses(pair):
    return {seen.status for site in pair for seen in site.captured}


async def signed_by(site, kid):
    """Whether the site has sent a message that this key signed."""
    return any(
        kid_of(each["token"]).endswith(kid)
        for each in await site.entries()
        if each["direction"] == "out" and each.get("token")
    )


@pytest.mark.parametrize("side", ["provider", "consumer"])
async def test_a_rotation_with_its_lead_is_not_noticed_by_anyone(pair, begin, side):
    rotating = getattr(pair, side)
    records = await begin(5)
    await keyring.rotate(rotating.connector, lead_s=1, grace_s=60)
    for _ in range(6):
        records += await begin(3)
        await asyncio.sleep(0.25)  # messages go on through the moment at which the new key signs
    await all_finalized(pair.consumer, records)
    assert await signed_by(rotating, "#key-1")
    assert await signed_by(rotating, "#key-2")
    assert statuses(pair) <= {200, 201}


@pytest.mark.parametrize("side", ["provider", "consumer"])
async def test_a_stolen_key_is_replaced_at_once_and_every_message_arrives_all_the_same(pair, begin, side):
    rotating = getattr(pair, side)
    records = await begin(5)
    await keyring.retire(rotating.connector, "key-1")
    records += await begin(5)
    await all_finalized(pair.consumer, records)
    assert await signed_by(rotating, "#key-2")
    assert statuses(pair) <= {200, 201, 401, 503}
    # what was under way with the stolen key is rightly not believed any more; it is signed anew and sent again
    refused = {seen.headers["authorization"] for site in pair for seen in site.captured if seen.status == 401}
    assert {kid_of(each.removeprefix("Bearer ")) for each in refused} <= {f"{rotating.did}#key-1"}


async def test_both_sides_may_rotate_at_the_same_time(pair, begin):
    records = await begin(5)
    for site in pair:
        await keyring.rotate(site.connector, lead_s=0, grace_s=60)
    await all_finalized(pair.consumer, records)
    shown = keyring.show(pair.provider.connector)
    assert [(each["kid"].rpartition("#")[2], each["state"]) for each in shown] == [
        ("key-1", "PUBLISHED"), ("key-2", "SIGNING"),
    ]  # fmt: skip


async def test_a_restart_in_the_middle_of_a_rotation_goes_on_with_it(pair, begin):
    await keyring.rotate(pair.provider.connector, lead_s=3600, grace_s=60)
    records = await begin(3)
    await pair.provider.stop()
    await pair.provider.start()
    await all_finalized(pair.consumer, records)
    assert [each["state"] for each in keyring.show(pair.provider.connector)] == ["SIGNING", "WAITING"]


async def test_what_either_side_signed_is_checked_offline_after_both_keys_are_gone(pair, begin):
    records = await begin(2)
    await all_finalized(pair.consumer, records)
    for site in pair:
        await keyring.retire(site.connector, "key-1")
    more = await begin(2)
    await all_finalized(pair.consumer, more)
    for site in pair:
        files = {path.name for path in (site.folder / "keys").iterdir()}
        assert "connector.pem" not in files
        place = site.conf.database_url or site.conf.database
        checked = await asyncio.to_thread(check_offline, place)
        assert checked.without_key == 0
        assert checked.held == checked.bound > 10
        assert (checked.unsigned_requests, checked.unsigned_replies) == (0, 0)
        assert checked.requests == checked.held
        assert checked.replies > 10
        kids = {
            (each.participant_id, each.kid.rpartition("#")[2])
            for each in await asyncio.to_thread(public_keys.read_all, place)
        }
        assert kids == {(one.did, kid) for one in pair for kid in ("key-1", "key-2")}


def check_offline(place):
    checked = tokens.Tokens((each.kid, each.jwk) for each in public_keys.read_all(place))
    for seq, record, text in evidence.read_tokens(place):
        checked.check(seq, json.loads(record), text)
    return checked.counts


# --- partners who change their keys, or pinned ours


async def test_a_partner_that_changes_its_key_without_a_word_is_asked_to_come_again(site, peer):
    assert (await peer.get(site, "/negotiations/urn:x")).status == 404
    peer.key = jose.SigningKey.generate(f"{peer.did}#key-2")
    early = await peer.get(site, "/negotiations/urn:x")
    assert early.status == 503
    assert early.headers["Retry-After"] == "1"
    assert "is fetched again" in early.reason

    async def believed():
        return (await peer.get(site, "/negotiations/urn:x")).status == 404

    await wait_for(believed)


async def test_a_key_that_was_taken_out_is_believed_no_longer_than_a_document_is_kept(
    site, peer, monkeypatch
):
    monkeypatch.setattr(did, "FRESH_S", 0.5)
    monkeypatch.setattr(did, "REFETCH_S", 0.5)
    stolen = peer.key
    assert (await peer.get(site, "/negotiations/urn:x")).status == 404
    peer.key = jose.SigningKey.generate(f"{peer.did}#key-2")

    async def refused():
        text = token.issue(
            stolen,
            issuer=peer.did,
            audience=site.did,
            jti=wire.new_id(),
            now_s=site.connector.now_ms() // 1000,
        )
        return (await peer.get(site, "/negotiations/urn:x", authorization=f"Bearer {text}")).status == 401

    await wait_for(refused)


async def test_an_unknown_key_of_a_partner_is_refused_once_its_document_was_looked_at(site, peer):
    forged = jose.SigningKey.generate(f"{peer.did}#key-9")

    async def refused():
        answer = await peer.get(site, "/negotiations/urn:x", key=forged)
        assert answer.status in {401, 503}
        return answer.status == 401

    await wait_for(refused)


async def test_a_partner_with_pinned_keys_is_told_so_and_goes_on_when_the_new_key_is_added(started):
    provider, consumer = await started("provider"), await started("consumer")
    await provider.befriend(consumer, pin=True)
    await consumer.befriend(provider)
    await provider.publish()
    await keyring.rotate(consumer.connector, lead_s=0, grace_s=60)
    with pytest.raises(errors.PermanentDeliveryError, match="are pinned here") as caught:
        await catalog.request(consumer.connector, provider.did)
    assert caught.value.status == 401
    await partners.add(provider.connector, consumer.did, pin=True)
    assert (await catalog.request(consumer.connector, provider.did))["dataset"]


async def test_a_did_document_is_not_kept_by_caches_on_the_way(site, peer):
    async with peer._session.get(f"{site.conf.address}/.well-known/did.json") as answer:
        assert answer.headers["Cache-Control"] == "no-store"
