"""Revisions of ours and partners' as they told us: kept, found newest first, never numbered twice."""

import runpy

import msgspec

from comity.db import migrate, revisions, sqlite
from comity.db.revisions import Revision, Told

ONE = Revision(
    asset_id="a",
    number=1,
    manifest_sha256="1" * 64,
    effectivity=[{"serialFrom": "SN-1"}],
    properties={"dct:title": "A"},
    folder="/data/a",
    published_at=1,
    changed_at=1,
)
TWO = msgspec.structs.replace(ONE, number=2, manifest_sha256="2" * 64, published_at=2)
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
    assert await store.write(lambda tx: revisions.insert(tx, ONE, b"one"))
    assert not await store.write(lambda tx: revisions.insert(tx, ONE, b"other"))
    assert await store.write(lambda tx: revisions.insert(tx, TWO, b"two"))
    assert await store.read(lambda tx: revisions.find_all(tx, "a")) == [TWO, ONE]
    assert await store.read(lambda tx: revisions.find_content(tx, "a", 1)) == b"one"
    assert await store.read(lambda tx: revisions.find_content(tx, "a", 3)) is None
    assert await store.read(lambda tx: revisions.find_asset_of(tx, "/data/a")) == "a"
    assert await store.read(lambda tx: revisions.find_asset_of(tx, "")) == ""
    assert await store.read(lambda tx: revisions.find_last_of_each(tx, limit=9)) == [TWO]
    await store.write(lambda tx: revisions.save_content(tx, "a", 1, b"moved"))
    assert await store.read(lambda tx: revisions.find_content(tx, "a", 1)) == b"moved"


async def test_the_standing_revision_is_the_newest_released_one_and_else_the_newest(store):
    for each in (ONE, TWO):
        await store.write(lambda tx, row=each: revisions.insert(tx, row, b""))
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
BEFORE_REVISIONS = (
    "INSERT INTO asset (id, properties, private_properties, data_address_sealed, content_sealed, created_at)"
    " VALUES (?1, ?2, ?3, ?4, ?5, 7)"
)
PACKAGE = (
    "p",
    b'{"comity:manifestSha256": "' + MANIFEST.encode() + b'", "dct:title": "P"}',
    b'{"folder": "/data/p"}',
    b"",
    b"s",
)
SINGLE_FILE = ("f", b"{}", b"{}", b"", b"s")


async def test_what_was_published_before_there_were_revisions_is_its_own_first_one(store):
    """The migration's own statements, run on rows as they were before it."""
    path = migrate.FOLDER / "versions" / "0015_revisions.py"
    first = runpy.run_path(str(path))["_first"]
    dialect = "sqlite" if isinstance(store, sqlite.Database) else "postgresql"

    async def unit(tx):
        for values in (PACKAGE, SINGLE_FILE):
            await tx.run(BEFORE_REVISIONS, *values)
        for statement in first(dialect):
            await tx.run(statement)

    await store.write(unit)
    [made] = await store.read(lambda tx: revisions.find_all(tx, "p"))
    assert (made.number, made.manifest_sha256, made.state) == (1, MANIFEST, "released")
    assert (made.folder, made.effectivity, made.published_at) == ("/data/p", [], 7)
    assert made.properties["dct:title"] == "P"
    assert await store.read(lambda tx: revisions.find_content(tx, "p", 1)) == b"s"
    assert await store.read(lambda tx: revisions.find_all(tx, "f")) == []
