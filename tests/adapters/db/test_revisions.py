"""Revisions of ours and partners' as they told us: kept, found newest first, never numbered twice."""

import runpy

import msgspec

from comity.db import ddl, migrate, offers, published, revisions, sqlite
from comity.db.revisions import Revision, Told

LONG = b"a nonce and what is sealed, which may be long; " * 3
ONE = Revision(
    asset_id="a",
    number=1,
    manifest_sha256="1" * 64,
    effectivity=[{"serialFrom": "SN-1"}],
    properties={"dct:title": "A"},
    folder="/data/a",
    published_at=1,
    changed_at=1,
    content_id=published.id_of(LONG),
)
TWO = msgspec.structs.replace(
    ONE, number=2, manifest_sha256="2" * 64, published_at=2, content_id=published.id_of(b"two")
)
TOLD = Told(
    counterparty_id="did:web:beta",
    asset_id="a",
    number=1,
    manifest_sha256="1" * 64,
    effectivity=[],
    changes={"added": 1},
    agreement_id="urn:a",
    published_at=1,
    told_at=5,
)


async def test_a_number_is_given_once_and_what_it_hands_out_is_kept_with_it(store):
    async def unit(tx):
        for sealed in (LONG, b"two", b""):
            await published.keep(tx, sealed)
        return [await revisions.insert(tx, each) for each in (ONE, ONE, TWO)]

    assert await store.write(unit) == [True, False, True]
    assert await store.read(lambda tx: revisions.find_all(tx, "a")) == [TWO, ONE]
    assert await store.read(lambda tx: revisions.find_content(tx, "a", 1)) == LONG
    assert await store.read(lambda tx: revisions.find_content(tx, "a", 3)) is None
    assert await store.read(lambda tx: revisions.find_asset_of(tx, "/data/a")) == "a"
    assert await store.read(lambda tx: revisions.find_asset_of(tx, "")) == ""
    assert await store.read(lambda tx: revisions.find_last_of_each(tx, limit=9)) == [TWO]
    await store.write(lambda tx: revisions.save_content(tx, "a", 1, published.id_of(b"two")))
    assert await store.read(lambda tx: revisions.find_content(tx, "a", 1)) == b"two"


async def test_a_content_that_nothing_names_any_more_is_deleted(store):
    asset = offers.Asset(
        id="a",
        properties={},
        private_properties={},
        data_address_sealed=b"",
        created_at=1,
        content_id=ONE.content_id,
    )

    async def contents(tx):
        return [bytes(row[0]) for row in await tx.all("SELECT sealed FROM content ORDER BY sealed")]

    async def unit(tx):
        for sealed in (LONG, b"two"):
            await published.keep(tx, sealed)
        await offers.insert(tx, asset)
        await revisions.insert(tx, ONE)
        again = msgspec.structs.replace(asset, content_id=published.id_of(b"two"))
        await offers.save(tx, again)
        kept = await contents(tx)
        await revisions.save_content(tx, "a", 1, published.id_of(b"two"))
        await published.drop_unused(tx, ONE.content_id)
        left = await contents(tx)
        await offers.save(tx, msgspec.structs.replace(again, content_id=""))
        return kept, left, await contents(tx)

    assert await store.write(unit) == ([LONG, b"two"], [b"two"], [b"two"])


async def test_the_standing_revision_is_the_newest_released_one_and_else_the_newest(store):
    for each in (ONE, TWO):
        await store.write(lambda tx, row=each: revisions.insert(tx, row))
    gone = msgspec.structs.replace(TWO, state="recalled", reason="wrong", by_whom="jo", changed_at=9)
    await store.write(lambda tx: revisions.save(tx, gone))
    assert await store.read(lambda tx: revisions.find_standing(tx, "a")) == ONE
    assert await store.read(lambda tx: revisions.find_newest(tx, "a")) == gone
    older = msgspec.structs.replace(ONE, state="superseded")
    await store.write(lambda tx: revisions.save(tx, older))
    assert await store.read(lambda tx: revisions.find_standing(tx, "a")) == gone
    assert await store.read(lambda tx: revisions.find_standing(tx, "b")) is None


