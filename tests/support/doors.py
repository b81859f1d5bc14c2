"""Two connectors of ours behind the doors of a chaos proxy: what happens between them is a profile with a seed.

`World.check` asks the history checker about all that was seen once nothing is on its way any more.
"""

from __future__ import annotations

import contextlib
import os
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import msgspec

from comity.controlplane import catalog
from comity.testing import chaos, collect, history, record
from support import pair as pairs
from support import stores
from support.pair import Pair, Site, wait_for
from support.ports import free_port

SEED = int(os.environ.get("COMITY_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)
DECIDED = ("I1", "I2", "I3", "I4", "I5", "I6", "I10", "I11")


def sooner(name: str) -> chaos.Profile:
    """A profile with the shares of the one of this name, in which nothing takes longer than a second."""
    return msgspec.structs.replace(
        chaos.PROFILES[name], delay_s=0.8, later_s=1.0, hold_s=0.4, retry_after_s=1
    )


@dataclass
class World:
    """The two, the doors that lead to them, and what passed between them."""

    pair: Pair
    proxy: chaos.Proxy
    to_provider: chaos.Door
    to_consumer: chaos.Door
    exchanges: list[chaos.Exchange] = field(default_factory=list)
    offer: dict[str, Any] = field(default_factory=dict)

    @property
    def provider(self) -> Site:
        return self.pair.provider

    @property
    def consumer(self) -> Site:
        return self.pair.consumer

    async def begin(self, count: int) -> list[str]:
        """Begin negotiations of what the provider offers, and return the consumer's ids."""
        return [(await self.consumer.request(self.provider, self.offer)).id for _ in range(count)]

    async def quiet(self, timeout_s: float) -> None:
        """Wait until neither has anything on its way, and every late copy has arrived."""

        async def empty():
            return not [row for site in self.pair for row in await site.rows("SELECT 1 FROM outbox LIMIT 1")]

        await wait_for(empty, "both outboxes empty", timeout_s)
        await self.proxy.settle()
        await wait_for(empty, "both outboxes empty after the late copies", timeout_s)

    async def states(self, kind: str) -> list[Counter[str]]:
        """How many processes of a kind are in which state, on either side."""
        return [
            Counter(state for (state,) in await site.rows(f"SELECT state FROM {kind}")) for site in self.pair
        ]

    async def check(self, *invariants: str) -> None:
        """Let the checker judge; also that each of these invariants could be decided."""
        sides = [await collect.side(site.connector.database, site.conf.participant_id) for site in self.pair]
        messages = tuple(
            sorted((leg for each in self.exchanges for leg in each.messages), key=lambda leg: leg.at)
        )
        seen = record.History(sides=tuple(sides), messages=messages)
        history.check(seen).expect(*(invariants or DECIDED))

    def trace(self, pid: str) -> str:
        """All that was seen of a process on the wire, in order, as lines to read."""
        legs = [(leg, each) for each in self.exchanges for leg in each.messages if pid.encode() in leg.body]
        began = min((leg.at for leg, _ in legs), default=0)
        return "\n".join(
            f"{leg.at - began:6} ms  to the {'provider' if leg.receiver == self.provider.did else 'consumer'}"
            f"  {leg.path.rsplit('/', 1)[-1]:12} {leg.status or '-':>3}  {leg.leg:8}  {each.fault}"
            f"{' late copy' if each.copy_of else ''}"
            for leg, each in sorted(legs, key=lambda pair: pair[0].at)
        )

    def sends(self) -> int:
        """How often senders sent a message of a process; copies that the proxy made do not count."""
        return sum(each.copy_of is None and each.messages[0].method == "POST" for each in self.exchanges)

    def figures(self) -> dict[str, int]:
        return {"requests": self.proxy.requests, **self.proxy.counts}


@contextlib.asynccontextmanager
async def world(folder, *, kind=stores.SQLITE, template=None, seed=SEED, **more):
    """Run two that know each other, one with something to offer, and a quiet proxy between them."""
    exchanges: list[chaos.Exchange] = []
    print(f"COMITY_SEED={seed}")  # noqa: T201  a run is repeated with it
    async with chaos.Proxy(seed=seed, record=exchanges.append) as proxy:
        sites, doors = [], []
        for name in ("provider", "consumer"):
            address = f"127.0.0.1:{free_port()}"
            site = pairs.new_site(folder / name, template, address=f"http://{address}", kind=kind, **more)
            doors.append(await proxy.open(address, to=f"http://{site.conf.listen}", name=site.did))
            sites.append(site)
        async with contextlib.AsyncExitStack() as running:
            for site in sites:
                await site.start()
                running.push_async_callback(site.stop)
            two = await pairs.introduced(*sites)
            await two.provider.publish()
            dataset = await catalog.request_dataset(two.consumer.connector, two.provider.did, None, "asset")
            yield World(two, proxy, *doors, exchanges, pairs.offer_of(dataset))
        for site in sites:
            stores.give_back(site.conf.database_url)
