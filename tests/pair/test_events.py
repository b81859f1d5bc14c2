"""Events of two connectors that negotiate and exchange: complete on both sides, and told to whoever wants them."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from datetime import datetime

import msgspec
import pytest

from comity.controlplane import catalog, edrs, events, offers, processes, secrets, webhooks
from comity.db import webhooks as webhook_rows
from comity.db.offers import ContractDefinition
from comity.management import events as event_forms
from comity.management import offers as offer_forms
from comity.management import processes as process_forms
from comity.management import secrets as secret_forms
from comity.management import webhooks as forms
from support.pair import offer_of, wait_for
from support.receiver import Receiver

SECRET = bytes(range(32))
CONSUMER = [
    f"contract.negotiation.{each}" for each in ("initiated", "requested", "agreed", "verified", "finalized")
]
PROVIDER = CONSUMER[1:]
TRANSFER = [f"transfer.process.{each}" for each in ("initiated", "requested", "started")]


@pytest.fixture
async def receiver():
    made = Receiver()
    await made.start()
    yield made
    await made.stop()


async def log(site, process_id: str = ""):
    """All events, or those of a process, after a look that their numbers have no gap."""
    page = await events.find_page(site.connector, events.Wanted(after=0), 1000)
    assert not page.more
    assert [each.seq for each in page.events] == list(range(1, page.newest + 1))
    numbers: dict[str, int] = {}
    for each in page.events:
        if each.number:
            assert each.number == numbers.get(each.subject, 0) + 1, each
            numbers[each.subject] = each.number
    assert len({each.id for each in page.events}) == len(page.events)
    return [each for each in page.events if process_id in {"", each.subject}]


async def kinds(site, process_id: str = "") -> list[str]:
    return [each.type for each in await log(site, process_id)]


async def offered(pair, asset_id: str = "asset"):
    await pair.provider.publish(asset_id)
    found = await catalog.request_dataset(pair.consumer.connector, pair.provider.did, None, asset_id)
    return offer_of(found)


async def negotiated(pair, offer=None):
    """Negotiate to the end on both sides and return the consumer's record."""
    record = await pair.consumer.request(pair.provider, offer or await offered(pair))
    await pair.consumer.reaches(record.id, "FINALIZED")
    record = await pair.consumer.negotiation(record.id)
    await pair.provider.reaches(record.counterparty_pid, "FINALIZED")
    return record


async def tell(site, receiver, **more):
    """Make a webhook of a site."""
    form = forms.NewWebhook(
        receiver=forms.Callback(url=receiver.url, types=more.pop("types", ()), **more.pop("header", {})),
        **more,
    )
    return await webhooks.create(site.connector, form)


async def stored(site, name):
    return await site.connector.database.read(lambda tx: webhook_rows.load(tx, name))


async def test_a_negotiation_and_a_transfer_are_told_on_both_sides_without_gap(pair):
    record = await negotiated(pair)
    assert await kinds(pair.consumer, record.id) == CONSUMER
    assert await kinds(pair.provider, record.counterparty_pid) == PROVIDER
    moved = await pair.consumer.ask_for_data(record.id)
    await pair.consumer.reaches(moved.id, "STARTED")
    moved = await pair.consumer.transfer(moved.id)
    await pair.provider.move(moved.counterparty_pid, "suspend", reason="a pause")
    await pair.consumer.reaches(moved.id, "SUSPENDED")
    await pair.provider.reaches(moved.counterparty_pid, "SUSPENDED")
    await pair.provider.move(moved.counterparty_pid, "start")
    await pair.consumer.reaches(moved.id, "STARTED")
    await pair.provider.reaches(moved.counterparty_pid, "STARTED")
    await pair.consumer.move(moved.id, "complete")
    await pair.consumer.reaches(moved.id, "COMPLETED")
    rest = [f"transfer.process.{each}" for each in ("suspended", "started", "completed")]
    assert await kinds(pair.consumer, moved.id) == TRANSFER + rest
    assert await kinds(pair.provider, moved.counterparty_pid) == TRANSFER[1:] + rest
    said = [msgspec.json.decode(each.data) for each in await log(pair.consumer, moved.id)]
    assert {each["contractId"] for each in said} == {record.agreement_id}
    assert [each.get("reason") for each in said][3:5] == ["a pause", None]
    agreed = [msgspec.json.decode(each.data) for each in await log(pair.consumer, record.id)]
    assert [each.get("contractAgreementId") for each in agreed] == [None, None, *[record.agreement_id] * 3]
    assert [each["state"] for each in agreed] == ["INITIAL", "REQUESTED", "AGREED", "VERIFIED", "FINALIZED"]
    assert {each["counterPartyId"] for each in agreed} == {pair.provider.did}


