"""Random histories: valid ones pass, one change makes them contradict themselves, and time grows as they do.

COMITY_HISTORIES is how many random histories are judged and changed (default 20), COMITY_HISTORY_MESSAGES how many
messages the long one has (default 10,000; 100,000 take 5 s of CPU).
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter

import pytest

from comity.testing import history, record
from support import contradictions, stories

COUNT = int(os.environ.get("COMITY_HISTORIES", "20"))
MESSAGES = int(os.environ.get("COMITY_HISTORY_MESSAGES", "10000"))
CHANGES_EACH = 25
CAUGHT = 0.995
PER_MESSAGE_S = 0.0005
"""A message, with all that belongs to it on both sides, on a slow machine that has other things to do."""


def test_random_valid_histories_pass():
    for seed in range(COUNT):
        report = history.check(stories.story(seed))
        assert report.violations == (), (seed, str(report))


def test_one_change_of_a_history_is_caught(record_property):
    chance, missed, made = random.Random(1), Counter(), 0
    for seed in range(COUNT):
        changes = list(contradictions.mutations(stories.story(seed, negotiations=3)))
        for what, change in chance.sample(changes, CHANGES_EACH):
            made += 1
            missed[what] += not history.check(change()).violations
    rate = 1 - missed.total() / made
    record_property("changes", made)
    record_property("caught", rate)
    assert rate >= CAUGHT, (rate, +missed)


def test_every_kind_of_change_is_caught():
    caught, every = set(), set()
    for what, change in contradictions.mutations(stories.story(7, negotiations=4)):
        if what not in caught:
            every.add(what)
            if history.check(change()).violations:
                caught.add(what)
    assert every == caught
    assert len(every) >= 36


def test_time_grows_with_the_number_of_messages_and_no_faster(record_property):
    made = stories.Story(3)
    while len(made.messages) < MESSAGES:
        agreed = made.negotiate()
        if agreed is not None:
            made.transfer(agreed)
    long = made.finish()
    began = time.process_time()
    report = history.check(long)
    took_s = time.process_time() - began
    record_property("messages", len(long.messages))
    record_property("seconds", took_s)
    assert report.violations == ()
    assert took_s < len(long.messages) * PER_MESSAGE_S


def test_an_answer_that_nobody_saw_is_unknown_and_not_failed():
    """A message without an answer contradicts neither that it was taken nor that it was not."""
    known = stories.story(5, trouble=0.0)
    chosen = [
        number for number, each in enumerate(known.messages) if each.method == "POST" and each.status == 200
    ]
    messages = list(known.messages)
    for number in chosen[::2]:
        messages[number] = stories.replace(messages[number], status=None, answer=b"", answered_at=None)
    assert history.check(stories.replace(known, messages=tuple(messages))).violations == ()


def test_the_answer_to_a_copy_may_be_older_than_what_came_since():
    """Of the first copy nobody saw an answer, though it was taken; a later one is answered as the first one was."""
    known = stories.story(11, trouble=0.0)
    place, first = next(
        (place, each) for place, each in enumerate(known.messages) if each.path == "/negotiations/request"
    )
    unseen = stories.replace(first, status=None, answer=b"", answered_at=None)
    last = max(each.answered_at or each.at for each in known.messages)
    copy = stories.replace(first, at=last + 10, answered_at=last + 11)
    messages = (*known.messages[:place], unseen, *known.messages[place + 1 :], copy)
    assert history.check(stories.replace(known, messages=messages)).violations == ()


UNDECIDED = {
    "sides": ("I1", "I3", "I4", "I6", "I10", "I11"),
    "messages": ("I9",),
    "served": ("I7",),
    "contents": ("I7", "I8"),
    "received": ("I8",),
}


@pytest.mark.parametrize("field", UNDECIDED)
def test_without_its_input_an_invariant_is_not_decided(field):
    known = stories.story(1)
    assert all(history.check(known).verdicts[name].status == "held" for name in UNDECIDED[field])
    without = stories.replace(known, **{field: () if field == "sides" else None})
    report = history.check(without)
    for name in UNDECIDED[field]:
        assert report.verdicts[name].status == "not decided", (name, report.verdicts[name])
        assert report.verdicts[name].why


def test_one_side_alone_is_judged_as_far_as_it_goes():
    known = stories.story(1)
    alone = history.check(stories.replace(known, sides=known.sides[:1]))
    assert alone.violations == ()
    assert {name for name, each in alone.verdicts.items() if each.status == "not decided"} >= {"I1", "I3"}
    assert alone.verdicts["I2"].status == alone.verdicts["I10"].status == "held"


def test_a_head_that_was_seen_earlier_shows_a_chain_that_was_cut_and_made_anew():
    known = stories.story(1)
    side = known.sides[0]
    seen = side.evidence[-2]
    heads = (record.Head(seen.seq, seen.hash),)
    whole = stories.replace(known, sides=(stories.replace(side, heads=heads), known.sides[1]))
    assert history.check(whole).violations == ()
    cut = stories.replace(side, heads=heads, evidence=side.evidence[:2])
    report = history.check(stories.replace(known, sides=(cut, known.sides[1])))
    assert any("was another one earlier" in each.sentence for each in report.of("I11"))
