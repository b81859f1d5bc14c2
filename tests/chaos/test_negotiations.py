"""Negotiations through a network that spoils 35 % of all messages: all end FINALIZED on both sides, each once.

`COMITY_CHAOS` sets how many (200; without it PostgreSQL gets a quarter), `COMITY_SEED` the seed, which is printed. The
many run with the times of the profile as it is, the few with shorter ones.
"""

import os
import time

import pytest

from comity.testing import chaos
from support import doors, stores

COUNT = int(os.environ.get("COMITY_CHAOS", "200"))
HEAVY = COUNT > 1000
NEEDED = 4
"""Messages that a negotiation needs: request, agreement, verification, finalization."""


@pytest.fixture(params=stores.KINDS)
def kind(request):
    return request.param


@pytest.mark.timeout(120 + COUNT)
async def test_negotiations_are_finalized_on_both_sides_with_one_agreement_each(
    tmp_path, kind, template, record_property
):
    count = COUNT // 4 if kind == stores.POSTGRESQL and not HEAVY else COUNT
    async with doors.world(tmp_path, kind=kind, template=template) as world:
        world.proxy.profile = chaos.PROFILES["mixed"] if HEAVY else doors.sooner("mixed")
        began = time.monotonic()
        await world.begin(count)
        await world.quiet(60 + count / 2)
        figures = {
            "seed": world.proxy.seed,
            "seconds": round(time.monotonic() - began, 1),
            "sends_per_message": round(world.sends() / (NEEDED * count), 3),
            **world.figures(),
        }
        record_property("figures", figures)
        print(figures)  # noqa: T201  figures to be read
        assert await world.states("negotiation") == [{"FINALIZED": count}] * 2
        assert world.sends() <= 3 * NEEDED * count
        await world.check()
