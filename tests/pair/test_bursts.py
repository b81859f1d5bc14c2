"""A hundred copies of a message at once: one effect and a hundred equal answers, for each message, in both roles.

Copies with a token each are what a sender makes that asks again and again; copies with the same token are what a
network makes of one request. The first are tried on SQLite, the second on PostgreSQL; `COMITY_BURSTS=all` tries both on
both.
"""

import asyncio
import os

import pytest

from comity.dsp import machine
from comity.dsp.terms import CONSUMER, PROVIDER
from support import stores, wire
from support.pair import offer_of, wait_for
from support.process import PATHS, Process, awaited, bought, finalized, started, transfer

COPIES = 100
OFFER = {"@id": "urn:offer:1", "@type": "Offer", "target": "asset", "permission": [{"action": "use"}]}
ADDRESS = {
    "@type": "DataAddress",
    "endpointType": "https://w3id.org/idsa/v4.1/HTTP",
    "endpoint": "http://127.0.0.1:1/data",
    "endpointProperties": [{"@type": "EndpointProperty", "name": "authorization", "value": "secret"}],
}


async def on_sale(site, peer):
    await site.publish()
    return offer_of(await peer.dataset(site))


async def asking(site, peer):
    """The peer, as consumer, is about to ask."""
    offer = await on_sale(site, peer)
    return Process(peer, site), {"offer": offer, "callbackAddress": peer.dsp}


async def offered(site, peer):
    """The site, as provider, has made an offer that the peer has not answered."""
    offer = await on_sale(site, peer)
    record = await site.offer(peer, offer)
    await site.reaches(record.id, "OFFERED")
    return Process(peer, site, pid=peer.pid_for(record.id), theirs=record.id), {"offer": offer}


async def agreed(site, peer):
    process = Process(peer, site)
    assert (await process.ask(await on_sale(site, peer))).status == 201
    await site.reaches(process.theirs, "AGREED")
    return process, {}


async def proposing(site, peer):
    """The peer, as provider, is about to make an offer."""
    return Process(peer, site, consumer=False), {"offer": OFFER, "callbackAddress": peer.dsp}


async def requested(site, peer):
    """The site, as consumer, has asked for what the peer offers."""
    record = await site.request(peer, OFFER)
    await site.reaches(record.id, "REQUESTED")
    agreement = wire.agreement(OFFER, assigner=peer.did, assignee=site.did)
    return awaited(peer, site, record.id), {"offer": OFFER, "agreement": agreement}


async def verified(site, peer):
    process, more = await requested(site, peer)
    assert (await process.send("ContractAgreementMessage", agreement=more["agreement"])).status == 200
    await site.reaches(process.theirs, "VERIFIED")
    return process, {}


async def buying(site, peer):
    """The peer, as consumer, is about to ask for data."""
    await site.publish()
    _, agreement_id = await finalized(peer, site)
    more = {"agreementId": agreement_id, "format": "HttpData-PULL", "callbackAddress": peer.dsp}
    return transfer(peer, site), more


async def provided(site, peer):
    """The site provides data to the peer."""
    _, more = await buying(site, peer)
    process, *_ = await started(peer, site, more["agreementId"])
    return process, {}


async def paused(site, peer):
    process, _ = await provided(site, peer)
    assert (await process.send("TransferSuspensionMessage", reason=["a pause"])).status == 200
    await site.reaches(process.theirs, "SUSPENDED")
    return process, {}


async def awaiting(site, peer):
    """The site, as consumer, waits for data from the peer."""
    record = await site.ask_for_data((await bought(peer, site)).id)
    await site.reaches(record.id, "REQUESTED")
    return awaited(peer, site, record.id, collection="transfers"), {"dataAddress": ADDRESS}


async def consuming(site, peer):
    process, more = await awaiting(site, peer)
    assert (await process.send("TransferStartMessage", **more)).status == 200
    await site.reaches(process.theirs, "STARTED")
    return process, {}


