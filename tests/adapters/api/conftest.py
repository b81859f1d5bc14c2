"""Fixtures: one connector (`site`) or two that know each other (`pair`), and clients of their management APIs."""

from __future__ import annotations

import shutil

import pytest
from aiohttp import web

from comity import runtime
from pair.conftest import authorities, store_kind
from support import asgi, dealing, stores
from support import pair as pairs

__all__ = ["authorities", "store_kind"]

ON_EACH_STORE = {
    "edrs",
    "events",
    "exchange",
    "idempotency",
    "negotiations",
    "partners",
    "removal",
    "retirements",
}
"""The others are about what is decided before a store is asked, or ask it in ways that these and tests/pair do too."""


def pytest_generate_tests(metafunc):
    about = metafunc.module.__name__.rpartition("test_management_")[2]
    if about in ON_EACH_STORE and {"site", "started"} & set(metafunc.fixturenames):
        metafunc.parametrize("store_kind", stores.KINDS, indirect=True)


@pytest.fixture
async def started(tmp_path, template, store_kind):
    sites: list[pairs.Site] = []

    async def start(name: str, **more) -> pairs.Site:
        made = pairs.new_site(tmp_path / name, template, **{"kind": store_kind, **more})
        await made.start()
        sites.append(made)
        return made

    yield start
    for each in sites:
        await each.entries()
        await each.stop()
        stores.give_back(each.conf.database_url)


@pytest.fixture
def client():
    """Makes a client of a site's management API."""
    return lambda site: asgi.Client(site.parts.internal, site.conf.management_key)


@pytest.fixture
async def site(tmp_path, template, store_kind):
    """One connector without listeners."""
    made = pairs.new_site(tmp_path / "site", template, kind=store_kind)
    if store_kind == stores.SQLITE:
        shutil.copy(template, made.conf.database)
    async with runtime.connector(made.conf) as made.parts:
        yield made
        await made.entries()
    stores.give_back(made.conf.database_url)


@pytest.fixture
def api(site, client):
    return client(site)


@pytest.fixture
async def pair(started):
    """Two connectors on each other's list of partners."""
    return await pairs.introduced(await started("provider"), await started("consumer"))


@pytest.fixture
def provider(pair, client):
    return client(pair.provider)


@pytest.fixture
def consumer(pair, client):
    return client(pair.consumer)


@pytest.fixture
async def back_end():
    """A server of the provider's own; returns its address."""

    async def answer(request):
        return web.Response(body=dealing.CONTENT, headers={"ETag": '"v1"'}, content_type="application/x-step")

    application = web.Application()
    application.router.add_get("/data/part.step", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    port = pairs.free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield f"http://127.0.0.1:{port}/data"
    await runner.cleanup()


@pytest.fixture
async def offered(pair, provider):
    """A File asset offered to everybody on the provider's list; returns what a client says about the provider."""
    path = pair.provider.folder.parent / "part.step"
    path.write_bytes(dealing.CONTENT)
    await dealing.offer(provider, "part", {"type": "File", "path": str(path)})
    return {
        "counterPartyId": pair.provider.did,
        "counterPartyAddress": pair.provider.dsp,
        "protocol": dealing.PROTOCOL,
    }
