import asyncio
import time

import pytest

from comity.dataplane import flows
from comity.dataplane.pace import Pace
from comity.errors import ConflictError, PolicyError


async def forever():
    await asyncio.Event().wait()


async def hold(open_flows, transfer_id, entered, still_allowed=None):
    async with open_flows.open(transfer_id) as flow:
        flow.watch(still_allowed)
        entered.release()
        await forever()


async def start(open_flows, transfer_id, count=1, still_allowed=None):
    entered = asyncio.Semaphore(0)
    tasks = [asyncio.create_task(hold(open_flows, transfer_id, entered, still_allowed)) for _ in range(count)]
    for _ in tasks:
        await entered.acquire()
    return tasks


async def test_a_cut_ends_every_stream_of_a_transfer_and_no_other():
    open_flows = flows.Flows()
    ours, other = await start(open_flows, "t-1", 3), await start(open_flows, "t-2")
    assert open_flows.cut("t-1") == 3
    async with asyncio.timeout(1):
        results = await asyncio.gather(*ours, return_exceptions=True)
    assert [type(result) for result in results] == [PolicyError] * 3
    assert (open_flows.count("t-1"), open_flows.count("t-2"), open_flows.count()) == (0, 1, 1)
    open_flows.cut_all()
    with pytest.raises(PolicyError):
        await other[0]
    assert open_flows.count() == 0
    assert open_flows._open == {}


async def test_a_cut_between_opening_and_waiting_is_not_lost():
    open_flows = flows.Flows()
    with pytest.raises(PolicyError):  # noqa: PT012
        async with open_flows.open("t-1"):
            open_flows.cut("t-1")
            await forever()


async def test_a_stream_that_ends_by_itself_raises_nothing():
    open_flows = flows.Flows()
    async with open_flows.open("t-1") as flow:
        flow.watch(None)
        await asyncio.sleep(0)
    assert open_flows.count() == 0
    assert open_flows.cut("t-1") == 0


async def test_a_right_that_is_lost_without_a_cut_ends_the_stream():
    allowed = True

    async def still_allowed():
        return allowed

    tasks = await start(flows.Flows(check_every_s=0.01), "t-1", still_allowed=still_allowed)
    await asyncio.sleep(0.03)
    assert not tasks[0].done()
    allowed = False
    async with asyncio.timeout(1):
        with pytest.raises(PolicyError):
            await tasks[0]


async def broken():
    raise RuntimeError("the store is down")


@pytest.mark.parametrize("still_allowed", [broken, forever])
async def test_in_doubt_a_stream_is_cut(still_allowed):
    tasks = await start(flows.Flows(check_every_s=0.01), "t-1", still_allowed=still_allowed)
    async with asyncio.timeout(1):
        with pytest.raises(PolicyError):
            await tasks[0]


def test_the_default_interval_keeps_the_promise_of_five_seconds():
    assert 2 * flows.CHECK_EVERY_S < 5


async def test_a_reader_who_takes_nothing_is_dropped_and_one_who_does_is_not():
    open_flows = flows.Flows(check_every_s=0.01, stall_s=0.05)
    with pytest.raises(ConflictError, match="stalled"):  # noqa: PT012
        async with open_flows.open("t-1") as flow:
            flow.watch(None)
            for _ in range(20):
                await asyncio.sleep(0.01)
                flow.bytes_sent += 1
            moved = True
            await forever()
    assert moved


async def test_a_timeout_of_the_stream_itself_passes_through():
    with pytest.raises(TimeoutError):
        async with flows.Flows().open("t-1"):
            raise TimeoutError


async def test_a_cancelled_stream_is_cancelled_not_cut():
    open_flows = flows.Flows()
    tasks = await start(open_flows, "t-1")
    tasks[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await tasks[0]
    assert open_flows.count() == 0


async def test_more_streams_than_allowed_are_noticed():
    open_flows = flows.Flows(per_transfer=2, total=3)
    tasks = await start(open_flows, "t-1", 2)
    assert not open_flows.crowded("t-1")
    tasks += await start(open_flows, "t-1")
    assert open_flows.crowded("t-1")
    assert not open_flows.crowded("t-2")
    tasks += await start(open_flows, "t-2")
    assert open_flows.crowded("t-2")
    open_flows.cut_all()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_stream_that_waits_for_its_share_does_not_stand_still():
    made = flows.Flows(check_every_s=0.01, stall_s=0.02, pace=Pace(2_000_000))
    async with made.open("t") as flow:
        flow.watch(None)
        begun_s = time.monotonic()
        await flow.take(500_000)
        assert time.monotonic() - begun_s > 0.05
        assert flow.ending == ""
