"""Messages that overtake acknowledgements, and messages of both sides that cross."""

import asyncio

import aiohttp
import pytest
from yarl import URL

from comity import errors
from comity.controlplane import catalog, decide
from support import wire
from support.pair import introduced, offer_of, wait_for
from support.peer import after, calling, raw, status
from support.process import Process, access, awaited, bought, finalized, started, transfer

OFFER = {"@id": "urn:offer:1", "@type": "Offer", "target": "asset", "permission": [{"action": "use"}]}


async def negotiated(pair):
    """A finalized negotiation between the two; returns (consumer's id, provider's id)."""
    await pair.provider.publish(files={"a.bin": b"x" * 100})
    dataset = await catalog.request_dataset(pair.consumer.connector, pair.provider.did, None, "asset")
    record = await pair.consumer.request(pair.provider, offer_of(dataset))
    await pair.consumer.reaches(record.id, "FINALIZED")
    theirs = (await pair.consumer.negotiation(record.id)).counterparty_pid
    await pair.provider.reaches(theirs, "FINALIZED")
    return record.id, theirs


async def handed(pair):
    """A started transfer between the two; returns (consumer's id, provider's id)."""
    negotiation_id, _ = await negotiated(pair)
    record = await pair.consumer.ask_for_data(negotiation_id)
    await pair.consumer.reaches(record.id, "STARTED")
    theirs = (await pair.consumer.transfer(record.id)).counterparty_pid
    await pair.provider.reaches(theirs, "STARTED")
    return record.id, theirs


