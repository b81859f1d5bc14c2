"""A world of two real connectors and a third party, whose history the checker reads."""

from __future__ import annotations

import asyncio
import functools

import pytest

from comity.net import http as net_http
from comity.testing.wire import Recorder
from support import pair as pairs
from support import stores
from support.peer import Peer
from support.witnessed import World

_tls = functools.cache(net_http._tls)


@pytest.fixture(autouse=True)
def authorities(monkeypatch):
    """Read the system's certificate authorities once for all connectors; no test here speaks TLS."""
    monkeypatch.setattr(net_http, "_tls", _tls)


@pytest.fixture
def store_kind(request):
    """The kind of store that both connectors have."""
    return getattr(request, "param", stores.SQLITE)


@pytest.fixture
async def world(tmp_path, template, store_kind):
    """A provider and a consumer that know each other, and a stranger that both know."""
    recorder = Recorder()
    sites = [
        pairs.new_site(tmp_path / name, template, recorder=recorder) for name in ("provider", "consumer")
    ]
    stranger = Peer()
    await asyncio.gather(stranger.start(), *(each.start() for each in sites))
    await pairs.introduced(*sites)
    for each in sites:
        await each.befriend(stranger)
    yield World(*sites, stranger, recorder)
    await asyncio.gather(stranger.stop(), *(each.stop() for each in sites))
    for each in sites:
        stores.give_back(each.conf.database_url)
