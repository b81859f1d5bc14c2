"""The consumer's store: encrypted, opened under the terms, exported and deleted as what it is."""

import errno
import hashlib
import os
import urllib.parse
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from comity import errors
from comity.controlplane import (
    deletions,
    get,
    kept,
    opening,
    packaging,
    publish,
    received,
    republishing,
    shredding,
    transfer_moves,
)
from comity.controlplane.received import Access
from comity.dataplane import serve
from comity.dataplane.kept import STORE, shelf_of
from comity.db import agreements
from comity.db import kept as rows_of
from comity.db.seal import Seal
from comity.dsp import terms, transfer
from comity.management import query
from comity.odrl import marking
from comity.storage.kept import Folder, Growing
from comity.storage.source import CHUNK_BYTES
from comity.techdata import manifest
from support import asgi, wire
from support.pair import introduced, wait_for

FILES = {"a.txt": b"hello", "sub/b.bin": os.urandom(2 * CHUNK_BYTES + 77), "empty.txt": b""}
NOTES = (".comity-manifest.json", ".comity-seal.jws")
PURPOSE = "production:programme-1"
ANYBODY = Access()
USE = {"@type": "Offer", "permission": [{"action": "use"}]}
DELETE_IN_30_DAYS = {
    "action": "delete",
    "constraint": [{"leftOperand": "elapsedTime", "operator": "lteq", "rightOperand": "P30D"}],
}
DAY_MS = 24 * 3600 * 1000


def api(site):
    return asgi.Client(site.parts.internal, site.conf.management_key)


def at(transfer_id, path=""):
    name = urllib.parse.quote(transfer_id, safe="")
    return f"received/{name}/files/{urllib.parse.quote(path)}" if path else f"received/{name}"


async def got(pair, asset="asset", *, files=FILES, destination=STORE, purpose="", **published):
    """Let the consumer get a package, and return its transfer."""
    await pair.provider.publish(asset, files=files, **published)
    return await fetched(pair, asset, destination=destination, purpose=purpose)


async def fetched(pair, asset="asset", *, destination=STORE, purpose=""):
    consumer = pair.consumer.connector
    begun = await get.start(consumer, pair.provider.did, asset, str(destination), purpose=purpose)

    async def ended():
        return (await get.status(consumer, begun.id))["stage"] in {get.COMPLETED, get.FAILED}

    await wait_for(ended)
    status = await get.status(consumer, begun.id)
    assert (status["stage"], status["error"]) == (get.COMPLETED, "")
    record = await pair.consumer.transfer(status["transferId"])
    await pair.consumer.reaches(record.id, terms.COMPLETED)
    return record


async def read(site, transfer_id, path, access=ANYBODY, start=0, end=None, **more):
    source = await opening.open_file(site.connector, transfer_id, path, access, **more)
    chunks = await kept.Storage(site.connector).open_range(source, start, end)
    return b"".join([each async for each in chunks])


async def files_of(site, transfer_id):
    return await site.connector.database.read(lambda tx: rows_of.find_files(tx, transfer_id))


async def said(site, transfer_id, message="comity:Access"):
    return [
        (each["outcome"], each.get("purpose", ""))
        for each in await site.entries(transfer_id)
        if each["message"] == message
    ]


def on_disk(site):
    root = Path(site.connector.kept.root)
    return {each.relative_to(root).as_posix(): each for each in sorted(root.rglob("*")) if each.is_file()}


def objects(site):
    return {name: path for name, path in on_disk(site).items() if "/" in name}


