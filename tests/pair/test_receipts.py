"""Receipts of deliveries and deletions: signed by the receiver, checked and kept by the provider, listed on both."""

import pytest

from comity import errors
from comity.controlplane import deletions, get, retirements, transfer_moves
from comity.db import agreements
from comity.dsp import receipt, terms, transfer
from comity.management import query
from comity.management import retirements as retirement_forms
from support.pair import wait_for
from support.process import finalized, started

DAY_MS = 24 * 3600 * 1000
ALL = query.parse({})
DELETE_IN_30_DAYS = [
    {
        "action": "delete",
        "constraint": [{"leftOperand": "elapsedTime", "operator": "lteq", "rightOperand": "P30D"}],
    }
]
PATH = "/../../comity/notices"
FILES = {"a.txt": b"hello", "sub/b.bin": b"world" * 1000}


def policy(obligation=()):
    return {"@type": "Offer", "permission": [{"action": "use"}], "obligation": list(obligation)}


async def got(pair, folder, *, obligation=(), **published):
    """Let the consumer get a package, and return its transfer when both sides have the receipt."""
    await pair.provider.publish(files=FILES, policy=policy(obligation), **published)
    begun = await get.start(pair.consumer.connector, pair.provider.did, "asset", str(folder))

    async def done():
        return (await get.status(pair.consumer.connector, begun.id))["stage"] in {get.COMPLETED, get.FAILED}

    await wait_for(done)
    status = await get.status(pair.consumer.connector, begun.id)
    assert (status["stage"], status["error"]) == (get.COMPLETED, "")
    record = await settled(pair, status["transferId"], 1)
    await pair.consumer.reaches(record.id, terms.COMPLETED)
    await pair.provider.reaches(record.counterparty_pid, terms.COMPLETED)
    return record


async def settled(pair, transfer_id, number):
    async def there():
        found = await receipts(pair.consumer)
        return len(found) == number and all(each["state"] != "sent" for each in found)

    await wait_for(there, "the receipts")
    return await pair.consumer.transfer(transfer_id)


async def receipts(site):
    return await deletions.find_receipts(site.connector, ALL)


async def listed(site):
    return await deletions.find(site.connector, ALL)


async def test_the_provider_holds_the_consumers_receipt_of_what_it_served(pair, tmp_path):
    record = await got(pair, tmp_path / "got")
    (ours,), (theirs,) = await receipts(pair.consumer), await receipts(pair.provider)
    assert (ours["state"], theirs["state"]) == ("taken", "kept")
    assert (ours["transferId"], theirs["transferId"]) == (record.id, record.counterparty_pid)
    (published,) = await pair.provider.rows("SELECT sha256, files, size_bytes, at FROM delivery")
    for each in (ours, theirs):
        assert (each["kind"], each["agreementId"]) == ("delivery", record.agreement_id)
        assert (each["sha256"], each["files"], each["sizeBytes"], each["at"]) == published
    assert theirs["sizeBytes"] == sum(map(len, FILES.values()))
    for site, direction in ((pair.consumer, "out"), (pair.provider, "in")):
        (entry,) = [
            each
            for each in await site.entries(record.agreement_id)
            if each["kind"] == "notice" and each["message"] != "comity:RevisionNotice"
        ]
        assert (entry["direction"], entry["message"]) == (direction, receipt.DELIVERY)
    assert await listed(pair.consumer) == await listed(pair.provider) == []


async def test_what_was_pushed_into_our_inbox_has_its_receipt_too(pair, tmp_path):
    record = await got(pair, tmp_path / "got", obligation=DELETE_IN_30_DAYS)
    agreement = await pair.consumer.connector.database.read(
        lambda tx: agreements.find_of_party(tx, record.agreement_id, pair.provider.did, terms.CONSUMER)
    )
    wanted = transfer_moves.Wanted(transfer.PUSH, str(tmp_path / "pushed"))
    pushed = await pair.consumer.connector.database.write(
        lambda tx: transfer_moves.request(
            pair.consumer.connector, tx, agreement, record.counterparty_address, wanted
        )
    )
    await settled(pair, pushed.id, 2)
    found = await receipts(pair.provider)
    assert [each["state"] for each in found] == ["kept", "kept"]
    assert len({(each["sha256"], each["files"], each["sizeBytes"]) for each in found}) == 1


