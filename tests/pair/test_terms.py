"""Terms at run time: the purpose of a use, licences that count, and what holds of data after it was received."""

import asyncio
import dataclasses
import functools

import msgspec
import pytest

from comity import errors
from comity.controlplane import (
    catalog,
    decide,
    explaining,
    get,
    licences,
    offered,
    offers,
    origins,
    received,
)
from comity.db import agreements
from comity.db.offers import PolicyDefinition
from comity.dsp import terms
from comity.management.explaining import Question
from comity.management.licences import LicenceForm
from comity.management.offers import AssetForm
from comity.odrl import marking
from support import wire
from support.pair import introduced, offer_of, wait_for
from support.process import finalized, transfer

DAY_MS = 24 * 3600 * 1000
PURPOSE = "production:programme-1"


async def got(pair, folder, **more):
    """Get the asset and return the exchange once it is received."""
    begun = await get.start(pair.consumer.connector, pair.provider.did, "asset", str(folder), **more)

    async def done():
        found = await get.status(pair.consumer.connector, begun.id)
        return found if found["stage"] in {get.COMPLETED, get.FAILED} else None

    status = await wait_for(done)
    assert (status["stage"], status["error"]) == (get.COMPLETED, "")
    return status


async def seen(site, process_id, message):
    async def entries():
        return [each for each in await site.entries(process_id) if each["message"] == message]

    return (await wait_for(entries))[-1]


async def opening(pair, name, **more):
    return await received.open_(pair.consumer.connector, name, received.Access(**more))


async def test_a_purpose_is_told_to_the_provider_and_both_sides_have_it_in_the_evidence(pair, tmp_path):
    await pair.provider.befriend(pair.consumer, purpose=[PURPOSE, "repair"])
    await pair.provider.publish(policy=wire.constrained("purpose", "eq", PURPOSE))
    with pytest.raises(errors.PolicyError, match="not offered for repair"):
        await got(pair, tmp_path / "got", purpose="repair")
    with pytest.raises(errors.PolicyError, match=f"taken out of the node's store: {PURPOSE}"):
        await got(pair, tmp_path / "got")
    assert await pair.consumer.rows("SELECT id FROM negotiation") == []
    status = await got(pair, tmp_path / "got", purpose=PURPOSE)
    theirs = (await pair.provider.rows("SELECT id, purpose FROM transfer"))[0]
    assert theirs[1] == PURPOSE
    for site, process_id in ((pair.consumer, status["transferId"]), (pair.provider, theirs[0])):
        assert (await seen(site, process_id, "TransferRequestMessage"))["purpose"] == PURPOSE


async def test_another_purpose_than_the_agreed_one_gets_nothing(site, peer):
    await site.befriend(peer, purpose=[PURPOSE, "repair"])
    await site.publish(policy=wire.constrained("purpose", "eq", PURPOSE))
    _, agreement_id = await finalized(peer, site)
    process = transfer(peer, site)
    assert (await process.request_data(agreement_id, **{"comity:purpose": "repair"})).status == 201
    await site.reaches(process.theirs, terms.TERMINATED)
    assert "purpose eq" in peer.of(f"/{process.pid}/termination")[0].document["reason"][0]


async def test_the_last_of_a_licence_is_taken_once_over_all_agreements(site, peer):
    form = LicenceForm("L-1", 3, "transfer", site.connector.now_ms() + DAY_MS)
    await licences.put(site.connector, form)
    agreed = []
    for asset_id in ("one", "two"):
        await site.publish(asset_id, policy=wire.constrained("comity:licence", "eq", "L-1"))
        agreed.append((await finalized(peer, site, asset_id))[1])
    asked = [transfer(peer, site) for _ in range(8)]
    await asyncio.gather(*(each.request_data(agreed[at % 2]) for at, each in enumerate(asked)))

    async def settled():
        return not await site.outbox()

    await wait_for(settled)
    states = sorted([await each.state() for each in asked])
    assert states == ["STARTED"] * 3 + ["TERMINATED"] * 5
    found, uses = await licences.load(site.connector, "L-1")
    assert (found.used, len(uses)) == (3, 3)
    assert (await peer.get(site, "/catalog/datasets/one")).status == 404


async def test_what_was_received_is_opened_under_its_terms_only_and_each_access_is_in_the_evidence(
    pair, tmp_path
):
    await pair.provider.befriend(pair.consumer, purpose=[PURPOSE], spatial=["AA"])
    said = marking.Said(purposes=[PURPOSE], places=["AA"], nationalities=["AA"])
    await pair.provider.publish(policy=marking.policy(said))
    status = await got(pair, tmp_path / "got", purpose=PURPOSE)
    name, agreement_id = status["transferId"], status["agreementId"]
    person = {"purpose": PURPOSE, "person": "Jo Doe", "nationalities": ("AA",), "by": "engineering"}
    with pytest.raises(errors.PolicyError) as caught:
        await opening(pair, name, **person)
    assert caught.value.reasons == ("spatial eq AA: not stated",)
    site = dataclasses.replace(pair.consumer.connector, places=("AA",))
    pair.consumer.parts = dataclasses.replace(pair.consumer.parts, connector=site)
    for wrong, term in (
        ({"purpose": "sale"}, "purpose"),
        ({"nationalities": ("BB",)}, "comity:personNationality"),
        ({"person": "", "nationalities": ()}, "a person must be named"),
    ):
        with pytest.raises(errors.PolicyError) as caught:
            await opening(pair, name, **{**person, **wrong})
        assert term in caught.value.reasons[0]
    held = await opening(pair, agreement_id, **person)
    assert held.delivery.destination == str(tmp_path / "got")
    entry = await seen(pair.consumer, name, received.ACCESS)
    assert (entry["outcome"], entry["purpose"], entry["by"]) == ("opened", PURPOSE, "engineering")
    assert "Jo Doe of AA" in entry["detail"]
    tried = [each for each in await pair.consumer.entries(name) if each["message"] == received.ACCESS]
    assert [each["outcome"] for each in tried] == ["refused"] * 4 + ["opened"]
    await received.attest(site, name, "It stays in one room.", received.Access(by="engineering"))
    told = await seen(pair.provider, agreement_id, received.NOTICE)
    assert told["sender"] == pair.consumer.did


