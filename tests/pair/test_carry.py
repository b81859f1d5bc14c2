"""Packages on a medium: written under an agreement, taken offline, and receipts that come back."""

import errno
import os
import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest

from comity import errors
from comity.controlplane import (
    carried,
    carrying,
    deletions,
    export,
    get,
    keyring,
    revisions,
    transfer_moves,
)
from comity.controlplane.decide import Move
from comity.dataplane.kept import STORE
from comity.dsp import terms
from comity.evidence import proving
from comity.identity import jose
from comity.storage import medium
from comity.storage.source import CHUNK_BYTES
from support import stores, wire
from support.pair import offer_of

ON_EACH_STORE = pytest.mark.parametrize("store_kind", stores.KINDS, indirect=True)
"""For what asks the store for more than records by their ids."""
FILES = {"a.txt": b"hello", "sub/b.bin": os.urandom(CHUNK_BYTES + 77), "again.txt": b"hello", "empty": b""}


@pytest.fixture
def stick(tmp_path):
    found = tmp_path / "stick"
    found.mkdir()
    return found


async def agreed(pair, asset="asset", **more):
    """Publish a package, and let the consumer have an agreement about it, over the line."""
    await pair.provider.publish(asset, files=FILES, **more)
    dataset = await get.catalog.request_dataset(pair.consumer.connector, pair.provider.did, None, asset)
    record = await pair.consumer.request(pair.provider, offer_of(dataset))
    await pair.consumer.reaches(record.id, terms.FINALIZED)
    await pair.provider.reaches(
        (await pair.consumer.negotiation(record.id)).counterparty_pid, terms.FINALIZED
    )
    return (await pair.consumer.agreement(record.id)).id


async def test_what_asks_for_a_purpose_is_taken_into_the_store_alone(pair, stick, tmp_path):
    await pair.provider.befriend(pair.consumer, purpose=["repair"])
    await agreed(pair, policy=wire.constrained("purpose", "eq", "repair"))
    done = await written(pair, stick, purpose="repair")
    [refused] = await taken(pair, stick, done, tmp_path / "in")
    assert (refused.state, "ask for a purpose" in refused.why) == ("refused", True)
    assert not list((tmp_path / "in").glob("*"))
    [found] = await taken(pair, stick, done)
    assert (found.state, found.why) == ("taken", "")


async def written(pair, stick, asset="asset", **more):
    return await carrying.write(pair.provider.connector, str(stick), asset_id=asset, **more)


async def taken(pair, stick, done=None, destination=STORE, code=None):
    code = done.code if done and code is None else code or ""
    return await carried.take(pair.consumer.connector, str(stick), str(destination), code=code)


@ON_EACH_STORE
async def test_a_package_goes_on_a_medium_and_its_receipt_comes_back(pair, stick):
    await agreed(pair)
    done = await written(pair, stick)
    provider, consumer = pair.provider, pair.consumer
    assert (await provider.state(done.transfer.id), done.files) == (terms.STARTED, 4)
    found = await taken(pair, stick, done)
    assert [(each.state, each.why) for each in found] == [("taken", "")]
    ours = found[0].transfer_id
    assert await consumer.state(ours) == terms.COMPLETED
    back = await carrying.read_receipts(provider.connector, str(stick))
    assert [(each.state, each.why) for each in back] == [("taken", "")]
    assert await provider.state(done.transfer.id) == terms.COMPLETED
    sql = "SELECT sha256, files, size_bytes, at IS NOT NULL FROM delivery"
    assert await provider.rows(sql) == await consumer.rows(sql)
    assert await provider.rows("SELECT kind, state FROM receipt") == [("delivery", "kept")]
    again = await taken(pair, stick)
    assert [(each.state, each.transfer_id) for each in again] == [("known", ours)]
    assert [each.state for each in await carrying.read_receipts(provider.connector, str(stick))] == ["known"]
    assert await consumer.rows("SELECT count(*) FROM delivery") == [(1,)]
    assert await provider.rows("SELECT count(*) FROM receipt") == [(1,)]
    torn = folder_of(stick, done) / medium.RECEIPTS
    torn.write_bytes(torn.read_bytes()[:40])
    assert [each.state for each in await carrying.read_receipts(provider.connector, str(stick))] == [
        "refused"
    ]
    await taken(pair, stick)
    assert [each.state for each in await carrying.read_receipts(provider.connector, str(stick))] == ["known"]
    uses = "SELECT uses FROM agreement"
    assert await provider.rows(uses) == [(1,)]


