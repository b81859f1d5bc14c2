"""A full disk: what does not fit is refused as a whole, what was there stays, and writing works again afterwards."""

import asyncio
import os
import shutil

import pytest

from comity import errors
from comity.db import migrate, sqlite
from support import small_disk as disks

ADD = "INSERT INTO inbox (counterparty_id, process_id, message_id, digest, answer_state) VALUES ('a', 'b', ?1, ?2, '')"
NAMES = "SELECT message_id FROM inbox ORDER BY message_id"


def adding(name, size_bytes=10):
    async def unit(tx):
        tx.announce(name)
        await tx.run(ADD, name, os.urandom(size_bytes))
        return name

    return unit


async def names(store):
    return [row[0] for row in await store.read(lambda tx: tx.all(NAMES))]


async def test_a_unit_that_does_not_fit_changes_nothing_and_later_ones_fit_again(store):
    told = []
    store.subscribe(told.extend)
    await store.write(adding("before"))
    pages = (await store.write(lambda tx: tx.one("PRAGMA page_count")))[0]
    await store.write(lambda tx: tx.one(f"PRAGMA max_page_count = {pages + 20}"))
    with pytest.raises(errors.DatabaseError, match="the disk is full; nothing was changed") as caught:
        await store.write(adding("too large", 1_000_000))
    assert caught.value.hint == "free space, then try again"
    assert await names(store) == ["before"]
    assert await store.write(adding("small")) == "small"
    await store.write(lambda tx: tx.one("PRAGMA max_page_count = 1000000"))
    assert await store.write(adding("too large", 1_000_000)) == "too large"
    assert await names(store) == ["before", "small", "too large"]
    assert told == ["before", "small", "too large"]


async def test_in_a_group_each_caller_hears_what_became_of_its_own_unit(store):
    pages = (await store.write(lambda tx: tx.one("PRAGMA page_count")))[0]
    await store.write(lambda tx: tx.one(f"PRAGMA max_page_count = {pages + 20}"))
    units = [adding(f"{number:02}", 1_000_000 if number == 10 else 10) for number in range(20)]
    found = await asyncio.gather(*map(store.write, units), return_exceptions=True)
    assert isinstance(found[10], errors.DatabaseError)
    assert await names(store) == [each for each in found if isinstance(each, str)]


@pytest.fixture
def small_disk(tmp_path):
    with disks.mounted(tmp_path / "small", 2) as place:
        yield place


def fill(folder):
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return ballast


async def test_on_a_full_disk_nothing_is_lost_and_writing_goes_on_after_making_room(small_disk, migrated):
    path = shutil.copy(migrated, small_disk / "comity.sqlite")
    store = sqlite.Database(path)
    told = []
    store.subscribe(told.extend)
    await store.write(adding("before"))
    ballast = fill(small_disk)
    failed = 0
    for number in range(40):
        try:
            await store.write(adding(f"n{number:02}", 3000))
        except errors.DatabaseError:
            failed += 1
    assert failed
    assert await names(store) == told
    ballast.unlink()
    assert await store.write(adding("since", 3000)) == "since"
    assert await names(store) == told
    assert await store.read(lambda tx: tx.one("PRAGMA integrity_check")) == ("ok",)
    store.close()
    again = sqlite.Database(path)
    assert await names(again) == told
    again.close()


def test_a_schema_that_does_not_fit_is_made_after_making_room(small_disk):
    path = small_disk / "comity.sqlite"
    ballast = fill(small_disk)
    with pytest.raises(errors.DatabaseError, match=r"comity\.sqlite"):
        migrate.migrate(path)
    ballast.unlink()
    assert migrate.migrate(path)
    assert not migrate.migrate(path)
