"""Rows of repeatable requests: the first of one key stays, for as long as it is kept."""

import pytest

from comity.db import repeatable


def row(key="k", *, caller="", fingerprint=b"f", created_id="a", kept_at=100):
    return repeatable.Repeatable(
        caller=caller,
        key=key,
        fingerprint=fingerprint,
        created_id=created_id,
        created_at=7,
        answer_sealed=None,
        kept_at=kept_at,
    )


async def find(store, key="k", caller="", since_ms=0):
    return await store.read(lambda tx: repeatable.find(tx, caller, key, since_ms=since_ms))


async def insert(store, new, since_ms=0):
    await store.write(lambda tx: repeatable.insert(tx, new, since_ms=since_ms))


async def test_a_row_comes_back_as_it_was(store):
    await insert(store, row())
    assert await find(store) == row()
    assert await find(store, "other") is None
    assert await find(store, caller="other") is None


async def test_the_first_of_one_key_stays(store):
    await insert(store, row())
    await insert(store, row(created_id="b", fingerprint=b"g"))
    await insert(store, row(caller="other", created_id="c"))
    assert (await find(store)).created_id == "a"
    assert (await find(store, caller="other")).created_id == "c"


@pytest.mark.parametrize(("since_ms", "there"), [(100, True), (101, False)])
async def test_what_is_too_old_counts_for_nothing(store, since_ms, there):
    await insert(store, row())
    assert (await find(store, since_ms=since_ms) is not None) == there
    await insert(store, row(created_id="b", kept_at=200), since_ms=since_ms)
    assert (await find(store)).created_id == ("a" if there else "b")


async def test_an_answer_is_added_and_old_rows_are_purged(store):
    await insert(store, row())
    await insert(store, row("new", kept_at=200))
    await store.write(lambda tx: repeatable.set_answer(tx, "", "k", b"sealed"))
    assert (await find(store)).answer_sealed == b"sealed"
    assert await store.write(lambda tx: repeatable.purge(tx, before_ms=200)) == 1
    assert await find(store) is None
    assert (await find(store, "new")).answer_sealed is None
