"""Transfers through a network that spoils 35 % of all messages: started, suspended and resumed by either, then ended.

`COMITY_CHAOS_TRANSFERS` sets how many (50), `COMITY_SEED` the seed, which is printed. Half of them let both sides act
at once, so that their messages cross: whatever came of that, both sides come to the same state.
"""

import asyncio
import os
import random
import time

import pytest

from comity import errors
from comity.controlplane import decide
from comity.testing import chaos
from support import doors, stores
from support.pair import wait_for

COUNT = int(os.environ.get("COMITY_CHAOS_TRANSFERS", "50"))
HEAVY = COUNT > 500
SETTLED_S = 120 if HEAVY else 45
TOGETHER = 64
MOVES = (decide.SUSPEND, decide.START)
ENDED = {"COMPLETED", "TERMINATED"}


@pytest.fixture(params=stores.KINDS)
def kind(request):
    return request.param


class Course:
    """One transfer and what people on both sides do with it."""

    def __init__(self, world, chance, ours):
        self.world, self.chance, self.ours = world, chance, ours
        self.made = []

    async def run(self, rounds=4):
        self.theirs = await self.settle()
        together = self.chance.random() < 0.5
        for _ in range(rounds):
            for _ in range(2 if together else 1):
                await self.try_move(self.chance.choice((0, 1)), self.chance.choice(MOVES))
                await asyncio.sleep(self.chance.random() * 0.05)
            if not together or self.chance.random() < 0.5:
                await self.agree()
        if await self.agree() not in ENDED:
            await self.end()
        assert await self.agree() in ENDED

    async def try_move(self, at, move):
        """Make a move unless it is not allowed now, which is for the protocol to say."""
        site, name = ((self.world.provider, self.theirs), (self.world.consumer, self.ours))[at]
        try:
            await site.move(
                name, move, reason="" if move in {decide.START, decide.COMPLETE} else "a person says so"
            )
        except errors.LocalProtocolError:
            return False
        self.made.append(("provider", "consumer")[at] + " " + move)
        return True

    async def end(self):
        started = await self.world.consumer.state(self.ours) == "STARTED"
        last = self.chance.choice((decide.COMPLETE, decide.TERMINATE) if started else (decide.TERMINATE,))
        assert await self.try_move(self.chance.choice((0, 1)), last)

    async def settle(self):
        """Wait until nothing of it is on its way, and return the provider's id."""

        async def still():
            theirs = (await self.world.consumer.transfer(self.ours)).counterparty_pid
            sql = "SELECT 1 FROM outbox WHERE process_id = ?1"
            waiting = await self.world.consumer.rows(sql, self.ours)
            return theirs and not waiting and not await self.world.provider.rows(sql, theirs) and theirs

        return await wait_for(still, f"{self.ours} to have nothing on its way", SETTLED_S)

    async def agree(self):
        """Wait until both are still, and return the state that both are in."""
        await self.settle()
        states = (await self.world.consumer.state(self.ours), await self.world.provider.state(self.theirs))
        assert len(set(states)) == 1, f"{states}, {self.made}\n{self.world.trace(self.ours)}"
        return states[0]


@pytest.mark.timeout(120 + COUNT)
async def test_both_sides_of_a_transfer_stay_together(tmp_path, kind, template, record_property):
    async with doors.world(tmp_path, kind=kind, template=template) as world:
        (negotiation,) = await world.begin(1)
        await world.consumer.reaches(negotiation, "FINALIZED")
        world.proxy.profile = chaos.PROFILES["mixed"] if HEAVY else doors.sooner("mixed")
        began, places = time.monotonic(), asyncio.Semaphore(TOGETHER)

        async def one(number):
            async with places:
                ours = (await world.consumer.ask_for_data(negotiation)).id
                await Course(world, random.Random(f"{world.proxy.seed}/{number}"), ours).run()

        await asyncio.gather(*(one(number) for number in range(COUNT)))
        await world.quiet(SETTLED_S)
        figures = {
            "seed": world.proxy.seed,
            "seconds": round(time.monotonic() - began, 1),
            "sends": world.sends(),
            "ends": dict((await world.states("transfer"))[0]),
            **world.figures(),
        }
        record_property("figures", figures)
        print(figures)  # noqa: T201  figures to be read
        ours, theirs = await world.states("transfer")
        assert ours == theirs
        assert set(ours) <= ENDED
        await world.check(*doors.DECIDED, "I14")
