"""Fixtures: one connector (`site`) or two that know each other (`pair`), and clients of their management APIs."""

from __future__ import annotations

import shutil
from typing import NamedTuple

import pytest

from comity import runtime
from comity.db import migrate
from support import asgi
from support import pair as pairs


class Pair(NamedTuple):
    provider: pairs.Site
    consumer: pairs.Site


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """An empty database with its schema, made once."""
    path = tmp_path_factory.mktemp("template") / "comity.sqlite"
    migrate.migrate(path)
    return path


@pytest.fixture
async def started(tmp_path, template):
    sites: list[pairs.Site] = []

    async def start(name: str, **more) -> pairs.Site:
        made = pairs.new_site(tmp_path / name, template, **more)
        await made.start()
        sites.append(made)
        return made

    yield start
    for each in sites:
        await each.entries()
        await each.stop()


@pytest.fixture
def client():
    """Makes a client of a site's management API."""
    return lambda site: asgi.Client(site.parts.internal, site.conf.management_key)


@pytest.fixture
async def site(tmp_path, template):
    """One connector without listeners."""
    made = pairs.new_site(tmp_path / "site", template)
    shutil.copy(template, made.conf.database)
    async with runtime.connector(made.conf) as made.parts:
        yield made
        await made.entries()


@pytest.fixture
def api(site, client):
    return client(site)


@pytest.fixture
async def pair(started):
    """Two connectors on each other's list of partners."""
    provider, consumer = await started("provider"), await started("consumer")
    await provider.befriend(consumer)
    await consumer.befriend(provider)
    return Pair(provider, consumer)


@pytest.fixture
def provider(pair, client):
    return client(pair.provider)


@pytest.fixture
def consumer(pair, client):
    return client(pair.consumer)
