"""What a checkpoint says beside the one that was seen last of its log."""

import pytest

from comity.evidence import tree, witness
from comity.evidence.checkpoint import Checkpoint
from comity.evidence.witness import Since

LEAVES = [tree.leaf(b"%d" % each) for each in range(12)]


def head(size, origin="p/log/0", leaves=LEAVES):
    return Checkpoint(origin, size, tree.root(leaves[:size]))


def judged(new, last, *, repeated=False, since=None, proof=()):
    given = since or (Since(last.origin, last.size) if last else Since())
    return witness.judge(new, last, repeated=repeated, since=given, proof=proof)


def test_the_first_checkpoint_of_a_log_is_taken_as_it_is():
    assert judged(head(5), None).name == witness.COSIGNED


def test_one_that_contains_the_last_goes_on():
    assert judged(head(9), head(5), proof=tree.consistency(LEAVES[:9], 5)).name == witness.COSIGNED


def test_one_that_was_seen_before_is_nothing_new():
    assert judged(head(5), head(9), repeated=True).name == witness.SEEN
    assert judged(head(9), head(9), repeated=True).name == witness.COSIGNED


def test_a_proof_from_another_checkpoint_is_asked_for_anew():
    found = judged(head(9), head(5), since=Since("p/log/0", 3), proof=tree.consistency(LEAVES[:9], 3))
    assert found.name == witness.COMPARE
    assert "checkpoint of 5 records" in found.said


@pytest.mark.parametrize(
    ("new", "said"),
    [
        (head(5, leaves=LEAVES[1:]), "two different trees of 5"),
        (head(4), "of 4 records is signed after one of 5"),
        (head(9, leaves=LEAVES[1:]), "does not contain the tree of 5"),
    ],
)
def test_one_that_excludes_the_last_is_a_second_face(new, said):
    found = judged(new, head(5), proof=tree.consistency(LEAVES[:9], 5))
    assert found.name == witness.FORKED
    assert said in found.said


def test_a_log_that_was_restored_contains_what_its_owner_knows_that_we_saw():
    new, proof = head(8, "p/log/0/7"), tree.consistency(LEAVES[:8], 5)
    found = witness.judge_anew(new, head(11), head(5), proof=proof)
    assert (found.name, "up to 11 records" in found.said) == (witness.RESTARTED, True)
    assert witness.judge_anew(new, head(11), None, proof=[]).name == witness.RESTARTED
    other = head(8, "p/log/0/7", LEAVES[1:])
    assert witness.judge_anew(other, head(11), head(5), proof=proof).name == witness.FORKED


def test_a_log_in_whose_place_there_is_a_newer_one_does_not_go_on():
    assert witness.judge_anew(head(9), head(8, "p/log/0/7"), None, proof=[]).name == witness.FORKED
