"""A table of structs: what goes in comes out, whatever kind of column holds it."""

import pytest
from msgspec import Struct

from comity.db import ddl
from comity.db.table import Table


class Thing(Struct, frozen=True, kw_only=True):
    number: int = 0
    name: str
    said: dict[str, int]
    good: bool = False
    was: str | None = None


TABLE = Table("thing", Thing, documents=("said",), flags=("good",), numbered="number", copies={"was": "name"})


@pytest.fixture
async def things(store, store_kind):
    async def unit(tx):
        await tx.run(
            ddl.spoken(
                "CREATE TABLE thing (number INTEGER PRIMARY KEY, name TEXT UNIQUE, said BLOB, good INTEGER)",
                store_kind,
            )
        )

    await store.write(unit)
    yield store
    await store.write(lambda tx: tx.run("DROP TABLE thing"))


async def test_a_value_comes_back_with_its_number_and_its_copies(things):
    async def unit(tx):
        await tx.run(TABLE.insert, *TABLE.row(Thing(name="a", said={"x": 1}, good=True)))
        return await TABLE.one(tx, "WHERE name = ?1", "a"), await TABLE.one(tx, "WHERE name = ?1", "b")

    assert await things.write(unit) == (Thing(number=1, name="a", said={"x": 1}, good=True, was="a"), None)


async def test_an_upsert_changes_all_but_what_is_kept(things):
    async def unit(tx):
        sql = TABLE.upsert("name", "number", "good")
        for said, good in (({"x": 1}, True), ({"x": 2}, False)):
            await tx.run(sql, *TABLE.row(Thing(name="a", said=said, good=good)))
        return await TABLE.all(tx, "ORDER BY number")

    assert await things.write(unit) == [Thing(number=1, name="a", said={"x": 2}, good=True, was="a")]
