"""Fixtures: two connectors that know each other (`pair`), or one and a scripted counterparty (`site`, `peer`).

After each test the evidence of every connector must verify and show legal changes of state only; that every message
is valid by the schemas is seen to for all tests (tests/conftest.py).
"""

from __future__ import annotations

import asyncio
import functools

import pytest

from comity.dsp import machine
from comity.net import http as net_http
from support import pair as pairs
from support.peer import Peer

_tls = functools.cache(net_http._tls)


@pytest.fixture(autouse=True)
def authorities(monkeypatch):
    """Read the system's certificate authorities once for all connectors; no test here speaks TLS."""
    monkeypatch.setattr(net_http, "_tls", _tls)


@pytest.fixture
async def started(tmp_path, template, peers):
    """Starts connectors and checks what they did at the end."""
    sites: list[pairs.Site] = []

    async def start(name: str, **more) -> pairs.Site:
        made = pairs.new_site(tmp_path / name, template, **more)
        await made.start()
        sites.append(made)
        return made

    yield start
    try:
        for each in sites:
            await check(each)
    finally:
        await asyncio.gather(*(each.stop() for each in sites))


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


async def check(site: pairs.Site) -> None:
    """What must hold at the end of any test."""
    for seen in site.captured:
        assert seen.status != 500, seen
    await check_evidence(site)


async def check_evidence(site: pairs.Site) -> None:
    """The chain verifies, and each change of a process's state has exactly one record, a row of the machine."""
    for kind, table in (("negotiation", machine.NEGOTIATION), ("transfer", machine.TRANSFER)):
        changes = {(before or "", after) for (before, _, _), after in table.items()}
        for process_id, state in await site.rows(f"SELECT id, state FROM {kind}"):
            path = await site.path_of(process_id)
            waiting = any(row[0] == process_id for row in await site.outbox())
            if not waiting:
                reached = {after for _, after in path}
                assert state is None or state in reached, (process_id, state, path)
            if kind == "negotiation":
                once = [step for step in path if step[1] not in {"REQUESTED", "OFFERED"}]
                assert len(once) == len(set(once)), path
            assert all(step in changes or step[0] == step[1] or step[1] == "TERMINATED" for step in path), (
                path
            )