class TestEarlyNext:
    async def test_an_agreement_before_our_request_is_answered_counts_as_its_acknowledgement(
        self, site, peer
    ):
        answers = []

        async def agree_first(seen):
            process = awaited(peer, site, seen.document["consumerPid"])
            answers.append(await process.agree(OFFER))

        peer.script("/negotiations/request", calling(agree_first))
        record = await site.request(peer, OFFER)
        await site.reaches(record.id, "VERIFIED")
        assert [(each.status, each.document["state"]) for each in answers] == [(200, "AGREED")]
        assert (await site.negotiation(record.id)).counterparty_pid == peer.pid_for(record.id)
        assert len(peer.of("/negotiations/request")) == 1

    async def test_the_whole_negotiation_may_run_before_our_request_is_answered(self, site, peer):
        async def run(seen):
            process = awaited(peer, site, seen.document["consumerPid"])
            assert (await process.agree(OFFER)).status == 200
            await wait_for(lambda: peer.of("/verification"))
            assert (await process.event("FINALIZED")).status == 200

        peer.script("/negotiations/request", calling(run))
        record = await site.request(peer, OFFER)
        await site.reaches(record.id, "FINALIZED")

    async def test_a_finalization_before_our_verification_is_answered(self, site, peer):
        async def finalize(seen):
            process = awaited(peer, site, seen.document["consumerPid"])
            assert (await process.event("FINALIZED")).status == 200

        peer.script("/verification", calling(finalize))
        record = await site.request(peer, OFFER)
        await site.reaches(record.id, "REQUESTED")
        assert (await awaited(peer, site, record.id).agree(OFFER)).status == 200
        await site.reaches(record.id, "FINALIZED")
        assert (await site.agreement(record.id)).finalized

    async def test_a_verification_before_our_agreement_is_answered(self, site, peer):
        await site.publish()
        process = Process(peer, site)

        async def verify(seen):
            process.theirs = seen.document["providerPid"]
            assert (await process.verify()).status == 200

        peer.script("/agreement", calling(verify))
        assert (await process.ask(offer_of(await peer.dataset(site)))).status == 201
        await site.reaches(process.theirs, "FINALIZED")

    async def test_an_acceptance_before_our_first_offer_is_answered(self, site, peer):
        async def accept(seen):
            process = Process(
                peer,
                site,
                pid=peer.pid_for(seen.document["providerPid"]),
                theirs=seen.document["providerPid"],
            )
            assert (await process.event("ACCEPTED")).status == 200

        peer.script("/negotiations/offers", calling(accept))
        record = await site.offer(peer, OFFER)
        await site.reaches(record.id, "AGREED")
        assert (await site.negotiation(record.id)).counterparty_pid == peer.pid_for(record.id)

    async def test_an_end_before_our_first_offer_is_answered_leaves_both_in_the_evidence(self, site, peer):
        async def end(seen):
            theirs = seen.document["providerPid"]
            process = Process(peer, site, pid=peer.pid_for(theirs), theirs=theirs)
            assert (await process.terminate()).status == 200

        peer.script("/negotiations/offers", calling(end), status(500))
        record = await site.offer(peer, OFFER)
        await site.reaches(record.id, "TERMINATED")
        assert await site.path_of(record.id) == [("", "OFFERED"), ("OFFERED", "TERMINATED")]

    async def test_a_start_before_our_transfer_request_is_answered(self, site, peer):
        record = await bought(peer, site)

        async def start(seen):
            process = awaited(peer, site, seen.document["consumerPid"], collection="transfers")
            assert (await process.send("TransferStartMessage", dataAddress=ADDRESS)).status == 200

        peer.script("/transfers/request", calling(start))
        asked = await site.ask_for_data(record.id)
        await site.reaches(asked.id, "STARTED")
        assert (await site.transfer(asked.id)).counterparty_pid == peer.pid_for(asked.id)

    async def test_a_completion_before_our_start_is_answered(self, site, peer):
        await site.publish()
        _, agreement_id = await finalized(peer, site)
        process = transfer(peer, site)

        async def complete(seen):
            process.theirs = seen.document["providerPid"]
            assert (await process.send("TransferCompletionMessage")).status == 200

        peer.script("/start", calling(complete))
        assert (await process.request_data(agreement_id)).status == 201
        await site.reaches(process.theirs, "COMPLETED")
        assert (await peer.fetch(*access(peer, process))).status == 401

    async def test_an_early_message_cannot_bring_the_pid_of_another_process(self, site, peer):
        first = await site.request(peer, OFFER)
        await site.reaches(first.id, "REQUESTED")
        stolen = peer.pid_for(first.id)
        answers = []

        async def agree_first(seen):
            process = awaited(peer, site, seen.document["consumerPid"])
            process.pid = stolen
            answers.append(await process.agree(OFFER))

        peer.script("/negotiations/request", calling(agree_first))
        second = await site.request(peer, OFFER)
        await site.reaches(second.id, "REQUESTED")
        assert [each.status for each in answers] == [404]

    async def test_a_transfer_request_may_overtake_the_acknowledgement_of_our_finalization(self, site, peer):
        await site.publish()
        gate = asyncio.Event()
        peer.script("/events", after(gate))
        process = Process(peer, site)
        assert (await process.ask(offer_of(await peer.dataset(site)))).status == 201
        await site.reaches(process.theirs, "AGREED")
        agreement_id = peer.of("/agreement")[0].document["agreement"]["@id"]
        assert (await process.verify()).status == 200
        await wait_for(lambda: peer.of("/events"))
        assert await process.state() == "VERIFIED"
        handed_over = transfer(peer, site)
        assert (await handed_over.request_data(agreement_id)).status == 201
        assert await process.state() == "FINALIZED"
        gate.set()
        await site.reaches(process.theirs, "FINALIZED")
        await site.reaches(handed_over.theirs, "STARTED")

    async def test_two_connectors_agree_although_every_answer_is_late(self, pair):
        await pair.provider.publish()
        dataset = await catalog.request_dataset(pair.consumer.connector, pair.provider.did, None, "asset")
        for site in pair:
            site.answer_after_s = 0.05
        records = [await pair.consumer.request(pair.provider, offer_of(dataset)) for _ in range(10)]
        for record in records:
            await pair.consumer.reaches(record.id, "FINALIZED")
            await pair.provider.reaches(
                (await pair.consumer.negotiation(record.id)).counterparty_pid, "FINALIZED"
            )
        assert len([seen for seen in pair.provider.captured if seen.method == "POST"]) == 20


ADDRESS = {
    "@type": "DataAddress",
    "endpointType": "https://w3id.org/idsa/v4.1/HTTP",
    "endpoint": "http://127.0.0.1:1/data",
    "endpointProperties": [{"@type": "EndpointProperty", "name": "authorization", "value": "secret"}],
}


class Crossing:
    """Holds the next messages of both connectors until both are on their way, then lets them go."""

    def __init__(self, pair, to_provider, to_consumer):
        self.sites = (pair.provider, pair.consumer)
        self.holds = (pair.provider.hold(to_provider), pair.consumer.hold(to_consumer))

    async def meet(self):
        await asyncio.gather(*(hold.arrived.wait() for hold in self.holds))
        for site, hold in zip(self.sites, self.holds, strict=True):
            site.release(hold)


async def settle(pair, ours, theirs):
    """Wait until both outboxes are empty and return both states."""

    async def quiet():
        return not await pair.consumer.outbox() and not await pair.provider.outbox()

    await wait_for(quiet, "both outboxes empty", 20)
    return await pair.consumer.state(ours), await pair.provider.state(theirs)


