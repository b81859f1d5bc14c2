"""The way back, on each store: a holder asks, the owner's people decide, both see the same thread and evidence."""

import asyncio
import functools
import json

import pytest

from comity import errors
from comity.controlplane import (
    apikeys,
    catalog,
    export,
    get,
    inquiries,
    inquiry_decisions,
    retirements,
    revisions_asked,
)
from comity.dataplane.kept import STORE
from comity.evidence import bundle
from comity.management import inquiries as wire
from comity.management import query
from comity.management.apikeys import ApiKeyForm
from comity.management.approvals import Rule
from comity.management.retirements import Retirement
from comity.management.revisions import QuestionForm
from comity.techdata import manifest
from support.pair import offer_of, wait_for

PEOPLE = ("anna", "boris")
LOTS = {"lotFrom": "L-9", "lotTo": "L-12", "until": "2999-12-31"}
FILES = {"drawings/a.pdf": b"a drawing", "b.txt": b"a list"}


async def agreed(pair, **published):
    """An agreement about a package, and the digest of its manifest."""
    for name in PEOPLE:
        await apikeys.create(pair.provider.connector, ApiKeyForm(name, "approver", None))
    made = await pair.provider.publish(files=FILES, **published)
    return await negotiated(pair, "asset"), made.manifest_sha256


async def negotiated(pair, asset_id):
    dataset = await catalog.request_dataset(pair.consumer.connector, pair.provider.did, None, asset_id)
    record = await pair.consumer.request(pair.provider, offer_of(dataset))
    await pair.consumer.reaches(record.id, "FINALIZED")
    found = await pair.consumer.agreement(record.id)
    await wait_for(lambda: is_final(pair.provider, found.id))
    return found.id


async def is_final(site, agreement_id):
    return await site.rows("SELECT 1 FROM agreement WHERE id = ?1 AND finalized = 1", agreement_id)


def form(agreement_id, sha256, kind="question", **more):
    said = {"text": "May we use M6?", "files": [], "limits": {}, "proposal": "", "answer_by": "", **more}
    return wire.AskedForm(agreement_id=agreement_id, kind=kind, manifest_sha256=sha256, **said)


async def ask(pair, agreement_id, sha256, kind="question", **more):
    """Ask, and return the id when the owner has it."""
    made = await inquiries.ask(pair.consumer.connector, form(agreement_id, sha256, kind, **more), by="carla")
    await reaches(pair.provider, made.id, "OPEN")
    await told(pair.consumer)
    return made.id


async def load(site, name):
    return await inquiries.load(site.connector, name)


async def reaches(site, name, state):
    async def there():
        try:
            found = await load(site, name)
        except errors.NotFoundError:
            return None
        return found if found["state"] == state else None

    return await wait_for(there, f"{name} is {state}")


async def told(*sites):
    """Wait until what became of all notices is written down."""

    async def nothing_open():
        return not any([await site.outbox() for site in sites])

    await wait_for(nothing_open, "the outbox is empty")


