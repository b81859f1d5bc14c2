"""How fast bytes may move: a limit that holds, and the same share for each transfer."""

import asyncio

import pytest

from comity.dataplane.pace import Pace


class Time:
    """A clock that goes on only when somebody sleeps."""

    def __init__(self):
        self.now_s = 100.0

    def __call__(self):
        return self.now_s

    async def sleep(self, seconds):
        self.now_s += seconds
        await asyncio.sleep(0)


def paced(bytes_per_s):
    time = Time()
    return Pace(bytes_per_s, clock=time, sleep=time.sleep), time


async def test_without_a_limit_nobody_waits():
    pace, time = paced(0)
    await pace.take("t", 10**12)
    assert time.now_s == 100.0


async def test_bytes_take_the_time_that_the_limit_says():
    pace, time = paced(1000)
    for _ in range(50):
        await pace.take("t", 100)
    assert time.now_s - 100 == pytest.approx(5, abs=0.25)


async def test_a_transfer_with_many_streams_gets_no_more_than_one_with_a_single_one():
    pace, time = paced(1000)
    got = {"many": 0, "one": 0}

    async def stream(who):
        while time.now_s < 110:
            await pace.take(who, 100)
            got[who] += 100

    await asyncio.gather(*(stream("many") for _ in range(7)), stream("one"))
    assert sum(got.values()) == pytest.approx(10_000, rel=0.1)
    assert got["one"] == pytest.approx(got["many"], rel=0.2)


async def test_who_comes_later_has_no_claim_to_what_it_did_not_take():
    pace, _ = paced(1000)
    for _ in range(100):
        await pace.take("early", 100)
    order = []

    async def stream(who):
        for _ in range(6):
            await pace.take(who, 100)
            order.append(who)

    first = asyncio.create_task(stream("early"))
    await asyncio.sleep(0)
    await asyncio.gather(first, stream("late"))
    assert order[:8].count("early") >= 3


async def test_whoever_stops_waiting_holds_up_nobody():
    pace, _ = paced(1000)
    await pace.take("t", 1000)
    gone = asyncio.create_task(pace.take("gone", 1000))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.wait_for(pace.take("t", 10), 5)
