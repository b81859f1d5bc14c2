"""Measures a large catalog, with and without gzip: bytes on the wire, seconds, and CPU of the provider.

Two `comity serve` processes on this machine, plain HTTP on loopback, ES256 tokens. The provider's assets are written
into its store before it starts. Each round asks for every page plainly, then in gzip (as a partner would), then through
the consumer's management API (as a program of its own people would: every page, unpacked, read and joined).

    python bench/catalog.py [--count 10000] [--rounds 3]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
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
from negotiations import Management, Side, start, wait_ready

from comity import settings as configuration
from comity.db import database, migrate, offers
from comity.db.offers import Asset, ContractDefinition, PolicyDefinition
from comity.identity import token

CONTEXT = "https://w3id.org/dspace/2025/1/context.jsonld"


async def fill(path: Path, count: int) -> None:
    """Write `count` assets with five properties each, and one definition that offers them all."""
    migrate.migrate(path)
    store = database.Database(path)
    policy = {"@type": "Set", "permission": [{"action": "use", "constraint": [
        {"leftOperand": "dateTime", "operator": "lteq", "rightOperand": "2099-12-31"}]}]}  # fmt: skip

    async def unit(tx: database.Transaction) -> None:
        for at in range(count):
            properties = {
                "dct:title": f"Housing {at}, machined",
                "dct:description": f"Drawing and model of part {at:05}-A, released for production",
                "dct:type": "technical-data-package",
                "comity:partNumber": f"{at * 7919 % 99_999:05}-{at:05}",
                "comity:manifestSha256": sha256(str(at).encode()).hexdigest(),
            }
            await offers.insert(
                tx, Asset(id=f"part-{at:05}", properties=properties, private_properties={}, created_at=at,
                          data_address_sealed=b"")
            )  # fmt: skip
        await offers.insert(
            tx, PolicyDefinition(id="use", policy=policy, private_properties={}, created_at=1)
        )
        await offers.insert(
            tx, ContractDefinition(id="all", access_policy_id="use", contract_policy_id="use", assets_selector=[],
                                   private_properties={}, created_at=1)
        )  # fmt: skip

    await store.write(unit)
    store.close()


async def pages(
    session: aiohttp.ClientSession, provider: Side, consumer: Side, accept: str
) -> dict[str, float]:
    """Ask for every page as the consumer's connector would; return pages, datasets, bytes as sent and unpacked."""
    key = configuration.signing_key(consumer.settings)
    url: str | None = provider.settings.address + "/dsp/2025-1/catalog/request"
    found = {"pages": 0, "datasets": 0, "wire": 0, "plain": 0}
    while url is not None:
        body = json.dumps(
            {"@context": [CONTEXT], "@type": "CatalogRequestMessage", "@id": f"urn:uuid:{uuid4()}"}
        )
        issued = token.issue(
            key, issuer=consumer.settings.participant_id, audience=provider.settings.participant_id,
            jti=str(uuid4()), now_s=int(time.time()), body_sha256=sha256(body.encode()).hexdigest(),
        )  # fmt: skip
        headers = {"Authorization": f"Bearer {issued}", "Accept-Encoding": accept}
        async with session.post(url, data=body.encode(), headers=headers) as answer:
            content = await answer.read()
            packed = answer.headers.get("Content-Encoding") == "gzip"
            url = next((str(link["url"]) for name, link in answer.links.items() if name == "next"), None)
        plain = zlib.decompress(content, 31) if packed else content
        found["pages"] += 1
        found["wire"] += len(content)
        found["plain"] += len(plain)
        found["datasets"] += len(json.loads(plain).get("dataset", []))
    return found


async def measure(
    provider: Side, consumer: Side, count: int, rounds: int
) -> dict[str, list[dict[str, float]]]:
    """Take every figure `rounds` times."""
    results: dict[str, list[dict[str, float]]] = {"plain": [], "gzip": [], "management API": []}
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        await asyncio.gather(wait_ready(session, provider), wait_ready(session, consumer))
        for one, other in ((provider, consumer), (consumer, provider)):
            await Management(session, one.settings).call(
                "POST", "partners", {"participant": other.settings.participant_id}
            )
        for _ in range(rounds):
            for kind, taken in results.items():
                cpu, began = provider.cpu_s()["process"], time.perf_counter()
                if kind == "management API":
                    asked = {"counterPartyId": provider.settings.participant_id}
                    found: Any = await Management(session, consumer.settings).call(
                        "POST", "catalog/request", asked
                    )
                    figures: dict[str, float] = {"datasets": len(found["dataset"])}
                else:
                    accept = "gzip" if kind == "gzip" else "identity"
                    figures = await pages(session, provider, consumer, accept)
                figures["seconds"] = time.perf_counter() - began
                figures["provider cpu"] = provider.cpu_s()["process"] - cpu
                if figures["datasets"] != count:
                    raise SystemExit(f"{kind}: {figures['datasets']} datasets, not {count}")
                taken.append(figures)
    return results


def main() -> None:
    """Run and print the medians."""
    parser = argparse.ArgumentParser(description="Measure a large catalog.")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as ending:
        sides: list[Side] = []
        for name in ("provider", "consumer"):
            made = prepare(Path(folder), name, wanted.count if name == "provider" else 0)
            ending.callback(made.process.wait)
            ending.callback(made.process.send_signal, signal.SIGTERM)
            sides.append(made)
        results = asyncio.run(measure(sides[0], sides[1], wanted.count, wanted.rounds))
    for kind, rounds in results.items():
        medians = {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}
        print(f"{kind:15}", "  ".join(f"{name} {value:,.2f}" for name, value in medians.items()))


def prepare(folder: Path, name: str, count: int) -> Side:
    """Fill a connector's store, which it finds when it starts."""
    (folder / name).mkdir(parents=True)
    if count:
        asyncio.run(fill(folder / name / configuration.DATABASE, count))
    return start(folder, name, unproven=False)


if __name__ == "__main__":
    main()
