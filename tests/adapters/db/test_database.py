"""The writer and the reader of a real store: groups, failures, announcements, durability; SQLite with its file."""

import asyncio
import sqlite3
import threading
from contextlib import closing

import pytest

from comity import errors
from comity.db import sqlite

ADD = "INSERT INTO token_use (issuer, jti, request, expires_at_s) VALUES (?1, ?2, '00', 0)"
COUNT = "SELECT count(*) FROM token_use"


def adding(jti):
    async def unit(tx):
        await tx.run(ADD, "a", jti)
        return jti

    return unit


async def counted(tx):
    return (await tx.one(COUNT))[0]


async def in_one_group(store, *units):
    """Run units that are handed over together; return results and errors."""
    if not isinstance(store, sqlite.Database):
        return await asyncio.gather(*map(store.write, units), return_exceptions=True)
    statements = []
    store._writer._connection.set_trace_callback(statements.append)
    found = await asyncio.gather(*map(store.write, units), return_exceptions=True)
    store._writer._connection.set_trace_callback(None)
    assert statements.count("COMMIT") == 1
    return found


async def test_a_unit_gives_its_result_after_the_commit(store, path):
    assert await store.write(adding("1")) == "1"
    with closing(sqlite3.connect(path)) as other:
        assert other.execute(COUNT).fetchone() == (1,)
    assert await store.read(counted) == 1


async def test_what_waits_together_is_committed_together_and_in_order(store):
    ids = []

    def noting(number):
        async def unit(tx):
            ids.append(number)
            await tx.run(ADD, "a", str(number))

        return unit

    assert await in_one_group(store, *map(noting, range(50))) == [None] * 50
    assert ids == list(range(50))
    assert await store.read(counted) == 50


async def test_a_unit_that_fails_does_not_undo_its_neighbours(store):
    async def failing(tx):
        await tx.run(ADD, "a", "lost")
        raise errors.NotFoundError("there is no such thing")

    async def breaking(tx):
        await tx.run(ADD, "a", "lost too")
        await tx.run(ADD, "a", "1")

    found = await in_one_group(store, adding("1"), failing, adding("2"), breaking, adding("3"))
    assert [found[0], found[2], found[4]] == ["1", "2", "3"]
    assert isinstance(found[1], errors.NotFoundError)
    assert isinstance(found[3], errors.DatabaseError)
    assert "UNIQUE" in found[3].message.upper()
    assert await store.read(lambda tx: tx.all("SELECT jti FROM token_use ORDER BY jti")) == [
        ("1",),
        ("2",),
        ("3",),
    ]


async def test_a_unit_that_waits_for_something_else_is_refused_and_undone(store):
    async def waiting(tx):
        await tx.run(ADD, "a", "lost")
        await asyncio.sleep(0)

    found = await in_one_group(store, adding("1"), waiting, adding("2"))
    assert (found[0], found[2]) == ("1", "2")
    assert isinstance(found[1], RuntimeError)
    assert "waited for something that is not the store" in str(found[1])
    assert await store.read(counted) == 2


@pytest.mark.parametrize(
    "error", [asyncio.CancelledError(), GeneratorExit(), SystemExit(3), KeyboardInterrupt()]
)
def test_nothing_that_a_unit_raises_stops_the_writer(path, error):
    async def raising(tx):
        await tx.run(ADD, "a", "lost")
        raise error

    async def main():
        task = asyncio.ensure_future(store.write(raising))
        await asyncio.wait([task], timeout=5)
        assert task.done()
        assert task.cancelled() or task.exception() is not None
        return await asyncio.wait_for(store.write(adding("1")), 5), await store.read(counted)

    store = sqlite.Database(path)
    loop = asyncio.new_event_loop()
    try:
        try:
            found = loop.run_until_complete(main())
        except (SystemExit, KeyboardInterrupt):  # asyncio hands these on to whoever runs the loop
            found = loop.run_until_complete(main_after(store))
        assert found == ("1", 1)
    finally:
        store.close()
        loop.close()


async def main_after(store):
    return await asyncio.wait_for(store.write(adding("1")), 5), await store.read(counted)


async def test_what_is_announced_is_told_once_after_the_commit(store, path):
    told = []

    def listener(announced):
        with closing(sqlite3.connect(path)) as other:
            told.append((list(announced), other.execute(COUNT).fetchone()[0]))

    store.subscribe(listener)

    def announcing(jti):
        async def unit(tx):
            await tx.run(ADD, "a", jti)
            tx.announce(jti)

        return unit

    await in_one_group(store, announcing("1"), announcing("2"))
    assert told == [(["1", "2"], 2)]


async def test_a_unit_that_fails_announces_nothing(store):
    told = []
    store.subscribe(told.extend)

    async def failing(tx):
        tx.announce("lost")
        await tx.run(ADD, "a", "lost")
        raise errors.ConflictError("no")

    def announcing(told_of):
        async def unit(tx):
            tx.announce(told_of)

        return unit

    await in_one_group(store, announcing("before"), failing, announcing("after"))
    assert told == ["before", "after"]


