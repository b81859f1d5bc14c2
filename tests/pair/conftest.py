"""Fixtures: two connectors that know each other (`pair`), or one and a scripted counterparty (`site`, `peer`).

After each test no invariant of `comity.testing.history` may be violated; that every message is valid by the schemas is
seen to for all tests (tests/conftest.py).
"""

from __future__ import annotations

import asyncio
import functools

import pytest

from comity.net import http as net_http
from comity.testing import collect, history
from comity.testing.wire import Recorder
from support import pair as pairs
from support import stores
from support.peer import Peer

SAME_ON_EACH_STORE = {
    "test_bodies",
    "test_buckets",
    "test_edc_messages",
    "test_frameworks",
    "test_hsm",
    "test_in_force",
    "test_inquiry_attacks",
    "test_push",
    "test_push_blocks",
    "test_retirements",
    "test_versions",
}
"""What is decided before a store is asked, or asks it as other modules do; all others run on both."""
BY_THEMSELVES = {
    "test_bundle",
    "test_bursts",
    "test_carry",
    "test_database_away",
    "test_readings",
    "test_restore",
}
"""Which say which of their tests runs on which store."""
LOST_WITH_A_BACKUP = {"I3", "I6", "I11"}
"""What a restored backup is too old to hold is lost: that is what tests of it are about."""
_tls = functools.cache(net_http._tls)


@pytest.fixture(autouse=True)
def authorities():
    """Read the system's certificate authorities once for all connectors; no test here speaks TLS."""
    with (
        pytest.MonkeyPatch.context() as patch
    ):  # of its own: what a test patches ends before its connectors do
        patch.setattr(net_http, "_tls", _tls)
        yield


@pytest.fixture
def store_kind(request):
    """The kind of store that connectors of a test have: each of them in most modules."""
    return getattr(request, "param", stores.SQLITE)


def pytest_generate_tests(metafunc):
    if "started" not in metafunc.fixturenames:
        return
    if metafunc.module.__name__.rpartition(".")[2] not in SAME_ON_EACH_STORE | BY_THEMSELVES:
        metafunc.parametrize("store_kind", stores.KINDS, indirect=True)


@pytest.fixture
async def started(tmp_path, template, peers, store_kind, request):
    """Starts connectors and checks what they did at the end."""
    sites: list[pairs.Site] = []
    recorder = Recorder()

    async def start(name: str, **more) -> pairs.Site:
        made = pairs.new_site(tmp_path / name, template, **{"kind": store_kind, "recorder": recorder, **more})
        await made.start()
        sites.append(made)
        return made

    yield start
    try:
        await check(sites, recorder, restored=request.module.__name__.endswith("test_restore"))
    finally:
        await asyncio.gather(*(each.stop() for each in sites))
        for each in sites:
            stores.give_back(each.conf.database_url)


@pytest.fixture
async def pair(started):
    """Two connectors on each other's list of partners."""
    return await pairs.introduced(await started("provider"), await started("consumer"))


@pytest.fixture
async def peers():
    """Starts scripted counterparties."""
    running: list[Peer] = []

    async def start() -> Peer:
        peer = Peer()
        await peer.start()
        running.append(peer)
        return peer

    yield start
    for peer in running:
        await peer.stop()


@pytest.fixture
async def peer(peers):
    return await peers()


@pytest.fixture
async def site(started, peer):
    """One connector with the scripted counterparty on its list."""
    made = await started("site")
    await made.befriend(peer)
    return made


async def check(sites: list[pairs.Site], recorder: Recorder, *, restored: bool) -> None:
    """What must hold at the end of any test; in the middle of things, for it need not wait for their end."""
    for site in sites:
        for seen in site.captured:
            assert seen.status != 500, seen
    messages, served = (
        tuple(recorder.messages),
        tuple(recorder.served),
    )  # before the stores, which have all of these
    held = await collect.together(
        *(functools.partial(collect.side, site.connector.database, site.did) for site in sites)
    )
    report = history.check(
        history.History(
            sides=held,
            messages=messages,
            served=served,
            quiet=False,
        )
    )
    lost = LOST_WITH_A_BACKUP if restored else set()
    assert {each.invariant for each in report.violations} <= lost, str(report)
