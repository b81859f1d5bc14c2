"""Negotiations a second, latency and CPU of pairs of connectors, their start and their memory.

Negotiations have four messages, are started through the consumer's management API, a given number under way at a time,
and counted FINALIZED in both stores with nothing left to send. Rounds of the pairs alternate, so that a slow minute of
the machine meets all of them; the pairs that are not measured stand still (SIGSTOP).

A round has a limit of time. When it is reached nothing more is begun, and what is under way has as long again to end;
the rate is that of what was FINALIZED by then. A side may also end a negotiation TERMINATED. Each row tells how many
were begun, FINALIZED and TERMINATED; the others were not at their end. A pair that fails is taken out, its reason is
kept, and the others go on.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from sides import PROTOCOL, Reader, Side

CONCURRENCIES = (1, 32, 128)
WARM_UP, WARM_UP_AT = 400, 32
LONE_SHARE = 10  # one at a time takes longer: a tenth of the count is enough for a median
MICRO = 1e6
NOISE = re.compile(
    r"\x1b\[[\d;]*m|\(?https?://\S+"
)  # colors of a log, and addresses of one machine's sources
Figures = dict[str, Any]
Keep = Callable[[Figures], None]


class RefusedError(Exception):
    """A management API did not take a negotiation."""


@dataclass
class Pair:
    """A provider and a consumer of one kind on one kind of store; `rounds` are the figures of each by concurrency."""

    label: str
    make: Callable[[str], Side]
    sides: list[Side] = field(default_factory=list)
    rounds: dict[int, list[Figures]] = field(default_factory=dict)
    warm_up: int = 0
    loaded_mib: float = 0.0
    lost: str = ""
    """Why it is measured no more; empty while it is."""

    @property
    def provider(self) -> Side:
        """The one that offers."""
        return self.sides[0]

    @property
    def consumer(self) -> Side:
        """The one that asks."""
        return self.sides[1]

    def begin(self) -> None:
        """Make both, start them and let the one offer to the other."""
        for name in ("provider", "consumer"):
            self.sides.append(self.make(name))
            self.sides[-1].start()
        self.provider.add_partner(self.consumer)
        self.consumer.add_partner(self.provider)
        self.provider.offer(self.consumer)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Let it run for a while, in which all others stand still; if it fails it ends, and has no more figures."""
        try:
            self._signal(signal.SIGCONT)
            yield
            self._signal(signal.SIGSTOP)  # it takes nothing from the pair that is measured next
        except (Exception, SystemExit) as failed:  # noqa: BLE001  whatever it is, the others' figures stay
            reason: BaseException = failed
            while isinstance(reason, BaseExceptionGroup):
                reason = reason.exceptions[0]
            said = NOISE.sub("", f"{type(reason).__name__}: {reason}")
            self.lost = said.partition("\n")[0][:160].strip()
            print(f"{self.label} is measured no more: {self.lost}", file=sys.stderr, flush=True)
            self.end()

    def _signal(self, number: signal.Signals) -> None:
        for each in self.sides:
            os.kill(each.pid, number)

    def end(self) -> None:
        """Stop both."""
        if not self.lost:
            self._signal(signal.SIGCONT)
        for each in self.sides:
            each.stop()


@dataclass
class Driven:
    """What became of the negotiations of a round; `last` is when one was FINALIZED last."""

    begun: int = 0
    terminated: int = 0
    last: float = 0.0
    latencies_s: list[float] = field(default_factory=list)