class TestCrossing:
    async def test_both_sides_may_terminate_a_negotiation_at_once(self, started):
        class Wait:
            def negotiation(self, case):
                return decide.Move()

            transfer = negotiation

        two = await introduced(await started("p", decisions=Wait()), await started("c", decisions=Wait()))
        provider, consumer = two
        await provider.publish()
        dataset = await catalog.request_dataset(consumer.connector, provider.did, None, "asset")
        record = await consumer.request(provider, offer_of(dataset))
        await consumer.reaches(record.id, "REQUESTED")
        theirs = (await consumer.negotiation(record.id)).counterparty_pid
        crossing = Crossing(two, "/termination", "/termination")
        await consumer.move(record.id, decide.TERMINATE, reason="ours")
        await provider.move(theirs, decide.TERMINATE, reason="theirs")
        await crossing.meet()
        assert await settle(two, record.id, theirs) == ("TERMINATED", "TERMINATED")

    async def test_both_sides_may_terminate_a_transfer_at_once(self, pair):
        ours, theirs = await handed(pair)
        crossing = Crossing(pair, "/termination", "/termination")
        await pair.consumer.move(ours, decide.TERMINATE, reason="ours")
        await pair.provider.move(theirs, decide.TERMINATE, reason="theirs")
        await crossing.meet()
        assert await settle(pair, ours, theirs) == ("TERMINATED", "TERMINATED")

    @pytest.mark.parametrize("suspender", ["provider", "consumer"])
    async def test_a_suspension_that_crosses_a_completion_ends_completed_on_both_sides(self, pair, suspender):
        ours, theirs = await handed(pair)
        moves = {"provider": theirs, "consumer": ours}
        to = {"provider": "/suspension", "consumer": "/completion"}
        if suspender == "provider":
            to = {"provider": "/completion", "consumer": "/suspension"}
        crossing = Crossing(pair, to["provider"], to["consumer"])
        completer = "consumer" if suspender == "provider" else "provider"
        await getattr(pair, suspender).move(moves[suspender], decide.SUSPEND, reason="pause")
        await getattr(pair, completer).move(moves[completer], decide.COMPLETE)
        await crossing.meet()
        assert await settle(pair, ours, theirs) == ("COMPLETED", "COMPLETED")

    @pytest.mark.parametrize("kind", [decide.SUSPEND, decide.COMPLETE])
    async def test_a_termination_wins_over_what_it_crosses(self, pair, kind):
        ours, theirs = await handed(pair)
        crossing = Crossing(pair, "/suspension" if kind == decide.SUSPEND else "/completion", "/termination")
        await pair.provider.move(theirs, decide.TERMINATE, reason="no more")
        await pair.consumer.move(ours, kind, reason="x")
        await crossing.meet()
        assert await settle(pair, ours, theirs) == ("TERMINATED", "TERMINATED")

    async def test_a_termination_that_crosses_the_finalization_ends_both_sides(self, started):
        class Slow(decide.ByPolicy):
            def negotiation(self, case):
                waits = case.negotiation.state == "VERIFIED" and case.negotiation.role == "provider"
                return decide.Move() if waits else super().negotiation(case)

        two = await introduced(await started("p", decisions=Slow()), await started("c"))
        provider, consumer = two
        await provider.publish()
        dataset = await catalog.request_dataset(consumer.connector, provider.did, None, "asset")
        record = await consumer.request(provider, offer_of(dataset))
        await consumer.reaches(record.id, "VERIFIED")
        theirs = (await consumer.negotiation(record.id)).counterparty_pid
        crossing = Crossing(two, "/termination", "/events")
        await consumer.move(record.id, decide.TERMINATE, reason="changed our mind")
        await provider.move(theirs, decide.FINALIZE)
        await crossing.meet()
        assert await settle(two, record.id, theirs) == ("TERMINATED", "TERMINATED")
        assert not (await consumer.agreement(record.id)).finalized
        assert not (await provider.agreement(theirs)).finalized

    async def test_a_suspension_that_crosses_a_second_start_ends_suspended_on_both_sides(self, pair):
        ours, theirs = await handed(pair)
        crossing = Crossing(pair, "/suspension", "/start")
        await pair.provider.move(theirs, decide.START)
        await pair.consumer.move(ours, decide.SUSPEND, reason="a pause")
        await crossing.meet()
        assert await settle(pair, ours, theirs) == ("SUSPENDED", "SUSPENDED")
        await pair.consumer.move(ours, decide.START)
        await wait_for(lambda: _both(pair, ours, theirs, "STARTED"))

    async def test_a_late_copy_of_a_start_that_gave_way_to_a_suspension_is_not_taken(self, pair):
        ours, theirs = await handed(pair)
        crossing = Crossing(pair, "/suspension", "/start")
        await pair.provider.move(theirs, decide.START)
        await pair.consumer.move(ours, decide.SUSPEND, reason="a pause")
        await crossing.meet()
        assert await settle(pair, ours, theirs) == ("SUSPENDED", "SUSPENDED")
        refused = [
            each for each in pair.consumer.captured if each.path.endswith("/start") and each.status == 503
        ]
        assert refused
        for each in refused:
            assert await again(pair.consumer, each) == 401
        assert await pair.consumer.state(ours) == "SUSPENDED"

    async def test_a_suspension_that_comes_later_than_the_other_sides_and_its_resumption_is_not_lost(
        self, pair
    ):
        ours, theirs = await handed(pair)
        late = pair.consumer.hold("/suspension")
        await pair.provider.move(theirs, decide.SUSPEND, reason="late on the wire")
        await late.arrived.wait()
        await pair.consumer.move(ours, decide.SUSPEND, reason="a pause")
        seen = pair.provider.captured

        async def put_off():
            return [each for each in seen if each.path.endswith("/suspension") and each.status == 503]

        await wait_for(put_off)
        pair.consumer.release(late)
        assert await settle(pair, ours, theirs) == ("SUSPENDED", "SUSPENDED")
        await pair.provider.move(theirs, decide.START)
        await wait_for(lambda: _both(pair, ours, theirs, "STARTED"))

    async def test_two_suspensions_that_cross_are_one(self, pair):
        ours, theirs = await handed(pair)
        crossing = Crossing(pair, "/suspension", "/suspension")
        await pair.provider.move(theirs, decide.SUSPEND, reason="x")
        await pair.consumer.move(ours, decide.SUSPEND, reason="y")
        await crossing.meet()
        assert await settle(pair, ours, theirs) == ("SUSPENDED", "SUSPENDED")
        with pytest.raises(errors.LocalProtocolError, match="only the provider resumes it"):
            await pair.consumer.move(ours, decide.START)
        await pair.provider.move(theirs, decide.START)
        await wait_for(lambda: _both(pair, ours, theirs, "STARTED"))