async def test_nothing_is_announced_and_nobody_succeeds_when_the_commit_fails(store, path):
    told = []
    store.subscribe(told.extend)

    async def announcing(tx):
        await tx.run(ADD, "a", "lost")
        tx.announce("lost")

    async def breaking_the_commit(tx):
        await tx.run("PRAGMA defer_foreign_keys = ON")
        await tx.run(
            "INSERT INTO pull (transfer_id, destination, state, updated_at) VALUES ('no', '', 'DONE', 0)"
        )

    found = await in_one_group(store, announcing, breaking_the_commit)
    assert [type(each) for each in found] == [errors.DatabaseError] * 2
    assert "FOREIGN KEY" in found[0].message
    assert "nothing was changed" in found[0].message
    assert told == []
    assert await store.read(counted) == 0
    assert await store.write(adding("1")) == "1"


async def test_a_listener_that_fails_keeps_nothing_from_the_others(store, caplog):
    told = []

    def failing(_announced):
        raise ZeroDivisionError

    store.subscribe(failing)
    store.subscribe(told.extend)

    async def announcing(tx):
        tx.announce("x")

    await store.write(announcing)
    assert told == ["x"]
    assert "ZeroDivisionError" in caplog.text


async def test_a_reader_may_not_write(store):
    with pytest.raises(errors.DatabaseError, match=r"readonly|only reads"):
        await store.read(adding("1"))
    assert await store.read(counted) == 0


async def test_a_reader_sees_one_state_while_the_writer_goes_on(store, path):
    seen, begun, go = [], threading.Event(), threading.Event()

    async def unit(tx):
        seen.append(await counted(tx))
        begun.set()
        assert go.wait(10)
        seen.append(await counted(tx))

    reading = asyncio.ensure_future(store.read(unit))
    await asyncio.to_thread(begun.wait, 10)
    await store.write(adding("1"))
    go.set()
    await reading
    assert seen == [0, 0]
    assert await store.read(counted) == 1


async def test_a_caller_that_was_cancelled_leaves_the_group_whole(store):
    tasks = [asyncio.ensure_future(store.write(adding(str(number)))) for number in range(3)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert (found[0], found[2]) == ("0", "2")
    assert isinstance(found[1], asyncio.CancelledError)
    assert await store.write(adding("3")) == "3"


async def test_what_waits_when_the_store_closes_is_still_written(path):
    store = sqlite.Database(path)
    tasks = [asyncio.ensure_future(store.write(adding(str(number)))) for number in range(200)]
    await asyncio.sleep(0)
    store.close()
    assert len(await asyncio.gather(*tasks)) == 200


async def test_what_is_being_committed_when_the_store_closes_is_answered_once(path):
    store = sqlite.Database(path)
    told = []
    store.subscribe(told.extend)

    def announcing(jti):
        async def unit(tx):
            await tx.run(ADD, "a", jti)
            tx.announce(jti)

        return unit

    first = asyncio.ensure_future(store.write(announcing("1")))
    while store._writer._committing is None:  # noqa: ASYNC110  until the thread that commits has the group
        await asyncio.sleep(0)
    second = asyncio.ensure_future(store.write(announcing("2")))
    await asyncio.sleep(0)
    store.close()
    await asyncio.gather(first, second)
    await asyncio.sleep(0.01)
    assert told == ["1", "2"]


def test_a_store_may_be_used_from_one_loop_after_the_other(path):
    store = sqlite.Database(path)
    assert asyncio.run(store.write(adding("1"))) == "1"
    assert asyncio.run(store.write(adding("2"))) == "2"
    assert asyncio.run(store.read(counted)) == 2
    store.close()


def test_a_loop_that_ends_in_the_middle_leaves_the_store_usable(path):
    store = sqlite.Database(path)

    async def leave(number):
        for each in range(30):
            asyncio.ensure_future(store.write(adding(f"{number}-{each}")))  # noqa: RUF006  nobody waits
        for _ in range(3):
            await asyncio.sleep(0)

    for number in range(30):
        asyncio.run(leave(number))
        assert asyncio.run(store.write(adding(str(number)))) == str(number)
    assert asyncio.run(store.read(counted)) >= 60
    store.close()


async def test_a_closed_store_refuses_instead_of_waiting_for_ever(path):
    store = sqlite.Database(path)
    store.close()
    for run in (store.write, store.read):
        with pytest.raises(errors.DatabaseError, match="closed"):
            await asyncio.wait_for(run(counted), 5)


async def test_a_mistake_in_a_statement_is_named(store):
    with pytest.raises(errors.DatabaseError, match=r"no such table: missing|\"missing\" does not exist"):
        await store.write(lambda tx: tx.run("DELETE FROM missing"))


async def test_rows_that_were_changed_are_counted(store):
    async def unit(tx):
        for jti in "abc":
            await tx.run(ADD, "a", jti)
        return await tx.run("UPDATE token_use SET expires_at_s = 1 WHERE jti > 'a'"), await tx.one(
            "SELECT 1 WHERE 0 = 1"
        )

    assert await store.write(unit) == (2, None)


async def test_the_file_is_set_for_durability(store, path):
    async def unit(tx):
        names = ("journal_mode", "synchronous", "foreign_keys")
        return [(await tx.one(f"PRAGMA {name}"))[0] for name in names]

    assert await store.write(unit) == ["wal", 2, 1]


async def test_another_writer_is_waited_for_and_then_named(path, monkeypatch):
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_S", 0.2)
    store = sqlite.Database(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(errors.DatabaseError, match="locked"):
            await store.write(adding("1"))
        assert await store.read(counted) == 0
        other.execute("ROLLBACK")
        assert await store.write(adding("1")) == "1"
    store.close()