def folder_of(stick, done):
    return stick / medium.ROOT / medium.name_of(done.transfer.id)


async def refused(pair, stick, done, **more):
    """Take what is on the stick, of which one package is refused, and return why."""
    found = await taken(pair, stick, done, **more)
    assert [each.state for each in found] == ["refused"]
    return found[0].why


async def test_nothing_on_the_medium_can_be_read_without_the_code(pair, stick):
    name = await agreed(pair)
    done = await written(pair, stick)
    everything = b"".join(each.read_bytes() for each in stick.rglob("*") if each.is_file())
    assert not any(each in everything for each in (b"hello", b"a.txt", b"b.bin", name.encode()))
    assert "its code is needed" in await refused(pair, stick, done, code="")
    assert "or the code is another one" in await refused(
        pair, stick, done, code="-".join(["AAAA"] * 6 + ["AA"])
    )
    with pytest.raises(errors.InvalidInputError, match="a code has 26 letters"):
        await taken(pair, stick, code="ABC")
    assert await pair.consumer.rows("SELECT count(*) FROM transfer") == [(0,)]


async def test_a_file_that_is_missing_altered_or_another_packages_is_named_and_taking_again_goes_on(
    pair, stick, tmp_path, monkeypatch
):
    await agreed(pair)
    done, other = await written(pair, stick), tmp_path / "other"
    other.mkdir()
    second = await written(pair, other)
    here = folder_of(stick, done)
    whole = (here / "3").read_bytes()
    (here / "3").unlink()
    place = tmp_path / "got"
    assert f"{here.name}/3 is missing" in await refused(pair, stick, done, destination=place)
    (here / "3").write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert "/3 is not what was written there" in await refused(pair, stick, done, destination=place)
    (here / "3").write_bytes(whole[: len(whole) // 2])
    assert "/3 is shorter or longer" in await refused(pair, stick, done, destination=place)
    shutil.copy(folder_of(other, second) / "3", here / "3")
    assert "/3 is not what was written there" in await refused(pair, stick, done, destination=place)
    assert await pair.consumer.rows("SELECT count(*) FROM delivery") == [(0,)]
    (here / "3").write_bytes(whole)
    with monkeypatch.context() as patch:
        patch.setattr("comity.dataplane.disk.free_bytes", lambda _: 0)
        assert "are free" in await refused(pair, stick, done, destination=place)
    await pair.consumer.stop()
    await pair.consumer.start()
    assert [each.state for each in await taken(pair, stick)] == ["taken"]  # the code is known by now
    assert {each: (place / each).read_bytes() for each in FILES} == FILES
    for name in (medium.MANIFEST, medium.LETTER):
        folder_of(other, second).joinpath(name).unlink()
        assert f"/{name} is missing" in await refused(pair, other, second)


async def test_a_package_that_is_missing_is_named_by_the_others(pair, stick):
    await agreed(pair)
    first = await written(pair, stick)
    second = await written(pair, stick)
    assert first.code == second.code
    shutil.rmtree(folder_of(stick, first))
    found = await taken(pair, stick, second)
    assert [each.state for each in found] == ["taken", "refused"]
    assert found[1].place.endswith(medium.name_of(first.transfer.id))
    assert "is missing" in found[1].why


async def test_two_packages_go_into_two_folders_and_one_code_opens_both(pair, stick, tmp_path):
    await agreed(pair)
    await agreed(pair, "second")
    await written(pair, stick)
    done = await written(pair, stick, "second")
    found = await taken(pair, stick, done, destination=tmp_path / "got")
    assert [each.state for each in found] == ["taken", "taken"]
    assert sorted(each.name[:6] for each in (tmp_path / "got").iterdir()) == ["asset-", "second"]


async def test_a_medium_for_somebody_else_is_left_alone(pair, stick):
    await agreed(pair)
    done = await written(pair, stick)
    header = folder_of(stick, done) / medium.HEADER
    header.write_bytes(header.read_bytes().replace(pair.consumer.did.encode(), b"did:web:other.example"))
    found = await taken(pair, stick, done)
    assert [(each.state, each.why) for each in found] == [("others", "it is for did:web:other.example")]
    assert await taken(pair.__class__(pair.provider, pair.provider), stick, done) == []


async def test_a_link_on_a_medium_leads_nowhere(pair, stick, tmp_path):
    await agreed(pair)
    done = await written(pair, stick)
    here, away = folder_of(stick, done), tmp_path / "away"
    (here / "1").rename(tmp_path / "1")
    (here / "1").symlink_to(tmp_path / "1")
    assert "/1 is missing or cannot be read" in await refused(pair, stick, done)
    here.rename(away)
    here.symlink_to(away)
    assert "is a link" in await refused(pair, stick, done)


async def test_what_no_agreement_here_covers_word_for_word_is_refused(pair, stick, monkeypatch):
    name = await agreed(pair)
    done = await written(pair, stick)
    with monkeypatch.context() as patch:
        patch.setattr(carried.forms, "agreement_digest", lambda document: str(id(document)))
        assert "has other words than the one that is held here" in await refused(pair, stick, done)

    async def unit(tx):
        return await tx.run("UPDATE agreement SET id = 'urn:another' WHERE id = ?1", name)

    await pair.consumer.connector.database.write(unit)
    assert f"we hold no agreement {name}" in await refused(pair, stick, done)


async def test_a_letter_that_somebody_else_wrote_is_refused(pair, stick, monkeypatch):
    await agreed(pair)
    forged = pair.provider.connector.identity
    stranger = jose.SigningKey.generate("key-1")
    monkeypatch.setattr(forged, "_signing_key", lambda: stranger)
    done = await written(pair, stick)
    assert "the signature is not that of the key" in await refused(pair, stick, done)
    assert await pair.consumer.rows("SELECT count(*) FROM transfer") == [(0,)]


async def test_keys_count_as_they_are_held_where_nobody_can_be_asked_and_a_revoked_one_does_not(
    pair, stick, tmp_path, monkeypatch
):
    await agreed(pair)
    done, later = await written(pair, stick), tmp_path / "later"
    later.mkdir()

    async def away(did):
        raise errors.TransientDeliveryError("nobody is there")

    resolver = pair.consumer.connector.resolver
    with monkeypatch.context() as patch:
        patch.setattr(resolver, "document", away)
        patch.setattr(resolver, "keys", away)
        assert [(each.state, each.why) for each in await taken(pair, stick, done)] == [("taken", "")]
    again = await written(pair, later)
    await keyring.retire(pair.provider.connector, "key-1")
    assert "#key-1 is not a key that may be used here" in await refused(pair, later, again)
    with monkeypatch.context() as patch:  # what was learnt while somebody could be asked is kept
        patch.setattr(resolver, "document", away)
        assert "#key-1 is not a key that may be used here" in await refused(pair, later, again)


async def test_receipts_that_are_forged_or_for_another_package_change_nothing(pair, stick, tmp_path):
    await agreed(pair)
    other = tmp_path / "other"
    other.mkdir()
    first, second = await written(pair, stick), await written(pair, other)
    await taken(pair, stick, first)
    secret = carried.forms.read_code(second.code)
    package = next(medium.Medium(str(other)).packages())
    theirs = next(medium.Medium(str(stick)).packages()).read(
        carried.forms.read_code(first.code), medium.RECEIPTS, medium.MAX_LETTER
    )
    package.write(secret, medium.RECEIPTS, theirs)
    back = await carrying.read_receipts(pair.provider.connector, str(other))
    assert [(each.state, each.why) for each in back] == [("refused", "it is no receipt for this package")]
    package.write(secret, medium.RECEIPTS, theirs.replace(b"urn:uuid", b"urn:uuie"))
    back = await carrying.read_receipts(pair.provider.connector, str(other))
    assert [(each.state, each.why) for each in back] == [
        ("refused", "body_sha256 is not the digest of this body")
    ]
    assert await pair.provider.state(second.transfer.id) == terms.STARTED
    await transfer_moves.make(
        pair.provider.connector, second.transfer.id, Move(kind="terminate", reason="lost")
    )
    assert await pair.provider.state(second.transfer.id) == terms.TERMINATED


@ON_EACH_STORE
async def test_a_package_is_not_written_where_the_agreement_does_not_allow_it(pair, stick):
    once = {"leftOperand": "count", "operator": "lteq", "rightOperand": 1}
    policy = {"@type": "Offer", "permission": [{"action": "use", "constraint": [once]}]}
    await agreed(pair, policy=policy)
    await written(pair, stick)
    with pytest.raises(errors.PolicyError, match="count"):
        await written(pair, stick)
    with pytest.raises(errors.NotFoundError, match="no agreement in force about nothing"):
        await written(pair, stick, "nothing")
    assert len(list((stick / medium.ROOT).iterdir())) == 1


async def test_a_recalled_revision_is_not_written(pair, stick):
    await agreed(pair)
    await revisions.recall(pair.provider.connector, "asset", 1, reason="wrong bore", by="")
    with pytest.raises(errors.PolicyError, match="revision 1 was recalled: wrong bore"):
        await written(pair, stick)


async def test_a_medium_that_is_too_small_or_breaks_has_no_package_and_no_use_is_counted(
    pair, stick, monkeypatch
):
    await agreed(pair)
    with monkeypatch.context() as patch:
        patch.setattr(medium.shutil, "disk_usage", lambda _: SimpleNamespace(free=1024 * 1024))
        with pytest.raises(errors.StorageError, match="and 1048576 are free") as caught:
            await written(pair, stick)
        assert (caught.value.code, caught.value.hint) == (
            "disk-full",
            "take a larger medium: a package is not divided over several",
        )

    def breaks(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(medium._Growing, "write", breaks)
        with pytest.raises(errors.StorageError, match="no room left"):
            await written(pair, stick)
    assert list((stick / medium.ROOT).iterdir()) == []
    assert await pair.provider.rows("SELECT count(*) FROM transfer") == [(0,)]
    assert await pair.provider.rows("SELECT uses FROM agreement") == [(0,)]
    (stick / medium.ROOT / f"{medium.UNFINISHED}x").mkdir()  # what a cut write left
    done = await written(pair, stick)
    assert [each.name for each in (stick / medium.ROOT).iterdir()] == [folder_of(stick, done).name]
    with pytest.raises(errors.StorageError, match="is no folder"):
        await written(pair, stick / "not there")


@ON_EACH_STORE
async def test_what_was_carried_is_deleted_with_a_receipt_that_goes_on_the_medium_too(pair, stick):
    await agreed(pair)
    done = await written(pair, stick)
    ours = (await taken(pair, stick, done))[0].transfer_id
    await deletions.delete(pair.consumer.connector, ours, by="ops")
    assert await pair.consumer.outbox() == []
    await taken(pair, stick)
    back = await carrying.read_receipts(pair.provider.connector, str(stick))
    assert [(each.state, each.kind) for each in back] == [
        ("taken", "comity:DeliveryReceiptNotice"),
        ("taken", "comity:DeletionReceiptNotice"),
    ]
    assert await pair.provider.rows("SELECT deleted_at IS NOT NULL FROM delivery") in ([(1,)], [(True,)])


async def test_the_bundle_of_an_agreement_proves_what_was_carried(pair, stick, monkeypatch):
    monkeypatch.setattr(export, "PAUSES", 0)  # by the clock of an hour later no answer is due yet
    name = await agreed(pair)
    done = await written(pair, stick)
    await taken(pair, stick, done)
    await carrying.read_receipts(pair.provider.connector, str(stick))
    for site in (pair.provider, pair.consumer):
        clock = site.connector.now_ms
        then = replace(site.connector, now_ms=lambda now_ms=clock: now_ms() + 3600_000)
        proven = proving.prove(await export.export(then, name))
        kinds = [each.type for each in proven.receipts.values()]
        assert kinds == (["comity:DeliveryReceiptNotice"] if site is pair.provider else [])
        notices = [each for each in proven.said if each.record.message == "comity:CarriedPackageNotice"]
        assert [each.signed_by(pair.provider.did) for each in notices] == [True]
