"""Approvals between two connectors, on each store: decided by two at once, ended by time after a restart."""

import asyncio

from comity import errors
from comity.controlplane import apikeys, approvals, catalog, decide, export, processes
from comity.management.apikeys import ApiKeyForm
from comity.management.approvals import Rule
from support.pair import offer_of, wait_for

PEOPLE = ("anna", "boris", "carla")


async def asked(pair, **rule):
    """The consumer's request for an offer that people have to approve: both ids, and the approval's."""
    for name in PEOPLE:
        await apikeys.create(pair.provider.connector, ApiKeyForm(name, "approver", None))
    await pair.provider.publish(approval=Rule(PEOPLE, **rule))
    dataset = await catalog.request_dataset(pair.consumer.connector, pair.provider.did, None, "asset")
    record = await pair.consumer.request(pair.provider, offer_of(dataset))
    await pair.consumer.reaches(record.id, "REQUESTED")
    theirs = (await pair.consumer.negotiation(record.id)).counterparty_pid
    shown = await processes.load_negotiation(pair.provider.connector, theirs)
    return record.id, theirs, shown["approval"]["@id"]


async def settle(pair, name, person, *, approved=True, reason=""):
    try:
        found = await approvals.settle(
            pair.provider.connector, name, person, approved=approved, reason=reason
        )
    except errors.ConflictError as error:
        return error.message
    return found["state"]


async def test_two_people_who_approve_at_once_are_two(pair):
    ours, theirs, name = await asked(pair, four_eyes=True)
    said = await asyncio.gather(*(settle(pair, name, person) for person in ("anna", "boris")))
    assert sorted(said) == ["APPROVED", "WAITING"]
    await pair.consumer.reaches(ours, "FINALIZED")
    decided = [each for each in await pair.provider.entries(theirs) if each["kind"] == "approval"]
    assert sorted(each.get("by", "") for each in decided) == ["", "anna", "boris"]
    await pair.provider.reaches(theirs, "FINALIZED")
    agreement = await pair.provider.agreement(theirs)
    bundle = await export.export(pair.provider.connector, agreement.id)  # which is checked before it is given
    assert bundle.count(b'"body":') > 2


async def test_one_person_twice_at_once_counts_once_and_yes_and_no_at_once_is_one_of_them(pair):
    ours, _, name = await asked(pair, four_eyes=True)
    said = await asyncio.gather(*(settle(pair, name, "anna") for _ in range(3)))
    assert sorted(said) == ["WAITING", *["anna has approved it already, and nobody decides twice"] * 2]
    said = await asyncio.gather(
        settle(pair, name, "boris"), settle(pair, name, "carla", approved=False, reason="not yet")
    )
    assert len({each for each in said if each in {"APPROVED", "REFUSED"}}) == 1
    end = "FINALIZED" if "APPROVED" in said else "TERMINATED"
    await pair.consumer.reaches(ours, end)
    if end == "TERMINATED":
        assert (await pair.consumer.negotiation(ours)).error == "people at the provider refused it: not yet"


async def test_the_name_of_another_offer_is_no_way_round_the_people(pair):
    await apikeys.create(pair.provider.connector, ApiKeyForm("anna", "approver", None))
    await pair.provider.publish(approval=Rule(("anna",)))
    await pair.provider.publish("other")
    dataset = await catalog.request_dataset(pair.consumer.connector, pair.provider.did, None, "other")
    named = {**offer_of(dataset), "target": "asset"}
    record = await pair.provider.offer(pair.consumer, named)
    await pair.provider.reaches(record.id, "OFFERED")
    theirs = (await pair.provider.negotiation(record.id)).counterparty_pid
    await pair.consumer.move(theirs, decide.ACCEPT)
    await pair.provider.reaches(record.id, "ACCEPTED")

    async def waits():
        return (await processes.load_negotiation(pair.provider.connector, record.id)).get("approval")

    assert (await wait_for(waits))["state"] == "WAITING"


async def test_the_deadline_ends_it_after_a_restart_and_tells_the_partner(pair):
    ours, theirs, _ = await asked(pair, within_seconds=1)
    await pair.provider.stop()
    await pair.provider.start()
    await pair.consumer.reaches(ours, "TERMINATED")
    assert (await pair.consumer.negotiation(ours)).error == "it was not approved in time"

    async def expired():
        shown = await processes.load_negotiation(pair.provider.connector, theirs)
        return shown["approval"]["state"] == "EXPIRED"

    await wait_for(expired)
