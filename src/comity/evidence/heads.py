"""The signed checkpoints of a bundle: one for each chain, and earlier ones that somebody else vouched for.

A checkpoint says how many records a log had and the root of the tree over them. The exporter signs it, the partner
may cosign it, an authority may stamp it. What was vouched for earlier counts for the records that were there then:
a consistency proof shows that the tree of then is the beginning of the tree of now.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Raw, Struct, field

from comity import errors
from comity.evidence import checkpoint, tree
from comity.evidence.bundle import Moment, Name, Part, Where, take, unpacked
from comity.evidence.checkpoint import Checkpoint
from comity.evidence.holders import Keys

MAX_PROOF: Final = 64


class Cosigned(Part, frozen=True, kw_only=True):
    """A line that a partner signed below a checkpoint of ours, and when it came (ms)."""

    participant_id: Name
    line: Name
    at: Moment


class Earlier(Part, frozen=True, kw_only=True):
    """A checkpoint of before, and the proof that its tree is the beginning of the newest one."""

    note: Name
    cosignatures: list[Cosigned] = field(default_factory=list)
    stamp: str = ""
    consistency: list[str] = field(default_factory=list)


class Newest(Part, frozen=True, kw_only=True):
    """The newest checkpoint of a chain, with those of before that somebody vouched for."""

    chain: Moment
    note: Name
    cosignatures: list[Cosigned] = field(default_factory=list)
    stamp: str = ""
    earlier: list[Earlier] = field(default_factory=list)


class Vouched(Struct, frozen=True):
    """Somebody else put a name to the first `size` records of a chain at a time (ms)."""

    size: int
    by: str
    at: int


class Head(Struct, frozen=True):
    """What the bundle says of a chain: the tree over its records, and who vouched for how much of it."""

    chain: int
    origin: str
    size: int
    root: bytes
    cosigned: tuple[Vouched, ...]
    stamped: tuple[Vouched, ...]


Stamped = Callable[[bytes, str], tuple[int, str]]
"""Checks a time stamp of a note; returns its time (ms) and the authority's name."""


class Heads:
    """Reads the checkpoints of a bundle, in their order."""

    def __init__(self, exporter: str, partner: str, keys: Keys, stamped: Stamped) -> None:
        self._exporter, self._partner, self._keys, self._stamped = exporter, partner, keys, stamped
        self.heads: dict[int, Head] = {}

    def check(self, listed: Sequence[Raw]) -> None:
        """Check all checkpoints.

        Raises:
            BundleError: names the first signature, proof or stamp that does not hold.
        """
        for at, raw in enumerate(listed):
            where = Where(f"checkpoint {at + 1}", f"$.checkpoints[{at}]")
            part = take(raw, Newest, where)
            if part.chain in self.heads:
                raise where.error(f" is about chain {part.chain}, as another one is", ".chain")
            self.heads[part.chain] = self._head(part, where.of(f" (of chain {part.chain})", ""))

    def _head(self, part: Newest, where: Where) -> Head:
        newest = self._signed(part.note, part.chain, where)
        cosigned, stamped = self._vouched(part, newest, where)
        for at, each in enumerate(part.earlier):
            place = where.of(f", earlier one {at + 1}", f".earlier[{at}]")
            old = self._signed(each.note, part.chain, place)
            _check_consistency(old, newest, each.consistency, place.of("", ".consistency"))
            more = self._vouched(each, old, place)
            cosigned, stamped = cosigned + more[0], stamped + more[1]
        return Head(part.chain, newest.origin, newest.size, newest.root, cosigned, stamped)

    def _signed(self, note: str, chain: int, where: Where) -> Checkpoint:
        ours = self._keys.of(self._exporter)
        try:
            read = checkpoint.parse(note)
            signer = checkpoint.check(read, [each.jwk for each in ours])
        except errors.ComityError as error:
            raise where.error(f" does not hold: {error.message}", ".note") from None
        self._keys.used |= {each.thumbprint for each in ours if each.jwk is signer}
        found = read.checkpoint
        if not checkpoint.is_of(found.origin, self._exporter) or checkpoint.chain_of(found.origin) != chain:
            raise where.error(
                f" is of the log {found.origin[:200]}, not of chain {chain} of {self._exporter}", ".note"
            )
        return found

    def _vouched(
        self, part: Newest | Earlier, found: Checkpoint, where: Where
    ) -> tuple[tuple[Vouched, ...], tuple[Vouched, ...]]:
        cosigned = tuple(
            self._cosigned(found, each, where.of("", f".cosignatures[{at}]"))
            for at, each in enumerate(part.cosignatures)
        )
        if not part.stamp:
            return cosigned, ()
        response = unpacked(part.stamp, where.of(": its time stamp", ".stamp"))
        try:
            at_ms, authority = self._stamped(response, part.note)
        except errors.ComityError as error:
            raise where.error(f": its {error.message.removeprefix('the ')}", ".stamp") from None
        return cosigned, (Vouched(found.size, authority, at_ms),)

    def _cosigned(self, found: Checkpoint, part: Cosigned, where: Where) -> Vouched:
        if part.participant_id != self._partner:
            raise where.error(f" is cosigned by {part.participant_id[:200]}, who is not the partner")
        name, theirs = checkpoint.key_name(part.participant_id), self._keys.of(part.participant_id)
        try:
            at_s = checkpoint.check_cosignature(found, part.line, name, [each.jwk for each in theirs])
        except errors.ComityError as error:
            raise where.error(f": the partner's cosignature does not hold: {error.message}") from None
        return Vouched(found.size, part.participant_id, at_s * 1000)


def _check_consistency(old: Checkpoint, new: Checkpoint, proof: list[str], where: Where) -> None:
    hashes = hashes_of(proof, where)  # by another name of the log if a restore lies between: the tree decides
    try:
        tree.check_consistency(old.size, old.root, new.size, new.root, hashes)
    except tree.TreeError as error:
        raise where.error(f" is not shown to be the beginning of the newest one: {error.message}") from None


def hashes_of(proof: Sequence[str], where: Where) -> list[bytes]:
    """Return the hashes of a proof.

    Raises:
        BundleError: it has too many, or one is none.
    """
    if len(proof) > MAX_PROOF:
        raise where.error(f": its proof has more than {MAX_PROOF} hashes")
    return [
        unpacked(each, where.of(f": hash {at + 1} of its proof", f"[{at}]")) for at, each in enumerate(proof)
    ]
