"""A connector ends with `os._exit(137)` at every point of every message, at either side: both come together.

14 messages (ten types; the events are two, a request and an offer may begin a negotiation or come later in one) times
five points at the sender and three at the receiver, on both stores. In each case three processes run, and the side ends
at the first, second or third of them. The partner lives on, as partners do.

`COMITY_DOUBLE` says how many cases of two ends there are on each store (20): the second comes anywhere after the first,
on either side, often while the first one is made good. Only those count in which both came. `COMITY_PAIRS` is how many
pairs of connectors share the work (2), `COMITY_SEED` repeats what was drawn.
"""

import itertools
import os
import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from comity.dsp import machine
from comity.dsp.terms import CONSUMER, PROVIDER
from crash import points
from crash.courses import MESSAGES, Ending, Sides, flow, sender_of
from support import stores

DOUBLE = int(os.environ.get("COMITY_DOUBLE", "20"))
SEED = int(os.environ.get("COMITY_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)
PAIRS = int(os.environ.get("COMITY_PAIRS", "2"))
PROCESSES = 3
SINGLES = list(itertools.product(MESSAGES, points.AT_SENDER + points.AT_RECEIVER))


def side_of(message, point):
    """Who passes a point with a message."""
    sender = sender_of(message)
    if point in points.AT_SENDER:
        return sender
    return PROVIDER if sender == CONSUMER else CONSUMER


@pytest.fixture
def pairs(tmp_path):
    """Starts pairs of connectors on a store, and ends them."""
    made = []

    def start(kind, count):
        for number in range(count):
            folder = tmp_path / f"{kind}-{number}"
            folder.mkdir()
            made.append(Sides.start(folder, kind))
        return made

    yield start
    for each in made:
        each.end()


def in_pairs(pairs, work):
    """Let each pair do its share at the same time."""
    with ThreadPoolExecutor(len(pairs)) as pool:
        return list(pool.map(work, pairs, range(len(pairs))))


def test_every_message_is_one_of_the_machines_and_every_machine_is_there():
    for table in machine.TABLES.values():
        assert {message for _, message, _ in table} <= {each.removesuffix(points.FIRST) for each in MESSAGES}
    assert all(each in flow(course) for each, (course, _) in MESSAGES.items())


@pytest.mark.timeout(400)
@pytest.mark.parametrize("kind", stores.KINDS)
def test_both_sides_come_together_after_an_end_at_any_point(pairs, kind, record_property):
    chance = random.Random(SEED)
    cases = [(*each, chance.randint(1, PROCESSES)) for each in SINGLES]

    def work(sides, share):
        for message, point, number in cases[share::PAIRS]:
            plan = points.Plan(point, message, number)
            sides.run(MESSAGES[message][0], [Ending(side_of(message, point), plan)], count=PROCESSES)
            assert not sides.left, f"{plan} was not passed"
        return len(cases[share::PAIRS])

    made = pairs(kind, PAIRS)
    ended = sum(in_pairs(made, work))
    assert ended == len(MESSAGES) * 8 == 112
    for each in made:
        each.check("I14")
    record_property("figures", {"seed": SEED, "ends": ended})


@pytest.mark.timeout(300 + DOUBLE * 2)
@pytest.mark.parametrize("kind", stores.KINDS)
def test_both_sides_come_together_after_an_end_and_another_one(pairs, kind, record_property):
    print(f"seed {SEED}, {DOUBLE} pairs of ends; again with COMITY_SEED={SEED}")  # noqa: T201  a figure to be read

    def work(sides, share):
        chance = random.Random(f"{SEED}-{share}")
        wanted = len(range(share, DOUBLE, PAIRS))
        came, same = 0, 0
        for _ in range(4 * wanted):
            if came == wanted:
                break
            endings = two(chance)
            sides.run(MESSAGES[endings[0].plan.message][0], endings, count=PROCESSES)
            came += not sides.left
            same += not sides.left and endings[0].side == endings[1].side
        return Counter(came=came, same=same)

    made = pairs(kind, PAIRS)
    figures = sum(in_pairs(made, work), Counter())
    for each in made:
        each.check()
    figures = {"seed": SEED, "pairs of ends": figures["came"], "of one side": figures["same"]}
    record_property("figures", figures)
    print(figures)  # noqa: T201  a figure to be read
    assert figures["pairs of ends"] == DOUBLE


def two(chance):
    """Draw an end, and one that may come after it."""
    first, point = chance.choice(SINGLES)
    messages = flow(MESSAGES[first][0])
    second = chance.choice(messages[messages.index(first) :])
    drawn = [(first, point), (second, chance.choice(points.AT_SENDER + points.AT_RECEIVER))]
    numbers = [chance.randint(1, PROCESSES), 1]
    return [
        Ending(side_of(each, at), points.Plan(at, each, number))
        for (each, at), number in zip(drawn, numbers, strict=True)
    ]
