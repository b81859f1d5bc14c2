"""Our messages meet a partner that answers badly, late or never: each arrives once, with the same bytes, in the end."""

import asyncio
import time

import pytest

from comity import runtime
from comity.delivery import worker
from comity.net import http as net_http
from support import stores
from support.pair import offer_of, wait_for
from support.peer import calling, dropped, endless, never, raw, status, truncated
from support.process import Process, access, awaited, finalized, transfer

OFFER = {"@id": "urn:offer:1", "@type": "Offer", "target": "asset", "permission": [{"action": "use"}]}


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Short pauses between attempts, and a client that waits for an answer for half a second only."""
    monkeypatch.setattr(runtime.random, "random", lambda: 0.2)
    made = net_http.HttpClient.__init__

    def quick(self, guard, **more):
        made(self, guard, **{**more, "timeout_s": 0.5})

    monkeypatch.setattr(net_http.HttpClient, "__init__", quick)


def sent_well(attempts):
    """Identical bytes, one `@id`, a new token each time."""
    assert len({each.body for each in attempts}) == 1
    assert len({each.document["@id"] for each in attempts}) == 1
    assert len({each.claims["jti"] for each in attempts}) == len(attempts)


BAD = {
    "500": (status(500),),
    "502 of a proxy": (raw(b"<html>bad gateway</html>", 502),),
    "503": (status(503),),
    "408": (status(408),),
    "429": (status(429),),
    "truncated": (truncated,),
    "dropped": (dropped,),
    "never": (never,),
    "many": (status(500), dropped, status(503)),
}
NEXT = {"404 once": (status(404),), "401 once": (status(401),), "403 once": (status(403),)}


@pytest.mark.parametrize("answers", BAD.values(), ids=BAD)
async def test_a_first_message_arrives_in_the_end(site, peer, answers):
    peer.script("/negotiations/request", *answers)
    record = await site.request(peer, OFFER)
    await site.reaches(record.id, "REQUESTED")
    attempts = peer.of("/negotiations/request")
    assert len(attempts) == len(answers) + 1
    sent_well(attempts)


@pytest.mark.parametrize("answers", (BAD | NEXT).values(), ids=BAD | NEXT)
async def test_a_later_message_arrives_in_the_end(site, peer, answers):
    await site.publish()
    peer.script("/agreement", *answers)
    process = Process(peer, site)
    assert (await process.ask(offer_of(await peer.dataset(site)))).status == 201
    await site.reaches(process.theirs, "AGREED")
    attempts = peer.of("/agreement")
    assert len(attempts) == len(answers) + 1
    sent_well(attempts)
    records = [each for each in await site.entries(process.theirs) if each["direction"] == "out"]
    assert [(each["outcome"], each["attempts"]) for each in records] == [("acknowledged", len(attempts))]
    assert records[0]["token"] == attempts[-1].authorization.removeprefix("Bearer ")


@pytest.mark.parametrize(
    "answer", [raw(b"garbage"), raw(b""), raw(b"[[[["), raw(b'{"state": "TERMINATED"}', 202)]
)
async def test_any_2xx_acknowledges_a_later_message_whatever_it_says(site, peer, answer):
    await site.publish()
    peer.script("/agreement", answer)
    process = Process(peer, site)
    assert (await process.ask(offer_of(await peer.dataset(site)))).status == 201
    await site.reaches(process.theirs, "AGREED")
    assert len(peer.of("/agreement")) == 1


PORTAL = raw(b"<html>Please accept the terms of this network.</html>")


async def test_a_2xx_of_something_between_us_acknowledges_nothing_that_the_partner_has_not(site, peer):
    await site.publish()
    peer.script("/agreement", PORTAL, status(503), PORTAL)
    process = Process(peer, site)
    peer.states[process.pid] = "REQUESTED"

    async def taken(_seen):
        peer.states[process.pid] = "AGREED"

    peer.script("/agreement", calling(taken))
    assert (await process.ask(offer_of(await peer.dataset(site)))).status == 201
    await site.reaches(process.theirs, "AGREED")
    attempts = peer.of("/agreement")
    assert len(attempts) == 4
    sent_well(attempts)


async def test_a_2xx_that_cannot_be_read_acknowledges_what_the_partner_has(site, peer):
    await site.publish()
    peer.script("/agreement", PORTAL)
    process = Process(peer, site)
    peer.states[process.pid] = "VERIFIED"
    assert (await process.ask(offer_of(await peer.dataset(site)))).status == 201
    await site.reaches(process.theirs, "AGREED")
    assert len(peer.of("/agreement")) == 1


async def test_an_answer_of_5_gb_is_cut_and_the_message_counts_as_taken(site, peer):
    await site.publish()
    peer.script("/agreement", endless)
    process = Process(peer, site)
    assert (await process.ask(offer_of(await peer.dataset(site)))).status == 201
    await site.reaches(process.theirs, "AGREED")
    assert await process.state() == "AGREED"


async def test_an_answer_of_5_gb_to_a_first_message_is_cut_and_the_message_sent_again(site, peer):
    peer.script("/negotiations/request", endless)
    record = await site.request(peer, OFFER)
    await site.reaches(record.id, "REQUESTED")
    sent_well(peer.of("/negotiations/request"))


async def test_retry_after_is_waited_for(site, peer):
    peer.script("/negotiations/request", status(429, Retry_After="1"))
    record = await site.request(peer, OFFER)
    await site.reaches(record.id, "REQUESTED")
    first, second = peer.of("/negotiations/request")
    assert 0.95 <= second.at_s - first.at_s < 3


async def test_a_partner_that_was_away_gets_what_it_missed(site, peer):
    await peer.disappear()
    record = await site.request(peer, OFFER)

    async def tried():
        return (await site.outbox())[0][2] >= 2

    await wait_for(tried)
    assert await site.state(record.id) is None
    await peer.listen()
    await site.reaches(record.id, "REQUESTED")


async def test_a_refusal_ends_the_negotiation_with_the_partners_words(site, peer):
    peer.script("/negotiations/request", status(400, {"reason": ["we do not offer that"]}))
    record = await site.request(peer, OFFER)
    await site.reaches(record.id, "TERMINATED")
    assert "we do not offer that" in (await site.negotiation(record.id)).error
    assert not peer.of("/termination")


async def test_a_later_refusal_ends_it_on_both_sides(site, peer):
    await site.publish()
    peer.script("/agreement", status(400, {"reason": [{"message": "not what we asked for"}]}))
    process = Process(peer, site)
    assert (await process.ask(offer_of(await peer.dataset(site)))).status == 201
    await site.reaches(process.theirs, "TERMINATED")
    assert "not what we asked for" in peer.of(f"/{process.pid}/termination")[0].document["reason"][0]


@pytest.mark.parametrize("state", ["VERIFIED", "FINALIZED"])
async def test_a_4xx_to_a_repeat_of_what_had_arrived_ends_nothing(site, peer, state):
    record = await site.request(peer, OFFER)
    await site.reaches(record.id, "REQUESTED")
    process = awaited(peer, site, record.id)
    peer.states[process.pid] = state
    peer.script("/verification", dropped, status(400, {"reason": ["illegal in this state"]}))
    assert (await process.agree(OFFER)).status == 200
    await site.reaches(record.id, "VERIFIED")
    assert not peer.of("/termination")
    assert (await process.event("FINALIZED")).status == 200
    await site.reaches(record.id, "FINALIZED")


async def test_a_row_that_a_process_before_us_left_is_sent(site, peer):
    await peer.disappear()
    record = await site.request(peer, OFFER)

    async def tried():
        return (await site.outbox())[0][2] >= 1

    await wait_for(tried)
    before = (await site.rows("SELECT body FROM outbox"))[0][0]
    await site.stop()
    await peer.listen()
    await site.start()
    await site.reaches(record.id, "REQUESTED")
    assert peer.of("/negotiations/request")[-1].body == before


async def test_a_sealed_row_is_sent_after_a_restart_and_is_not_readable_before(site, peer):
    await site.publish()
    _, agreement_id = await finalized(peer, site)
    await peer.disappear()
    await asyncio.sleep(0)
    process = transfer(peer, site)
    assert (await process.request_data(agreement_id)).status == 201
    await site.stop()
    stored = stores.stored(site.conf)
    await peer.listen()
    await site.start()
    await site.reaches(process.theirs, "STARTED")
    endpoint, data_token = access(peer, process)
    assert data_token.encode() not in stored
    assert (await peer.fetch(endpoint, data_token)).status == 200


class Clock:
    """Real time, moved forward at will."""

    def __init__(self):
        self.ahead_ms = 0

    def __call__(self):
        return time.time_ns() // 1_000_000 + self.ahead_ms


async def test_after_72_hours_a_partner_that_stays_away_is_given_up(started, peer, monkeypatch):
    clock = Clock()
    monkeypatch.setattr(runtime, "now_ms", clock)
    site = await started("site")
    await site.befriend(peer)
    await peer.disappear()
    record = await site.request(peer, OFFER)

    async def tried():
        return (await site.outbox())[0][2] >= 2

    await wait_for(tried)
    clock.ahead_ms = 71 * 3600 * 1000
    before = (await site.outbox())[0][2]

    async def tried_again():
        return (await site.outbox())[0][2] > before + 1

    await wait_for(tried_again)
    assert await site.state(record.id) is None
    clock.ahead_ms = 73 * 3600 * 1000
    await site.reaches(record.id, "TERMINATED")
    assert "72 hours" in (await site.negotiation(record.id)).error
    outcomes = [each["outcome"] for each in await site.entries(record.id)]
    assert outcomes == ["given up", "not sent"]


async def test_a_partner_that_is_back_after_71_hours_gets_the_message(started, peer, monkeypatch):
    clock = Clock()
    monkeypatch.setattr(runtime, "now_ms", clock)
    site = await started("site")
    await site.befriend(peer)
    await peer.disappear()
    record = await site.request(peer, OFFER)

    async def tried():
        return (await site.outbox())[0][2] >= 1

    await wait_for(tried)
    clock.ahead_ms = 71 * 3600 * 1000
    await peer.listen()
    await site.reaches(record.id, "REQUESTED")


async def test_a_message_put_off_by_a_clock_that_ran_a_day_ahead_does_not_wait_for_that_day(
    started, peer, monkeypatch
):
    clock = Clock()
    monkeypatch.setattr(runtime, "now_ms", clock)
    site = await started("site")
    await site.befriend(peer)
    await peer.disappear()
    clock.ahead_ms = 24 * 3600 * 1000
    record = await site.request(peer, OFFER)

    async def tried():
        return (await site.outbox())[0][2] >= 1

    await wait_for(tried)
    await site.stop()
    clock.ahead_ms = 0
    await peer.listen()
    await site.start()
    await site.reaches(record.id, "REQUESTED")


async def test_no_more_than_the_cap_is_sent_to_one_partner_at_once(site, peer):
    gate = asyncio.Event()
    inside = most = 0

    async def slow(peer, request, seen):
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await gate.wait()
        inside -= 1
        return peer.polite(request, seen)

    peer.script("/negotiations/request", *[slow] * 80)
    records = await asyncio.gather(*(site.request(peer, OFFER) for _ in range(80)))
    await wait_for(lambda: inside >= worker.PER_PARTNER)
    gate.set()
    for record in records:
        await site.reaches(record.id, "REQUESTED")
    assert most == worker.PER_PARTNER


async def test_a_silent_partner_does_not_hold_up_another(site, peer, peers):
    other = await peers()
    await site.befriend(other)
    peer.script("/negotiations/request", *[never] * 40)
    for _ in range(40):
        await site.request(peer, OFFER)
    record = await site.request(other, OFFER)
    await site.reaches(record.id, "REQUESTED", timeout_s=0.4)


async def test_a_withdrawn_message_is_not_tried_again(site, peer):
    await site.publish()
    peer.script("/agreement", *[status(503)] * 50)
    process = Process(peer, site)
    assert (await process.ask(offer_of(await peer.dataset(site)))).status == 201
    await wait_for(lambda: peer.of("/agreement"))
    assert (await process.terminate()).status == 200
    await site.reaches(process.theirs, "TERMINATED")
    count = len(peer.of("/agreement"))
    await asyncio.sleep(0.5)
    assert len(peer.of("/agreement")) <= count + 1
