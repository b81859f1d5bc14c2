import pytest
from comity.controlplane import decide
from support import schemas, wire
from support.pair import offer_of
from support.process import Process

STRICT={"permission":[{"action":"use","constraint":[{"leftOperand":"dateTime","operator":"lteq","rightOperand":"2099-12-31"}]}]}
PROH={"permission":[{"action":"use"}],"prohibition":[{"action":"use","constraint":[{"leftOperand":"dateTime","operator":"gt","rightOperand":"2099-12-31"}]}]}

async def test_other_assets_offer(site, peer):
    await site.publish("strict", policy=STRICT)
    await site.publish("lax", files={"b.txt": b"x"})
    strict = offer_of(await peer.dataset(site, "strict"))
    lax = offer_of(await peer.dataset(site, "lax"))
    p = Process(peer, site)
    a = await p.ask({**strict, "permission":[{"action":"use"}]})
    assert a.status == 201, a
    await site.reaches(p.theirs, "OFFERED")
    a = await p.send("ContractRequestMessage", offer={**lax, "target":"strict"})
    await site.reaches(p.theirs, "AGREED")
    print(peer.of("/agreement")[-1].document)
    assert 0

async def test_prefixed(site, peer):
    await site.publish("strict", policy=PROH)
    strict = offer_of(await peer.dataset(site, "strict"))
    strict["odrl:prohibition"]=strict.pop("prohibition")
    p = Process(peer, site)
    a = await p.ask(strict)
    assert a.status == 201, a
    await site.reaches(p.theirs, "AGREED")
    print(peer.of("/agreement")[-1].document)
    assert 0

async def test_extra_agreement(site, peer):
    await site.publish("a")
    OFFER={"@id":"urn:o","@type":"Offer","target":"x","permission":[{"action":"use"}]}
    rec = await site.request(peer, OFFER)
    from support.process import awaited
    await site.reaches(rec.id, "REQUESTED")
    p = awaited(peer, site, rec.id)
    a = await p.agree(OFFER, inheritFrom="urn:other", duty=[{"action":"compensate"}])
    print(a)
    assert 0
