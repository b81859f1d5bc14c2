"""The log of events on real files: what makes one, its number and place, pages, purging; the rows of webhooks."""

import json
from itertools import pairwise

import pytest

from adapters.db.rows import NEGOTIATION, TRANSFER, put, replace
from comity import errors
from comity.db import events, negotiations, transfers, webhooks
from comity.management import events as forms

WEBHOOK = webhooks.Webhook(id="w", url="https://app.example", last_delivered=0, created_at=1)


async def page(store, **more):
    return await store.read(lambda tx: events.find_page(tx, **{"after": 0, "limit": 100, **more}))


async def add(store, *subjects, name="asset.created", at=1):
    async def unit(tx):
        for subject in subjects:
            await events.add(tx, name, subject, number=0, at=at, data=forms.AssetData(subject))

    await store.write(unit)


@pytest.mark.parametrize(
    ("module", "record", "prefix"),
    [
        (negotiations, NEGOTIATION, "contract.negotiation."),
        (transfers, replace(TRANSFER, state=None, told=None), "transfer.process."),
    ],
)
async def test_every_change_of_a_state_is_an_event_and_no_other_change_is(store, module, record, prefix):
    await put(store, module, record)

    async def unit(tx):
        saved = await module.save(tx, replace(record, counterparty_pid="urn:theirs"))
        saved = await module.save(tx, replace(saved, state="REQUESTED", updated_at=7))
        saved = await module.save(tx, replace(saved, error="a reason that waits"))
        return await module.save(tx, replace(saved, state="TERMINATED", updated_at=9))

    saved = await store.write(unit)
    assert saved.events == 3
    found = (await page(store)).events
    assert [each.type for each in found] == [
        prefix + state for state in ("initiated", "requested", "terminated")
    ]
    assert [each.number for each in found] == [1, 2, 3]
    assert [each.at for each in found] == [record.updated_at, 7, 9]
    assert {each.subject for each in found} == {record.id}
    assert len({each.id for each in found}) == 3
    said = [json.loads(each.data) for each in found]
    assert [each["state"] for each in said] == ["INITIAL", "REQUESTED", "TERMINATED"]
    assert [each.get("correlationId") for each in said[1:]] == ["urn:theirs", "urn:theirs"]
    assert [each.get("reason") for each in said] == [None, None, "a reason that waits"]
    assert {each["counterPartyId"] for each in said} == {"did:web:beta"}


async def test_a_step_that_is_undone_leaves_no_event_and_no_gap(store):
    await put(store, negotiations, NEGOTIATION)

    async def unit(tx):
        await negotiations.save(tx, replace(NEGOTIATION, state="REQUESTED"))
        raise errors.ConflictError("undone")

    with pytest.raises(errors.ConflictError):
        await store.write(unit)
    await store.write(lambda tx: negotiations.save(tx, replace(NEGOTIATION, state="REQUESTED")))
    found = (await page(store)).events
    assert [(each.seq, each.number) for each in found] == [(1, 1), (2, 2)]


async def test_a_lost_race_makes_no_event(store):
    await put(store, negotiations, NEGOTIATION)
    await store.write(lambda tx: negotiations.save(tx, replace(NEGOTIATION, state="REQUESTED")))
    with pytest.raises(errors.ConflictError):
        await store.write(lambda tx: negotiations.save(tx, replace(NEGOTIATION, state="TERMINATED")))
    assert len((await page(store)).events) == 2


async def test_readers_are_told_after_the_commit(store):
    told = []
    store.subscribe(told.append)
    await put(store, negotiations, NEGOTIATION)
    assert told == [[events.Recorded("urn:n")]]


async def test_pages_go_on_where_the_last_one_ended_and_say_what_was_looked_at(store):
    await add(store, *"abcabcabc")
    first = await page(store, limit=4)
    assert ([each.seq for each in first.events], first.upto, first.more) == ([1, 2, 3, 4], 4, True)
    second = await page(store, after=first.upto, limit=5)
    assert ([each.seq for each in second.events], second.upto, second.more) == ([5, 6, 7, 8, 9], 9, False)
    assert (second.oldest, second.newest) == (1, 9)
    empty = await page(store, after=9)
    assert (empty.events, empty.upto, empty.more) == ([], 9, False)


async def test_a_page_may_be_of_one_subject_and_of_some_types(store):
    await add(store, "a", "b", "a")
    await add(store, "a", "b", name="asset.deleted")
    await add(store, "c", name="policy.definition.created")
    of_a = await page(store, subject="a")
    assert [each.seq for each in of_a.events] == [1, 3, 4]
    assert of_a.upto == 6
    typed = await page(store, types=("asset.deleted", "policy"))
    assert [each.seq for each in typed.events] == [4, 5, 6]
    both = await page(store, subject="a", types=("asset.deleted",), limit=1)
    assert ([each.seq for each in both.events], both.upto, both.more) == ([4], 6, False)
    some = await page(store, types=("asset.created",), limit=2)
    assert (some.upto, some.more) == (2, True)


async def test_an_empty_log_has_no_ends(store):
    assert await store.read(events.find_ends) == (1, 0)
    nothing = await page(store)
    assert (nothing.events, nothing.upto, nothing.oldest, nothing.newest) == ([], 0, 1, 0)


