"""A side is put back to an older state: nothing is agreed twice, and what partners hold is compared and said."""

import pytest

from comity import errors
from comity.controlplane import backup, catalog, decide, deletions, get, opening, processes, reconcile
from comity.controlplane.decide import ByPolicy, Move
from comity.dataplane.kept import STORE
from comity.db import restored
from comity.dsp import terms
from comity.management import processes as forms
from support import heads
from support import pair as pairs
from support.pair import offer_of, wait_for
from support.process import Process, access, finalized
from support.process import started as transfer_started


async def test_what_another_replica_let_go_is_not_held_although_its_word_was_lost(pair):
    held = pair.consumer.connector.held
    held.restored_at, held.names = 1, {"urn:gone"}
    await reconcile.Reconciliation(pair.consumer.connector).run()
    assert held.names == set()


BIG = {"big.bin": bytes(range(256)) * 4096 * 16}


def back_up(site):
    """Take a backup while the connector runs."""
    file = site.folder.parent / f"{site.folder.name}.backup"
    conf = site.conf
    backup.take(
        conf.database, conf.folder, file, participant_id=site.did, now_ms=site.connector.now_ms(), force=True
    )
    return file


async def put_back(site, file):
    """Stop it, restore the backup over what has happened since, and start it again."""
    await site.stop()
    now_ms = (
        site.connector.now_ms() - 1000
    )  # tokens tell whole seconds, and those of the restore's are refused
    done = backup.restore(file, site.conf.folder, site.conf.database, now_ms=now_ms, force=True)
    await site.start()
    return done


async def findings(site):
    return {each.process_id: each for each in await site.connector.database.read(restored.find_all)}


async def verdict(site, process_id, *wanted):
    """Wait until what is known of a process is one of these, and return it."""

    async def known():
        found = (await findings(site)).get(process_id)
        return found if found and found.verdict in wanted else None

    return await wait_for(known, f"{process_id} to be one of {wanted}")


async def dataset_of(pair, asset_id="asset"):
    return await catalog.request_dataset(pair.consumer.connector, pair.provider.did, None, asset_id)


async def theirs_of(pair):
    ((name,),) = await pair.provider.rows("SELECT id FROM negotiation")
    return name


async def agreements_of(site):
    return await site.rows("SELECT id, document FROM agreement ORDER BY id")


class ByHand(ByPolicy):
    """Agrees to nothing without a person."""

    def negotiation(self, case):
        waits = case.negotiation.role == terms.PROVIDER and case.negotiation.state == terms.REQUESTED
        return Move() if waits else super().negotiation(case)


async def test_a_state_that_nothing_was_added_to_goes_on_as_it_was(pair):
    await pair.provider.publish()
    hold = pair.consumer.hold("/agreement")
    record = await pair.consumer.request(pair.provider, offer_of(await dataset_of(pair)))
    await hold.arrived.wait()
    file = back_up(pair.provider)
    done = await put_back(pair.provider, file)
    assert done.held == 1
    pair.consumer.release(hold)
    await pair.consumer.reaches(record.id, "FINALIZED")
    await pair.provider.reaches(await theirs_of(pair), "FINALIZED")
    assert (
        await verdict(pair.provider, await theirs_of(pair), restored.SAME, restored.GIVEN_UP)
    ).held is False
    assert await agreements_of(pair.provider) == await agreements_of(pair.consumer)
    (said,) = [each for each in await pair.provider.entries() if each["message"] == "restored"]
    assert said["outcome"] == "restored"


async def test_an_agreement_that_was_sent_is_sent_again_as_it_was_and_no_other_one(pair):
    await pair.provider.publish()
    hold = pair.consumer.hold("/agreement")
    record = await pair.consumer.request(pair.provider, offer_of(await dataset_of(pair)))
    await hold.arrived.wait()
    file = back_up(pair.provider)
    pair.consumer.release(hold)
    await pair.consumer.reaches(record.id, "FINALIZED")
    before = await agreements_of(pair.provider)
    await put_back(pair.provider, file)
    found = await verdict(pair.provider, await theirs_of(pair), restored.AHEAD)
    assert (found.here, found.there, found.held) == ("AGREED", "FINALIZED", True)
    assert await agreements_of(pair.provider) == before == await agreements_of(pair.consumer)
    sent = {each.body for each in pair.consumer.captured if each.path.endswith("/agreement") and each.body}
    assert len(sent) == 1