CASES = [
    (PROVIDER, machine.REQUEST, asking, 1),
    (PROVIDER, machine.REQUEST, offered, 1),
    (PROVIDER, machine.ACCEPT, offered, 1),
    (PROVIDER, machine.VERIFICATION, agreed, 1),
    (PROVIDER, machine.NEGOTIATION_TERMINATION, agreed, 0),
    (CONSUMER, machine.OFFER, proposing, 0),
    (CONSUMER, machine.OFFER, requested, 0),
    (CONSUMER, machine.AGREEMENT, requested, 1),
    (CONSUMER, machine.FINALIZE, verified, 0),
    (CONSUMER, machine.NEGOTIATION_TERMINATION, requested, 0),
    (PROVIDER, machine.TRANSFER_REQUEST, buying, 1),
    (PROVIDER, machine.START, paused, 1),
    (PROVIDER, machine.SUSPENSION, provided, 0),
    (PROVIDER, machine.COMPLETION, provided, 0),
    (PROVIDER, machine.TRANSFER_TERMINATION, provided, 0),
    (CONSUMER, machine.START, awaiting, 0),
    (CONSUMER, machine.SUSPENSION, consuming, 0),
    (CONSUMER, machine.COMPLETION, consuming, 0),
    (CONSUMER, machine.TRANSFER_TERMINATION, consuming, 0),
]
"""Our role, the message, what goes before it, and how many messages of ours follow it."""
FIELDS = {
    machine.REQUEST: ("offer", "callbackAddress"),
    machine.OFFER: ("offer", "callbackAddress"),
    machine.AGREEMENT: ("agreement",),
    machine.TRANSFER_REQUEST: ("agreementId", "format", "callbackAddress"),
    machine.START: ("dataAddress",),
}
REASONS = {
    machine.SUSPENSION,
    machine.TRANSFER_TERMINATION,
    machine.NEGOTIATION_TERMINATION,
}


EACH, ONE = "a token each", "one token"
SHARED = [(stores.SQLITE, EACH), (stores.POSTGRESQL, ONE)]
if os.environ.get("COMITY_BURSTS") == "all":
    SHARED += [(stores.SQLITE, ONE), (stores.POSTGRESQL, EACH)]


def test_every_message_that_a_side_may_send_has_its_burst():
    senders = {PROVIDER: CONSUMER, CONSUMER: PROVIDER}
    rows = {(senders[by], message) for table in machine.TABLES.values() for (_, message, by) in table}
    assert {(role, message) for role, message, _, _ in CASES} == rows


def ids(case):
    return case if isinstance(case, str) else getattr(case, "__name__", "")


@pytest.mark.parametrize(("store_kind", "tokens"), SHARED, indirect=["store_kind"])
@pytest.mark.parametrize(("role", "key", "prepare", "follow"), CASES, ids=ids)
async def test_a_hundred_copies_at_once_have_one_effect_and_equal_answers(
    site, peer, role, key, prepare, follow, tokens
):
    process, more = await prepare(site, peer)
    kind, _, event = key.partition(":")
    fields = {name: more[name] for name in FIELDS.get(key, ()) if name in more}
    fields |= {"eventType": event} if event else {}
    fields |= {"reason": ["enough"]} if key in REASONS else {}
    document = process.message(kind, **fields)
    path = f"/{process.collection}/{process.theirs + '/' if process.theirs else ''}{PATHS[kind]}"
    authorization = None
    if tokens == ONE:
        authorization = "Bearer " + peer.token(site.did, wire.encode(document))
    sent_before = len([each for each in peer.received if each.method == "POST"])
    answers = await asyncio.gather(
        *(peer.send(site, path, document, authorization=authorization) for _ in range(COPIES))
    )
    assert {(each.status, each.body) for each in answers} == {(answers[0].status, answers[0].body)}
    assert answers[0].status == (200 if process.theirs else 201), answers[0].body
    ours = answers[0].document["providerPid" if role == PROVIDER else "consumerPid"]
    await until_sent(site)
    taken = [each for each in await site.entries(ours) if (each["direction"], each["message"]) == ("in", key)]
    assert len(taken) == 1, taken
    following = [each for each in peer.received if each.method == "POST"][sent_before:]
    assert len(following) == len({each.body for each in following}) == follow
    assert (
        len(
            await site.rows(
                "SELECT 1 FROM negotiation WHERE id = ?1 UNION ALL SELECT 1 FROM transfer WHERE id = ?1", ours
            )
        )
        == 1
    )


async def until_sent(site):
    async def empty():
        return not await site.outbox()

    await wait_for(empty, "nothing to be on its way")
