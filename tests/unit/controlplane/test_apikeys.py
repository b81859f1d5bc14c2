"""Who holds an API key: the list in memory, and when it is read again."""

import asyncio

import pytest

from comity.controlplane import apikeys
from comity.db.apikeys import ApiKey, ApiKeysChanged

OWN = "the key of the folder"


class Store:
    """A store whose list of keys is `rows`; a read waits for `go_on` if there is one."""

    def __init__(self, *rows):
        self.rows, self.reads, self.go_on = list(rows), 0, None

    async def read(self, unit):
        self.reads += 1
        found = list(self.rows)
        if self.go_on is not None:
            await self.go_on.wait()
        return found


def row(secret, role="viewer", expires_at=None):
    return ApiKey(
        id=f"of {secret}", role=role, digest=apikeys.digest(secret), expires_at=expires_at, created_at=0
    )


def keys_of(store, now=0):
    return apikeys.Keys(store, OWN, now_ms=lambda: now)


async def test_the_key_of_the_folder_is_an_admin_s_and_asks_nothing_of_the_store():
    store = Store()
    assert await keys_of(store).find(OWN) == apikeys.Holder("", "admin")
    assert store.reads == 0


async def test_a_key_has_its_holder_and_role():
    keys = keys_of(Store(row("a", "operator"), row("b")))
    assert await keys.find("a") == apikeys.Holder("of a", "operator")
    assert await keys.find("b") == apikeys.Holder("of b", "viewer")


@pytest.mark.parametrize("key", ["", "c", "a ", "A", "of a", "\udcff", apikeys.digest("a").hex()])
async def test_anything_else_opens_nothing(key):
    assert await keys_of(Store(row("a"))).find(key) is None


@pytest.mark.parametrize(("now", "good"), [(9, True), (10, False), (11, False)])
async def test_a_key_ends_at_its_time(now, good):
    assert (await keys_of(Store(row("a", expires_at=10)), now).find("a") is not None) == good


async def test_the_list_is_read_once_and_again_after_a_change():
    store = Store(row("a"))
    keys = keys_of(store)
    for _ in range(3):
        assert await keys.find("a")
        assert await keys.find("b") is None
    assert store.reads == 1
    store.rows = [row("b")]
    keys.notice([object()])
    assert await keys.find("a")
    keys.notice([object(), ApiKeysChanged()])
    assert await keys.find("a") is None
    assert await keys.find("b")
    assert store.reads == 2


async def test_a_list_that_changed_while_it_was_read_is_read_again():
    """Else a removed key would open everything until the next change."""
    store = Store(row("a"))
    keys = keys_of(store)
    store.go_on = asyncio.Event()
    asked = asyncio.create_task(keys.find("a"))
    await asyncio.sleep(0)
    assert store.reads == 1
    store.rows = []
    keys.notice([ApiKeysChanged()])
    store.go_on.set()
    assert await asked is None
    assert store.reads == 2