async def test_an_end_without_a_message_is_an_event_with_its_reason(pair):
    offer = await offered(pair)
    hold = pair.provider.hold("/negotiations/request")
    record = await pair.consumer.request(pair.provider, offer)
    await hold.arrived.wait()
    await pair.consumer.move(record.id, "terminate", reason="enough")
    ended = (await log(pair.consumer, record.id))[-1]
    assert ended.type == "contract.negotiation.terminated"
    assert msgspec.json.decode(ended.data)["reason"] == "enough"
    pair.provider.release(hold)
    await wait_for(lambda: kinds(pair.provider), "the request arrives")
    await wait_for(lambda: _ended(pair.provider), "the provider hears of it")
    assert await kinds(pair.consumer, record.id) == [CONSUMER[0], "contract.negotiation.terminated"]


async def _ended(site) -> bool:
    return "contract.negotiation.terminated" in await kinds(site)


async def test_what_is_offered_and_taken_back_is_told(pair):
    await pair.provider.publish("bracket")
    await pair.provider.publish("bracket", files={"a.txt": b"another"})
    await offers.change_policy(
        pair.provider.connector,
        offer_forms.PolicyForm("bracket#access", {"@type": "Set", "permission": [{"action": "use"}]}, {}),
    )
    await offers.remove(pair.provider.connector, ContractDefinition, "bracket#offer")
    found = [(each.type, each.subject) for each in await log(pair.provider)]
    made = [
        ("asset", "bracket"),
        ("policy.definition", "bracket#access"),
        ("policy.definition", "bracket#contract"),
        ("contract.definition", "bracket#offer"),
    ]
    assert found == [
        *((f"{kind}.created", name) for kind, name in made),
        ("revision.published", "bracket"),
        *((f"{kind}.updated", name) for kind, name in made),
        ("revision.published", "bracket"),
        ("policy.definition.updated", "bracket#access"),
        ("contract.definition.deleted", "bracket#offer"),
    ]


async def test_a_webhook_gets_signed_cloud_events_of_what_it_wants(pair, receiver):
    created = await tell(pair.consumer, receiver, types=("contract.negotiation",), secret=SECRET)
    record = await negotiated(pair)
    await wait_for(lambda: len(receiver.got) == 5, "five events")
    assert receiver.types(record.id) == CONSUMER
    for delivery, event in zip(receiver.got, await log(pair.consumer, record.id), strict=True):
        document = delivery.document
        assert delivery.headers["content-type"] == "application/cloudevents+json"
        assert (document["specversion"], document["source"]) == ("1.0", pair.consumer.did)
        assert document["id"] == event.id == delivery.id
        assert document["sequence"] == f"{event.seq:020d}"
        assert datetime.fromisoformat(document["time"]).timestamp() * 1000 == pytest.approx(event.at)
        wanted = forms.signature(
            SECRET, delivery.id, int(delivery.headers["webhook-timestamp"]), delivery.body
        )
        assert delivery.headers["webhook-signature"] == wanted
    await wait_for(lambda: _caught_up(pair.consumer, created.id), "its place is kept")


async def _caught_up(site, name) -> bool:
    row = await stored(site, name)
    page = await events.find_page(site.connector, events.Wanted(after=row.last_delivered, types=row.types))
    return not page.events