async def test_what_was_received_into_the_store_is_read_by_ranges_and_lies_encrypted(pair):
    record = await got(pair)
    client = api(pair.consumer)
    listed = (await client.request("GET", f"{at(record.id)}/files")).json
    assert {each["path"]: each["sizeBytes"] for each in listed if not each["path"].startswith(".")} == {
        name: len(data) for name, data in FILES.items()
    }
    big = FILES["sub/b.bin"]
    digest = hashlib.sha256(big).hexdigest()
    path = at(record.id, "sub/b.bin")
    whole = await client.request("GET", path)
    assert (whole.status, whole.body, whole.headers["etag"]) == (200, big, f'"sha256-{digest}"')
    key = {"x-api-key": pair.consumer.conf.management_key}
    part = await client.request(
        "GET", path, headers={**key, "range": f"bytes={CHUNK_BYTES - 5}-{CHUNK_BYTES + 4}"}
    )
    assert (part.status, part.body) == (206, big[CHUNK_BYTES - 5 : CHUNK_BYTES + 5])
    head = await client.request("HEAD", path)
    assert (head.status, head.headers["content-length"], head.body) == (200, str(len(big)), b"")
    assert (await client.request("GET", at(record.id, "empty.txt"))).body == b""
    assert (await client.request("GET", at(record.id, "nothing"))).problem["type"] == "not-found"
    unclear = await client.request("GET", f"{at(record.id, 'a.txt')}?export=True")
    assert unclear.problem["path"] == "$.export"
    lies = b"".join(each.read_bytes() for each in on_disk(pair.consumer).values())
    assert b"hello" not in lies
    assert big[:64] not in lies
    for each in [
        Path(pair.consumer.connector.kept.root),
        *Path(pair.consumer.connector.kept.root).rglob("*"),
    ]:
        assert each.stat().st_mode & 0o077 == 0
    assert await said(pair.consumer, record.id) == [("opened", "")]
    store = (await client.request("GET", "received/store")).json
    assert store["sizeBytes"] > sum(map(len, FILES.values()))
    assert (await client.request("POST", f"{at(record.id)}/check")).json["damaged"] == []


async def test_terms_are_asked_at_each_opening_and_refusals_are_in_the_evidence(pair):
    await pair.provider.befriend(pair.consumer, purpose=[PURPOSE])
    said_so = marking.Said(purposes=[PURPOSE], nationalities=["BB"])
    record = await got(pair, policy=marking.policy(said_so), purpose=PURPOSE)
    client, path = api(pair.consumer), at(record.id, "a.txt")
    refused = await client.request("GET", path)
    assert (refused.status, refused.problem["type"]) == (403, "policy")
    for who in ("nationality=AA&nationality=BB", "nationality=AA,BB"):
        assert (await client.request("GET", f"{path}?purpose={PURPOSE}&person=Jo&{who}")).body == b"hello"
    other = await client.request("HEAD", f"{path}?purpose={PURPOSE}&person=Jo&nationality=CC")
    assert other.status == 403
    exported = f"{path}?purpose={PURPOSE}&person=Jo&nationality=BB&export=true"
    assert (await client.request("GET", exported)).body == b"hello"
    assert await said(pair.consumer, record.id) == [
        ("refused", ""),
        ("opened", PURPOSE),
        ("refused", PURPOSE),
    ]
    assert await said(pair.consumer, record.id, "comity:Export") == [("exported", PURPOSE)]


async def test_expiry_locks_what_is_in_the_store_also_in_the_middle_of_reading(pair):
    record = await got(pair, policy=wire.constrained("elapsedTime", "lteq", "P1D"))
    consumer = pair.consumer.connector
    assert await read(pair.consumer, record.id, "a.txt") == b"hello"
    assert await opening.may_still(consumer, record.id, ANYBODY)
    later = consumer.now_ms() + 2 * DAY_MS
    object.__setattr__(consumer, "now_ms", lambda: later)
    with pytest.raises(errors.PolicyError, match="may not be opened"):
        await read(pair.consumer, record.id, "a.txt")
    assert not await opening.may_still(consumer, record.id, ANYBODY)
    with pytest.raises(errors.PolicyError):
        await opening.export(consumer, record.id, str(pair.consumer.folder.parent / "out"), ANYBODY)
    assert not (pair.consumer.folder.parent / "out").exists()
    assert await shredding.run(consumer) == 0  # a clock may be wrong for a while
    assert len(objects(pair.consumer)) > 1
    object.__setattr__(consumer, "now_ms", lambda: later + 8 * DAY_MS)
    assert await shredding.run(consumer) == 1
    assert objects(pair.consumer) == {}
    assert await pair.consumer.rows("SELECT count(*) FROM kept_file") == [(0,)]
    assert await said(pair.consumer, record.id, "comity:Shredding") == [("shredded", "")]


