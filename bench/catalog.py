"""Measures a large catalog: bytes on the wire, seconds, CPU of the provider; and how a page slows down as it grows.

Two `comity serve` processes on this machine, plain HTTP on loopback, ES256 tokens. The provider's assets are written
into its store before it starts. Each round asks for every page plainly, then in gzip (as a partner would), then through
the consumer's management API (as a program of its own people would: every page, unpacked, read and joined).

`--pages` asks for single pages of catalogs of 1, 10 and 100 thousand assets, turn by turn, under one definition
for all assets, and under one for each.

    python bench/catalog.py [--count 10000] [--rounds 3] [--pages]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
import zlib
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
from sides import Comity

from comity import settings as configuration
from comity.db import migrate, offers, sqlite
from comity.db.offers import Asset, ContractDefinition, PolicyDefinition
from comity.db.store import Transaction
from comity.identity import token

CONTEXT = "https://w3id.org/dspace/2025/1/context.jsonld"


async def fill(path: Path, count: int, *, each: bool = False) -> None:
    """Write `count` assets with five properties, and one definition that offers them all, or one for `each`."""
    migrate.migrate(path)
    store = sqlite.Database(path)
    policy = {"@type": "Set", "permission": [{"action": "use", "constraint": [
        {"leftOperand": "dateTime", "operator": "lteq", "rightOperand": "2099-12-31"}]}]}  # fmt: skip

    async def offered(tx: Transaction, name: str, selector: list[dict[str, Any]], at: int) -> None:
        await offers.insert(
            tx, PolicyDefinition(id=name, policy=policy, private_properties={}, created_at=at)
        )
        await offers.insert(
            tx, ContractDefinition(id=name, access_policy_id=name, contract_policy_id=name, assets_selector=selector,
                                   private_properties={}, created_at=at)
        )  # fmt: skip

    async def unit(tx: Transaction) -> None:
        for at in range(count):
            properties = {
                "dct:title": f"Housing {at}, machined",
                "dct:description": f"Drawing and model of part {at:05}-A, released for production",
                "dct:type": "technical-data-package",
                "comity:partNumber": f"{at * 7919 % 99_999:05}-{at:05}",
                "comity:manifestSha256": sha256(str(at).encode()).hexdigest(),
            }
            name = f"part-{at:05}"
            await offers.insert(
                tx, Asset(id=name, properties=properties, private_properties={}, created_at=at,
                          data_address_sealed=b"")
            )  # fmt: skip
            if each:
                selector = [{"operandLeft": "id", "operator": "=", "operandRight": name}]
                await offered(tx, name, selector, at)
        if not each:
            await offered(tx, "all", [], 1)

    await store.write(unit)
    store.close()


class Asking:
    """Asks a provider's catalog page by page, in circles, as the consumer's connector would."""

    def __init__(self, session: aiohttp.ClientSession, provider: Comity, consumer: Comity) -> None:
        self._session, self._provider, self._consumer = session, provider, consumer
        self._key = configuration.signing_key(consumer.settings)
        self._first = provider.settings.address + "/dsp/2025-1/catalog/request"
        self._next: str | None = self._first

    async def page(self, accept: str = "identity") -> tuple[bytes, bytes, bool]:
        """Ask for the next page; return it as sent and unpacked, and whether it was the last."""
        body = json.dumps(
            {"@context": [CONTEXT], "@type": "CatalogRequestMessage", "@id": f"urn:uuid:{uuid4()}"}
        )
        issued = token.issue(
            self._key, issuer=self._consumer.settings.participant_id,
            audience=self._provider.settings.participant_id,
            jti=str(uuid4()), now_s=int(time.time()), body_sha256=sha256(body.encode()).hexdigest(),
        )  # fmt: skip
        headers = {"Authorization": f"Bearer {issued}", "Accept-Encoding": accept}
        url = self._next or self._first
        async with self._session.post(url, data=body.encode(), headers=headers) as answer:
            content = await answer.read()
            packed = answer.headers.get("Content-Encoding") == "gzip"
            self._next = next(
                (str(link["url"]) for name, link in answer.links.items() if name == "next"), None
            )
        return content, zlib.decompress(content, 31) if packed else content, self._next is None


async def pages(
    session: aiohttp.ClientSession, provider: Comity, consumer: Comity, accept: str
) -> dict[str, float]:
    """Ask for every page; return pages, datasets, bytes as sent and unpacked."""
    asking, last = Asking(session, provider, consumer), False
    found = {"pages": 0, "datasets": 0, "wire": 0, "plain": 0}
    while not last:
        content, plain, last = await asking.page(accept)
        found["pages"] += 1
        found["wire"] += len(content)
        found["plain"] += len(plain)
        found["datasets"] += len(json.loads(plain).get("dataset", []))
    return found


async def measure(
    provider: Comity, consumer: Comity, count: int, rounds: int
) -> dict[str, list[dict[str, float]]]:
    """Take every figure `rounds` times."""
    results: dict[str, list[dict[str, float]]] = {"plain": [], "gzip": [], "management API": []}
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        for one, other in ((provider, consumer), (consumer, provider)):
            one.api.add_partner(other.participant)
        for _ in range(rounds):
            for kind, taken in results.items():
                cpu, began = provider.cpu()["process"], time.perf_counter()
                if kind == "management API":
                    found = consumer.api.catalog(provider.participant)
                    figures: dict[str, float] = {"datasets": len(found["dataset"])}
                else:
                    accept = "gzip" if kind == "gzip" else "identity"
                    figures = await pages(session, provider, consumer, accept)
                figures["seconds"] = time.perf_counter() - began
                figures["provider cpu"] = provider.cpu()["process"] - cpu
                if figures["datasets"] != count:
                    raise SystemExit(f"{kind}: {figures['datasets']} datasets, not {count}")
                taken.append(figures)
    return results


def measure_pages(
    counts: tuple[int, ...] = (1_000, 10_000, 100_000), asked: int = 400
) -> dict[str, dict[str, dict[str, float]]]:
    """Return median and 95th percentile in ms of a page, and the provider's CPU, by definitions and by assets."""
    return {
        name: asyncio.run(_measure_pages(counts, asked, each=each))
        for name, each in (("one definition", False), ("a definition for each", True))
    }