async def test_a_question_is_answered_by_a_person_and_both_sides_see_who_said_what(pair):
    agreement_id, sha256 = await agreed(pair)
    name = await ask(pair, agreement_id, sha256, files=["drawings/a.pdf"], answer_by="2999-03-31")
    await inquiry_decisions.say(pair.provider.connector, name, "We look at it.", by="boris")
    with pytest.raises(errors.PolicyError, match="no person's"):
        await inquiry_decisions.answer(pair.provider.connector, name, "Yes.", by="")
    await inquiry_decisions.answer(pair.provider.connector, name, "Yes, M6.\nMind the torque.", by="anna")
    there = await reaches(pair.consumer, name, "ANSWERED")
    await told(*pair)
    here, there = await load(pair.provider, name), await load(pair.consumer, name)
    assert (here["type"], there["type"]) == ("PROVIDER", "CONSUMER")
    same = (
        "kind",
        "state",
        "agreementId",
        "assetId",
        "manifestSha256",
        "text",
        "files",
        "answerBy",
        "askedBy",
    )
    assert {each: here[each] for each in same} == {each: there[each] for each in same}
    assert here["decidedBy"] == there["decidedBy"] == ["anna"]
    said = [(each["event"], each["type"], each["by"], each["text"]) for each in there["thread"]]
    assert sorted(said) == sorted(
        (each["event"], each["type"], each["by"], each["text"]) for each in here["thread"]
    )
    assert said[0] == ("asked", "CONSUMER", ["carla"], "May we use M6?")
    assert ("said", "PROVIDER", ["boris"], "We look at it.") in said
    assert {each["delivery"] for each in there["thread"]} == {"taken", "received"}
    for site, people in ((pair.consumer, {"carla"}), (pair.provider, {"anna", "boris"})):
        found = await site.entries(agreement_id)
        assert {each["by"] for each in found if each["kind"] == "inquiry"} == people
        assert (
            len(
                [
                    each
                    for each in found
                    if each["message"].startswith("comity:Inquiry") and each["kind"] == "notice"
                ]
            )
            == 3
        )
        data = await export.export(site.connector, agreement_id)  # which is checked before it is given
        records = [unpacked(each["record"]) for each in json.loads(data)["records"]]
        assert {each["by"] for each in records if each["kind"] == "inquiry"} == people
    with pytest.raises(errors.ConflictError, match="it is over: it was answered"):
        await inquiry_decisions.refuse(pair.provider.connector, name, "No.", by="boris")


def unpacked(record):
    return json.loads(bundle.unpacked(record, bundle.Where("a record", "$")))


async def test_a_deviation_that_two_have_to_grant_holds_on_both_sides_for_its_lots(pair):
    agreement_id, _ = await agreed(pair)
    sha256 = (await pair.provider.publish(files={"b.txt": b"another list"})).manifest_sha256
    await pair.provider.befriend(pair.consumer, approval=Rule(PEOPLE, four_eyes=True))
    name = await ask(pair, agreement_id, sha256, "deviation", limits={"quantity": 5})
    connector = pair.provider.connector
    with pytest.raises(errors.InvalidInputError, match="2020-01-01 is over"):
        await inquiry_decisions.grant(connector, name, {"until": "2020-01-01"}, "", by="anna")
    found = await inquiry_decisions.grant(connector, name, {**LOTS, "quantity": 6}, "Mark them.", by="anna")
    assert found["note"] == "beyond what was asked: 6 pieces, asked for: 5"
    assert (found["state"], found["waitsFor"]) == ("OPEN", "granted by anna; waits for 1 more of boris")
    with pytest.raises(errors.ConflictError, match="anna has approved it already"):
        await inquiry_decisions.grant(connector, name, {}, "", by="anna")
    with pytest.raises(errors.ConflictError, match="within other limits: lots L-9 to L-12, 6 pieces, until"):
        await inquiry_decisions.grant(connector, name, {"quantity": 7}, "", by="boris")
    with pytest.raises(errors.PolicyError, match="carla is not one of those who may"):
        await inquiry_decisions.refuse(connector, name, "No.", by="carla")
    assert await connector.database.read(lambda tx: inquiries.granted(tx, "asset")) == []
    await inquiry_decisions.grant(connector, name, {}, "", by="boris")
    await reaches(pair.consumer, name, "GRANTED")
    for site, owner in ((pair.provider, ""), (pair.consumer, pair.provider.did)):
        (held,) = await site.connector.database.read(
            functools.partial(inquiries.granted, asset_id="asset", owner_id=owner)
        )
        assert (held.limits.lot_from, held.decided_by) == ("L-9", ["anna", "boris"])
    assert (await load(pair.consumer, name))["granted"] == {**LOTS, "quantity": 6}
    await told(*pair)
    for site, owner in ((pair.provider, ""), (pair.consumer, pair.provider.did)):
        for lot, number in (("L-10", 1), ("L-13", 0)):
            found = await revisions_asked.applies(
                site.connector, QuestionForm("asset", owner, "", "", lot, "")
            )
            assert found["revision"] == 2
            assert [each["inquiryId"] for each in found["deviations"]] == [name] * number
    noted = [each for each in await pair.provider.entries(agreement_id) if each["kind"] == "inquiry"]
    assert [(each["outcome"], each["by"]) for each in noted] == [
        ("proposed", "anna"),
        ("granted", "anna, boris"),
    ]
    names = [
        row[0]
        for row in await pair.provider.rows("SELECT type FROM event WHERE type LIKE 'inquiry%' ORDER BY seq")
    ]
    assert names == ["inquiry.asked", "inquiry.proposed", "inquiry.granted"]


