"""The Merkle tree over the records of the evidence: its root, and proofs that a record, or an older tree, is in it.

RFC 6962, section 2.1 (SHA-256; a leaf is hashed behind 0x00, a node behind 0x01); proofs are checked as RFC 9162,
sections 2.1.3.2 and 2.1.4.2, says. A proof is a list of hashes, each of a whole range of leaves: which ranges they are
is said here, who keeps the hashes of ranges (`db.checkpoints`) need not read every leaf.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from comity import errors

EMPTY = sha256(b"").digest()
Range = tuple[int, int]
"""Leaves from the first number to before the second."""


class TreeError(errors.ComityError):
    """A proof does not hold: the record is not in the tree, or the trees have no history in common."""

    code = "broken-proof"


def leaf(record: bytes) -> bytes:
    """Return the hash of a record as a leaf."""
    return sha256(b"\x00" + record).digest()


def node(left: bytes, right: bytes) -> bytes:
    """Return the hash of a node."""
    return sha256(b"\x01" + left + right).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """Return the hash of the tree over these leaves (their hashes, in order)."""
    if not leaves:
        return EMPTY
    level = list(leaves)
    while len(level) > 1:  # a last one that is alone goes up as it is: the same as to split at powers of two
        pairs = [node(level[at], level[at + 1]) for at in range(0, len(level) - 1, 2)]
        level = pairs + level[len(pairs) * 2 :]
    return level[0]


class Growing:
    """The tree over leaves that come one after the other: only the hashes of its whole parts are kept."""

    def __init__(self) -> None:
        self.size = 0
        self._parts: list[bytes] = []

    def add(self, hashed: bytes) -> None:
        """Take in the hash of the next leaf."""
        rest = self.size
        while rest & 1:
            hashed, rest = node(self._parts.pop(), hashed), rest >> 1
        self._parts.append(hashed)
        self.size += 1

    def root(self) -> bytes:
        """Return the hash of the tree over all leaves so far."""
        if not self._parts:
            return EMPTY
        found = self._parts[-1]
        for each in self._parts[-2::-1]:
            found = node(each, found)
        return found


def split(start: int, end: int) -> int:
    """Return where the tree over a range of at least two leaves has its two halves."""
    return start + (1 << (end - start - 1).bit_length() - 1)


def inclusion_ranges(index: int, size: int) -> list[Range]:
    """Return the ranges whose hashes prove that a leaf is in the tree of `size`, from the leaf up to the root."""
    start, end, found = 0, size, []
    while end - start > 1:
        middle = split(start, end)
        if index < middle:
            found.append((middle, end))
            end = middle
        else:
            found.append((start, middle))
            start = middle
    return found[::-1]


def consistency_ranges(old: int, size: int) -> list[Range]:
    """Return the ranges whose hashes prove that the tree of `old` leaves is the beginning of the tree of `size`."""
    start, end, found = 0, size, []
    if not 0 < old < size:
        return []
    while end != old:
        middle = split(start, end)
        if old <= middle:
            found.append((middle, end))
            end = middle
        else:
            found.append((start, middle))
            start = middle
    if start:  # else it is the old tree itself, whose root is known
        found.append((start, end))
    return found[::-1]


def inclusion(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """Return the proof that a leaf is in the tree over all these leaves."""
    return [root(leaves[start:end]) for start, end in inclusion_ranges(index, len(leaves))]


def consistency(leaves: Sequence[bytes], old: int) -> list[bytes]:
    """Return the proof that the tree over the first `old` leaves is the beginning of the tree over all."""
    return [root(leaves[start:end]) for start, end in consistency_ranges(old, len(leaves))]


def check_inclusion(index: int, size: int, found: bytes, proof: Sequence[bytes], expected: bytes) -> None:
    """Check that the leaf with the hash `found` is number `index` of the tree of `size` with the root `expected`.

    Raises:
        TreeError: the proof does not show it.
    """
    if not 0 <= index < size:
        raise TreeError(f"leaf {index} cannot be in a tree of {size}")
    at, last = index, size - 1
    for each in proof:
        if last == 0:
            raise TreeError("the proof that a record is in the tree is too long")
        if at & 1 or at == last:
            found = node(each, found)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            found = node(found, each)
        at, last = at >> 1, last >> 1
    if last or found != expected:
        raise TreeError("the proof does not show that the record is in the tree")


def check_consistency(old: int, old_root: bytes, size: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Check that the tree of `old` leaves with its root is the beginning of the tree of `size` leaves with its root.

    Raises:
        TreeError: the proof does not show it.
    """
    if not 0 < old < size:
        _check_trivial(old, old_root, size, new_root, proof)
        return
    steps = list(proof) if old & (old - 1) else [old_root, *proof]
    at, last = old - 1, size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    if not steps:
        raise TreeError("the proof that two trees have a history in common is too short")
    before = after = steps[0]
    for each in steps[1:]:
        if last == 0:
            raise TreeError("the proof that two trees have a history in common is too long")
        if at & 1 or at == last:
            before, after = node(each, before), node(each, after)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            after = node(after, each)
        at, last = at >> 1, last >> 1
    if last or before != old_root or after != new_root:
        raise TreeError("the proof does not show that the two trees have a history in common")


def _check_trivial(old: int, old_root: bytes, size: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    if not 0 <= old <= size:
        raise TreeError(f"a tree of {old} cannot be the beginning of one of {size}")
    if proof or old_root != (EMPTY if old == 0 else new_root):
        raise TreeError("the two trees have no history in common")