async def test_an_agreement_that_was_decided_after_the_backup_is_never_made_anew(started):
    provider, consumer = await started("provider", decisions=ByHand()), await started("consumer")
    pair = await pairs.introduced(provider, consumer)
    await provider.publish()
    record = await consumer.request(provider, offer_of(await dataset_of(pair)))
    await consumer.reaches(record.id, "REQUESTED")
    name = await theirs_of(pair)
    file = back_up(provider)
    await provider.move(name, decide.AGREE)
    await consumer.reaches(record.id, "FINALIZED")
    await put_back(provider, file)
    with pytest.raises(errors.LocalProtocolError, match="as it was in a backup"):
        await provider.move(name, decide.AGREE)
    found = await verdict(provider, name, restored.AHEAD)
    assert "no other one is made" in found.said
    with pytest.raises(errors.LocalProtocolError, match="as it was in a backup"):
        await provider.move(name, decide.AGREE)
    assert await agreements_of(provider) == []
    await provider.move(name, decide.TERMINATE, reason="what was agreed is lost here")
    await wait_for(lambda: not provider.connector.held.names)
    assert await provider.state(name) == "TERMINATED"
    assert len(await agreements_of(consumer)) == 1


async def test_a_restored_consumer_takes_over_a_finalization_of_the_agreement_that_it_holds(pair):
    await pair.provider.publish()
    hold = pair.consumer.hold("/events")
    record = await pair.consumer.request(pair.provider, offer_of(await dataset_of(pair)))
    await hold.arrived.wait()
    await pair.consumer.reaches(record.id, "VERIFIED")
    file = back_up(pair.consumer)
    pair.consumer.release(hold)
    await pair.consumer.reaches(record.id, "FINALIZED")
    await pair.provider.reaches(await theirs_of(pair), "FINALIZED")
    await put_back(pair.consumer, file)
    await pair.consumer.reaches(record.id, "FINALIZED")
    assert (await verdict(pair.consumer, record.id, restored.AHEAD)).held is False
    assert (await pair.consumer.agreement(record.id)).finalized
    moved = await pair.consumer.ask_for_data(record.id)
    await pair.consumer.reaches(moved.id, "STARTED")


async def test_a_restored_consumer_that_lost_an_agreement_says_so_and_signs_nothing(pair):
    await pair.provider.publish()
    hold = pair.provider.hold("/negotiations/request", answers=True)
    record = await pair.consumer.request(pair.provider, offer_of(await dataset_of(pair)))
    await hold.arrived.wait()
    file = back_up(pair.consumer)
    pair.provider.release(hold)
    await pair.consumer.reaches(record.id, "FINALIZED")
    await put_back(pair.consumer, file)
    found = await verdict(pair.consumer, record.id, restored.AHEAD)
    assert (found.here, found.there, found.held) == ("REQUESTED", "FINALIZED", True)
    assert len(await agreements_of(pair.provider)) == 1
    requests = {each.body for each in pair.provider.captured if each.path.endswith("/negotiations/request")}
    assert len(requests) == 1


async def test_a_partner_that_speaks_of_what_came_after_the_backup_is_not_served_but_noted(pair):
    await pair.provider.publish()
    file = back_up(pair.provider)
    record = await pair.consumer.request(pair.provider, offer_of(await dataset_of(pair)))
    await pair.consumer.reaches(record.id, "FINALIZED")
    agreement = await pair.consumer.agreement(record.id)
    await put_back(pair.provider, file)
    moved = await pair.consumer.ask_for_data(record.id)
    await pair.consumer.reaches(moved.id, "TERMINATED")
    found = await verdict(pair.provider, agreement.id, restored.FORGOTTEN)
    assert found.kind == "agreement"
    assert await agreements_of(pair.provider) == []


async def test_a_request_of_before_the_restore_makes_no_second_agreement(site, peer):
    await site.publish()
    dataset = await peer.dataset(site)
    file = back_up(site)
    process = Process(peer, site)
    asked = process.message("ContractRequestMessage", offer=offer_of(dataset), callbackAddress=peer.dsp)
    assert (await process.send("ContractRequestMessage", document=asked)).status == 201
    await site.reaches(process.theirs, "AGREED")
    await put_back(site, file)
    peer.states[process.pid] = "AGREED"
    answer = await peer.send(site, "/negotiations/request", asked)
    assert (answer.status, "no second agreement" in answer.reason) == (400, True)
    assert await agreements_of(site) == []
    assert (await findings(site))[process.pid].verdict == restored.FORGOTTEN
    other = Process(peer, site)
    assert (await other.ask(offer_of(dataset))).status == 201