async def test_a_deviation_that_is_revoked_while_who_asked_is_away_holds_on_neither_side(pair):
    agreement_id, _ = await agreed(pair)
    sha256 = (await pair.provider.publish(files={"b.txt": b"another list"})).manifest_sha256
    await pair.provider.befriend(pair.consumer, approval=Rule(PEOPLE, four_eyes=True))
    name = await ask(pair, agreement_id, sha256, "deviation", limits=LOTS)
    for person in PEOPLE:
        await inquiry_decisions.grant(pair.provider.connector, name, {}, "", by=person)
    await reaches(pair.consumer, name, "GRANTED")
    with pytest.raises(errors.ConflictError, match="only the owner of the revision may decide it"):
        await inquiry_decisions.revoke(pair.consumer.connector, name, "M6 breaks.", by="carla")
    await pair.consumer.stop()
    for person, said in (("", "no person's"), ("carla", "carla is not one of those who may")):
        with pytest.raises(errors.PolicyError, match=said):
            await inquiry_decisions.revoke(pair.provider.connector, name, "M6 breaks.", by=person)
    await inquiry_decisions.revoke(pair.provider.connector, name, "M6 breaks.", by="boris")
    await pair.provider.stop()
    for site in pair:
        await site.start()
    with pytest.raises(errors.ConflictError, match="it is over: it was revoked"):
        await inquiry_decisions.revoke(pair.provider.connector, name, "Again.", by="anna")
    there = await reaches(pair.consumer, name, "REVOKED")
    await told(*pair)
    here = await load(pair.provider, name)
    assert here["state"] == "REVOKED"
    assert here["revokedAt"] == there["revokedAt"] > here["createdAt"]
    assert (there["granted"], there["decidedBy"]) == (LOTS, ["anna", "boris"])
    last = there["thread"][-1]
    assert (last["event"], last["by"], last["text"]) == ("revoked", ["boris"], "M6 breaks.")
    for site, owner in ((pair.provider, ""), (pair.consumer, pair.provider.did)):
        question = QuestionForm("asset", owner, "", "", "L-10", "")
        assert (await revisions_asked.applies(site.connector, question))["deviations"] == []
    records = json.loads(await export.export(pair.provider.connector, agreement_id))["records"]
    outcomes = [
        (each.get("by"), each.get("outcome")) for each in (unpacked(one["record"]) for one in records)
    ]
    assert ("boris", "revoked") in outcomes
    assert json.loads(await export.export(pair.consumer.connector, agreement_id))["records"]


async def test_a_refusal_and_a_withdrawal_end_it_on_both_sides(pair):
    agreement_id, sha256 = await agreed(pair)
    for site in pair:
        await retirements.retire(site.connector, Retirement(agreement_id, "over"))
    refused = await ask(pair, agreement_id, sha256, "change")
    withdrawn = await ask(pair, agreement_id, sha256)
    await inquiry_decisions.refuse(pair.provider.connector, refused, "It would not hold.", by="anna")
    found = await reaches(pair.consumer, refused, "REFUSED")
    assert found["thread"][-1]["text"] == "It would not hold."
    await inquiry_decisions.withdraw(pair.consumer.connector, withdrawn, "Found it.", by="carla")
    await reaches(pair.provider, withdrawn, "WITHDRAWN")
    for site, name in ((pair.consumer, refused), (pair.provider, withdrawn)):
        with pytest.raises(errors.ConflictError):
            await inquiry_decisions.withdraw(site.connector, name, "", by="carla")
    with pytest.raises(errors.ConflictError, match="only the owner"):
        await inquiry_decisions.answer(
            pair.consumer.connector, await ask(pair, agreement_id, sha256), "x", by="carla"
        )
    wanted = query.parse(
        {"filterExpression": [{"operandLeft": "state", "operator": "=", "operandRight": "REFUSED"}]}
    )
    assert [each["@id"] for each in await inquiries.find(pair.provider.connector, wanted)] == [refused]


