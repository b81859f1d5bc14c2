"""Real connectors that do everything they can: no invariant is violated, and every one of them is decided."""

from __future__ import annotations

import logging
import random
from collections import Counter

import pytest

from comity import errors
from comity.controlplane import decide, get
from comity.dsp import terms
from comity.testing import history, record
from support import canary, contradictions, stores, wire
from support import pair as pairs
from support.process import Process
from support.witnessed import settled

ALL = tuple(history.INVARIANTS)


async def negotiations(world):
    """Every way to come to an agreement, and to none."""
    agreed = await world.negotiate()
    theirs = await world.provider.offer(world.consumer, {**await world.offer(), "@id": "urn:offer:1"})
    await world.provider.reaches(theirs.id, terms.OFFERED)
    ours = (await world.provider.negotiation(theirs.id)).counterparty_pid
    await world.consumer.move(ours, decide.ACCEPT)
    await world.both(ours, terms.FINALIZED)
    other = await world.consumer.request(world.provider, {**await world.offer(), **wire.until("2030-01-01")})
    await world.both(other.id, terms.OFFERED)
    await world.consumer.move(other.id, decide.REQUEST, policy=await world.offer())
    await world.both(other.id, terms.FINALIZED)
    for site in world.sites:
        ended = await world.provider.offer(world.consumer, {**await world.offer(), "@id": wire.new_id()})
        await world.provider.reaches(ended.id, terms.OFFERED)
        pid = (await world.provider.negotiation(ended.id)).counterparty_pid
        await world.move(site, ended.id if site is world.provider else pid, decide.TERMINATE)
        await world.both(pid, terms.TERMINATED)
    await world.resend("/negotiations/request")
    await world.resend("/agreement/verification")
    return agreed


async def transfers(world, negotiation_id):
    """Data fetched, suspended and resumed by either side, completed and ended by either side."""
    for end, site in ((decide.COMPLETE, world.consumer), (decide.TERMINATE, world.provider)):
        running = await world.transfer(negotiation_id)
        assert (await world.fetch(running.id)).status == 200
        ids = {world.consumer.did: running.id, world.provider.did: running.counterparty_pid}
        for each in world.sites:
            await world.move(each, ids[each.did], decide.SUSPEND)
            await world.both(running.id, terms.SUSPENDED)
            assert (await world.fetch(running.id)).status in {401, 403}
            await world.move(each, ids[each.did], decide.START)
            await world.both(running.id, terms.STARTED)
            await settled(world)
        await pairs.wait_for(lambda pid=running.id: _works(world, pid))
        await world.move(site, ids[site.did], end)
        await world.both(running.id, terms.COMPLETED if end == decide.COMPLETE else terms.TERMINATED)
        assert (await world.fetch(running.id)).status == 401


async def _works(world, pid):
    return (await world.fetch(pid)).status == 200


async def get_package(world, folder):
    begun = await get.start(world.consumer.connector, world.provider.did, "asset", folder)

    async def done():
        return (await get.status(world.consumer.connector, begun.id))["stage"] in {get.COMPLETED, get.FAILED}

    await pairs.wait_for(done)
    status = await get.status(world.consumer.connector, begun.id)
    assert status["stage"] == get.COMPLETED, status
    await world.both(status["transferId"], terms.COMPLETED)


async def everything(world, tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.DEBUG, "comity")
    before = await world.open_rows()
    await world.publish("asset", a=b"hello", b=bytes(range(256)) * 500)
    await world.publish("other", a=b"something else")
    agreed = await negotiations(world)
    assert await world.begin("key-1") == await world.begin("key-1")
    await world.consumer.reaches(world.operations[0].created, terms.FINALIZED)
    await transfers(world, agreed.id)
    await get_package(world, str(tmp_path / "got"))
    await world.read_agreement(world.consumer, agreed.agreement_id)
    for site in world.sites:
        await world.read_agreement(site, agreed.agreement_id)
    await world.ask_as_stranger(agreed.counterparty_pid)
    await refuse_while_broken(world, monkeypatch)
    async with canary.listening() as heard:
        process = Process(world.stranger, world.provider)
        answer = await process.send(
            "ContractRequestMessage", offer=await world.offer(), callbackAddress=heard.address
        )
        assert answer.status == 400
    world.contacts = [
        record.Contact(participant_id=world.provider.did, address=heard.address, allowed=False)
        for _ in range(heard.count)
    ]
    await settled(world)
    world.samples = [
        record.Sample(participant_id="both", name="open rows", before=before, after=await world.open_rows())
    ]
    world.texts.append(record.Text("the log", caplog.text.encode()))


async def refuse_while_broken(world, monkeypatch):
    """Ask a provider whose store takes nothing."""
    process = Process(world.stranger, world.provider)
    offer = pairs.offer_of(await world.stranger.dataset(world.provider))

    async def broken(self, unit):
        raise errors.DatabaseError("the disk is full; nothing was changed")

    with world.outage(world.provider, "its store was broken"), monkeypatch.context() as patch:
        patch.setattr(type(world.provider.connector.database), "write", broken)
        answer = await process.ask(offer)
    assert answer.status == 503


@pytest.mark.parametrize("store_kind", stores.KINDS, indirect=True)
async def test_a_clean_run_violates_nothing_and_everything_is_decided(world, tmp_path, monkeypatch, caplog):
    await everything(world, tmp_path, monkeypatch, caplog)
    made = await world.history()
    report = history.check(made)
    report.expect(*ALL)
    assert report.violations == ()


async def test_one_change_of_what_real_connectors_did_is_caught(
    world, tmp_path, monkeypatch, caplog, record_property
):
    await everything(world, tmp_path, monkeypatch, caplog)
    changes = list(contradictions.mutations(await world.history()))
    chosen = random.Random(1).sample(changes, 200)
    missed = Counter(what for what, change in chosen if not history.check(change()).violations)
    record_property("changes", len(changes))
    record_property("missed of 200", missed.total())
    assert missed.total() <= 3, missed


async def test_what_was_not_recorded_is_not_decided(world, tmp_path, monkeypatch, caplog):
    report = history.check(record.History())
    assert {each.status for each in report.verdicts.values()} == {"not decided"}
    with pytest.raises(AssertionError, match="I1 "):
        report.expect("I1")