async def test_contents_that_are_held_are_not_fetched_again_and_deleting_one_agreement_leaves_the_other(pair):
    first = await got(pair, "one")
    more = {**FILES, "c.txt": b"more"}
    before = set(objects(pair.consumer))
    second = await got(pair, "two", files=more)
    ((rows,),) = await pair.consumer.rows("SELECT count(*) FROM kept_file WHERE transfer_id = ?1", second.id)
    assert rows == len(more) + len(NOTES)
    new = {each.path: each.object_name for each in await files_of(pair.consumer, second.id)}
    assert {path for path, name in new.items() if name not in before} == {"c.txt", *NOTES}
    await deletions.delete(pair.consumer.connector, first.id, by="Jo Doe")
    with pytest.raises(errors.PolicyError, match="may not be opened"):
        await read(pair.consumer, first.id, "a.txt")
    for name, data in more.items():
        assert await read(pair.consumer, second.id, name) == data
    await deletions.delete(pair.consumer.connector, second.id, by="Jo Doe")
    assert objects(pair.consumer) == {}
    assert await pair.consumer.rows("SELECT count(*) FROM kept_file") == [(0,)]


async def test_the_node_deletes_by_itself_when_that_is_due_and_the_provider_has_the_receipt(pair):
    record = await got(pair, policy={**USE, "obligation": [DELETE_IN_30_DAYS]})
    consumer = pair.consumer.connector
    assert await deletions.run_due(consumer) == 0
    assert await read(pair.consumer, record.id, "a.txt") == b"hello"
    at_ms = consumer.now_ms() + 31 * DAY_MS
    object.__setattr__(consumer, "now_ms", lambda: at_ms)
    assert await deletions.run_due(consumer) == 1
    assert objects(pair.consumer) == {}
    (told,) = await deletions.find(consumer, query.parse({}))
    assert (told["state"], told["deletedBy"]) == ("DELETED", deletions.BY_DUTY)

    async def received():
        found = await deletions.find_receipts(pair.provider.connector, query.parse({}))
        return [each["kind"] for each in found if each["kind"] == "deletion"]

    assert await wait_for(received) == ["deletion"]
    assert await deletions.run_due(consumer) == 0


async def test_an_export_is_a_copy_of_the_same_bytes_and_is_deleted_with_it_or_keeps_the_receipt_back(
    pair, tmp_path
):
    record = await got(pair, policy={**USE, "obligation": [DELETE_IN_30_DAYS]})
    client, out = api(pair.consumer), tmp_path / "out"
    done = await client.request(
        "POST", f"{at(record.id)}/export", {"destination": str(out), "person": "Jo Doe"}
    )
    assert done.status == 200, done.body
    assert {name: (out / name).read_bytes() for name in FILES} == FILES
    (shown,) = [each for each in (await client.request("GET", "received")).json if each["@id"] == record.id]
    assert [(each["destination"], each["person"]) for each in shown["exports"]] == [(str(out), "Jo Doe")]
    (entry,) = [each for each in await pair.consumer.entries(record.id) if each["message"] == "comity:Export"]
    assert (await pair.consumer.rows("SELECT sha256 FROM delivery"))[0][0] in entry["detail"]
    (out / "a.txt").write_bytes(b"changed")
    with pytest.raises(errors.ConflictError, match="copies went to"):
        await deletions.delete(pair.consumer.connector, record.id, by="Jo Doe")
    assert objects(pair.consumer) == {}  # here it is gone at once
    with pytest.raises(errors.StorageError, match="not in the store"):
        await kept.Storage(pair.consumer.connector)._find(record.id, "a.txt")
    (out / "a.txt").write_bytes(b"hello")
    (told,) = await deletions.delete(pair.consumer.connector, record.id, by="Jo Doe")
    assert told["state"] == "DELETED"
    assert not out.exists()


