"""A connector whose PostgreSQL goes away and comes back: 503 with Retry-After meanwhile, then all goes on by itself."""

import time

import pytest

from comity.controlplane import catalog
from comity.dsp import terms
from support import asgi, postgres
from support.pair import Pair, introduced, new_site, offer_of, wait_for

BACK_S = 5


@pytest.fixture
def server():
    made = postgres.Server()
    yield made
    made.close()


@pytest.fixture
async def both(server, tmp_path):
    """Two connectors with a database each, on one server that can be stopped."""
    sites = [
        new_site(tmp_path / name, database=postgres.create(on=server)) for name in ("provider", "consumer")
    ]
    for each in sites:
        await each.start()
    yield await introduced(*sites)
    for each in sites:
        await each.stop()


async def begin(pair: Pair, number: int) -> list[str]:
    dataset = await catalog.request_dataset(pair.consumer.connector, pair.provider.did, None, "asset")
    return [(await pair.consumer.request(pair.provider, offer_of(dataset))).id for _ in range(number)]


async def answers(site) -> asgi.Answer:
    """What a request that writes is answered by the management API."""
    client = asgi.Client(site.parts.internal, site.conf.management_key)
    return await client.request("POST", "secrets", {"@id": f"s{time.monotonic_ns()}", "value": "x"})


@pytest.mark.parametrize("end", ["kill", "stop"])
async def test_negotiations_that_were_open_go_on_when_the_server_is_back(both, server, end):
    await both.provider.publish()
    before = await begin(both, 10)
    getattr(server, end)()
    refused = await answers(both.consumer)
    assert (refused.status, refused.headers["retry-after"]) == (503, "2")
    assert "nothing was changed" in refused.problem["message"]
    partner = both.consumer.connector.identity.authorization(both.provider.did, b"")
    outside = asgi.Client(both.provider.parts.public, "")
    asked = await outside.request("GET", "/dsp/2025-1/negotiations/x", headers={"authorization": partner})
    assert (asked.status, asked.headers["retry-after"]) == (503, "1")
    server.start()
    began = time.monotonic()

    async def taken():
        return all([(await answers(each)).status == 200 for each in (both.consumer, both.provider)])

    await wait_for(taken, "both stores to be taken again", BACK_S)
    for process_id in [*before, *await begin(both, 2)]:
        await both.consumer.reaches(process_id, terms.FINALIZED, 30)
    assert time.monotonic() - began < 40
    entries = await both.consumer.entries()
    assert len({each["processId"] for each in entries if each.get("after") == "FINALIZED"}) == 12


async def test_connections_that_are_ended_all_the_time_are_noticed_by_nobody(both, server):
    await both.provider.publish()
    open_ = await begin(both, 10)
    url = both.consumer.conf.database_url
    for _ in range(20):
        postgres.run(
            url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'comity'"
        )
    for process_id in open_:
        await both.consumer.reaches(process_id, terms.FINALIZED, 30)
    assert await both.consumer.entries()


async def test_a_load_balancer_is_told_while_the_store_cannot_be_used(both, server):
    outside = asgi.Client(both.provider.parts.public, "")

    async def says(status):
        return (await outside.request("GET", "/ready", headers={})).status == status

    assert await says(200)
    server.kill()
    await wait_for(lambda: says(503), "the answer that it is not ready", BACK_S)
    told = await outside.request("GET", "/ready", headers={})
    assert (told.json, "retry-after" in told.headers) == ({"status": "not ready"}, False)
    assert (await outside.request("GET", "/health", headers={})).status == 200
    server.start()
    await wait_for(lambda: says(200), "the answer that it is ready", BACK_S)
