"""A partner that is away for long, a way shut in one direction, and a network in which nearly nothing arrives."""

import time

import pytest

from comity import runtime
from comity.testing import chaos
from support import doors
from support.pair import wait_for

HOUR_MS = 3600 * 1000
COUNT = 12


class Clock:
    """Real time, moved forward at will."""

    def __init__(self):
        self.ahead_ms = 0

    def __call__(self):
        return time.time_ns() // 1_000_000 + self.ahead_ms


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(runtime, "now_ms", made)
    return made


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Pauses between attempts are a small part of the longest that they may be, 0.3 s at most."""
    monkeypatch.setattr(runtime.random, "random", lambda: 0.01)


@pytest.fixture
async def world(tmp_path, template, clock):
    async with doors.world(tmp_path, template=template) as made:
        yield made


async def attempts(site):
    return {row[0]: row[1] for row in await site.rows("SELECT id, attempts FROM outbox")}


async def tried_again(site):
    """Wait until everything that is in the outbox now was tried once more, or is done."""
    before = await attempts(site)

    async def tried():
        now = await attempts(site)
        return all(now.get(row, count + 1) > count for row, count in before.items())

    await wait_for(tried, "one more attempt of each message", 40)
    return before


async def finalized(world, count, timeout_s=40):
    await world.quiet(timeout_s)
    assert await world.states("negotiation") == [{"FINALIZED": count}] * 2
    await world.check()


@pytest.mark.parametrize("away", ["provider", "consumer"])
async def test_a_partner_that_was_away_for_71_hours_and_59_minutes_finds_everything_going_on(
    world, clock, away
):
    absent, here = getattr(world, away), world.consumer if away == "provider" else world.provider
    world.proxy.profile = chaos.Profile(
        drop_request=0.3, drop_reply=0.3
    )  # so that they are at different points
    await world.begin(COUNT)
    await wait_for(lambda: world.sends() > COUNT)
    await absent.stop()
    clock.ahead_ms = 71 * HOUR_MS + 59 * 60 * 1000
    assert await tried_again(here), "nothing was left to be sent"
    assert not await here.rows("SELECT 1 FROM negotiation WHERE state = 'TERMINATED'")
    world.proxy.profile = chaos.QUIET
    await absent.start()
    await finalized(world, COUNT)


async def test_after_72_hours_what_could_not_be_sent_is_ended_with_the_reason(world, clock):
    world.to_provider.cut = "requests"
    names = await world.begin(3)
    await tried_again(world.consumer)
    clock.ahead_ms = 72 * HOUR_MS + 1000
    for name in names:
        await world.consumer.reaches(name, "TERMINATED", 40)
        assert "could not be reached for 72 hours" in (await world.consumer.negotiation(name)).error
        entries = await world.consumer.entries(name)
        assert [each["outcome"] for each in entries] == ["given up", "not sent"]
    world.to_provider.cut = ""
    assert await world.states("negotiation") == [{}, {"TERMINATED": 3}]


@pytest.mark.parametrize("cut", ["requests", "replies"])
@pytest.mark.parametrize("side", ["provider", "consumer"])
async def test_a_way_that_was_shut_in_one_direction_only_is_used_again(world, side, cut):
    door = getattr(world, f"to_{side}")
    await world.begin(4)
    door.cut = cut
    await world.begin(4)
    await tried_again(world.consumer if side == "provider" else world.provider)
    door.cut = ""
    await finalized(world, 8, 30)


async def test_a_network_that_loses_nine_of_ten_messages_ends_too(world):
    await world.begin(1)  # each knows the other's keys: to fetch them again takes minutes in such a network
    await world.quiet(10)
    world.proxy.profile = chaos.PROFILES["loss90"]
    await world.begin(1)
    await finalized(world, 2, 90)
    assert sum(world.proxy.counts.values()) > 4
