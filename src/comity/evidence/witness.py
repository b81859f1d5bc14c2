"""What a checkpoint of somebody else's log says beside those that were seen before: it goes on, or it has two faces.

A log goes on if the last tree that was seen is the beginning of the new one, which a proof shows. One that was restored
from a backup begins anew under a name of its own, openly: it has to contain what its owner still knows that we know.
Who keeps what was seen, and tells people, is `controlplane.witnessing`.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from comity.evidence import tree
from comity.evidence.checkpoint import Checkpoint

COSIGNED, SEEN, COMPARE = "COSIGNED", "SEEN", "COMPARE"
FORKED, RESTARTED, CONSISTENT = "FORKED", "RESTARTED", "CONSISTENT"


class Since(Struct, frozen=True):
    """The checkpoint that a proof begins with, by the name and the size of its log (0: there is none)."""

    origin: str = ""
    size: int = 0


class Verdict(Struct, frozen=True):
    """COSIGNED (it goes on), SEEN before, COMPARE (a proof from the last is needed), RESTARTED or FORKED; and why."""

    name: str
    said: str = ""


def judge(  # noqa: PLR0911  one for each case
    new: Checkpoint, last: Checkpoint | None, *, repeated: bool, since: Since, proof: Sequence[bytes]
) -> Verdict:
    """Judge a checkpoint of a log by the last one that was seen of it; `repeated`: this very one was seen before."""
    if last is None:
        return Verdict(COSIGNED)
    if repeated:
        return Verdict(COSIGNED if (new.size, new.root) == (last.size, last.root) else SEEN)
    if new.size == last.size:
        return Verdict(FORKED, f"two different trees of {new.size} records are signed")
    if new.size < last.size:
        return Verdict(
            FORKED,
            f"a tree of {new.size} records is signed after one of {last.size}, and was not seen before it",
        )
    if since != Since(last.origin, last.size):
        return Verdict(COMPARE, f"a proof from the checkpoint of {last.size} records is needed")
    try:
        tree.check_consistency(last.size, last.root, new.size, new.root, proof)
    except tree.TreeError:
        said = f"the tree of {new.size} records does not contain the tree of {last.size} records that was signed before"
        return Verdict(FORKED, said)
    return Verdict(COSIGNED)


def unproven(new: Checkpoint, last: Checkpoint) -> Verdict:
    """Judge a checkpoint that comes without the proof that was asked for: a log that goes on has it."""
    return Verdict(
        FORKED,
        f"a tree of {new.size} records is signed without a proof, also when asked for it, that it contains the tree of"
        f" {last.size} that was signed before",
    )


def judge_anew(
    new: Checkpoint, earlier: Checkpoint, known: Checkpoint | None, *, proof: Sequence[bytes]
) -> Verdict:
    """Judge the first checkpoint of a log that takes the place of an `earlier` one, of which `known` was seen, too."""
    if _restored_at(new.origin) <= _restored_at(earlier.origin):
        return Verdict(FORKED, f"the log {new.origin} goes on, in whose place was {earlier.origin}")
    anew = f"it was restored from a backup; up to {earlier.size} records of it were seen before"
    if known is None:
        return Verdict(RESTARTED, f"{anew}, with none of which it can be compared")
    try:
        tree.check_consistency(known.size, known.root, new.size, new.root, proof)
    except tree.TreeError:
        return Verdict(
            FORKED,
            f"it was restored, and does not contain the tree of {known.size} records that was signed before",
        )
    return Verdict(RESTARTED, f"{anew}, of which it contains {known.size}")


def _restored_at(origin: str) -> int:
    return int(origin.rpartition("/log/")[2].partition("/")[2] or 0)