async def test_a_webhook_sends_the_value_of_a_secret_as_it_is_at_that_moment(pair, receiver):
    connector = pair.consumer.connector
    await secrets.create(connector, secret_forms.SecretForm(id="their-key", value="first"))
    await tell(pair.consumer, receiver, header={"auth_key": "X-Key", "auth_code_id": "their-key"})
    await pair.consumer.publish("one")
    await wait_for(lambda: len(receiver.got) == 5, "five events")
    await secrets.change(connector, secret_forms.SecretForm(id="their-key", value="second"))
    await pair.consumer.publish("two")
    await wait_for(lambda: len(receiver.got) == 10, "five more")
    assert [each.headers["x-key"] for each in receiver.got] == ["first"] * 5 + ["second"] * 5


async def test_a_receiver_that_was_away_gets_everything_over_a_restart_of_ours(pair, receiver):
    created = await tell(pair.consumer, receiver, types=("contract.negotiation",))
    receiver.status = 503
    offer = await offered(pair)
    record = await negotiated(pair, offer)
    await wait_for(lambda: receiver.tried > 1, "it is tried again")
    row = await stored(pair.consumer, created.id)
    assert row.failing_since
    assert row.last_error == "the receiver answers with status 503"
    await pair.consumer.stop()
    await receiver.stop()
    await pair.consumer.start()
    second = await negotiated(pair, offer)
    receiver.status = 204
    await receiver.start()
    await wait_for(lambda: len(receiver.got) == 10, "ten events", 30)
    assert receiver.types(record.id) == receiver.types(second.id) == CONSUMER
    ids = [each.id for each in receiver.got]
    assert sorted(set(ids)) == sorted(ids)


async def test_a_restart_in_the_middle_of_a_negotiation_leaves_no_gap(pair):
    offer = await offered(pair)
    hold = pair.consumer.hold("/agreement")
    record = await pair.consumer.request(pair.provider, offer)
    await hold.arrived.wait()
    await pair.consumer.stop()
    pair.consumer.release(hold)
    await pair.provider.stop()
    await pair.provider.start()
    await pair.consumer.start()
    await pair.consumer.reaches(record.id, "FINALIZED", 30)
    record = await pair.consumer.negotiation(record.id)
    await pair.provider.reaches(record.counterparty_pid, "FINALIZED", 30)
    assert await kinds(pair.consumer, record.id) == CONSUMER
    assert await kinds(pair.provider, record.counterparty_pid) == PROVIDER


async def test_a_state_that_the_partner_s_next_message_shows_is_told_too(pair):
    offer = await offered(pair)
    hold = pair.consumer.hold("/agreement", answers=True)
    record = await pair.consumer.request(pair.provider, offer)
    await pair.consumer.reaches(record.id, "FINALIZED", 30)
    pair.consumer.release(hold)
    record = await pair.consumer.negotiation(record.id)
    await pair.provider.reaches(record.counterparty_pid, "FINALIZED", 30)
    assert await kinds(pair.provider, record.counterparty_pid) == PROVIDER


async def test_a_webhook_that_fails_delays_no_negotiation(pair, receiver):
    receiver.status = 500
    for _ in range(3):
        await tell(pair.consumer, receiver)
        await tell(pair.provider, receiver)
    await asyncio.wait_for(negotiated(pair), 5)


async def callbacks_of(receiver, **more):
    return (forms.Callback(url=receiver.url, **{"types": ("contract.negotiation",), **more}),)


async def request_contract(pair, offer, callbacks, use_case=processes.request_contract):
    wanted = process_forms.decode_contract_request(
        {"counterPartyId": pair.provider.did, "policy": {**offer, "assigner": pair.provider.did}}
    )
    made, _ = await use_case(pair.consumer.connector, msgspec.structs.replace(wanted, callbacks=callbacks))
    return made


async def test_a_callback_of_a_negotiation_is_told_of_all_of_it_in_edcs_words(pair, receiver):
    offer = await offered(pair)
    made = await request_contract(pair, offer, await callbacks_of(receiver))
    await pair.consumer.reaches(made, "FINALIZED")
    await wait_for(lambda: len(receiver.got) == 5, "five events")
    got = [each.document for each in receiver.got]
    assert [each["type"] for each in got] == [
        f"ContractNegotiation{each}" for each in ("Initiated", "Requested", "Agreed", "Verified", "Finalized")
    ]
    assert {each["payload"]["contractNegotiationId"] for each in got} == {made}
    assert got == [
        msgspec.json.decode(msgspec.json.encode(event_forms.envelope(each)))
        for each in await log(pair.consumer, made)
    ]
    assert {each.headers["content-type"] for each in receiver.got} == {"application/json"}
    shown = (await processes.load_negotiation(pair.consumer.connector, made))["callbackAddresses"]
    assert [(each["uri"], each["events"]) for each in shown] == [(receiver.url, ["contract.negotiation"])]
    (row,) = await wait_for(lambda: _done(pair.consumer, made), "it is done")
    assert row["state"] == "DONE"
    assert await webhooks.find_all(pair.consumer.connector) == []