async def test_what_partners_tell_is_kept_by_partner_asset_and_number(store):
    second = msgspec.structs.replace(TOLD, number=2)
    await store.write(lambda tx: revisions.save_told(tx, [TOLD, second]))
    later = msgspec.structs.replace(TOLD, state="recalled", reason="wrong", told_at=9)
    await store.write(lambda tx: revisions.save_told(tx, [later]))
    kept = msgspec.structs.replace(later, told_at=5)
    assert await store.read(lambda tx: revisions.find_told(tx, "did:web:beta", "a")) == [second, kept]
    assert await store.read(lambda tx: revisions.find_told(tx, "did:web:gamma", "a")) == []
    assert await store.read(lambda tx: revisions.find_last_told_of_each(tx, limit=9)) == [second]
    assert await store.read(lambda tx: revisions.find_received(tx, "did:web:beta", "a")) == {}


MANIFEST = "4" * 64
BEFORE_CONTENTS = (
    "ALTER TABLE asset ADD COLUMN content_sealed BLOB",
    "CREATE TABLE revision_content (asset_id TEXT, number BIGINT, content_sealed BLOB NOT NULL)",
    "DROP INDEX asset_of_content",
    "DROP INDEX revision_of_content",
    "ALTER TABLE asset DROP COLUMN content_id",
    "ALTER TABLE revision DROP COLUMN content_id",
    "DROP TABLE content",
)
BEFORE_REVISIONS = (
    "INSERT INTO asset (id, properties, private_properties, data_address_sealed, content_sealed, created_at)"
    " VALUES (?1, ?2, ?3, ?4, ?5, 7)"
)
PACKAGE = (
    "p",
    b'{"comity:manifestSha256": "' + MANIFEST.encode() + b'", "dct:title": "P"}',
    b'{"folder": "/data/p"}',
    b"",
    LONG,
)
SINGLE_FILE = ("f", b"{}", b"{}", b"", b"short")
ADDRESS = ("h", b"{}", b"{}", b"", None)


async def test_what_was_published_before_there_were_revisions_is_its_own_first_one(store):
    """The migrations' own statements, run on rows as they were before them."""
    dialect = "sqlite" if isinstance(store, sqlite.Database) else "postgresql"
    first = written("0015_revisions")["_first"](dialect)
    contents = written("0022_contents")["statements"](dialect)

    async def unit(tx):
        for statement in BEFORE_CONTENTS:
            await tx.run(ddl.spoken(statement, dialect))
        for values in (PACKAGE, SINGLE_FILE, ADDRESS):
            await tx.run(BEFORE_REVISIONS, *values)
        for statement in (*first, *contents):
            await tx.run(ddl.spoken(statement, dialect))

    await store.write(unit)
    [made] = await store.read(lambda tx: revisions.find_all(tx, "p"))
    assert (made.number, made.manifest_sha256, made.state) == (1, MANIFEST, "released")
    assert (made.folder, made.effectivity, made.published_at) == ("/data/p", [], 7)
    assert made.properties["dct:title"] == "P"
    assert await store.read(lambda tx: revisions.find_content(tx, "p", 1)) == LONG
    assert await store.read(lambda tx: revisions.find_all(tx, "f")) == []
    listed = await store.read(lambda tx: offers.find_some(tx, offers.Asset, ["p", "f", "h"]))
    named = {each.id: each.content_id for each in listed}
    assert named == {"p": made.content_id, "f": published.id_of(b"short"), "h": ""}
    assert made.content_id == published.id_of(LONG)
    assert await store.read(lambda tx: published.find(tx, named["f"])) == b"short"
    assert await store.read(lambda tx: tx.one("SELECT count(*) FROM content")) == (2,)


def written(name):
    return runpy.run_path(str(migrate.FOLDER / "versions" / f"{name}.py"))