async def test_what_is_to_be_deleted_is_listed_deleted_and_told(pair, tmp_path):
    record = await got(pair, tmp_path / "got", obligation=DELETE_IN_30_DAYS)
    (tmp_path / "got/mine.txt").write_bytes(b"mine")
    (here,), (there,) = await listed(pair.consumer), await listed(pair.provider)
    assert (here["state"], there["state"]) == ("OPEN", "OPEN")
    assert here["dueAt"] == there["dueAt"] == here["receivedAt"] + 30 * DAY_MS
    with pytest.raises(errors.ConflictError, match="it is the partner who deletes it"):
        await deletions.delete(pair.provider.connector, record.counterparty_pid, by="bob")
    (done,) = await deletions.delete(pair.consumer.connector, record.agreement_id, by="alice")
    assert (done["state"], done["deletedBy"]) == ("DELETED", "alice")
    assert [each.name for each in (tmp_path / "got").iterdir()] == ["mine.txt"]
    await settled(pair, record.id, 2)
    (there,) = await listed(pair.provider)
    assert (there["state"], there["deletedBy"], there["deletedAt"]) == ("DELETED", "alice", done["deletedAt"])
    kept = {each["kind"]: each for each in await receipts(pair.provider)}
    assert {name: each["state"] for name, each in kept.items()} == {"delivery": "kept", "deletion": "kept"}
    assert (kept["deletion"]["sha256"], kept["deletion"]["by"]) == (done["sha256"], "alice")
    assert [each["comity:action"] for each in kept["delivery"]["enforcement"]] == ["delete"]
    orders = [each for each in await pair.consumer.entries(record.id) if each["message"] == "comity:Deletion"]
    assert [(each["outcome"], each["by"]) for each in orders] == [("ordered", "alice"), ("done", "alice")]
    with pytest.raises(errors.ConflictError, match="deleted already"):
        await deletions.delete(pair.consumer.connector, record.id, by="alice")


async def test_what_cannot_be_deleted_has_no_receipt_and_becomes_overdue(pair, tmp_path):
    record = await got(pair, tmp_path / "got", obligation=DELETE_IN_30_DAYS)
    (tmp_path / "got/a.txt").write_bytes(b"HELLO")
    with pytest.raises(errors.ConflictError, match="changed since"):
        await deletions.delete(pair.consumer.connector, record.id, by="alice")
    assert len(await receipts(pair.consumer)) == 1
    for site in pair:
        await site.connector.database.write(lambda tx: tx.run("UPDATE delivery SET due_at = 1"))
        overdue = query.parse(
            {"filterExpression": [{"operandLeft": "state", "operator": "=", "operandRight": "OVERDUE"}]}
        )
        assert len(await deletions.find(site.connector, overdue)) == 1
    (done,) = await deletions.delete(pair.consumer.connector, record.id, by="alice", by_hand=True)
    assert done["state"] == "DELETED"
    await settled(pair, record.id, 2)
    assert [each["byHand"] for each in await receipts(pair.provider)] == [False, True]


async def test_two_transfers_of_the_same_files_into_one_folder_are_deleted_together(pair, tmp_path):
    record = await twice(pair, tmp_path)
    await deletions.delete(pair.consumer.connector, record.id, by="alice")
    assert [each["state"] for each in await listed(pair.consumer)] == ["DELETED", "DELETED"]
    await settled(pair, record.id, 4)
    assert not (tmp_path / "got").exists()


async def twice(pair, tmp_path, **second):
    """Get the same package twice into one folder; `second` is what is otherwise of the second time."""
    record = await got(pair, tmp_path / "got", obligation=DELETE_IN_30_DAYS)
    await get.start(pair.consumer.connector, pair.provider.did, "asset", str(tmp_path / "got"))
    await settled(pair, record.id, 2)
    for name, value in second.items():
        change = f"UPDATE delivery SET {name} = ?2 WHERE transfer_id <> ?1"
        await pair.consumer.connector.database.write(
            lambda tx, change=change, value=value: tx.run(change, record.id, value)
        )
    return record