async def test_where_a_withdrawal_and_a_decision_cross_the_decision_stands(pair):
    agreement_id, sha256 = await agreed(pair)
    name = await ask(pair, agreement_id, sha256, "deviation", limits=LOTS)
    await asyncio.gather(
        inquiry_decisions.withdraw(pair.consumer.connector, name, "", by="carla"),
        inquiry_decisions.grant(pair.provider.connector, name, {}, "", by="anna"),
        return_exceptions=True,
    )
    await told(*pair)
    here, there = await load(pair.provider, name), await load(pair.consumer, name)
    assert here["state"] == there["state"]
    assert here["state"] in {"GRANTED", "WITHDRAWN"}
    assert here.get("granted") == there.get("granted")


async def test_what_the_owner_does_not_take_is_shown_to_who_asked(pair):
    agreement_id, sha256 = await agreed(pair)
    made = await inquiries.ask(pair.consumer.connector, form(agreement_id, "0" * 64))
    found = await reaches(pair.consumer, made.id, "UNDELIVERED")
    assert "no revision with this digest was handed to you" in found["error"]
    with pytest.raises(errors.NotFoundError):
        await load(pair.provider, made.id)
    with pytest.raises(errors.InvalidInputError, match="we are its provider"):
        await inquiries.ask(pair.provider.connector, form(agreement_id, sha256))
    with pytest.raises(errors.ConflictError, match="nothing was received"):
        await inquiries.ask(pair.consumer.connector, form(agreement_id, ""))
    with pytest.raises(errors.InvalidInputError, match="2020-01-01 is over"):
        await inquiries.ask(pair.consumer.connector, form(agreement_id, sha256, answer_by="2020-01-01"))
    for limits, said in (
        ({}, "a deviation is limited"),
        ({"lotFrom": "1" * 101}, "length <= 100"),
        ({"until": "2020-01-01"}, "2020-01-01 is over"),
    ):
        with pytest.raises(errors.InvalidInputError, match=said):
            await inquiries.ask(
                pair.consumer.connector, form(agreement_id, sha256, "deviation", limits=limits)
            )


@pytest.mark.parametrize("into", ["store:", "folder"])
async def test_a_file_that_is_not_in_what_we_hold_is_refused_at_once(pair, tmp_path, into):
    await pair.provider.publish(files=FILES)
    place = into if into == STORE else str(tmp_path / "got")
    begun = await get.start(pair.consumer.connector, pair.provider.did, "asset", place)

    async def done():
        found = await get.status(pair.consumer.connector, begun.id)
        return found if found["stage"] == get.COMPLETED else None

    agreement_id = (await wait_for(done))["agreementId"]
    with pytest.raises(errors.InvalidInputError, match=r"has no file nothere\.pdf"):
        await inquiries.ask(pair.consumer.connector, form(agreement_id, "", files=["b.txt", "nothere.pdf"]))
    assert await pair.consumer.rows("SELECT * FROM inquiry") == []
    await ask(pair, agreement_id, "", files=["b.txt"])


