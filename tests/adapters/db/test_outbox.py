"""What is on its way, what was received, and tokens that were used."""

from adapters.db.rows import ROW, replace
from comity.db import inbox, outbox, token_uses


async def test_a_message_to_send_is_read_back_and_announced(store):
    told = []
    store.subscribe(told.extend)
    full = replace(
        ROW,
        sealed=True,
        before="OFFERED",
        implied=True,
        after_id=1,
        attempts=3,
        outcome_unknown=True,
        last_error="no answer",
    )
    first = await store.write(lambda tx: outbox.add(tx, ROW))
    second = await store.write(lambda tx: outbox.add(tx, full))
    assert (first, second) == (replace(ROW, id=1), replace(full, id=2))
    assert told == [outbox.Queued(first), outbox.Queued(second)]
    assert await store.read(lambda tx: outbox.find(tx, 2)) == second
    assert await store.read(lambda tx: outbox.find_of_process(tx, "urn:n")) == [first, second]
    assert await store.read(lambda tx: outbox.find_of_process(tx, "urn:x")) == []


async def test_ids_of_messages_are_never_used_again(store):
    async def one_after_the_other(tx):
        ids = []
        for _ in range(3):
            added = await outbox.add(tx, ROW)
            ids.append(added.id)
            assert await outbox.remove(tx, added) == added
        return ids

    assert await store.write(one_after_the_other) == [1, 2, 3]
    assert (await store.write(lambda tx: outbox.add(tx, ROW))).id == 4


async def test_a_removed_message_is_gone_and_those_that_waited_are_announced(store):
    first = await store.write(lambda tx: outbox.add(tx, ROW))
    waiting = [await store.write(lambda tx: outbox.add(tx, replace(ROW, after_id=1))) for _ in range(2)]
    told = []
    store.subscribe(told.extend)
    assert await store.write(lambda tx: outbox.remove(tx, first)) == first
    freed = [replace(each, after_id=None) for each in waiting]
    announced = [outbox.Queued(each, released=True) for each in freed]
    assert told == [*announced, outbox.Removed(first.id)]
    assert await store.read(outbox.find_open) == freed
    assert await store.write(lambda tx: outbox.remove(tx, first)) is None
    assert len(told) == 3


async def test_open_messages_are_read_in_pages(store):
    for _ in range(5):
        await store.write(lambda tx: outbox.add(tx, ROW))
    pages = [
        await store.read(lambda tx, at=at: outbox.find_open(tx, after_id=at, limit=2)) for at in (0, 2, 4, 5)
    ]
    assert [[each.id for each in page] for page in pages] == [[1, 2], [3, 4], [5], []]


async def test_failed_attempts_are_counted_and_an_unknown_outcome_stays_unknown(store):
    await store.write(lambda tx: outbox.add(tx, ROW))
    for number, unknown in enumerate([False, True, False]):
        await store.write(
            lambda tx, n=number, u=unknown: outbox.postpone(
                tx, 1, due_at=n, error="x" * 600, outcome_unknown=u
            )
        )
    found = await store.read(lambda tx: outbox.find(tx, 1))
    assert (found.attempts, found.due_at, found.outcome_unknown, found.last_error) == (3, 2, True, "x" * 500)


async def test_a_message_that_is_shown_to_have_arrived_is_marked(store):
    for process_id in ("a", "b"):
        await store.write(lambda tx, p=process_id: outbox.add(tx, replace(ROW, process_id=p)))
    await store.write(lambda tx: outbox.imply(tx, 2))
    assert (await store.read(lambda tx: outbox.find(tx, 2))).implied
    assert not (await store.read(lambda tx: outbox.find(tx, 1))).implied


async def test_a_received_message_keeps_its_first_answer(store):
    async def add(digest, state, message_id="urn:m"):
        await store.write(
            lambda tx: inbox.add(tx, "urn:n", "did:web:beta", message_id, digest=digest, answer_state=state)
        )

    await add(b"1", "AGREED")
    await add(b"2", "FINALIZED")
    await add(b"3", "VERIFIED", "urn:m2")

    async def found(*key):
        return await store.read(lambda tx: inbox.find(tx, *key))

    assert await found("urn:n", "did:web:beta", "urn:m") == (b"1", "AGREED")
    assert await found("urn:n", "did:web:beta", "urn:m2") == (b"3", "VERIFIED")
    assert await found("urn:n", "did:web:gamma", "urn:m") is None
    assert await found("urn:x", "did:web:beta", "urn:m") is None


async def test_a_token_counts_for_one_request_and_its_repeats(store):
    async def use(issuer, jti, request, expires=100):
        return await store.write(
            lambda tx: token_uses.use(tx, issuer, jti, request=request, expires_at_s=expires)
        )

    assert await use("a", "1", b"x")
    assert await use("a", "1", b"x")
    assert not await use("a", "1", b"y")
    assert await use("b", "1", b"y")
    assert await use("a", "2", b"y", 200)
    assert await store.write(lambda tx: token_uses.purge(tx, before_s=200)) == 2
    assert await use("a", "1", b"y")
    assert not await use("a", "2", b"x")
