"""Revisions between two connectors: the next one is told by file, a recall ends what hands it out, and stays closed."""

import asyncio
import json

import msgspec
import pytest

from comity import errors
from comity.controlplane import content as contents
from comity.controlplane import explaining, get, notify, received, revisions, revisions_asked, whole
from comity.controlplane import partners as partner_list
from comity.controlplane import publish as publishing
from comity.controlplane.received import Access
from comity.dataplane.kept import STORE
from comity.dataplane.places import MANIFEST_NAME
from comity.db import offers, partners, published
from comity.db import revisions as rows
from comity.dsp import revision as revision_forms
from comity.dsp import terms
from comity.management import explaining as explaining_forms
from comity.management.revisions import QuestionForm
from comity.odrl import marking
from comity.techdata import manifest
from comity.techdata.effectivity import Effectivity
from support.pair import wait_for
from support.peer import status
from support.process import finalized

FIRST = {"same.bin": b"same" * 5000, "old/name.txt": b"renamed", "changed.txt": b"1", "gone.txt": b"gone"}
SECOND = {"same.bin": b"same" * 5000, "new/name.txt": b"renamed", "changed.txt": b"22", "added.txt": b"new"}


async def publish(site, folder, files, **more):
    """Publish a revision from a folder of its own, as a PLM system drops them."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return await publishing.publish(site.connector, str(folder), asset_id="asset", **more)


async def got(pair, folder, revision=0):
    """Let the consumer get the package and return the exchange as it ended."""
    begun = await get.start(
        pair.consumer.connector, pair.provider.did, "asset", str(folder), revision=revision
    )

    async def done():
        found = await get.status(pair.consumer.connector, begun.id)
        return found if found["stage"] in {get.COMPLETED, get.FAILED} else None

    status = await wait_for(done)
    if status["stage"] == get.COMPLETED:
        await pair.consumer.reaches(status["transferId"], terms.COMPLETED)
    return status


def files_below(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }


async def told(site, partner, number):
    """Wait until a partner has told of a revision, and return it."""

    async def there():
        rows = await revisions_asked.find(site.connector, "asset", partner.did)
        return next((each for each in rows if each["revision"] == number), None)

    return await wait_for(there, f"revision {number}")


def asked(partner="", **said):
    fields = {"part": "", "serial_number": "", "lot": "", "plant": ""} | said
    return QuestionForm(asset_id="asset", counterparty_id=partner, **fields)


async def test_the_next_revision_is_told_by_file_and_only_what_is_not_there_is_fetched(pair, tmp_path):
    await publish(pair.provider, tmp_path / "one", FIRST)
    first = await got(pair, tmp_path / "got")
    assert (first["stage"], first["error"]) == (get.COMPLETED, "")
    assert (await told(pair.consumer, pair.provider, 1))["receivedIn"] == first["transferId"]
    [ours] = await revisions_asked.find(pair.provider.connector, "asset", "")
    assert ours["heldBy"] == [pair.consumer.did]
    published = await publish(pair.provider, tmp_path / "two", SECOND)
    assert (published.revision, published.warnings) == (2, [])
    newer = await told(pair.consumer, pair.provider, 2)
    assert "receivedIn" not in newer
    changed = await revisions_asked.find_changes(pair.consumer.connector, "asset", pair.provider.did, 2, 0)
    own = await revisions_asked.find_changes(pair.provider.connector, "asset", "", 2, 0)
    for each in (changed, own):
        assert (each["added"], each["removed"], each["changed"]) == (
            ["added.txt"],
            ["gone.txt"],
            ["changed.txt"],
        )
        assert each["renamed"] == [{"before": "old/name.txt", "path": "new/name.txt"}]
        assert each["counts"]["same"] == 1
        assert each["complete"] is True
    assert [each["state"] for each in await listed(pair.consumer, pair.provider)] == [
        "released",
        "superseded",
    ]
    pair.provider.recorder.served.clear()
    second = await got(pair, tmp_path / "got")
    assert (second["stage"], second["error"]) == (get.COMPLETED, "")
    assert second["agreementId"] == first["agreementId"]
    assert files_below(tmp_path / "got").items() >= SECOND.items()
    assert not {"gone.txt", "old/name.txt"} & files_below(tmp_path / "got").keys()
    assert second["note"] == "removed, not in this revision any more: gone.txt, old/name.txt"
    fetched = {each.path for each in pair.provider.recorder.served if each.path.startswith("files/")}
    assert fetched == {"files/added.txt", "files/changed.txt"}
    for site, party in ((pair.provider, ""), (pair.consumer, pair.provider.did)):
        found = await site.rows("SELECT data FROM event WHERE type = 'revision.published' ORDER BY seq")
        seen = [(each["revision"], each["counterPartyId"]) for each in (json.loads(row[0]) for row in found)]
        assert seen[-1] == (2, party)
    evidence = [each["message"] for each in await pair.provider.entries("asset")]
    assert evidence == ["comity:Published", "comity:Published"]
    notices = [each for each in await pair.consumer.entries() if each["message"] == "comity:RevisionNotice"]
    assert len(notices) == 2  # what there was when the two agreed, and the next revision


async def listed(site, partner):
    return await revisions_asked.find(site.connector, "asset", partner.did)


async def test_an_older_revision_is_handed_out_by_its_number(pair, tmp_path, monkeypatch):
    await publish(pair.provider, tmp_path / "one", FIRST)
    await publish(pair.provider, tmp_path / "two", SECOND)
    (tmp_path / "one" / "same.bin").unlink()  # it lies in the newer revision's folder too
    first = await got(pair, tmp_path / "got", revision=1)
    assert (first["stage"], first["error"], first["revision"]) == (get.COMPLETED, "", 1)
    assert files_below(tmp_path / "got") == FIRST
    [row] = await pair.provider.rows("SELECT revision FROM transfer")
    assert row == (1,)

    async def kept():
        return await pair.provider.rows("SELECT state, files FROM receipt")

    assert await wait_for(kept) == [("kept", 4)]

    async def all_the_same(*_):
        """Ask although it is known that there is none."""

    monkeypatch.setattr(get, "_check_revision", all_the_same)
    missing = await got(pair, tmp_path / "other", revision=7)
    assert missing["stage"] == get.FAILED
    assert "there is no revision 7" in missing["error"]


async def test_a_recalled_revision_ends_its_transfers_and_is_not_opened_where_its_terms_say_so(
    pair, tmp_path
):
    said = marking.policy(marking.Said(current_only=True))
    await publish(pair.provider, tmp_path / "one", FIRST, policy=said)
    first = await got(pair, tmp_path / "got")
    await received.open_(pair.consumer.connector, first["transferId"], Access())
    record = await pair.consumer.ask_for_data(first["negotiationId"])
    await pair.consumer.reaches(record.id, terms.STARTED)
    await revisions.recall(pair.provider.connector, "asset", 1, "sheet 4 is wrong", by="jo")
    await pair.consumer.reaches(record.id, terms.TERMINATED)
    assert "revision 1 was recalled: sheet 4 is wrong" in (await pair.consumer.transfer(record.id)).error

    async def locked():
        try:
            await received.open_(pair.consumer.connector, first["transferId"], Access())
        except errors.PolicyError as error:
            return error
        return None

    refused = await wait_for(locked)
    why = f"revision 1 was recalled by {pair.provider.did}: sheet 4 is wrong"
    assert refused.reasons == (f"{why} (comity:revisionStatus eq released)",)
    assert refused.hint.startswith("get another revision: comity get ")
    [row] = await listed(pair.consumer, pair.provider)
    assert (row["state"], row["reason"]) == ("recalled", "sheet 4 is wrong")
    question = explaining_forms.decode({"participant": pair.consumer.did, "assetId": "asset"})
    told_why = await explaining.explain(pair.provider.connector, question)
    assert "revision 1 was recalled" in str(told_why)
    held = await pair.consumer.rows("SELECT count(*) FROM agreement")
    with pytest.raises(errors.ConflictError, match="revision 1 was recalled: sheet 4 is wrong"):
        await got(pair, tmp_path / "again")
    assert await pair.consumer.rows("SELECT count(*) FROM agreement") == held
    with pytest.raises(errors.ConflictError, match="recalled already"):
        await revisions.recall(pair.provider.connector, "asset", 1, "twice")
    fixed = await publish(pair.provider, tmp_path / "one", FIRST)
    assert fixed.revision == 2
    assert (await got(pair, tmp_path / "again"))["stage"] == get.COMPLETED


async def test_who_uses_a_revision_that_is_not_the_one_to_use_is_told_and_so_is_who_published_on_from_it(
    pair, tmp_path, caplog
):
    await publish(pair.provider, tmp_path / "one", FIRST)
    first = await got(pair, STORE)
    assert "became" not in first
    await publish(pair.provider, tmp_path / "two", SECOND)
    await told(pair.consumer, pair.provider, 2)
    superseded = "revision 1 was superseded by revision 2"
    [(held, _)] = await received.find(pair.consumer.connector, first["transferId"])
    assert held.revision.words == superseded
    assert await received.find(pair.consumer.connector, "urn:x") == []
    assert (await get.status(pair.consumer.connector, first["@id"]))["became"] == superseded
    made = await publishing.publish(
        pair.consumer.connector, f"{STORE}{first['transferId']}", asset_id="derived"
    )
    assert superseded in made.warnings
    await revisions.recall(pair.provider.connector, "asset", 1, "sheet 4 is wrong", by="jo")

    async def affected():
        return await pair.consumer.rows("SELECT data FROM event WHERE type = 'revision.affected'")

    [(data,)] = await wait_for(affected)
    recalled = f"revision 1 was recalled by {pair.provider.did}: sheet 4 is wrong"
    assert json.loads(data)["assetId"] == "derived"
    assert json.loads(data)["reason"] == f"it was made from asset, of which {recalled}"
    assert "revision 1 of derived stays published" in caplog.text
    [derived] = await revisions_asked.find(pair.consumer.connector, "derived", "", 1)
    assert derived["parents"] == [f"asset: {recalled}"]
    [(held, _)] = await received.find(pair.consumer.connector, first["transferId"])
    assert held.revision.words == recalled


async def test_of_each_holder_is_shown_whether_it_was_told_or_why_not(pair, peers, tmp_path):
    await publish(pair.provider, tmp_path / "one", FIRST)
    await got(pair, tmp_path / "got")
    refuses, leaves = [await peers(), await peers()]
    for each in (refuses, leaves):
        await pair.provider.befriend(each)
        await finalized(each, pair.provider)
    refuses.script("/comity/notices", status(400, {"reason": ["we take no more of these"]}))
    leaves.script("/comity/notices", *[status(200)] * 20)
    await pair.consumer.stop()
    await revisions.recall(pair.provider.connector, "asset", 1, "sheet 4 is wrong", by="jo")

    async def shown(*wanted):
        [found] = await revisions_asked.find(pair.provider.connector, "asset", "")
        said = {each["counterPartyId"]: each for each in found["notices"]}
        now = [(said[each.did]["delivery"], said[each.did].get("error", "")) for each in holders]
        same = [state == one and words in why for (state, why), (one, words) in zip(now, wanted, strict=True)]
        return all(same) and {each["event"] for each in said.values()} == {"recalled"}

    holders = [pair.consumer, refuses, leaves]
    await wait_for(
        lambda: shown(("sent", "cannot be reached"), ("refused", "we take no more"), ("sent", "no Comity"))
    )
    await partner_list.remove(pair.provider.connector, leaves.did)
    await pair.consumer.start()
    gone = ("refused", "no partner any more")
    await wait_for(lambda: shown(("taken", ""), ("refused", "we take no more"), gone))
    [entry] = [each for each in await pair.provider.entries("asset") if each["message"] == "comity:Recalled"]
    assert entry["detail"].endswith("3 holders to be told")
    await publish(pair.provider, tmp_path / "two", SECOND)
    [second, _] = await revisions_asked.find(pair.provider.connector, "asset", "")
    assert {each["counterPartyId"]: each["delivery"] for each in second["notices"]}[leaves.did] == "refused"


async def test_the_list_of_files_is_read_once_however_many_are_fetched(pair, tmp_path, monkeypatch):
    read, find = [], published.find

    async def seen(tx, content_id):
        read.append(content_id)
        return await find(tx, content_id)

    await publish(pair.provider, tmp_path / "one", {f"{at}.txt": str(at).encode() for at in range(20)})
    monkeypatch.setattr(published, "find", seen)
    assert (await got(pair, tmp_path / "got"))["stage"] == get.COMPLETED
    asset = await pair.provider.connector.database.read(lambda tx: offers.load(tx, offers.Asset, "asset"))
    assert [each for each in read if each] == [asset.content_id]


@pytest.mark.timeout(20)
async def test_a_list_of_files_that_the_store_has_lost_is_said_and_not_looked_for_for_ever(pair, tmp_path):
    await publish(pair.provider, tmp_path / "one", FIRST)
    database = pair.provider.connector.database
    asset = await database.read(lambda tx: offers.load(tx, offers.Asset, "asset"))
    await database.write(lambda tx: tx.run("DELETE FROM content"))

    async def named(tx):
        return contents._Named(asset)

    with pytest.raises(errors.StorageError, match="is not in the store"):
        await contents.Contents(pair.provider.connector)._content(named)


async def _exchange_contents(tx):
    one, two = [(await rows.find(tx, "asset", number)).content_id for number in (1, 2)]
    await rows.save_content(tx, "asset", 1, two)
    await rows.save_content(tx, "asset", 2, one)


@pytest.mark.parametrize("asked_for", [1, 2])
async def test_another_revision_than_the_one_asked_for_is_refused(pair, tmp_path, asked_for):
    await publish(pair.provider, tmp_path / "one", FIRST)
    await publish(pair.provider, tmp_path / "two", SECOND)
    await pair.provider.connector.database.write(_exchange_contents)
    found = await got(pair, tmp_path / "got", revision=asked_for)
    assert found["stage"] == get.FAILED
    assert f"revision {asked_for} was asked for, and the partner hands out" in found["error"] or (
        asked_for == 2 and found["errorType"] == "hash-mismatch"
    )
    assert files_below(tmp_path / "got") == {}


async def test_a_revision_that_is_not_to_be_had_is_refused_before_anything_is_agreed(pair, tmp_path):
    await publish(pair.provider, tmp_path / "one", FIRST)
    await got(pair, tmp_path / "got")
    await publish(pair.provider, tmp_path / "two", SECOND)
    await revisions.recall(pair.provider.connector, "asset", 1, "sheet 4 is wrong", by="jo")

    async def known():
        return (await told(pair.consumer, pair.provider, 1))["state"] == "recalled"

    await wait_for(known)
    agreed = len(await pair.consumer.rows("SELECT id FROM negotiation"))
    with pytest.raises(errors.ConflictError, match="revision 1 was recalled: sheet 4 is wrong"):
        await got(pair, tmp_path / "again", revision=1)
    with pytest.raises(errors.NotFoundError, match="no revision 7 of it; the newest is 2"):
        await got(pair, tmp_path / "again", revision=7)
    assert len(await pair.consumer.rows("SELECT id FROM negotiation")) == agreed


async def test_which_revision_applies_is_the_same_answer_on_both_sides(pair, tmp_path):
    early = (Effectivity(serial_from="SN-1", serial_to="SN-10"),)
    late = (Effectivity(serial_from="SN-9", plants=("P2",)),)
    await publish(pair.provider, tmp_path / "one", FIRST, effectivity=early)
    await got(pair, tmp_path / "got")
    made = await publish(pair.provider, tmp_path / "two", SECOND, effectivity=late)
    assert made.warnings == [
        "it is meant for some of what revision 1 is meant for: there the newer one applies"
    ]
    await told(pair.consumer, pair.provider, 2)
    for serial, plant, expected in (
        ("SN-2", "P1", 1),
        ("SN-9", "P1", 1),
        ("SN-9", "P2", 2),
        ("SN-10", "P2", 2),
        ("SN-11", "P1", None),
    ):
        answers = [
            await revisions_asked.applies(site.connector, asked(partner, serial_number=serial, plant=plant))
            for site, partner in ((pair.provider, ""), (pair.consumer, pair.provider.did))
        ]
        assert [each.get("revision") for each in answers] == [expected, expected]
    with pytest.raises(errors.NotFoundError, match="told us of no revision"):
        await revisions_asked.applies(pair.provider.connector, asked(pair.consumer.did))


async def test_who_agrees_last_is_told_of_all_revisions_and_both_sides_give_the_same_answer(pair, tmp_path):
    meant = [(Effectivity(serial_from=str(first), serial_to=str(first + 99)),) for first in (1, 101, 201)]
    for number, each in enumerate(meant):
        files = {"a": str(number).encode()}
        await publish(pair.provider, tmp_path / str(number), files, effectivity=each)
    await revisions.recall(pair.provider.connector, "asset", 2, "sheet 4 is wrong", by="jo")
    begun = await got(pair, tmp_path / "got")
    assert (begun["stage"], begun["revision"]) == (get.COMPLETED, 3)
    await told(pair.consumer, pair.provider, 1)
    for serial, expected in (("50", 1), ("150", None), ("250", 3)):
        theirs, ours = [
            await revisions_asked.applies(site.connector, asked(partner, serial_number=serial))
            for site, partner in ((pair.consumer, pair.provider.did), (pair.provider, ""))
        ]
        assert theirs.pop("counterPartyId") == pair.provider.did
        assert (theirs, ours.get("revision"), ours["complete"]) == (ours, expected, True)
    assert [each["state"] for each in await listed(pair.consumer, pair.provider)] == [
        "released",
        "recalled",
        "released",
    ]

    async def all_taken():
        of_each = await revisions_asked.find(pair.provider.connector, "asset", "")
        said = [(one["event"], one["delivery"]) for each in of_each for one in each["notices"]]
        return said == [("published", "taken"), ("recalled", "taken"), ("published", "taken")]

    await wait_for(all_taken)
    assert not await pair.consumer.rows("SELECT 1 FROM event WHERE type LIKE 'revision.%'")


async def _add_revisions(tx):
    newest = await rows.find(tx, "asset", 1)
    for number in range(2, 251):
        await rows.insert(
            tx, msgspec.structs.replace(newest, number=number, manifest_sha256=f"{number:064x}")
        )


async def test_who_was_not_told_says_so_and_is_told_with_the_next_transfer_however_many_there_are(
    pair, tmp_path
):
    deaf = pair.provider.connector.deaf
    deaf[pair.consumer.did] = pair.provider.connector.now_ms()  # it is sent no notices for a day
    await publish(pair.provider, tmp_path / "one", FIRST)
    first = await got(pair, tmp_path / "got")
    found = await revisions_asked.applies(pair.consumer.connector, asked(pair.provider.did))
    assert (found["revision"], found["complete"]) == (1, False)
    assert found["why"].endswith("not told us yet which revisions there are, and another one may apply")
    assert "publishedAt" not in (await listed(pair.consumer, pair.provider))[0]
    await pair.provider.connector.database.write(_add_revisions)
    deaf.clear()
    await pair.consumer.ask_for_data(first["negotiationId"])

    async def all_told():
        return len(await listed(pair.consumer, pair.provider)) == 250

    await wait_for(all_told)
    again = await revisions_asked.applies(pair.consumer.connector, asked(pair.provider.did))
    assert (again["revision"], again["complete"]) == (250, True)
    notices = [each for each in await pair.consumer.entries() if each["message"] == "comity:RevisionNotice"]
    assert len(notices) == 3


async def test_a_revision_whose_files_were_changed_in_place_is_named_to_its_publisher_and_to_who_wants_it(
    pair, tmp_path, caplog
):
    early, late = [(Effectivity(serial_from=first),) for first in ("1", "101")]
    await publish(pair.provider, tmp_path / "one", FIRST, effectivity=early)
    for number in (2, 3):  # of the second revision nothing is lost
        files = {"changed.txt": b"2", "added.txt": str(number).encode()}
        made = await publish(pair.provider, tmp_path / "one", files, effectivity=late)
    await publish(pair.provider, tmp_path / "two", SECOND, effectivity=early)  # of a folder of its own
    lost = "revision 1 stays released, and is not to be had whole any more: changed.txt, changed in place or removed"
    assert made.warnings[1:] == [lost, whole.HINT]
    for _ in range(2):
        refused = await got(pair, tmp_path / "got", revision=1)
        assert refused["stage"] == get.FAILED
        why = "'changed.txt' is not what was published: its provider does not have that any more"
        assert why in refused["error"]
    [(data,)] = await pair.provider.rows("SELECT data FROM event WHERE type = 'revision.incomplete'")
    why = f"changed.txt is not what was published, and {pair.consumer.did} was refused it"
    assert (json.loads(data)["revision"], json.loads(data)["reason"]) == (1, why)
    logged = [each.getMessage() for each in caplog.records if each.name.endswith("incomplete")]
    assert logged == [f"revision 1 of asset cannot be handed out: {why}"]
    (tmp_path / "one" / "gone.txt").unlink()
    [first] = await revisions_asked.find(pair.provider.connector, "asset", "", 1)
    assert first["state"] == "superseded"
    assert first["lost"] == ["changed.txt", "gone.txt"]
    [fourth] = await revisions_asked.find(pair.provider.connector, "asset", "", 4)
    assert fourth["lost"] == []


async def test_agreements_that_have_other_terms_are_named_to_who_publishes(pair, tmp_path):
    await publish(pair.provider, tmp_path / "one", FIRST)
    first = await got(pair, tmp_path / "got")
    made = await publish(
        pair.provider, tmp_path / "one", {"a": b"1"}, policy=marking.policy(marking.Said(count=9))
    )
    [[agreement_id]] = await pair.provider.rows("SELECT id FROM agreement")
    other = f"it is handed out under other terms too, until it is retired: agreement {agreement_id}"
    assert made.warnings == [
        f"{other} of {pair.consumer.did}",
        "end one with: comity agreements retire ID --reason TEXT",
    ]
    assert (await told(pair.consumer, pair.provider, 2))["agreementId"] == first["agreementId"]


async def test_who_finds_nothing_changed_does_not_take_back_what_was_published_meanwhile(
    pair, tmp_path, monkeypatch
):
    await publish(pair.provider, tmp_path / "a", FIRST)
    refresh = publishing._refresh

    async def late(connector, draft):
        monkeypatch.setattr(publishing, "_refresh", refresh)
        await publish(pair.provider, tmp_path / "b", SECOND)
        return await refresh(connector, draft)

    monkeypatch.setattr(publishing, "_refresh", late)
    with pytest.raises(errors.ConflictError, match="at the same time"):
        await publish(pair.provider, tmp_path / "a", FIRST)  # written again: other times, the same bytes
    assert (await pair.provider.manifest()).revision == 2


async def test_what_is_published_while_somebody_agrees_to_it_comes_as_it_is_now(pair, tmp_path):
    await publish(pair.provider, tmp_path / "a", FIRST)
    held = pair.provider.hold("/negotiations/request")
    begun = await get.start(pair.consumer.connector, pair.provider.did, "asset", str(tmp_path / "got"))
    await held.arrived.wait()
    await publish(pair.provider, tmp_path / "b", SECOND)  # of which nobody is told who holds no agreement
    pair.provider.release(held)

    async def ended():
        return (await get.status(pair.consumer.connector, begun.id))["stage"] in {get.COMPLETED, get.FAILED}

    await wait_for(ended)
    status = await get.status(pair.consumer.connector, begun.id)
    assert (status["stage"], status["error"]) == (get.COMPLETED, "")
    assert files_below(tmp_path / "got") == SECOND
    assert status["manifestSha256"] == manifest.digest((tmp_path / "got" / MANIFEST_NAME).read_bytes())


async def test_of_two_that_publish_at_the_same_time_each_number_is_given_once(pair, tmp_path):
    await publish(pair.provider, tmp_path / "one", FIRST)
    (tmp_path / "two").mkdir()
    (tmp_path / "three").mkdir()
    done = await asyncio.gather(
        publish(pair.provider, tmp_path / "two", {"a": b"2"}),
        publish(pair.provider, tmp_path / "three", {"a": b"3"}),
        return_exceptions=True,
    )
    made = [each.revision for each in done if not isinstance(each, BaseException)]
    lost = [each for each in done if isinstance(each, BaseException)]
    assert sorted(made) == list(range(2, 2 + len(made)))
    assert all(isinstance(each, errors.ConflictError) for each in lost)
    numbers = [row["revision"] for row in await revisions_asked.find(pair.provider.connector, "asset", "")]
    assert numbers == sorted(range(1, 2 + len(made)), reverse=True)


async def send(site, partner, **said):
    """Send a notice about revisions by hand."""
    standing = {"state": "released", "manifestSha256": "9" * 64, "publishedAt": 1} | said.pop("standing", {})
    notice = {
        "@type": revision_forms.NOTICE,
        "assetId": "asset",
        "event": "published",
        "revision": standing["revision"],
        "revisions": [standing],
        **said,
    }

    async def unit(tx):
        return await notify.send(site.connector, tx, await partners.load(tx, partner.did), notice, "urn:a")

    name = await site.connector.database.write(unit)

    async def settled():
        found = [each for each in await site.entries() if each.get("messageId") == name]
        return found[-1].get("outcome") if found else None

    return await wait_for(settled)


async def test_a_provider_cannot_say_another_thing_of_a_revision_than_before(pair, tmp_path):
    await publish(pair.provider, tmp_path / "one", FIRST)
    agreement_id = (await got(pair, tmp_path / "got"))["agreementId"]
    [row] = await listed(pair.consumer, pair.provider)
    other, same = {"revision": 1}, {"revision": 1, "manifestSha256": row["manifestSha256"]}
    said = {"agreementId": agreement_id}
    assert await send(pair.provider, pair.consumer, standing=other, **said) == "refused"
    assert await send(pair.provider, pair.consumer, standing=same, agreementId="urn:x") == "refused"
    assert await send(pair.provider, pair.consumer, standing=same, **(said | {"assetId": "x"})) == "refused"
    recalled = same | {"state": "recalled"}
    assert await send(pair.provider, pair.consumer, standing=recalled, **said) == "acknowledged"
    assert await send(pair.provider, pair.consumer, standing=same, **said) == "acknowledged"
    assert [each["state"] for each in await listed(pair.consumer, pair.provider)] == ["recalled"]
    assert await send(pair.consumer, pair.provider, standing=same, **said) == "refused"
    second = {"revision": 2, "state": "released", "manifestSha256": "2" * 64, "publishedAt": 2}
    first = second | {"revision": 1, "manifestSha256": "9" * 64}  # as if restored from a backup in between
    both = said | {"revisions": [second, first]}
    assert await send(pair.provider, pair.consumer, standing=second, **both) == "acknowledged"
    kept = {each["revision"]: each["manifestSha256"] for each in await listed(pair.consumer, pair.provider)}
    assert kept == {2: "2" * 64, 1: row["manifestSha256"]}
    assert await listed_at(pair.provider, pair.consumer) == []


async def listed_at(site, partner):
    try:
        return await listed(site, partner)
    except errors.NotFoundError:
        return []


async def test_a_package_that_an_older_comity_published_is_published_again_as_the_next_revision(
    pair, tmp_path
):
    """Its manifest is of version 1, which has no number: as the migration left it, it is revision 1."""
    await publish(pair.provider, tmp_path / "folder", FIRST)

    def as_before(kept):
        files = tuple(
            manifest.File(each.path, each.size_bytes, each.sha256)
            for each in manifest.decode(kept.manifest.encode()).files
        )
        older = manifest.encode(manifest.Manifest("Older", files))
        return contents.Sealed(older.decode(), kept.files)

    await pair.provider.hand_out(as_before)
    again = await publish(pair.provider, tmp_path / "folder", FIRST)
    assert (again.revision, again.unchanged, again.title) == (2, False, "Older")
    assert (await publish(pair.provider, tmp_path / "folder", FIRST)).unchanged
    assert (await got(pair, tmp_path / "got"))["stage"] == get.COMPLETED
    assert files_below(tmp_path / "got") == FIRST
