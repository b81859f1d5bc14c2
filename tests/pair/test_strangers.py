"""Who is asking: partners, and tokens that come again. Hostile tokens and callers are in tests/hostile."""

import pytest

from comity.controlplane import decide, partners
from comity.identity import jose
from support import wire
from support.pair import offer_of
from support.peer import Peer
from support.process import Process, finalized, started, transfer


@pytest.fixture
async def other(peers, site):
    """A second partner, with an identity as good as the first one's."""
    made = await peers()
    await site.befriend(made)
    return made


async def test_a_third_party_can_use_the_same_pids_for_its_own_processes(site, peer, other):
    await site.publish()
    mine, theirs = Process(peer, site), Process(other, site)
    theirs.pid = mine.pid
    offer = offer_of(await peer.dataset(site))
    assert (await mine.ask(offer)).status == (await theirs.ask(offer)).status == 201
    assert mine.theirs != theirs.theirs


async def test_data_of_another_partners_agreement_is_refused_like_an_unknown_one(site, peer, other):
    await site.publish()
    _, agreement_id = await finalized(peer, site)
    answers = [await transfer(other, site).request_data(each) for each in (agreement_id, "urn:unknown")]
    assert [answer.status for answer in answers] == [400, 400]
    assert answers[0].document["reason"] == answers[1].document["reason"]
    assert await site.rows("SELECT 1 FROM transfer") == []


async def refused(peer, site, step="", **more):
    await site.publish()
    process = Process(peer, site)
    offer = {"@id": "urn:o", "@type": "Offer", "target": "asset", "permission": [{"action": "use"}]}
    document = process.message("ContractRequestMessage", offer=offer, callbackAddress=peer.dsp)
    answer = await peer.send(site, "/negotiations/request", document, **more)
    assert answer.status == 401, answer.body
    assert answer.document["@type"] == "ContractNegotiationError"
    assert await site.rows("SELECT 1 FROM token_use") == []
    return answer.reason


async def test_a_token_signed_with_another_key_is_refused(site, peer):
    assert "signature" in await refused(peer, site, key=jose.SigningKey.generate(peer.key.kid))


async def test_who_is_not_on_the_list_is_refused_and_its_document_is_never_fetched(site, peers):
    stranger = await peers()
    assert "not a partner" in await refused(stranger, site)
    assert stranger.received == []


async def test_a_removed_partner_is_refused_at_once_everywhere(site, peer):
    await site.publish()
    negotiation, agreement_id = await finalized(peer, site)
    _, endpoint, data_token = await started(peer, site, agreement_id)
    assert (await peer.fetch(endpoint, data_token)).status == 200
    await partners.remove(site.connector, peer.did)
    assert (await peer.get(site, f"/negotiations/{negotiation.theirs}")).status == 401
    assert (await peer.get(site, "/catalog/datasets/asset")).status == 401
    assert (await peer.send(site, "/catalog/request", wire.message("CatalogRequestMessage"))).status == 401
    assert (await transfer(peer, site).request_data(agreement_id)).status == 401
    assert (await peer.fetch(endpoint, data_token)).status == 401


async def test_nothing_more_is_sent_to_a_partner_that_was_removed(site, peer):
    await site.publish()
    _, agreement_id = await finalized(peer, site)
    process, _, _ = await started(peer, site, agreement_id)
    await peer.disappear()
    await site.move(process.theirs, decide.SUSPEND, reason="x")
    await partners.remove(site.connector, peer.did)
    assert await site.outbox() == []
    assert await site.state(process.theirs) == "TERMINATED"


async def test_a_partner_whose_document_cannot_be_fetched_is_asked_to_try_again(started, peer, monkeypatch):
    site = await started("other")
    await partners.add(site.connector, peer.did, address=peer.dsp)
    peer.did_status = 503
    answer = await peer.get(site, "/negotiations/urn:x")
    assert answer.status == 503
    assert answer.headers["Retry-After"]
    assert answer.document["@type"] == "ContractNegotiationError"


async def test_a_pinned_key_counts_without_its_document(started, peer):
    site = await started("pinned")
    await partners.add(
        site.connector, peer.did, address=peer.dsp, keys=[{**peer.key.public_jwk(), "kid": peer.key.kid}]
    )
    peer.did_status = 503
    assert (await peer.get(site, "/negotiations/urn:x")).status == 404


class TestTokenReuse:
    async def test_the_same_token_with_the_same_body_is_answered_again(self, site, peer):
        await site.publish()
        process = Process(peer, site)
        offer = offer_of(await peer.dataset(site))
        document = wire.encode(
            process.message("ContractRequestMessage", offer=offer, callbackAddress=peer.dsp)
        )
        authorization = "Bearer " + peer.token(site.did, document)
        first = await peer.send(site, "/negotiations/request", document, authorization=authorization)
        again = await peer.send(site, "/negotiations/request", document, authorization=authorization)
        assert (first.status, first.body) == (again.status, again.body)
        assert len(await site.rows("SELECT 1 FROM negotiation")) == 1

    async def test_the_same_jti_with_another_body_or_path_is_refused(self, site, peer):
        await site.publish()
        process, other = Process(peer, site), Process(peer, site)
        offer = offer_of(await peer.dataset(site))
        assert (await process.ask(offer)).status == 201
        await site.reaches(process.theirs, "AGREED")
        authorization = "Bearer " + peer.token(site.did, None)
        path = f"/negotiations/{process.theirs}"
        assert (await peer.get(site, path, authorization=authorization)).status == 200
        document = other.message("ContractRequestMessage", offer=offer, callbackAddress=peer.dsp)
        answer = await peer.send(site, "/negotiations/request", document, authorization=authorization)
        assert answer.status == 401
        assert "another request" in answer.reason
        assert (await peer.get(site, "/catalog/datasets/asset", authorization=authorization)).status == 401
        assert len(await site.rows("SELECT 1 FROM negotiation")) == 1

    async def test_a_jti_counts_for_its_issuer_only(self, site, peer, other):
        for each in (peer, other):
            assert (await each.get(site, "/catalog/datasets/none", jti="urn:same")).status == 404

    async def test_a_used_token_stays_used_after_a_restart(self, site, peer):
        await site.publish()
        authorization = "Bearer " + peer.token(site.did, None)
        assert (await peer.get(site, "/catalog/datasets/asset", authorization=authorization)).status == 200
        await site.stop()
        await site.start()
        assert (await peer.get(site, "/catalog/datasets/none", authorization=authorization)).status == 401


def test_peers_have_names_of_their_own():
    assert Peer().did != Peer().did