async def test_a_file_of_the_same_bytes_under_another_name_is_not_called_deleted(pair, tmp_path):
    record = await twice(pair, tmp_path, name="copy.txt")
    await deletions.delete(pair.consumer.connector, record.id, by="alice")
    states = {each["transferId"] == record.id: each["state"] for each in await listed(pair.consumer)}
    assert states == {True: "DELETED", False: "OPEN"}


async def test_what_two_partners_have_under_one_id_of_an_agreement_is_not_deleted_together(pair, tmp_path):
    record = await twice(pair, tmp_path, counterparty_id="did:web:other")
    with pytest.raises(errors.ConflictError, match="two partners use this id"):
        await deletions.delete(pair.consumer.connector, record.agreement_id, by="alice")


async def test_a_retired_agreement_lets_its_deletion_be_due(pair, tmp_path):
    record = await got(pair, tmp_path / "got", obligation=[{"action": "delete"}])
    assert "dueAt" not in (await listed(pair.consumer))[0]
    await retirements.retire(
        pair.consumer.connector, retirement_forms.Retirement(record.agreement_id, "no longer made")
    )
    (here,) = await listed(pair.consumer)
    assert here["receivedAt"] <= here["dueAt"]


class TestWrongReceipts:
    """A scripted consumer, which has a transfer and says other things of it than were served."""

    @pytest.fixture
    async def said(self, site, peer):
        await site.publish(files=FILES)
        _, agreement_id = await finalized(peer, site)
        process, _, _ = await started(peer, site, agreement_id)
        ((sha256, files, size_bytes),) = await site.rows("SELECT sha256, files, size_bytes FROM delivery")
        return {
            "@type": receipt.DELIVERY,
            "@id": "urn:uuid:1",
            "agreementId": agreement_id,
            "providerPid": process.theirs,
            "consumerPid": process.pid,
            "comity:manifestSha256": sha256,
            "comity:files": files,
            "dcat:byteSize": size_bytes,
            "comity:time": "2026-11-28T12:00:00Z",
        }

    @pytest.mark.parametrize(
        ("changed", "why"),
        [
            ({"comity:manifestSha256": "0" * 64}, "it names the digest 000"),
            ({"comity:files": 1}, "it names 1 files, and 2 were served"),
            ({"dcat:byteSize": 7}, "it names 7 bytes, and 5005 were served"),
            ({"consumerPid": "urn:other"}, "its transfer is 'urn:other' there"),
        ],
    )
    async def test_one_that_contradicts_is_kept_marked_and_said(self, site, peer, said, changed, why):
        answer = await peer.send(site, PATH, {**said, **changed})
        assert answer.status == 200
        assert why in answer.document[receipt.CONTRADICTION]
        (kept,) = await receipts(site)
        assert (kept["state"], why in kept["said"]) == ("contradicts", True)

    @pytest.mark.parametrize(
        ("changed", "why"),
        [
            ({"providerPid": "urn:unknown"}, "no transfer with these ids was served to you"),
            ({"agreementId": "urn:unknown"}, "no transfer with these ids was served to you"),
            ({"comity:files": -1}, "expected `int` >= 0"),
            ({"comity:manifestSha256": None}, "a receipt has the digest"),
            ({"comity:time": "noon"}, "ISO 8601"),
        ],
    )
    async def test_one_about_nothing_of_ours_is_refused(self, site, peer, said, changed, why):
        answer = await peer.send(site, PATH, {**said, **changed})
        assert answer.status == 400
        assert why in answer.reason
        assert await receipts(site) == []

    async def test_a_right_one_of_a_clock_that_runs_ahead_counts_from_now(self, site, peer, said):
        answer = await peer.send(site, PATH, {**said, "comity:time": "2099-01-01T00:00:00Z"})
        assert answer.status == 200
        assert receipt.CONTRADICTION not in answer.document
        ((at,),) = await site.rows("SELECT at FROM delivery")
        assert at <= site.connector.now_ms()

    async def test_a_second_one_with_a_later_time_does_not_put_off_what_is_due(self, site, peer, said):
        await peer.send(site, PATH, said)
        first = await site.rows("SELECT at FROM delivery")
        await peer.send(site, PATH, {**said, "@id": "urn:2", "comity:time": "2099-01-01T00:00:00Z"})
        assert await site.rows("SELECT at FROM delivery") == first
