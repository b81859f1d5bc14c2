"""What one connection, or one partner, may take of a connector: each limit by itself, in this process."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools

import pytest

from comity import data_folder, runtime
from comity.api import connection
from comity.net import dsp
from support import stores
from support.pair import offer_of, wait_for
from support.process import Process, finalized, transfer
from support.process import started as started_transfer


async def opened(site):
    return await asyncio.open_connection("127.0.0.1", int(site.conf.listen.rpartition(":")[2]))


async def ended(reader, timeout_s=10):
    """Whether a connection ends; what comes until then is thrown away."""
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(timeout_s):
            while await reader.read(1 << 16):
                pass
    return True


@pytest.fixture
def connections(site):
    return site._state.connections


async def test_trailers_are_no_headers_and_are_not_kept(site, peer, connections):
    token = peer.token(site.did, None)
    reader, writer = await opened(site)
    head = "POST /dsp/2025-1/catalog/request HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
    writer.write(f"{head}Authorization: Bearer {token}\r\n\r\n0\r\n".encode())
    for _ in range(100):
        writer.write(b"Authorization: Bearer other\r\n" * 100)
        await writer.drain()

    async def seen():
        return [each for each in connections if each.scope and b"/catalog/request" in each.scope["raw_path"]]

    (mine,) = await wait_for(seen)
    assert len(mine.headers) <= 4
    writer.write(b"\r\n")
    async with asyncio.timeout(5):
        assert b" 400 " in await reader.readline()  # an empty body is no catalog request
    writer.transport.abort()


@pytest.mark.parametrize("begun", [b"0\r\nT: ", b"1;"], ids=["a trailer", "what is said of a chunk"])
async def test_a_line_behind_a_body_that_never_ends_is_not_taken(site, begun):
    """The parser copies all of it for each piece that comes: it ends long before any time does."""
    reader, writer = await opened(site)
    writer.write(b"POST /health HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + begun)
    ending = asyncio.ensure_future(ended(reader))
    sent = 0
    while not ending.done() and sent < 32 << 20:
        with contextlib.suppress(ConnectionError):
            writer.write(b"a" * 65536)
            await writer.drain()
        sent += 65536
        await asyncio.wait([ending], timeout=0.001)
    assert sent < 32 << 20
    assert await ending
    writer.transport.abort()


async def test_a_head_that_begins_while_an_answer_is_read_has_an_end_too(monkeypatch):
    monkeypatch.setattr(connection, "UNREAD_S", 0.7)
    monkeypatch.setattr(connection, "HEAD_S", 0.1)
    async with serving(LARGE) as (port, connections):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.transport.pause_reading()
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await wait_for(lambda: any(each._unread for each in connections))
        (mine,) = connections
        writer.write(b"G")
        await wait_for(lambda: mine._in_head)
        deadline = mine._deadline
        await wait_for(lambda: mine._deadline is not deadline)
        writer.transport.resume_reading()
        assert await ended(reader, 5)
        writer.transport.abort()


async def test_a_pipeline_of_very_many_requests_is_not_taken(site):
    reader, writer = await opened(site)
    writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n" * 2000)
    assert await ended(reader)
    writer.transport.abort()


async def test_a_few_requests_in_a_pipeline_are_answered_in_order(site):
    reader, writer = await opened(site)
    writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n" * 10)
    async with asyncio.timeout(5):
        for _ in range(10):
            assert b" 200 " in await reader.readline()
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]))
    writer.transport.abort()


async def test_the_rest_of_a_body_that_was_answered_has_an_end(site, monkeypatch):
    """A sender that goes on after its answer, one byte now and then, does not keep its connection."""
    monkeypatch.setattr(connection, "HEAD_S", 0.2)
    reader, writer = await opened(site)
    writer.write(
        b"POST /dsp/2025-1/negotiations/request HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n"
    )
    async with asyncio.timeout(5):
        assert b" 401 " in await reader.readline()
    ending = asyncio.ensure_future(ended(reader))
    while not ending.done():
        with contextlib.suppress(ConnectionError):
            writer.write(b" ")
            await writer.drain()
        await asyncio.wait([ending], timeout=0.01)
    assert await ending
    writer.transport.abort()


@contextlib.asynccontextmanager
async def serving(size_bytes):
    """A listener whose every answer has this size, and the connections that are open at it."""

    async def answer(scope, receive, send):
        headers = [(b"content-length", str(size_bytes).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": bytes(size_bytes)})

    server = runtime._server(answer, None)
    config, state = server.config, server.server_state
    make = functools.partial(config.http_protocol_class, config, state, {})
    listener = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
    yield listener.sockets[0].getsockname()[1], state.connections
    listener.close()
    for each in list(state.connections):
        each.transport.abort()


LARGE = 32 << 20


@pytest.mark.parametrize("more", [b"", b"Connection: close\r\n"])
async def test_an_answer_that_nobody_reads_is_not_kept_for_ever(monkeypatch, more):
    monkeypatch.setattr(connection, "UNREAD_S", 0.2)
    async with serving(LARGE) as (port, connections):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.transport.pause_reading()
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n" + more + b"\r\n")
        await wait_for(
            lambda: connections and all(each.transport.get_write_buffer_size() for each in connections)
        )
        await wait_for(lambda: not connections)
        writer.transport.abort()


async def test_an_answer_that_is_read_slowly_is_read_whole(monkeypatch):
    """A reader that takes something in time gets all of it, though keep-alive and heads have ended meanwhile."""
    monkeypatch.setattr(connection, "UNREAD_S", 0.6)
    monkeypatch.setattr(connection, "HEAD_S", 0.05)
    async with serving(LARGE) as (port, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        got = 0
        while got < LARGE:
            piece = await reader.read(1 << 20)
            assert piece
            got += len(piece)
            await asyncio.sleep(0.01)
        writer.transport.abort()


async def test_a_thousand_ranges_of_a_file_are_refused_at_once(site, peer):
    await site.publish(files={"a.txt": b"hello"})
    _, agreement_id = await finalized(peer, site)
    _, endpoint, token = await started_transfer(peer, site, agreement_id)
    for count, status in ((1, 206), (2, 416), (1000, 416)):
        ranges = "bytes=" + ",".join(f"{at % 5}-{at % 5}" for at in range(count))
        answer = await peer.fetch(f"{endpoint}/files/a.txt", token, Range=ranges)
        assert answer.status == status
        assert len(answer.body) <= 200


@pytest.mark.parametrize("store_kind", stores.KINDS, indirect=True)
async def test_a_partner_has_so_many_open_processes_and_no_more(started, peer, peers):
    site = await started("site")
    other = await peers()
    for each in (peer, other):
        await site.befriend(each)
    await site.publish()
    offer = offer_of(await peer.dataset(site))
    site.connector.limits.open_processes = 3
    begun = [Process(peer, site) for _ in range(3)]
    for each in begun:
        assert (await each.ask(offer)).status == 201
    refused = Process(peer, site)
    answer = await refused.ask(offer)
    assert (answer.status, answer.document["code"]) == (429, "crowded")
    assert int(answer.headers["Retry-After"]) == 10
    assert "limits.open_processes" in answer.reason
    document = begun[0].message("ContractRequestMessage", offer=offer, callbackAddress=peer.dsp)
    del document["providerPid"]
    assert (await peer.send(site, "/negotiations/request", document)).status == 201  # a repeat takes no place
    assert (await Process(other, site).ask(offer)).status == 201
    assert len(await site.rows("SELECT 1 FROM negotiation")) == 4
    assert not [each for each in await site.entries() if each.get("outcome") == "refused"]
    await site.reaches(begun[0].theirs, "AGREED")
    assert (await begun[0].terminate()).status == 200
    site.connector.limits._places.clear()  # ten seconds later
    assert (await refused.ask(offer)).status == 201


async def test_a_partner_has_so_many_open_transfers_and_no_more(site, peer):
    await site.publish()
    _, agreement_id = await finalized(peer, site)
    site.connector.limits.open_processes = 2
    statuses = [(await transfer(peer, site).request_data(agreement_id)).status for _ in range(4)]
    assert statuses == [201, 201, 429, 429]


async def test_a_partner_whose_messages_are_refused_too_often_is_looked_at_later(site, peer, peers):
    """The protocol goes on for others; for this partner nothing is changed, and it is told when to come again."""
    other = await peers()
    await site.befriend(other)
    await site.publish()
    site.connector.limits.refused_per_hour = 5
    offer = offer_of(await peer.dataset(site))
    good = Process(peer, site)
    assert (await good.ask(offer)).status == 201
    await site.reaches(good.theirs, "AGREED")
    for _ in range(5):
        assert (await Process(peer, site).ask({**offer, "@id": "urn:unknown"})).status == 400
    before = len(await site.entries())
    answer = await good.verify()
    assert (answer.status, answer.document["@type"]) == (429, "ContractNegotiationError")
    assert 1 <= int(answer.headers["Retry-After"]) <= 720
    assert len(await site.entries()) == before
    assert await site.state(good.theirs) == "AGREED"
    assert (await Process(other, site).ask(offer)).status == 201
    site.connector.limits._refusals.clear()  # an hour later
    assert (await good.verify()).status == 200
    await site.reaches(good.theirs, "FINALIZED")


def test_a_connector_sends_again_what_was_answered_429():
    """What this limit answers is what our own sender waits for: see tests/adapters/net/test_dsp.py."""
    assert 429 in dsp._AGAIN


def test_the_limits_are_settings(tmp_path):
    conf = data_folder.initialize(tmp_path / "a", address="https://a.example")
    assert (conf.limits_open_processes, conf.limits_refused_per_hour) == (100_000, 1000)
    made = runtime._connections(
        dataclasses.replace(conf, limits_connections=7, limits_connections_per_address=3)
    )
    assert (made.places._most, made.places._per_address) == (7, 3)