async def test_copies_in_folders_wait_for_a_person_when_the_node_deletes_by_itself(pair, tmp_path):
    record = await got(pair, policy={**USE, "obligation": [DELETE_IN_30_DAYS]})
    consumer, client, out = pair.consumer.connector, api(pair.consumer), tmp_path / "out"
    await opening.export(consumer, record.id, str(out), ANYBODY)
    at_ms = consumer.now_ms() + 31 * DAY_MS
    object.__setattr__(consumer, "now_ms", lambda: at_ms)
    assert [await deletions.run_due(consumer) for _ in range(2)] == [1, 0]
    assert objects(pair.consumer) == {}
    assert {name: (out / name).read_bytes() for name in FILES} == FILES
    (told,) = await deletions.find(consumer, query.parse({}))
    assert told["state"] == "OVERDUE"
    assert [each["kind"] for each in await deletions.find_receipts(consumer, query.parse({}))] == ["delivery"]
    (shown,) = [each for each in (await client.request("GET", "received")).json if each["@id"] == record.id]
    assert shown["copiesWait"] is True
    event = await pair.consumer.rows(
        "SELECT type, data FROM event WHERE subject = ?1 ORDER BY seq DESC", record.id
    )
    assert event[0][0] == "deletion.waiting"
    assert msgspec.json.decode(event[0][1])["copies"] == [str(out)]
    (told,) = await deletions.delete(consumer, record.id, by="Jo Doe")
    assert (told["state"], told["deletedBy"], out.exists()) == ("DELETED", "Jo Doe", False)


async def test_an_export_that_is_refused_counts_as_no_copy_and_writes_nothing(pair, tmp_path):
    record = await got(pair)
    consumer, out = pair.consumer.connector, tmp_path / "out"
    out.mkdir()
    (out / "empty.txt").write_bytes(b"mine")
    with pytest.raises(errors.StorageError, match="was not received here"):
        await opening.export(consumer, record.id, str(out), ANYBODY)
    assert [each.name for each in out.iterdir()] == ["empty.txt"]
    assert await pair.consumer.rows("SELECT * FROM kept_export") == []
    (told,) = await deletions.delete(consumer, record.id, by="Jo Doe")
    assert told["state"] == "DELETED"


async def test_deleting_a_copy_leaves_what_lay_in_its_folder_before(pair, tmp_path):
    record = await got(pair)
    consumer, out = pair.consumer.connector, tmp_path / "out"
    (out / "sub").mkdir(parents=True)
    (out / "a.txt").write_bytes(FILES["a.txt"])
    for _ in range(2):
        await opening.export(consumer, record.id, str(out), ANYBODY)
    await deletions.delete(consumer, record.id, by="Jo Doe")
    assert sorted(each.name for each in out.rglob("*")) == ["a.txt", "sub"]


async def test_what_goes_into_a_folder_is_recorded_as_an_export(pair, tmp_path):
    record = await got(pair, destination=tmp_path / "got")
    assert await said(pair.consumer, record.id, "comity:Export") == [("exported", "")]
    answer = await api(pair.consumer).request("GET", f"{at(record.id)}/files")
    assert (answer.status, str(tmp_path / "got") in answer.problem["hint"]) == (409, True)


async def test_what_is_published_from_the_store_or_an_export_has_the_terms_that_follow_it(pair, tmp_path):
    await pair.provider.befriend(pair.consumer, purpose=[PURPOSE])
    record = await got(pair, policy=wire.constrained("purpose", "eq", PURPOSE), purpose=PURPOSE)
    consumer, access = pair.consumer.connector, Access(purpose=PURPOSE)
    await opening.export(consumer, record.id, str(tmp_path / "out"), access)
    await publish.publish(consumer, str(tmp_path / "out"), asset_id="from-export")
    await publish.publish(consumer, f"{STORE}{record.id}", asset_id="from-store")
    for asset in ("from-export", "from-store"):
        before = await packaging.before(consumer, asset)
        assert "purpose" in str(before.contract), asset
        assert before.asset.private_properties["derivedFrom"] == [record.agreement_id]
    content = before.content
    storages = {"kept": republishing.Storage(consumer)}
    reply = await serve.resource(content.files["sub/b.bin"], "GET", {"range": "bytes=0-99"}, storages)
    assert b"".join([each async for each in reply.body]) == FILES["sub/b.bin"][:100]
    await deletions.delete(consumer, record.id, by="Jo Doe", by_hand=True)
    with pytest.raises(errors.PolicyError, match="passed on"):
        await serve.resource(content.files["a.txt"], "GET", {}, storages)