async def purge(store, **more):
    return await store.write(
        lambda tx: events.purge(tx, **{"before_ms": 100, "first_needed": 1_000_000, **more})
    )


async def test_old_events_are_forgotten_but_none_that_is_needed_and_never_the_newest(store):
    await add(store, *"aaaa", at=50)
    await add(store, *"aa", at=150)
    assert await purge(store, first_needed=3)
    assert [each.seq for each in (await page(store)).events] == [3, 4, 5, 6]
    assert await purge(store)
    assert [each.seq for each in (await page(store)).events] == [5, 6]
    assert not await purge(store)
    assert await purge(store, before_ms=1000)
    assert [each.seq for each in (await page(store)).events] == [6]
    assert not await purge(store, before_ms=1000)
    await add(store, "a")
    assert [each.seq for each in (await page(store)).events] == [6, 7]


async def test_a_purge_takes_a_thousand_at_once(store):
    await add(store, *("a" for _ in range(2500)), at=1)
    removed = []
    while await purge(store):
        removed.append((await page(store)).oldest)
    assert removed == [1001, 2001, 2500]
    assert all(second - first <= events.PURGED_AT_ONCE for first, second in pairwise([1, *removed]))


async def test_a_webhook_is_stored_moved_and_removed(store):
    new = replace(
        WEBHOOK, types=("asset", "transfer"), auth_key="X", auth_code_id="s", secret_sealed=b"sealed"
    )
    assert await store.write(lambda tx: webhooks.insert(tx, new)) == new
    assert await store.read(lambda tx: webhooks.load(tx, "w")) == new
    moved = replace(
        new,
        last_delivered=7,
        state=webhooks.DISABLED,
        failing_since=5,
        attempts=3,
        due_at=9,
        last_error="why",
    )
    await store.write(lambda tx: webhooks.save(tx, moved))
    assert await store.read(lambda tx: webhooks.find(tx, "w")) == moved
    assert await store.read(webhooks.find_all) == [moved]
    assert await store.read(webhooks.find_active) == []
    await store.write(lambda tx: webhooks.remove(tx, "w"))
    assert await store.read(lambda tx: webhooks.find(tx, "w")) is None
    for work in (webhooks.remove, webhooks.load):
        with pytest.raises(errors.NotFoundError, match="there is no webhook w"):
            await store.write(lambda tx, work=work: work(tx, "w"))
    await store.write(lambda tx: webhooks.save(tx, moved))


async def test_webhooks_are_told_to_those_who_listen(store):
    told = []
    store.subscribe(told.extend)
    await store.write(lambda tx: webhooks.insert(tx, WEBHOOK))
    await store.write(lambda tx: webhooks.remove(tx, "w"))
    assert told == [webhooks.WebhookAdded(WEBHOOK), webhooks.WebhookRemoved("w")]


async def test_the_webhooks_of_a_process_are_not_among_those_of_everything(store):
    mine = replace(WEBHOOK, id="p", process_id="urn:n")
    await put(store, webhooks, WEBHOOK, mine)
    assert await store.read(webhooks.find_all) == [WEBHOOK]
    assert await store.read(lambda tx: webhooks.find_of_process(tx, "urn:n")) == [mine]
    assert await store.read(lambda tx: webhooks.find_of_process(tx, "urn:x")) == []
    assert await store.read(webhooks.find_active) == [mine, WEBHOOK]


async def test_a_callback_that_is_done_goes_with_its_process(store):
    await put(store, negotiations, NEGOTIATION)
    await put(store, transfers, TRANSFER)
    rows = [
        replace(WEBHOOK, id="everything", state=webhooks.DISABLED),
        replace(WEBHOOK, id="kept", process_id="urn:n", state=webhooks.DONE),
        replace(WEBHOOK, id="kept too", process_id="urn:t", state=webhooks.DONE),
        replace(WEBHOOK, id="open", process_id="urn:gone"),
        replace(WEBHOOK, id="done", process_id="urn:gone", state=webhooks.DONE),
    ]
    await put(store, webhooks, *rows)
    assert await store.write(webhooks.purge) == 1
    left = [each for each in rows if await store.read(lambda tx, each=each: webhooks.find(tx, each.id))]
    assert [each.id for each in left] == ["everything", "kept", "kept too", "open"]


@pytest.mark.parametrize(
    ("rows", "needed"),
    [
        ([], 99),
        ([{"last_delivered": 3}], 4),
        ([{"last_delivered": 3}, {"id": "v", "last_delivered": 2}], 3),
        ([{"last_delivered": 3, "state": webhooks.DISABLED}], 99),
        ([{"process_id": "b", "last_delivered": 0}], 2),
        ([{"process_id": "b", "last_delivered": 5}], 99),
        ([{"process_id": "b", "last_delivered": 0, "state": webhooks.DONE}], 99),
        ([{"process_id": "x", "last_delivered": 0}], 99),
        ([{"process_id": "b", "last_delivered": 2}, {"id": "v", "last_delivered": 5}], 5),
    ],
)
async def test_what_a_webhook_still_has_to_get_is_needed(store, rows, needed):
    await add(store, *"abaab a")
    await put(store, webhooks, *(replace(WEBHOOK, **each) for each in rows))
    assert await store.read(lambda tx: webhooks.first_needed(tx, 99)) == needed