async def again(site, captured) -> int:
    """Deliver a request once more as it came, and return the status of the answer."""
    async with (
        aiohttp.ClientSession(skip_auto_headers=("User-Agent",)) as session,
        session.post(
            URL(site.conf.address + captured.path.replace("urn:uuid:", "urn%3Auuid%3A"), encoded=True),
            data=captured.body,
            headers={name: captured.headers[name] for name in ("authorization", "content-type")},
        ) as answer,
    ):
        return answer.status


async def _both(pair, ours, theirs, state):
    return (await pair.consumer.state(ours), await pair.provider.state(theirs)) == (state, state)


class TestTerminationAndWhatIsOnItsWay:
    async def test_a_termination_before_the_first_acknowledgement_reaches_the_partner_later(self, site, peer):
        gate = asyncio.Event()
        peer.script("/negotiations/request", after(gate))
        record = await site.request(peer, OFFER)
        await wait_for(lambda: peer.of("/negotiations/request"))
        await site.move(record.id, decide.TERMINATE, reason="not needed any more")
        assert await site.state(record.id) == "TERMINATED"
        process = awaited(peer, site, record.id)
        assert (await process.agree(OFFER)).status == 400
        gate.set()
        await wait_for(lambda: peer.of(f"/{process.pid}/termination"))
        assert peer.of("/termination")[0].document["reason"] == ["not needed any more"]
        await site.reaches(record.id, "TERMINATED")
        assert len(peer.of("/negotiations/request")) == 1

    async def test_a_transfer_terminated_before_the_first_acknowledgement_too(self, site, peer):
        record = await bought(peer, site)
        gate = asyncio.Event()
        peer.script("/transfers/request", after(gate))
        asked = await site.ask_for_data(record.id)
        await wait_for(lambda: peer.of("/transfers/request"))
        await site.move(asked.id, decide.TERMINATE, reason="no")
        gate.set()
        await wait_for(lambda: peer.of("/termination"))
        await site.reaches(asked.id, "TERMINATED")

    async def test_a_termination_that_waits_for_a_message_which_is_refused_goes_out(self, site, peer):
        await site.publish()
        gate = asyncio.Event()
        peer.script("/agreement", after(gate, status(400, {"reason": ["no"]})))
        process = Process(peer, site)
        assert (await process.ask(offer_of(await peer.dataset(site)))).status == 201
        await wait_for(lambda: peer.of("/agreement"))
        await site.move(process.theirs, decide.TERMINATE, reason="our operator says no")
        gate.set()
        await site.reaches(process.theirs, "TERMINATED")
        assert [each.document["reason"] for each in peer.of("/termination")] == [["our operator says no"]]

    async def test_a_start_refused_after_the_operator_terminated_ends_too(self, site, peer):
        await site.publish()
        _, agreement_id = await finalized(peer, site)
        gate = asyncio.Event()
        peer.script("/start", after(gate, status(400)))
        process = transfer(peer, site)
        assert (await process.request_data(agreement_id)).status == 201
        await wait_for(lambda: peer.of("/start"))
        await site.move(process.theirs, decide.TERMINATE, reason="no")
        assert (await peer.fetch(*access(peer, process))).status == 401
        gate.set()
        await site.reaches(process.theirs, "TERMINATED")

    async def test_our_termination_is_not_undone_by_the_partners_next_message(self, site, peer):
        await site.publish()
        gate = asyncio.Event()
        process = Process(peer, site)
        assert (await process.ask(offer_of(await peer.dataset(site)))).status == 201
        await site.reaches(process.theirs, "AGREED")
        peer.script("/termination", after(gate))
        await site.move(process.theirs, decide.TERMINATE, reason="no")
        await wait_for(lambda: peer.of("/termination"))
        assert (await process.verify()).status in {400, 503}
        gate.set()
        await site.reaches(process.theirs, "TERMINATED")
        assert not peer.of("/events")

    async def test_a_suspended_transfer_cannot_be_resumed_past_our_termination(self, site, peer):
        await site.publish()
        _, agreement_id = await finalized(peer, site)
        process, endpoint, data_token = await started(peer, site, agreement_id)
        gate = asyncio.Event()
        peer.script("/termination", after(gate))
        await site.move(process.theirs, decide.TERMINATE, reason="no")
        await wait_for(lambda: peer.of("/termination"))
        assert (await process.send("TransferSuspensionMessage", reason=["x"])).status in {400, 503}
        assert (await process.send("TransferStartMessage")).status in {400, 503}
        assert (await peer.fetch(endpoint, data_token)).status == 401
        gate.set()
        await site.reaches(process.theirs, "TERMINATED")
        assert len(peer.of("/start")) == 1

    async def test_a_decision_after_an_acknowledgement_gives_way_to_our_termination(self, started, peer):
        class OfferThenEnd(decide.ByPolicy):
            def negotiation(self, case):
                kinds = {"REQUESTED": decide.OFFER, "OFFERED": decide.TERMINATE}
                return decide.Move(kind=kinds[case.negotiation.state], reason="the script says so")

        site = await started("site", decisions=OfferThenEnd())
        await site.befriend(peer)
        await site.publish()
        gate = asyncio.Event()
        peer.script("/offers", after(gate))
        process = Process(peer, site)
        assert (await process.ask(offer_of(await peer.dataset(site)))).status == 201
        await wait_for(lambda: peer.of("/offers"))
        await site.move(process.theirs, decide.TERMINATE, reason="the operator says so")
        gate.set()
        await site.reaches(process.theirs, "TERMINATED")
        assert [each.document["reason"] for each in peer.of("/termination")] == [["the operator says so"]]

    async def test_so_does_a_decision_in_a_transfer(self, started, peer):
        class StartThenComplete(decide.ByPolicy):
            def transfer(self, case):
                done = case.transfer.state == "STARTED"
                return decide.Move(kind=decide.COMPLETE) if done else super().transfer(case)

        site = await started("site", decisions=StartThenComplete())
        await site.befriend(peer)
        await site.publish()
        _, agreement_id = await finalized(peer, site)
        gate = asyncio.Event()
        peer.script("/start", after(gate))
        process = transfer(peer, site)
        assert (await process.request_data(agreement_id)).status == 201
        await wait_for(lambda: peer.of("/start"))
        await site.move(process.theirs, decide.TERMINATE, reason="no")
        gate.set()
        await site.reaches(process.theirs, "TERMINATED")
        assert not peer.of("/completion")


async def test_a_first_answer_that_names_no_process_is_asked_for_again(site, peer):
    peer.script("/negotiations/request", raw(b"thanks"), raw(b"[]"), raw(wire.encode({"consumerPid": 3})))
    record = await site.request(peer, OFFER)
    await site.reaches(record.id, "REQUESTED")
    assert len({each.body for each in peer.of("/negotiations/request")}) == 1