async def test_a_change_with_a_package_of_ones_own_is_answered_by_the_next_revision(pair, tmp_path):
    keep = {"rdfs:label": "no-re-export", "prohibition": [{"action": "distribute"}]}
    terms = {"@type": "Set", "permission": [{"action": "use"}], **keep}
    agreement_id, sha256 = await agreed(pair, policy=terms)
    back = wire_of("recipient", pair.provider.did)
    own = {"drawings/a.pdf": b"another drawing"}
    with pytest.raises(errors.PolicyError, match="passed on to nobody"):
        await pair.consumer.publish("proposal", files=own, derived_from=[agreement_id])
    made = await pair.consumer.publish("proposal", files=own, policy=back, derived_from=[agreement_id])
    assert made.policy["rdfs:label"] == "no-re-export"
    name = await ask(pair, agreement_id, sha256, "change", proposal="proposal", files=["b.txt"])
    shown = await load(pair.provider, name)
    assert shown["proposal"] == {"assetId": "proposal", "manifestSha256": made.manifest_sha256}
    dataset = await catalog.request_dataset(pair.provider.connector, pair.consumer.did, None, "proposal")
    assert dataset["comity:manifestSha256"] == made.manifest_sha256
    await inquiry_decisions.answer(pair.provider.connector, name, "It comes with the next one.", by="anna")
    with pytest.raises(errors.ConflictError, match="nothing has changed"):
        await pair.provider.publish(files=FILES, answers=[name], by="boris")
    with pytest.raises(errors.PolicyError, match="no person's"):
        await pair.provider.publish(files=own, answers=[name])
    new = await pair.provider.publish(files=own, answers=[name], by="boris")
    found = await reaches(pair.consumer, name, "REVISED")
    assert (found["revision"], found["revisionSha256"]) == (2, new.manifest_sha256)
    assert found["decidedBy"] == ["boris"]
    with pytest.raises(errors.ConflictError, match="it is over: it was revised"):
        await pair.provider.publish(files={"c.txt": b"c"}, answers=[name], by="boris")
    assert len(await pair.provider.rows("SELECT 1 FROM revision")) == 2


def wire_of(operand, value):
    constraint = [{"leftOperand": operand, "operator": "eq", "rightOperand": value}]
    return {"@type": "Set", "permission": [{"action": "use", "constraint": constraint}]}


async def test_what_was_made_from_received_data_stays_so_when_it_is_published_again(pair):
    agreement_id, _ = await agreed(pair)
    first = await pair.consumer.publish("own", files={"own.txt": b"1"}, derived_from=[agreement_id])
    again = await pair.consumer.publish("own", files={"own.txt": b"2"})
    assert first.derived_from == again.derived_from == [agreement_id]
    made = await pair.consumer.manifest("own")
    assert made.derived_from == (manifest.Parent(agreement_id, "asset"),)
    same = await pair.consumer.publish("own", files={"own.txt": b"2"})
    assert (same.unchanged, same.manifest_sha256) == (True, again.manifest_sha256)


async def test_of_parents_with_contradicting_terms_none_wins_and_both_are_named(pair):
    await pair.provider.befriend(pair.consumer, spatial=["AA", "BB"])
    agreement_id, _ = await agreed(pair, policy=wire_of("spatial", "AA"))
    await pair.provider.publish("other", policy=wire_of("spatial", "BB"))
    other = await negotiated(pair, "other")
    with pytest.raises(
        errors.PolicyError, match="contradict each other, and neither is the stricter"
    ) as caught:
        await pair.consumer.publish("own", files={"own.txt": b"1"}, derived_from=[agreement_id, other])
    assert agreement_id in caught.value.message
    assert other in caught.value.message
    assert caught.value.reasons == ("spatial eq BB",)


async def test_of_two_who_grant_at_once_both_count_and_what_was_asked_while_the_owner_was_away_arrives(pair):
    agreement_id, sha256 = await agreed(pair)
    await pair.provider.publish(files=FILES, approval=Rule(PEOPLE, four_eyes=True), by="carla")
    await pair.provider.stop()
    made = await inquiries.ask(
        pair.consumer.connector, form(agreement_id, sha256, "deviation", limits=LOTS), by="carla"
    )
    await inquiry_decisions.say(pair.consumer.connector, made.id, "It is urgent.", by="carla")
    await pair.consumer.stop()
    for site in pair:
        await site.start()
    await reaches(pair.provider, made.id, "OPEN")
    await told(pair.consumer)
    assert [each["event"] for each in (await load(pair.provider, made.id))["thread"]] == ["asked", "said"]
    both = [inquiry_decisions.grant(pair.provider.connector, made.id, {}, "", by=person) for person in PEOPLE]
    assert sorted(each["state"] for each in await asyncio.gather(*both)) == ["GRANTED", "OPEN"]
    found = await reaches(pair.consumer, made.id, "GRANTED")
    assert sorted(found["decidedBy"]) == list(PEOPLE)