async def _done(site, process_id):
    found = await webhooks.find_all(site.connector, process_id)
    return found if found[0]["state"] == "DONE" else None


async def test_a_callback_of_a_transfer_is_told_of_what_it_wants_of_it(pair, receiver):
    record = await negotiated(pair)
    form = process_forms.TransferRequest(
        counterparty_id="",
        address="",
        agreement_id=record.agreement_id,
        asset_id="",
        transfer_type="HttpData-PULL",
        destination="",
        callbacks=await callbacks_of(
            receiver, types=("transfer.process.started", "transfer.process.completed")
        ),
    )
    made, _ = await processes.request_transfer(pair.consumer.connector, form)
    await pair.consumer.reaches(made, "STARTED")
    await pair.consumer.move(made, "complete")
    await pair.consumer.reaches(made, "COMPLETED")
    await wait_for(lambda: len(receiver.got) == 2, "two events")
    assert [each.document["type"] for each in receiver.got] == [
        "TransferProcessStarted",
        "TransferProcessCompleted",
    ]
    assert "token" not in receiver.got[0].body.decode().lower()
    await wait_for(lambda: _done(pair.consumer, made), "it is done")


async def test_the_callback_of_a_negotiation_is_told_of_the_transfer_that_follows_by_itself(pair, receiver):
    offer = await offered(pair)
    callbacks = await callbacks_of(receiver, types=("contract.negotiation.finalized", "transfer.process"))
    await request_contract(pair, offer, callbacks, edrs.negotiate)
    await wait_for(lambda: len(receiver.got) == 4, "four events")
    assert sorted(each.document["type"] for each in receiver.got) == [
        "ContractNegotiationFinalized",
        "TransferProcessInitiated",
        "TransferProcessRequested",
        "TransferProcessStarted",
    ]


async def test_a_webhook_removed_gets_no_more(pair, receiver):
    created = await tell(pair.consumer, receiver)
    await pair.consumer.publish("one")
    await wait_for(lambda: len(receiver.got) == 5, "five events")
    await webhooks.remove(pair.consumer.connector, created.id)
    await pair.consumer.publish("two")
    other = Receiver()
    await other.start()
    try:
        await tell(pair.consumer, other, after=0)
        await wait_for(lambda: len(other.got) == 10, "another gets all from the beginning")
    finally:
        await other.stop()
    assert len(receiver.got) == 5


async def test_a_follower_sees_each_event_once_and_in_order_while_it_is_slow(pair):
    offer = await offered(pair)
    seen: list[int] = []
    place = (await events.find_page(pair.consumer.connector, events.Wanted())).newest

    async def follow(after):
        async for page in events.follow(pair.consumer.connector, events.Wanted(after=after)):
            for each in page.events:
                seen.append(each.seq)
                if len(seen) % 3 == 0:
                    return  # it leaves in the middle of a page, as a connection that breaks
            await asyncio.sleep(0)

    async def keep_following():
        while True:
            await follow(seen[-1] if seen else place)

    following = asyncio.create_task(keep_following())
    await asyncio.gather(*(negotiated(pair, offer) for _ in range(4)))
    newest = (await events.find_page(pair.consumer.connector, events.Wanted())).newest
    await wait_for(lambda: seen and seen[-1] == newest, "it has seen all")
    following.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await following
    assert seen == list(range(place + 1, newest + 1))


def test_the_secret_of_the_tests_is_one_that_is_taken():
    text = "whsec_" + base64.b64encode(SECRET).decode()
    assert forms.decode({"url": "https://x", "secret": text}).secret == SECRET