async def test_what_rots_is_missing_or_lies_elsewhere_is_said_and_got_again(pair, tmp_path):
    first = await got(pair)
    consumer, client = pair.consumer.connector, api(pair.consumer)
    names = {
        each.path: Path(consumer.kept.path(each.object_name))
        for each in await files_of(pair.consumer, first.id)
    }
    held = bytearray(names["sub/b.bin"].read_bytes())
    held[CHUNK_BYTES // 2] ^= 1
    names["sub/b.bin"].write_bytes(held)
    names["a.txt"].unlink()
    found = (await client.request("POST", f"{at(first.id)}/check")).json
    assert (found["damaged"], found["missing"]) == (["sub/b.bin"], ["a.txt"])
    for name in ("sub/b.bin", "a.txt"):
        with pytest.raises(errors.StorageError, match=r"damaged|missing"):
            await read(pair.consumer, first.id, name)
    with pytest.raises(errors.StorageError, match=r"damaged|missing"):
        await opening.export(consumer, first.id, str(tmp_path / "out"), ANYBODY)
    assert not (tmp_path / "out").exists()
    assert await pair.consumer.rows("SELECT * FROM kept_export") == []  # nothing of it came there
    second = await fetched(pair)
    assert {name: await read(pair.consumer, second.id, name) for name in FILES} == FILES
    mine, other = consumer.kept, Folder(str(tmp_path / "other-replica"))
    held_here = (await kept.sizes(consumer))[:2]
    object.__setattr__(consumer, "kept", other)
    assert (held_here > (0, 0), (await kept.sizes(consumer))[:2]) == (True, (0, 0))  # of this one's folder
    refused = await client.request("GET", at(second.id, "a.txt"))
    assert (refused.status, refused.problem["type"], mine.root in refused.problem["message"]) == (
        422,
        "kept-elsewhere",
        True,
    )
    (shown,) = [each for each in (await client.request("GET", "received")).json if each["@id"] == second.id]
    assert mine.root in shown["lies"]
    await deletions.delete(consumer, second.id, by="Jo Doe")  # the keys are in the database
    object.__setattr__(consumer, "kept", mine)
    assert Path(mine.path(f"{shelf_of(second.id)}")).exists()
    assert await kept.tidy(consumer) > 0
    assert not Path(mine.path(f"{shelf_of(second.id)}")).exists()
    assert await read(pair.consumer, first.id, "empty.txt") == b""


async def test_a_full_disk_is_waited_for_and_what_is_verified_is_not_fetched_again(pair, monkeypatch):
    written, full = [], [True]
    write = Growing.write

    def once(self, index, plain):
        if full[0] and index == 1:
            raise OSError(errno.ENOSPC, "full")
        written.append(index)
        write(self, index, plain)

    monkeypatch.setattr(Growing, "write", once)
    await pair.provider.publish(files={"b.bin": FILES["sub/b.bin"]})
    consumer = pair.consumer.connector
    begun = await get.start(consumer, pair.provider.did, "asset", STORE)

    async def waits():
        return "no room" in (await get.status(consumer, begun.id))["error"]

    await wait_for(waits)
    full[0] = False

    async def done():
        return (await get.status(consumer, begun.id))["stage"] == get.COMPLETED

    await wait_for(done, "", 20)
    name = (await get.status(consumer, begun.id))["transferId"]
    assert await read(pair.consumer, name, "b.bin") == FILES["sub/b.bin"]
    assert written.count(1) == 1
    await pair.consumer.reaches(name, terms.COMPLETED)


async def test_what_is_pushed_to_us_comes_into_the_store_too(pair):
    record = await got(pair)
    agreement = await pair.consumer.connector.database.read(
        lambda tx: agreements.find_of_party(tx, record.agreement_id, pair.provider.did, terms.CONSUMER)
    )
    wanted = transfer_moves.Wanted(transfer.PUSH, STORE)
    pushed = await pair.consumer.connector.database.write(
        lambda tx: transfer_moves.request(
            pair.consumer.connector, tx, agreement, record.counterparty_address, wanted
        )
    )
    await pair.consumer.reaches(pushed.id, terms.COMPLETED)
    assert {name: await read(pair.consumer, pushed.id, name) for name in FILES} == FILES
    found = await pair.consumer.rows("SELECT secret_sealed FROM kept")
    assert found == [(None,), (None,)]


async def test_a_lost_seal_key_locks_what_is_held_and_keeps_nothing_new_out(pair):
    first = await got(pair)
    consumer = pair.consumer.connector
    object.__setattr__(consumer, "seal", Seal(bytes(32)))
    with pytest.raises(errors.DatabaseError, match="sealed value"):
        await read(pair.consumer, first.id, "a.txt")
    _, _, damaged, _ = await opening.check(consumer, first.id)
    assert set(damaged) == {*FILES, *NOTES}
    await pair.provider.publish(files={**FILES, "new.txt": b"new"})
    second = await fetched(pair)
    assert await read(pair.consumer, second.id, "a.txt") == b"hello"


async def test_a_manifest_with_the_digests_of_another_partners_files_does_not_open_them_under_its_terms(
    pair, started
):
    purposes = marking.policy(marking.Said(purposes=[PURPOSE]))
    await pair.provider.befriend(pair.consumer, purpose=[PURPOSE])
    await got(pair, files={"a.bin": b"secret"}, policy=purposes, purpose=PURPOSE)
    liar = await started("liar")
    await introduced(liar, pair.consumer)
    await liar.publish(files={"a.bin": b"a lie!"})
    digest = hashlib.sha256(b"secret").hexdigest()

    def lie(kept):
        said = manifest.decode(kept.manifest.encode())
        files = tuple(msgspec.structs.replace(each, sha256=digest) for each in said.files)
        said = msgspec.structs.replace(said, files=files, sealed_by="")
        sources = {path: replace(each, sha256=digest) for path, each in kept.files.items()}
        return msgspec.structs.replace(kept, manifest=manifest.encode(said).decode(), files=sources, seal="")

    await liar.hand_out(lie)
    begun = await get.start(pair.consumer.connector, liar.did, "asset", STORE)

    async def failed():
        status = await get.status(pair.consumer.connector, begun.id)
        return status["errorType"] == "hash-mismatch"

    await wait_for(failed)


async def test_another_provider_that_takes_the_id_of_an_agreement_changes_nothing_of_what_came_under_it(pair):
    record = await got(pair, files={"a.txt": b"hello"}, policy=wire.constrained("count", "lteq", "1"))
    other = await got(pair, "other", files={"a.txt": b"hello", "b.txt": b"more"})
    database, stranger = pair.consumer.connector.database, "did:web:other"
    digests = {row[0]: row[1] for row in await pair.consumer.rows("SELECT transfer_id, sha256 FROM delivery")}

    async def name(tx, agreement_id, counterparty_id):
        of_it = "negotiation_id = (SELECT negotiation_id FROM exchange WHERE transfer_id = ?3)"
        for table, where in (("agreement", of_it), ("delivery", "transfer_id = ?3")):
            named = "id" if table == "agreement" else "agreement_id"
            change = f"UPDATE {table} SET {named} = ?1, counterparty_id = ?2 WHERE {where}"
            await tx.run(change, agreement_id, counterparty_id, other.id)

    await database.write(lambda tx: name(tx, record.agreement_id, stranger))
    try:
        assert await read(pair.consumer, record.id, "a.txt") == b"hello"  # one use of one, not two
        digest = hashlib.sha256(b"hello").hexdigest()
        assert len(await database.read(lambda tx: received.origins(tx, [digest]))) == 2
        theirs = await database.read(
            lambda tx: agreements.find_of_party(tx, record.agreement_id, stranger, terms.CONSUMER)
        )
        assert await kept.find(pair.consumer.connector, theirs, digests[other.id], "a.txt")
        assert await kept.find(pair.consumer.connector, theirs, digests[record.id], "a.txt") is None
    finally:
        await database.write(lambda tx: name(tx, other.agreement_id, pair.provider.did))


async def test_a_deletion_while_an_export_begins_leaves_no_copy_that_nobody_knows_of(
    pair, tmp_path, monkeypatch
):
    record = await got(pair)
    connector, check_here = pair.consumer.connector, kept.check_here

    async def deleted_meanwhile(connector, row):
        monkeypatch.setattr(kept, "check_here", check_here)
        await deletions.delete(connector, record.id, by="alice")
        await check_here(connector, row)

    monkeypatch.setattr(kept, "check_here", deleted_meanwhile)
    with pytest.raises(errors.StorageError, match="not in the store any more"):
        await opening.export(connector, record.id, str(tmp_path / "copy"), ANYBODY)
    assert not (tmp_path / "copy").exists()
    assert await said(pair.consumer, record.id, "comity:Export") == []