async def test_tokens_of_before_the_restore_are_refused(site, peer):
    await site.publish()
    _, agreement_id = await finalized(peer, site)
    process, address, data_token = await transfer_started(peer, site, agreement_id)
    assert (await peer.fetch(address, data_token)).status == 200
    file = back_up(site)
    early = "Bearer " + peer.token(site.did, b"", later_s=-2)
    peer.states[process.pid] = "STARTED"
    await put_back(site, file)
    assert (await peer.get(site, f"/transfers/{process.theirs}", authorization=early)).status == 503
    assert (await peer.fetch(address, data_token)).status == 401
    await wait_for(lambda: len(peer.of(f"/{process.pid}/suspension")) == 1)
    peer.states[process.pid] = "SUSPENDED"
    await wait_for(lambda: len(peer.of(f"/{process.pid}/start")) == 2)
    await site.reaches(process.theirs, "STARTED")

    assert (await peer.fetch(*access(peer, process))).status == 200
    assert (await peer.fetch(address, data_token)).status == 401


async def test_a_pull_in_its_middle_goes_on_with_a_new_token_after_its_provider_was_restored(pair, tmp_path):
    await pair.provider.publish(files=BIG)
    record = await pair.consumer.request(pair.provider, offer_of(await dataset_of(pair)))
    await pair.consumer.reaches(record.id, "FINALIZED")
    body = {
        "contractId": (await pair.consumer.agreement(record.id)).id,
        "transferType": "HttpData-PULL",
        "dataDestination": {"type": "File", "path": str(tmp_path / "got")},
    }
    name, _ = await processes.request_transfer(pair.consumer.connector, forms.decode_transfer_request(body))
    part = tmp_path / "got" / ".big.bin.part"
    await wait_for(lambda: part.exists() and part.stat().st_size > 0)
    file = back_up(pair.provider)
    await put_back(pair.provider, file)
    await pair.consumer.reaches(name, "COMPLETED", 30)
    assert (tmp_path / "got" / "big.bin").read_bytes() == BIG["big.bin"]


async def test_a_transfer_that_was_completed_since_is_complete_after_the_restore(pair, tmp_path):
    await pair.provider.publish()
    record = await pair.consumer.request(pair.provider, offer_of(await dataset_of(pair)))
    await pair.consumer.reaches(record.id, "FINALIZED")
    moved = await pair.consumer.ask_for_data(record.id)
    await pair.consumer.reaches(moved.id, "STARTED")
    ((name,),) = await pair.provider.rows("SELECT id FROM transfer")
    await pair.provider.reaches(name, "STARTED")
    file = back_up(pair.provider)
    await pair.consumer.move(moved.id, decide.COMPLETE)
    await pair.provider.reaches(name, "COMPLETED")
    await put_back(pair.provider, file)
    await pair.provider.reaches(name, "COMPLETED")
    assert (await verdict(pair.provider, name, restored.ENDED)).there == "COMPLETED"


async def test_a_transfer_that_was_suspended_stays_so_after_the_restore(site, peer):
    await site.publish()
    _, agreement_id = await finalized(peer, site)
    process, *_ = await transfer_started(peer, site, agreement_id)
    await site.move(process.theirs, decide.SUSPEND, reason="a person wants it")
    await site.reaches(process.theirs, "SUSPENDED")
    peer.states[process.pid] = "SUSPENDED"
    await put_back(site, back_up(site))
    await verdict(site, process.theirs, restored.SAME)
    await wait_for(lambda: not site.connector.held.names)
    assert await site.state(process.theirs) == "SUSPENDED"
    assert len(peer.of(f"/{process.pid}/start")) == 1


async def test_a_partner_that_is_away_is_waited_for(site, peer):
    await site.publish()
    process = Process(peer, site)
    assert (await process.ask(offer_of(await peer.dataset(site)))).status == 201
    await site.reaches(process.theirs, "AGREED")
    file = back_up(site)
    await peer.disappear()
    await put_back(site, file)
    assert site.connector.held.names == {process.theirs}
    assert (await findings(site))[process.theirs].verdict == restored.WAITING
    peer.states[process.pid] = "AGREED"
    await peer.listen()
    assert (await verdict(site, process.theirs, restored.SAME)).held is False
    assert (await process.verify()).status == 200
    await site.reaches(process.theirs, "FINALIZED")


