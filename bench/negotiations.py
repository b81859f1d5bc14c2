"""Negotiations a second, latency and CPU of pairs of connectors, their start and their memory.

Negotiations have four messages, are started through the consumer's management API, a given number under way at a time,
and counted FINALIZED in both stores with nothing left to send. Rounds of the pairs alternate, so that a slow minute of
the machine meets all of them.
"""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from sides import PROTOCOL, Comity, Reader, Side

CONCURRENCIES = (1, 32, 128)
WARM_UP = 200
LONE_SHARE = 10  # one at a time takes longer: a tenth of the count is enough for a median
QUICK_PER_S = 50.0
STARTS = 7
MICRO = 1e6
Figures = dict[str, Any]


@dataclass
class Pair:
    """A provider and a consumer of one kind on one kind of store; `figures` are those of each round by concurrency."""

    label: str
    make: Callable[[str], Side]
    provider: Side = field(init=False)
    consumer: Side = field(init=False)
    rounds: dict[int, list[Figures]] = field(default_factory=dict)
    starts_s: list[float] = field(default_factory=list)
    loaded_mib: float = 0.0

    def begin(self) -> None:
        """Make both, start them and let the one offer to the other."""
        self.provider, self.consumer = self.make("provider"), self.make("consumer")
        self.starts_s = [each.start() for each in (self.provider, self.consumer)]
        self.provider.add_partner(self.consumer)
        self.consumer.add_partner(self.provider)
        self.provider.offer(self.consumer)

    def rest(self) -> None:
        """Let both stand still, so that they take nothing from the pair that is measured."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let both run again."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        for each in (self.provider, self.consumer):
            os.kill(each.pid, number)

    def end(self) -> None:
        """Stop both."""
        self.go_on()
        for each in (self.provider, self.consumer):
            each.stop()


async def negotiate(pair: Pair, count: int, concurrency: int) -> Figures:
    """Run `count` negotiations, `concurrency` under way at a time; return the rate, latencies and CPU of each side."""
    provider, consumer = pair.provider, pair.consumer
    request = consumer.body(
        {
            "@type": "ContractRequest",
            "counterPartyId": provider.participant,
            "counterPartyAddress": provider.dsp,
            "protocol": PROTOCOL,
            "policy": consumer.find_offer(provider),
        }
    )
    async with AsyncExitStack() as stack:
        connector = aiohttp.TCPConnector(limit=0)
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        readers = [await stack.enter_async_context(Reader(each, session)) for each in (provider, consumer)]
        before = [await each.counts() for each in readers]
        cpu, own = [each.cpu() for each in (provider, consumer)], time.process_time()
        began = time.perf_counter()
        latencies = await _drive(session, readers[1], consumer, request, count, concurrency)
        await _settled(readers, before, count)
        took_s = time.perf_counter() - began
        parts = {
            side.name: {part: (now - was[part]) / count * MICRO for part, now in side.cpu().items()}
            for side, was in zip((provider, consumer), cpu, strict=True)
        }
    latencies.sort()
    return {
        "rate": count / took_s,
        "p50_ms": latencies[len(latencies) // 2] * 1000,
        "p99_ms": latencies[min(len(latencies) - 1, int(len(latencies) * 0.99))] * 1000,
        "cpu_us": {**parts, "driver": (time.process_time() - own) / count * MICRO},
    }


async def _drive(  # noqa: PLR0913, PLR0917  what a round is made of
    session: aiohttp.ClientSession,
    reader: Reader,
    consumer: Side,
    request: Figures,
    count: int,
    concurrency: int,
) -> list[float]:
    """Start them and return the seconds from each start to its FINALIZED at the consumer."""
    waiting: dict[str, asyncio.Event] = {}
    latencies: list[float] = []
    numbers = iter(range(count))

    async def one_after_the_other() -> None:
        for _ in numbers:
            at = time.perf_counter()
            async with session.post(
                consumer.management + "contractnegotiations", json=request, headers=consumer.headers
            ) as answer:
                if answer.status != 200:  # noqa: PLR2004  OK
                    raise SystemExit(f"{consumer.name}: {answer.status} {await answer.text()}")
                done = waiting[(await answer.json())["@id"]] = asyncio.Event()
            await done.wait()
            latencies.append(time.perf_counter() - at)

    runs = [asyncio.create_task(one_after_the_other()) for _ in range(concurrency)]
    while not all(each.done() for each in runs):
        await asyncio.sleep(consumer.pause_s)
        for name in await reader.finalized(waiting):
            waiting.pop(name).set()
    await asyncio.gather(*runs)
    return latencies


async def _settled(readers: Sequence[Reader], before: Sequence[tuple[int, int] | None], count: int) -> None:
    """Wait until both stores count them all FINALIZED and have nothing left to send."""
    for reader, first in zip(readers, before, strict=True):
        if first is None:
            continue
        while (now := await reader.counts()) is None or now[0] - first[0] < count or now[1]:  # noqa: ASYNC110
            await asyncio.sleep(0.002)


def measure(pairs: list[Pair], count: int, rounds: int) -> list[Figures]:
    """Run all pairs in turn, `rounds` times, at each concurrency."""
    rates: dict[str, float] = {}
    for pair in pairs:
        rates[pair.label] = _alone(pair, WARM_UP, CONCURRENCIES[1])["rate"]
    for at in range(rounds):
        for concurrency in CONCURRENCIES:
            for pair in pairs:
                quick = rates[pair.label] > QUICK_PER_S
                wanted = count // (LONE_SHARE if concurrency == 1 else 1)
                wanted = wanted if quick else max(concurrency, wanted // 10, 5)
                found = _alone(pair, wanted, concurrency)
                pair.rounds.setdefault(concurrency, []).append(found)
                pair.loaded_mib = max(pair.loaded_mib, pair.provider.memory_mib(), pair.consumer.memory_mib())
                print(
                    f"round {at + 1}, {pair.label}, concurrency {concurrency}: {found['rate']:.1f} a second,"
                    f" p50 {found['p50_ms']:.1f} ms, p99 {found['p99_ms']:.1f} ms, CPU us {_short(found['cpu_us'])}",
                    flush=True,
                )
    return [_summary(pair, concurrency) for pair in pairs for concurrency in CONCURRENCIES]


def _alone(pair: Pair, count: int, concurrency: int) -> Figures:
    """Measure a pair while all others stand still."""
    pair.go_on()
    try:
        return asyncio.run(negotiate(pair, count, concurrency))
    finally:
        pair.rest()


def _short(cpu: Figures) -> str:
    return ", ".join(
        f"{name} {value['process'] if isinstance(value, dict) else value:.0f}" for name, value in cpu.items()
    )


def _summary(pair: Pair, concurrency: int) -> Figures:
    taken = pair.rounds[concurrency]
    rates = [each["rate"] for each in taken]
    middle = sorted(taken, key=lambda each: each["rate"])[len(taken) // 2]
    return {
        "connector": pair.label,
        "concurrency": concurrency,
        "rate": statistics.median(rates),
        "rate_range": [min(rates), max(rates)],
        "p50_ms": statistics.median(each["p50_ms"] for each in taken),
        "p99_ms": statistics.median(each["p99_ms"] for each in taken),
        "cpu_us": middle["cpu_us"],
    }


def measure_starts(pairs: list[Pair]) -> list[Figures]:
    """Start each pair's provider again and again with the store that it has by now."""
    found = []
    for pair in pairs:
        starts = STARTS if isinstance(pair.provider, Comity) else 3
        taken = []
        pair.go_on()
        for _ in range(starts):
            pair.provider.stop()
            taken.append(pair.provider.start())
        idle_mib = pair.provider.memory_mib()
        pair.rest()
        found.append(
            {
                "connector": pair.label,
                "ready_s": statistics.median(taken),
                "ready_range_s": [min(taken), max(taken)],
                "idle_mib": idle_mib,
                "loaded_mib": pair.loaded_mib,
            }
        )
        print(f"{pair.label}: ready in {found[-1]['ready_s']:.2f} s, {idle_mib:.0f} MiB idle,"
              f" {pair.loaded_mib:.0f} MiB loaded", flush=True)  # fmt: skip
    return found