async def _measure_pages(counts: tuple[int, ...], asked: int, *, each: bool) -> dict[str, dict[str, float]]:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as ending:
        consumer = await prepare(Path(folder), "consumer", 0)
        providers = [await prepare(Path(folder), f"provider{count}", count, each=each) for count in counts]
        for side in (consumer, *providers):
            ending.callback(side.stop)
        for side in providers:
            side.api.add_partner(consumer.participant)
        async with aiohttp.ClientSession(auto_decompress=False) as session:
            askings = [Asking(session, side, consumer) for side in providers]
            cpu = [side.cpu()["process"] for side in providers]
            taken: list[list[float]] = [[] for _ in providers]
            for _ in range(asked):  # turn by turn: a slow moment of the machine meets all of them
                for asking, times in zip(askings, taken, strict=True):
                    began = time.perf_counter()
                    await asking.page()
                    times.append((time.perf_counter() - began) * 1000)
            used = [side.cpu()["process"] - was for side, was in zip(providers, cpu, strict=True)]
    return {
        f"{count:,}": {
            "p50_ms": statistics.median(times),
            "p95_ms": statistics.quantiles(times, n=20)[-1],
            "cpu_ms": spent / asked * 1000,
        }
        for count, times, spent in zip(counts, taken, used, strict=True)
    }


def measure_all() -> dict[str, Any]:
    """Return single pages of all sizes, and a whole catalog asked for in each way."""
    return {"pages": measure_pages(), "whole": asyncio.run(_measure_whole(10_000, 3))}


def main() -> None:
    """Run and print the medians."""
    parser = argparse.ArgumentParser(description="Measure a large catalog.")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pages", action="store_true", help="single pages of 1, 10 and 100 thousand assets")
    wanted = parser.parse_args()
    if wanted.pages:
        print(json.dumps(measure_pages(), indent=1))
        return
    for kind, medians in asyncio.run(_measure_whole(wanted.count, wanted.rounds)).items():
        print(f"{kind:15}", "  ".join(f"{name} {value:,.2f}" for name, value in medians.items()))


async def _measure_whole(count: int, rounds: int) -> dict[str, dict[str, float]]:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as ending:
        sides: list[Comity] = []
        for name in ("provider", "consumer"):
            made = await prepare(Path(folder), name, count if name == "provider" else 0)
            ending.callback(made.stop)
            sides.append(made)
        results = await measure(sides[0], sides[1], count, rounds)
    return {
        kind: {name: statistics.median(each[name] for each in taken) for name in taken[0]}
        for kind, taken in results.items()
    }


async def prepare(folder: Path, name: str, count: int, *, each: bool = False) -> Comity:
    """Fill a connector's store, which it finds when it starts."""
    (folder / name).mkdir(parents=True)
    if count:
        await fill(folder / name / configuration.DATABASE, count, each=each)
    made = Comity(folder, name)
    made.start()
    return made


if __name__ == "__main__":
    main()
