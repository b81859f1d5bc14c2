"""Trees of chains in the store: from kept hashes they are what they are from all records; what was seen is kept."""

import pytest

from adapters.db.test_evidence import an_entry
from comity import errors
from comity.db import checkpoints, evidence, tiles, witnessed
from comity.db.checkpoints import Cosignature, Made
from comity.db.witnessed import Finding, Seen
from comity.evidence import tree

SIZE = 75


async def filled(store, size=SIZE):
    async def unit(tx):
        for number in range(size):
            await evidence.append(tx, an_entry(number))

    await store.write(unit)
    return await store.read(lambda tx: leaves_of(tx, size))


async def leaves_of(tx, size):
    return [tree.leaf(each) for each in await tiles.find_records(tx, tx.chain, 0, size)]


@pytest.mark.parametrize("kept", [0, 5, 18])
async def test_trees_and_proofs_are_those_of_all_records(store, kept, monkeypatch):
    monkeypatch.setattr(tiles, "WIDTH", 4)
    leaves = await filled(store)
    chain = await store.write(chain_of)
    hashes = [tree.root(leaves[at : at + 4]) for at in range(0, kept * 4, 4)]
    await store.write(lambda tx: tiles.add(tx, chain, 0, hashes))
    assert await store.read(lambda tx: tiles.count(tx, chain)) == kept
    assert await store.read(lambda tx: tiles.count(tx, chain, 2)) == kept // 4

    async def compare(tx):
        for size in (1, 3, 4, 16, 17, 63, 64, 65, SIZE):
            assert await tiles.hash_of(tx, chain, 0, size) == tree.root(leaves[:size])
            for index in (0, size // 2, size - 1):
                proof = await tiles.prove_inclusion(tx, chain, index, size)
                assert proof == tree.inclusion(leaves[:size], index)
            for old in (1, size // 2, size):
                assert await tiles.prove_consistency(tx, chain, old, size) == tree.consistency(
                    leaves[:size], old
                )

    await store.read(compare)


async def chain_of(tx):
    return tx.chain


def made(size, at=0, chain=0):
    return Made(chain=chain, size=size, origin="log", note=f"note {size}", made_at=at)


async def test_a_checkpoint_of_a_size_is_made_once(store):
    assert await store.write(lambda tx: checkpoints.add(tx, made(3)))
    assert not await store.write(lambda tx: checkpoints.add(tx, made(3, at=9)))
    assert await store.read(lambda tx: checkpoints.find_last(tx, 0)) == made(3)
    assert await store.read(lambda tx: checkpoints.find_last(tx, 1)) is None


async def test_a_cosignature_is_kept_once(store):
    line = Cosignature(chain=0, size=5, participant_id="did:web:beta", line="— beta x\n", at=1)
    for _ in range(2):
        await store.write(lambda tx: checkpoints.add_cosignature(tx, line))
    assert await store.read(lambda tx: checkpoints.find_cosignatures(tx, 0, 5)) == [line]


async def test_what_a_later_stamp_covers_needs_none(store):
    for size in (3, 5, 8):
        await store.write(lambda tx, size=size: checkpoints.add(tx, made(size, at=size)))
    await store.write(lambda tx: checkpoints.add(tx, made(4, at=9, chain=1)))
    await store.write(lambda tx: checkpoints.add_stamp(tx, made(5), b"stamp", 7))
    waiting = await store.read(checkpoints.find_unstamped)
    assert [(each.chain, each.size) for each in waiting] == [(0, 8), (1, 4)]


def seen(size, root=b"r", origin="p/log/1"):
    return Seen(
        participant_id="p", origin=origin, size=size, root=root, note="n", cosignature="c", seen_at=size
    )


async def test_what_was_seen_last_is_found_by_its_log_and_by_its_chain(store):
    for each in (seen(5), seen(3), seen(9, origin="p/log/1/77"), seen(7, origin="p/log/10")):
        await store.write(lambda tx, each=each: witnessed.add_seen(tx, each))

    async def look(tx):
        assert (await witnessed.find_last(tx, "p", "p/log/1")).size == 3
        assert (await witnessed.find_last_of_chain(tx, "p", "p/log/1")).size == 9
        assert await witnessed.find_last(tx, "q", "p/log/1") is None
        assert await witnessed.find_of_size(tx, "p", "p/log/1", 5, b"r")
        assert await witnessed.find_of_size(tx, "p", "p/log/1", 5, b"another") is None
        assert {each.size for each in await witnessed.find_newest(tx)} == {3, 9, 7}

    await store.read(look)


async def test_a_finding_is_open_until_one_person_has_acknowledged_it(store):
    found = Finding(
        id="f",
        participant_id="p",
        origin="p/log/1/77",
        kind="FORKED",
        said="s",
        known="k",
        shown="n",
        found_at=1,
    )
    await store.write(lambda tx: witnessed.add_finding(tx, found))
    assert await store.read(lambda tx: witnessed.find_open(tx, "p", "p/log/1")) == found
    assert await store.read(lambda tx: witnessed.find_open(tx, "p", "p/log/10")) is None
    done = await store.write(lambda tx: witnessed.acknowledge(tx, "f", 9, "ann"))
    assert (done.acknowledged_at, done.acknowledged_by) == (9, "ann")
    assert await store.read(lambda tx: witnessed.find_open(tx, "p", "p/log/1")) is None
    with pytest.raises(errors.ConflictError):
        await store.write(lambda tx: witnessed.acknowledge(tx, "f", 9, "bob"))
    with pytest.raises(errors.NotFoundError):
        await store.write(lambda tx: witnessed.acknowledge(tx, "g", 9, "bob"))
