"""The tree against the definitions of RFC 6962, section 2.1, written down as they stand there."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scitt_cose import merkle

from comity.evidence import tree

INPUTS = [
    bytes.fromhex(each)
    for each in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
"""The leaves, and below the roots over the first one, two, ..., of the reference implementation of RFC 6962."""
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def _mth(records):
    if not records:
        return hashlib.sha256().digest()
    if len(records) == 1:
        return hashlib.sha256(b"\0" + records[0]).digest()
    k = _k(len(records))
    return hashlib.sha256(b"\1" + _mth(records[:k]) + _mth(records[k:])).digest()


def _k(n):
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def _path(m, records):
    if len(records) == 1:
        return []
    k = _k(len(records))
    if m < k:
        return [*_path(m, records[:k]), _mth(records[k:])]
    return [*_path(m - k, records[k:]), _mth(records[:k])]


def _proof(m, records):
    return _subproof(m, records, whole=True)


def _subproof(m, records, *, whole):
    if m == len(records):
        return [] if whole else [_mth(records)]
    k = _k(len(records))
    if m <= k:
        return [*_subproof(m, records[:k], whole=whole), _mth(records[k:])]
    return [*_subproof(m - k, records[k:], whole=False), _mth(records[:k])]


def _records(count):
    return [b"record %d" % each for each in range(count)]


def test_known_trees_have_their_known_roots():
    hashes = [tree.leaf(each) for each in INPUTS]

    assert [tree.root(hashes[: at + 1]).hex() for at in range(8)] == ROOTS
    assert tree.root([]).hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_roots_and_proofs_are_those_of_the_definition():
    records = _records(40)
    hashes = [tree.leaf(each) for each in records]
    for size in range(1, 41):
        assert tree.root(hashes[:size]) == _mth(records[:size])
        for index in range(size):
            assert tree.inclusion(hashes[:size], index) == _path(index, records[:size])
        for old in range(1, size + 1):
            assert tree.consistency(hashes[:size], old) == _proof(old, records[:size])


def test_another_implementation_makes_the_same_proofs():
    records = _records(23)
    hashes, entries = [tree.leaf(each) for each in records], [each.hex() for each in records]

    assert merkle.merkle_root(entries) == tree.root(hashes).hex()
    for index in range(23):
        assert merkle.inclusion_proof(entries, index) == [
            each.hex() for each in tree.inclusion(hashes, index)
        ]
    for old in range(1, 23):
        proof = [each.hex() for each in tree.consistency(hashes, old)]
        assert merkle.consistency_proof(entries, old, 23) == proof


def test_a_tree_that_grows_has_the_root_of_all_its_leaves():
    hashes, growing = [tree.leaf(each) for each in _records(40)], tree.Growing()
    for size in range(41):
        assert growing.root() == tree.root(hashes[:size])
        growing.add(tree.leaf(b"record %d" % size))


def test_every_proof_holds_and_none_holds_for_anything_else():
    hashes = [tree.leaf(each) for each in _records(20)]
    roots = [tree.root(hashes[:size]) for size in range(21)]
    for size in range(1, 21):
        for index in range(size):
            proof = tree.inclusion(hashes[:size], index)
            for other in range(size):
                if other == index:
                    tree.check_inclusion(index, size, hashes[index], proof, roots[size])
                else:
                    with pytest.raises(tree.TreeError):
                        tree.check_inclusion(other, size, hashes[index], proof, roots[size])
        for old in range(size + 1):
            proof = tree.consistency(hashes[:size], old)
            tree.check_consistency(old, roots[old], size, roots[size], proof)
            if old:
                with pytest.raises(tree.TreeError):
                    tree.check_consistency(old, tree.leaf(b"another"), size, roots[size], proof)


@given(size=st.integers(2, 5000), data=st.data())
@settings(max_examples=30, deadline=None)
def test_one_bit_anywhere_spoils_a_proof(size, data):
    hashes = [tree.leaf(b"%d" % each) for each in range(size)]
    index = data.draw(st.integers(0, size - 1))
    old = data.draw(st.integers(1, size - 1))
    inclusion, consistency = tree.inclusion(hashes, index), tree.consistency(hashes, old)
    root, old_root = tree.root(hashes), tree.root(hashes[:old])
    tree.check_inclusion(index, size, hashes[index], inclusion, root)
    tree.check_consistency(old, old_root, size, root, consistency)

    with pytest.raises(tree.TreeError):
        tree.check_inclusion(index, size, hashes[index], _spoilt(inclusion, data), root)
    with pytest.raises(tree.TreeError):
        tree.check_consistency(old, old_root, size, root, _spoilt(consistency, data))


def _spoilt(proof, data):
    at = data.draw(st.integers(0, len(proof) - 1))
    changed = bytearray(proof[at])
    changed[data.draw(st.integers(0, 31))] ^= 1 << data.draw(st.integers(0, 7))
    return [*proof[:at], bytes(changed), *proof[at + 1 :]]


@pytest.mark.parametrize("change", [lambda proof: proof[:-1], lambda proof: [*proof, bytes(32)]])
def test_a_proof_that_is_too_short_or_too_long_does_not_hold(change):
    hashes = [tree.leaf(each) for each in _records(11)]
    root = tree.root(hashes)

    with pytest.raises(tree.TreeError):
        tree.check_inclusion(5, 11, hashes[5], change(tree.inclusion(hashes, 5)), root)
    with pytest.raises(tree.TreeError):
        tree.check_consistency(5, tree.root(hashes[:5]), 11, root, change(tree.consistency(hashes, 5)))


def test_a_tree_is_not_the_beginning_of_a_smaller_one():
    hashes = [tree.leaf(each) for each in _records(4)]

    with pytest.raises(tree.TreeError, match="cannot be the beginning"):
        tree.check_consistency(4, tree.root(hashes), 3, tree.root(hashes[:3]), [])
    with pytest.raises(tree.TreeError, match="cannot be in a tree"):
        tree.check_inclusion(4, 4, hashes[0], [], tree.root(hashes))