async def test_a_process_that_the_partner_does_not_know_waits_for_a_person(site, peer):
    await site.publish()
    process = Process(peer, site)
    assert (await process.ask(offer_of(await peer.dataset(site)))).status == 201
    await site.reaches(process.theirs, "AGREED")
    await put_back(site, back_up(site))
    found = await verdict(site, process.theirs, restored.UNKNOWN)
    assert found.held
    await site.move(process.theirs, decide.TERMINATE, reason="unknown there")
    await wait_for(lambda: len(peer.of("/termination")) == 1)
    await verdict(site, process.theirs, restored.GIVEN_UP)


async def test_a_store_that_was_put_back_by_other_means_does_not_know_that_it_is_older(pair):
    await pair.provider.publish()
    record = await pair.consumer.request(pair.provider, offer_of(await dataset_of(pair)))
    await pair.consumer.reaches(record.id, "FINALIZED")
    await pair.provider.stop()
    older = pair.provider.conf.database.read_bytes()
    await pair.provider.start()
    later = await pair.consumer.request(pair.provider, offer_of(await dataset_of(pair)))
    await pair.consumer.reaches(later.id, "FINALIZED")
    await pair.provider.stop()
    pair.provider.conf.database.write_bytes(older)
    await pair.provider.start()
    assert pair.provider.connector.held.restored_at == 0
    assert await findings(pair.provider) == {}
    assert len(await agreements_of(pair.provider)) == 1
    assert len(await agreements_of(pair.consumer)) == 2


async def seen_by_both(pair):
    """Let there be something new about both, a checkpoint of it at the provider, and the consumer's answer."""
    await catalog.request(pair.consumer.connector, pair.provider.did)
    made = (await heads.made_by(pair.provider))[-1]
    await heads.told(pair.provider)
    return made


async def test_a_restored_connector_begins_a_new_log_that_its_partner_cosigns_and_people_hear_of(pair):
    first = await seen_by_both(pair)
    file = back_up(pair.provider)
    lost = await seen_by_both(pair)
    await put_back(pair.provider, file)
    anew = await seen_by_both(pair)
    assert anew.origin == f"{first.origin}/{pair.provider.connector.held.restored_at}"
    assert (await heads.told(pair.provider))[0][:2] == (anew.origin, anew.size)
    (finding,) = await heads.findings(pair.consumer)
    assert finding.kind == "RESTARTED"
    said = f"up to {lost.size} records of it were seen before, of which it contains {first.size}"
    assert said in finding.said
    assert await pair.provider.rows("SELECT size FROM cosignature ORDER BY size DESC LIMIT 1") == [
        (anew.size,)
    ]


async def test_a_log_whose_store_was_put_back_by_hand_is_found_out_on_both_sides(pair):
    await seen_by_both(pair)
    await pair.provider.stop()
    older = pair.provider.conf.database.read_bytes()
    await pair.provider.start()
    await seen_by_both(pair)
    await pair.provider.stop()
    pair.provider.conf.database.write_bytes(older)
    await pair.provider.start()
    await seen_by_both(pair)  # asked for a proof from what was seen last, it has none
    await seen_by_both(pair)
    assert [each.kind for each in await heads.findings(pair.consumer)] == ["FORKED"]
    (denied,) = await heads.findings(pair.provider)
    assert (denied.kind, denied.participant_id) == ("DENIED", pair.consumer.did)
    assert "does not contain a checkpoint that we signed" in denied.said


async def test_the_store_is_read_after_a_restore_and_what_was_deleted_since_is_said_to_be_missing(pair):
    async def got(asset, data):
        await pair.provider.publish(asset, files={"a.bin": data})
        begun = await get.start(pair.consumer.connector, pair.provider.did, asset, STORE)

        async def done():
            found = await get.status(pair.consumer.connector, begun.id)
            return found["transferId"] if found["stage"] == get.COMPLETED else None

        name = await wait_for(done)
        await pair.consumer.reaches(name, terms.COMPLETED)
        return name

    kept, deleted = await got("kept", b"kept"), await got("deleted", b"deleted")
    file = back_up(pair.consumer)
    await deletions.delete(pair.consumer.connector, deleted, by="Jo Doe")
    since = await got("since", b"since")
    await put_back(pair.consumer, file)
    consumer = pair.consumer.connector
    assert (await opening.check(consumer, kept))[2:] == ([], [])
    assert "a.bin" in (await opening.check(consumer, deleted))[3]
    with pytest.raises(errors.NotFoundError):
        await opening.check(consumer, since)
    again = await get.start(consumer, pair.provider.did, "since", STORE)

    async def done():
        return (await get.status(consumer, again.id))["stage"] == get.COMPLETED

    await wait_for(done)
