"""Blocks of partners' files: the oldest go first, and runs of those that are missing are asked for at once."""

import pytest

from comity.client import blocks
from comity.client.blocks import BLOCK_BYTES, Blocks, Content

ONE, OTHER = Content("urn:agreement:1", '"one"'), Content("urn:agreement:2", '"one"')


@pytest.mark.parametrize(
    ("wanted", "runs"),
    [([], []), ([3], [(3, 4)]), ([0, 1, 2], [(0, 3)]), ([0, 2, 3, 7], [(0, 1), (2, 4), (7, 8)])],
)
def test_blocks_that_follow_each_other_are_one_run(wanted, runs):
    assert list(blocks.runs(wanted)) == runs


@pytest.mark.parametrize(
    ("start", "end", "numbers"),
    [
        (0, 1, [0]),
        (0, BLOCK_BYTES, [0]),
        (BLOCK_BYTES - 1, BLOCK_BYTES + 1, [0, 1]),
        (BLOCK_BYTES, 3 * BLOCK_BYTES, [1, 2]),
    ],
)
def test_a_range_lies_in_these_blocks(start, end, numbers):
    assert list(blocks.numbers(start, end)) == numbers


def test_the_oldest_blocks_go_when_there_is_no_room():
    kept = Blocks(10)
    for number in range(3):
        kept.keep(ONE, number, b"1234")
    assert [kept.find(ONE, number) for number in range(3)] == [None, b"1234", b"1234"]
    kept.find(ONE, 1)
    kept.keep(ONE, 3, b"1234")
    assert [kept.find(ONE, number) for number in range(4)] == [None, b"1234", None, b"1234"]
    assert kept.size_bytes == 8


def test_the_same_content_under_another_agreement_is_not_shared():
    kept = Blocks(100)
    kept.keep(ONE, 0, b"1234")
    assert kept.find(OTHER, 0) is None
    kept.keep(OTHER, 0, b"1234")
    kept.forget(ONE.agreement_id)
    assert (kept.find(ONE, 0), kept.find(OTHER, 0), kept.size_bytes) == (None, b"1234", 4)
    kept.forget()
    assert kept.size_bytes == 0


def test_without_room_nothing_is_kept():
    kept = Blocks(0)
    kept.keep(ONE, 0, b"1234")
    assert (kept.find(ONE, 0), kept.size_bytes) == (None, 0)
