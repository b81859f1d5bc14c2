"""Asking ahead of what is kept: never for more than a cut may cost, and nothing runs any more at the end."""

import asyncio

import pytest

from comity.dataplane.ahead import MIN_BLOCK_BYTES, Ahead
from comity.errors import TransientDeliveryError

KIB = 1024


async def test_never_more_is_asked_for_than_may_be_lost():
    seen, asked = [], 0

    async with Ahead(bytes_ahead=1024 * KIB, streams=50) as window:

        async def fetch(size):
            nonlocal asked
            asked += size
            seen.append(asked)
            await asyncio.sleep(0.001)
            asked -= size
            window.kept(size)

        for size in [100 * KIB, 512 * KIB, 64 * KIB] * 20:
            await window.begin(size, lambda size=size: fetch(size))
    assert max(seen) <= 1024 * KIB
    assert max(seen) > 600 * KIB
    assert asked == 0


async def test_bytes_that_came_and_are_not_kept_count_as_asked_for():
    async with Ahead(bytes_ahead=200, streams=4) as window:
        begun = []

        async def fetch(at):
            begun.append(at)

        await window.begin(150, lambda: fetch(0))
        waiting = asyncio.create_task(window.begin(100, lambda: fetch(1)))
        await asyncio.sleep(0.01)
        assert begun == [0]
        window.kept(150)
        await waiting
        await window.rest()
        assert begun == [0, 1]


async def test_at_most_so_many_streams_run():
    running, most = 0, 0
    async with Ahead(streams=3) as window:

        async def fetch():
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.001)
            running -= 1
            window.kept(1)

        for _ in range(20):
            await window.begin(1, fetch)
    assert most == 3


async def test_the_first_failure_ends_it_and_what_runs_may_still_come():
    ended = []

    async def fails():
        raise TransientDeliveryError("cut")

    async def comes():
        await asyncio.sleep(0.02)
        ended.append(True)

    async def work():
        async with Ahead() as window:
            await window.begin(10, comes)
            await window.begin(10, fails)
            for _ in range(5):
                await asyncio.sleep(0.001)
                await window.begin(10, comes)

    with pytest.raises(TransientDeliveryError, match="cut"):
        await work()
    assert ended


async def test_who_is_cancelled_leaves_nothing_running():
    stopped = []

    async def hangs():
        try:
            await asyncio.sleep(60)
        finally:
            stopped.append(True)

    async def work():
        async with Ahead() as window:
            await window.begin(10, hangs)
            await window.rest()

    task = asyncio.create_task(work())
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert stopped == [True]


async def test_on_a_slow_line_blocks_become_small_so_that_more_streams_share_it():
    async with Ahead(streams=16) as window:
        assert window.block_bytes == 512 * KIB

        async def slow():
            await asyncio.sleep(0.5)
            window.kept(MIN_BLOCK_BYTES)

        await window.begin(MIN_BLOCK_BYTES, slow)
        await window.rest()
        assert window.block_bytes == MIN_BLOCK_BYTES


def test_with_a_limit_no_block_is_more_than_a_second_of_it():
    assert Ahead(bytes_per_s=100_000).block_bytes == 100_000
    assert Ahead(bytes_per_s=1000).block_bytes == MIN_BLOCK_BYTES