async def negotiate(pair: Pair, count: int, concurrency: int, limit_s: float) -> Figures:
    """Run `count` negotiations, `concurrency` under way at a time; return the rate, latencies and CPU of each side."""
    sides = provider, consumer = pair.provider, pair.consumer
    request = consumer.body(
        {
            "@type": "ContractRequest",
            "counterPartyId": provider.participant,
            "counterPartyAddress": provider.dsp,
            "protocol": PROTOCOL,
            "policy": consumer.find_offer(provider),
        }
    )
    driven = Driven()
    async with AsyncExitStack() as stack:
        connector = aiohttp.TCPConnector(limit=0)
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        readers = [await stack.enter_async_context(Reader(each)) for each in sides]
        before = [(await each.counts())[0] for each in readers]
        cpu, own = [each.cpu() for each in sides], time.process_time()
        driven.last = began = time.perf_counter()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2 * limit_s):
                await _drive(session, readers[1], consumer, request, count, concurrency, limit_s, driven)
                await _settled(readers, before, len(driven.latencies_s))
                driven.last = time.perf_counter()
        counted = [(await each.counts())[0] - was for each, was in zip(readers, before, strict=True)]
        finalized = min(len(driven.latencies_s), *counted)
        parts = {
            side.name: {
                part: (now - was[part]) / (finalized or 1) * MICRO for part, now in side.cpu().items()
            }
            for side, was in zip(sides, cpu, strict=True)
        }
        parts["driver"] = (time.process_time() - own) / (finalized or 1) * MICRO
    latencies = sorted(driven.latencies_s)
    return {
        "rate": finalized / (driven.last - began) if finalized else 0.0,
        "p50_ms": latencies[len(latencies) // 2] * 1000 if latencies else None,
        "p99_ms": latencies[min(len(latencies) - 1, int(len(latencies) * 0.99))] * 1000
        if latencies
        else None,
        "cpu_us": parts if finalized else None,
        "begun": driven.begun,
        "finalized": finalized,
        "terminated": driven.terminated,
    }


async def _drive(  # noqa: PLR0913, PLR0917  what a round is made of
    session: aiohttp.ClientSession,
    reader: Reader,
    consumer: Side,
    request: Figures,
    count: int,
    concurrency: int,
    limit_s: float,
    driven: Driven,
) -> None:
    """Start them and note the seconds from each start to its FINALIZED at the consumer."""
    waiting: dict[str, asyncio.Future[bool]] = {}
    until = time.perf_counter() + limit_s

    async def one_after_the_other() -> None:
        while driven.begun < count and (at := time.perf_counter()) < until:
            driven.begun += 1
            async with session.post(
                consumer.management + "contractnegotiations", json=request, headers=consumer.headers
            ) as answer:
                if answer.status != 200:  # noqa: PLR2004  OK
                    raise RefusedError(f"{consumer.name}: {answer.status} {await answer.text()}")
                ended = waiting[(await answer.json())["@id"]] = asyncio.Future()
            if await ended:
                driven.last = time.perf_counter()
                driven.latencies_s.append(driven.last - at)
            else:
                driven.terminated += 1

    async with asyncio.TaskGroup() as group:
        runs = [group.create_task(one_after_the_other()) for _ in range(concurrency)]
        while not all(each.done() for each in runs):
            await asyncio.sleep(consumer.pause_s)
            for name, finalized in (await reader.ended(waiting)).items():
                waiting.pop(name).set_result(finalized)


async def _settled(readers: Sequence[Reader], before: Sequence[int], finalized: int) -> None:
    """Wait until both stores count them all FINALIZED and have nothing left to send."""
    for reader, first in zip(readers, before, strict=True):
        while (now := await reader.counts())[0] - first < finalized or now[1]:  # noqa: ASYNC110
            await asyncio.sleep(0.002)


def measure(pairs: list[Pair], count: int, rounds: int, limit_s: float, keep: Keep) -> None:
    """Run all pairs in turn, `rounds` times, at each concurrency, and keep what there is after each."""
    for pair in _measured(pairs):
        with pair.alone():
            pair.begin()
            warm = asyncio.run(negotiate(pair, WARM_UP, WARM_UP_AT, 2 * limit_s))
            pair.warm_up = warm["finalized"]
            print(f"{pair.label}: {pair.warm_up} to warm up, {warm['rate']:.1f} a second", flush=True)
    for at in range(rounds):
        for concurrency in CONCURRENCIES:
            for pair in _measured(pairs):
                with pair.alone():
                    wanted = max(count // (LONE_SHARE if concurrency == 1 else 1), concurrency)
                    found = asyncio.run(negotiate(pair, wanted, concurrency, limit_s))
                    pair.rounds.setdefault(concurrency, []).append(found)
                    pair.loaded_mib = max(pair.loaded_mib, *(each.memory_mib() for each in pair.sides))
                    print(
                        f"round {at + 1}, {pair.label}, concurrency {concurrency}: {_short(found)}",
                        flush=True,
                    )
                keep(summary(pairs))


def _measured(pairs: list[Pair]) -> Iterator[Pair]:
    return (each for each in pairs if not each.lost)


def _short(found: Figures) -> str:
    said = f"{found['rate']:.1f} a second, {found['finalized']} FINALIZED of {found['begun']}"
    if found["cpu_us"] is None:
        return said
    cpu = {
        name: each["process"] if isinstance(each, dict) else each for name, each in found["cpu_us"].items()
    }
    shown = ", ".join(f"{name} {value:.0f}" for name, value in cpu.items())
    return f"{said}, p50 {found['p50_ms']:.1f} ms, p99 {found['p99_ms']:.1f} ms, CPU us {shown}"


def summary(pairs: list[Pair]) -> Figures:
    """Return the figures so far: medians of each pair's rounds, and which pairs were lost."""
    rows = [
        _row(pair, concurrency)
        for pair in pairs
        for concurrency in CONCURRENCIES
        if concurrency in pair.rounds
    ]
    return {"negotiations": rows, "lost": {pair.label: pair.lost for pair in pairs if pair.lost}}


def _row(pair: Pair, concurrency: int) -> Figures:
    taken = pair.rounds[concurrency]
    rates = [each["rate"] for each in taken]
    middle = sorted(taken, key=lambda each: each["rate"])[len(taken) // 2]
    medians = {}
    for name in ("p50_ms", "p99_ms"):
        known = [each[name] for each in taken if each[name] is not None]
        medians[name] = statistics.median(known) if known else None
    sums = {name: sum(each[name] for each in taken) for name in ("begun", "finalized", "terminated")}
    return {
        "connector": pair.label,
        "concurrency": concurrency,
        "rounds": len(taken),
        "warm_up": pair.warm_up,
        "rate": statistics.median(rates),
        "rate_range": [min(rates), max(rates)],
        **medians,
        **sums,
        "cpu_us": middle["cpu_us"],
    }


def measure_starts(pairs: list[Pair], keep: Keep) -> None:
    """Start each pair's provider again and again with the store that it has by now."""
    found: list[Figures] = []
    for pair in _measured(pairs):
        with pair.alone():
            taken = []
            for _ in range(pair.provider.starts):
                pair.provider.stop()
                taken.append(pair.provider.start())
            idle_mib = pair.provider.memory_mib()
            found.append(
                {
                    "connector": pair.label,
                    "starts": len(taken),
                    "ready_s": statistics.median(taken),
                    "ready_range_s": [min(taken), max(taken)],
                    "idle_mib": idle_mib,
                    "loaded_mib": pair.loaded_mib,
                }
            )
            print(f"{pair.label}: ready in {found[-1]['ready_s']:.2f} s, {idle_mib:.0f} MiB idle,"
                  f" {pair.loaded_mib:.0f} MiB loaded", flush=True)  # fmt: skip
        keep({"starts": found, **summary(pairs)})