async def test_what_may_not_be_passed_on_is_not_published_and_a_prohibition_follows_it(
    pair, started, tmp_path
):
    said = marking.Said(recipients=[pair.consumer.did, "did:web:third"])
    await pair.provider.publish(policy=marking.policy(said, marking.choose(["no-re-export"])))
    status = await got(pair, tmp_path / "got")
    other = await started("other")
    await introduced(pair.consumer, other)
    files = {"notes.txt": b"own", "copy.txt": (tmp_path / "got" / "a.txt").read_bytes()}
    with pytest.raises(errors.PolicyError, match=rf"copy\.txt, received .*{other.did}") as caught:
        await pair.consumer.publish(
            "again", files=files, policy=wire.constrained("recipient", "eq", other.did)
        )
    assert any("prohibited: distribute" in each for each in caught.value.reasons)
    published = await pair.consumer.publish("again", files=files)
    assert published.derived_from == [status["agreementId"]]
    [permission] = published.policy["permission"]
    assert permission["constraint"][0]["rightOperand"] == ["did:web:third"]
    assert published.policy["prohibition"][0]["action"] == "distribute"
    for name in ("again#access", "again#contract"):
        wider = PolicyDefinition(id=name, policy=wire.USE, private_properties={}, created_at=0)
        await pair.consumer.connector.database.write(
            functools.partial(offered.put, pair.consumer.connector, value=wider)
        )
    dataset = await catalog.request_dataset(other.connector, pair.consumer.did, None, "again")
    said = offer_of(dataset)
    assert said["permission"] == published.policy["permission"]
    assert said["prohibition"] == published.policy["prohibition"]
    asked = Question(other.did, "again", None, "")
    told = await explaining.explain(pair.consumer.connector, asked)
    assert "prohibited: distribute" in str(told)
    by_hand = {"@id": "urn:by-hand", "@type": "Offer", "target": "again", **wire.USE}
    record = await pair.consumer.offer(other, by_hand)
    assert record.offer["prohibition"] == published.policy["prohibition"]
    await pair.consumer.reaches(record.id, terms.OFFERED)
    theirs = (await pair.consumer.negotiation(record.id)).counterparty_pid
    await other.move(theirs, decide.ACCEPT)
    await other.reaches(theirs, terms.TERMINATED)
    without = functools.partial(origins.check_complete, offer=by_hand)
    with pytest.raises(errors.PolicyError, match="does not let it be passed on so"):
        await pair.consumer.connector.database.read(without)
    await pair.consumer.publish("plain", files={"c.txt": b"y"})
    dataset = await catalog.request_dataset(other.connector, pair.consumer.did, None, "plain")
    theirs = (await other.request(pair.consumer, offer_of(dataset))).id
    await other.reaches(theirs, terms.FINALIZED)
    late = AssetForm("plain", {}, {origins.DERIVED_FROM: [status["agreementId"]]}, None)
    await offers.change_asset(pair.consumer.connector, late)
    wanted = await other.ask_for_data(theirs)
    await other.reaches(wanted.id, terms.TERMINATED)
    assert "prohibited: distribute" in (await other.transfer(wanted.id)).error
    twin = functools.partial(twins, agreement_id=status["agreementId"], negotiation_id=record.id)
    assert len(await pair.consumer.connector.database.write(twin)) == 2
    named = await pair.consumer.publish("own", files={"b.txt": b"x"}, derived_from=[status["agreementId"]])
    assert named.policy == published.policy
    await goes_back(pair, files, status["agreementId"])


async def goes_back(pair, files, agreement_id):
    """What may go to nobody may go to its owner."""
    policy = wire.constrained("recipient", "eq", pair.provider.did)
    back = await pair.consumer.publish("again", files=files, policy=policy)
    assert back.derived_from == [agreement_id]
    assert back.policy["permission"] == policy["permission"]
    assert (await catalog.request_dataset(pair.provider.connector, pair.consumer.did, None, "again"))[
        "hasPolicy"
    ]


async def twins(tx, *, agreement_id, negotiation_id):
    """Let another provider agree under the same id, and return what follows data of that id."""
    [agreed] = await agreements.find_by_id(tx, agreement_id)
    other = msgspec.structs.replace(agreed, negotiation_id=negotiation_id, counterparty_id="did:web:other")
    await agreements.insert(tx, other)
    found = await origins.load(tx, {origins.DERIVED_FROM: [agreement_id]})
    await tx.run("DELETE FROM agreement WHERE negotiation_id = ?1", negotiation_id)
    return found
