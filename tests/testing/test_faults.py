"""The checker's own proof: faults planted in the real connector, each caught by the invariant that it breaks.

A fault is a patch of the code or of the store, never of the history. Each is driven by the same few exchanges, which
violate nothing without it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import pytest

from comity import errors
from comity.api import dsp as endpoints
from comity.controlplane import decide, negotiation
from comity.dsp import machine, terms
from comity.testing import history, record
from support import canary, planted, wire
from support.process import Process
from support.witnessed import World, settled


async def negotiating(world):
    """One negotiation, begun by the consumer."""
    await world.publish()
    begun = await world.consumer.request(world.provider, await world.offer())
    await world.calm()
    return begun


async def repeating(world):
    """One negotiation, whose first message comes again after its end."""
    await negotiating(world)
    with contextlib.suppress(errors.DeliveryError):
        await world.resend("/negotiations/request")
    await world.calm()


async def transferring(world):
    """A negotiation and a transfer, whose start comes again."""
    begun = await negotiating(world)
    await world.consumer.ask_for_data(begun.id)
    await world.calm()
    with contextlib.suppress(errors.DeliveryError):
        await world.resend("/start", to=world.consumer)
    await world.calm()


async def ending(world):
    """A negotiation that a person ends, while it still can be ended."""
    offered = await world.provider.offer(world.consumer, FREE)
    await world.provider.reaches(offered.id, terms.OFFERED)
    await world.move(world.provider, offered.id, decide.TERMINATE)
    await world.calm()


async def ending_late(world):
    """A negotiation that a person tries to end after its end."""
    begun = await negotiating(world)
    with contextlib.suppress(errors.ComityError):
        await world.move(world.consumer, begun.id, decide.TERMINATE)
    await world.calm()


async def asked_twice(world):
    """A request to begin a negotiation that comes twice with one key."""
    await world.publish()
    await world.begin("key")
    await world.begin("key")
    await world.calm()


async def visited(world):
    """A negotiation that a third party asks about, and tries to end."""
    offered = await world.provider.offer(world.consumer, FREE)
    await world.provider.reaches(offered.id, terms.OFFERED)
    theirs = (await world.provider.negotiation(offered.id)).counterparty_pid
    await world.ask_as_stranger(offered.id)
    ended = Process(world.stranger, world.provider, pid=theirs, theirs=offered.id)
    await ended.terminate()
    await world.calm()


async def skipping(world):
    """A partner that verifies before there is anything to verify."""
    offered = await world.provider.offer(world.consumer, FREE)
    await world.provider.reaches(offered.id, terms.OFFERED)
    theirs = (await world.provider.negotiation(offered.id)).counterparty_pid
    message = wire.message("ContractAgreementVerificationMessage", consumerPid=theirs, providerPid=offered.id)
    with contextlib.suppress(errors.DeliveryError):
        await world.send_as_consumer(f"/negotiations/{offered.id}/agreement/verification", message)
    await world.calm()


async def away(world):
    """A consumer that takes no agreement for half a second, and says so with 503."""
    await world.publish()
    real, since_s = negotiation.receive, []

    async def receive(connector, incoming, *, role):
        since_s.append(time.monotonic())
        if incoming.key == machine.AGREEMENT and since_s[-1] < since_s[0] + 0.5:
            raise errors.ConflictError("not now")
        return await real(connector, incoming, role=role)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(endpoints.negotiation, "receive", receive)
        await world.consumer.request(world.provider, await world.offer())
        await settled(world)
        await world.calm()


async def called_back(world):
    """A partner that wants its answers sent to where no connection may go."""
    await world.publish()
    async with canary.listening() as heard:
        asked = Process(world.stranger, world.provider)
        await asked.send("ContractRequestMessage", offer=await world.offer(), callbackAddress=heard.address)
        await world.calm()
    world.contacts = [
        record.Contact(participant_id=world.provider.did, address=heard.address, allowed=False)
        for _ in range(heard.count)
    ]


async def logged(world):
    """Requests to the management API, while the log is kept."""
    await world.publish()
    await world.begin("key")
    await world.calm()


async def altered_later(world):
    await negotiating(world)
    alter = "UPDATE agreement SET document = CAST(replace(CAST(document AS TEXT), 'use', 'read') AS BLOB)"
    await world.provider.connector.database.write(lambda tx: tx.run(alter))


async def lost_later(world):
    await negotiating(world)
    await world.consumer.connector.database.write(lambda tx: tx.run("DELETE FROM agreement"))


FREE = {"@id": "urn:offer:1", "@type": "Offer", "target": "asset", "permission": [{"action": "use"}]}


class Fault(NamedTuple):
    plant: Callable[[Any, World], None]
    drive: Callable[[World], Awaitable[Any]]
    breaks: tuple[str, ...]


FAULTS = {
    "a reply before the commit": Fault(planted.reply_before_commit, negotiating, ("I6",)),
    "a person is told before the commit": Fault(planted.person_told_before_commit, logged, ("I6",)),
    "no compare-and-set": Fault(planted.no_compare_and_set, ending_late, ("I2",)),
    "the result of a save is ignored": Fault(planted.save_ignored, negotiating, ("I1", "I6")),
    "the outbox is skipped": Fault(planted.outbox_skipped, negotiating, ("I1",)),
    "a message leaves the outbox before it is acknowledged": Fault(
        planted.deleted_before_acknowledged, away, ("I1",)
    ),
    "ids are compared by prefix": Fault(planted.compared_by_prefix, visited, ("I9",)),
    "a third party's message is applied": Fault(planted.anybody_may, visited, ("I9",)),
    "not yours is answered otherwise than missing": Fault(
        planted.not_yours_told_from_missing, visited, ("I9",)
    ),
    "the agreement is rebuilt from the request": Fault(planted.agreement_rebuilt, negotiating, ("I5",)),
    "the agreement is not what was offered": Fault(planted.agreement_changed_by_both, negotiating, ("I5",)),
    "an agreement is altered in the store": Fault(planted.nothing, altered_later, ("I5",)),
    "an agreement is lost from the store": Fault(planted.nothing, lost_later, ("I3",)),
    "an agreement never comes into force": Fault(planted.never_in_force, negotiating, ("I3",)),
    "a repeated message is applied again": Fault(planted.repeats_not_known, transferring, ("I4", "I11")),
    "one pid of a partner makes two processes": Fault(planted.one_pid_two_processes, repeating, ("I4",)),
    "one key makes two processes": Fault(planted.key_forgotten, asked_twice, ("I4",)),
    "a step has no evidence": Fault(planted.evidence_missing, negotiating, ("I11",)),
    "a message of ours has no evidence": Fault(planted.evidence_of_ours_missing, negotiating, ("I11",)),
    "evidence in another transaction is lost": Fault(
        planted.evidence_in_another_transaction, negotiating, ("I11",)
    ),
    "the chain of the evidence forks": Fault(planted.chain_forked, negotiating, ("I11",)),
    "a state goes back": Fault(planted.state_goes_back, repeating, ("I2",)),
    "steps are not checked": Fault(planted.steps_not_checked, skipping, ("I2",)),
    "an event comes twice with another id": Fault(planted.event_twice, negotiating, ("I10",)),
    "an event is skipped": Fault(planted.event_skipped, negotiating, ("I10",)),
    "an end has no reason": Fault(planted.ended_without_reason, ending, ("I14",)),
    "an end is not told": Fault(planted.ended_without_telling, ending, ("I14", "I1")),
    "retries have no pause": Fault(planted.retries_without_pause, away, ("I12",)),
    "the guard of addresses is off": Fault(planted.guard_off, called_back, ("I15",)),
    "a key stands in the log": Fault(planted.key_in_the_log, logged, ("I16",)),
    "a key stands in an answer": Fault(planted.key_in_an_answer, logged, ("I16",)),
}
DRIVES = {
    fault.drive.__name__: fault.drive for fault in FAULTS.values() if fault.plant is not planted.nothing
}


async def judged(world, caplog):
    world.texts.append(record.Text("the log", caplog.text.encode()))
    return history.check(await world.history())


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_a_planted_fault_is_caught_by_the_invariant_that_it_breaks(world, monkeypatch, caplog, fault):
    with monkeypatch.context() as patch:
        fault.plant(patch, world)
        for change in world.before:
            await world.provider.connector.database.write(change)
        await fault.drive(world)
    report = await judged(world, caplog)
    assert set(fault.breaks) <= {each.invariant for each in report.violations}, str(report)


@pytest.mark.parametrize("drive", DRIVES.values(), ids=DRIVES)
async def test_the_same_without_the_fault_violates_nothing(world, caplog, drive):
    await drive(world)
    report = await judged(world, caplog)
    assert report.violations == (), str(report)
