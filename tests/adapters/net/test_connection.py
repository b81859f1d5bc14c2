"""Connections that are kept: used again when that is safe, and never when something was left in them."""

from __future__ import annotations

import asyncio
import socket

import pytest

from comity import errors
from comity.net import http, pool
from support.addresses import Names
from support.pair import wait_for

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"


async def test_requests_at_the_same_time_have_a_connection_each_and_later_ones_share_them(
    serve, client, answer
):
    server = await serve(lambda *_: answer(b"x"))
    await asyncio.gather(*(client.request("GET", server.url) for _ in range(10)))
    made = server.connections
    assert 1 < made <= 10
    for _ in range(20):
        await client.request("GET", server.url)
    assert server.connections == made


async def test_a_connection_that_the_server_closed_is_not_used_again(serve, client):
    server = await serve(lambda *_: pieces(OK + b"ab"))  # the server ends it after its answer, without a word
    for count in (1, 2):
        assert (await client.request("POST", server.url, body=b"x")).body == b"ab"
        await wait_for(lambda: not any(each.reusable for each in kept(client)))
        assert server.connections == count


async def test_a_connection_is_dropped_after_a_while(serve, client, answer, monkeypatch):
    monkeypatch.setattr(pool, "KEPT_S", 0.05)
    server = await serve(lambda *_: answer(b"x"))
    await client.request("GET", server.url)
    await asyncio.wait_for(server.cut.wait(), 5)
    await client.request("GET", server.url)
    assert server.connections == 2


LEFT = {
    "another answer": OK + b"ab" + OK + b"cd",
    "noise": OK + b"abnoise",
    "a wish to close": OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") + b"ab",
    "HTTP/1.0": OK.replace(b"HTTP/1.1", b"HTTP/1.0") + b"ab",
}


@pytest.mark.parametrize("data", LEFT.values(), ids=LEFT)
async def test_what_is_left_in_a_connection_is_not_the_answer_to_the_next_request(serve, client, data):
    server = await serve(lambda *_: data)
    for count in (1, 2):
        assert (await client.request("GET", server.url)).body == b"ab"
        assert server.connections == count


async def test_what_comes_later_without_a_request_ends_the_connection(serve, client):
    ready = asyncio.Event()

    async def late():
        yield OK + b"ab"
        await ready.wait()
        yield OK + b"cd"

    server = await serve(lambda *_: late())
    assert (await client.request("GET", server.url)).body == b"ab"
    (idle,) = kept(client)
    ready.set()
    await wait_for(lambda: not idle.reusable)
    assert (await client.request("GET", server.url)).body == b"ab"
    assert server.connections == 2


@pytest.mark.parametrize("status", [b"100 Continue", b"102 Processing", b"103 Early Hints"])
async def test_an_answer_before_the_answer_is_passed_over(serve, client, status):
    before = b"HTTP/1.1 " + status + b"\r\nX-Before: 1\r\n\r\n"
    server = await serve(lambda *_: before * 3 + OK + b"ab")
    got = await client.request("POST", server.url, body=b"x")
    assert (got.status, got.body, "X-Before" in got.headers) == (200, b"ab", False)


async def test_another_protocol_is_not_switched_to(serve, client):
    server = await serve(
        lambda *_: b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
    )
    with pytest.raises(errors.TransientDeliveryError) as caught:
        await client.request("GET", server.url)
    assert caught.value.outcome_unknown


async def test_trailers_are_no_headers(serve, client):
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    server = await serve(lambda *_: head + b"2\r\nab\r\n0\r\nRetry-After: 9\r\n\r\n")
    got = await client.request("GET", server.url)
    assert (got.body, "Retry-After" in got.headers) == (b"ab", False)


async def test_a_body_without_a_length_ends_with_the_connection(serve, client):
    server = await serve(lambda *_: pieces(b"HTTP/1.1 200 OK\r\n\r\n", b"ab", b"cd"))
    assert (await client.request("GET", server.url)).body == b"abcd"


async def test_an_address_that_refuses_makes_room_for_the_next(serve, answer):
    server = await serve(lambda *_: answer(b"x"))
    with socket.socket(socket.AF_INET6) as taken:
        try:
            taken.bind(("::1", server.port))  # bound and not listening: it refuses
        except OSError:
            pytest.skip("this machine has no IPv6 loopback")
        names = Names({"two.example": ["::1", "127.0.0.1"]})
        client = http.HttpClient(http.Guard(insecure=True), resolver=names)
        assert (await client.request("GET", f"http://two.example:{server.port}")).body == b"x"
        await client.close()


async def test_a_request_that_was_given_up_leaves_no_connection(serve, client):
    server = await serve(lambda *_: drips())
    asking = asyncio.create_task(client.request("POST", server.url, body=b"x"))
    await wait_for(lambda: server.requests)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert kept(client) == []
    await asyncio.wait_for(server.cut.wait(), 5)


def kept(client):
    return [
        each
        for each_pool in client._connections.values()
        for found in each_pool._kept.values()
        for each in found
    ]


async def pieces(*parts):
    for part in parts:
        yield part


async def drips():
    yield b"HTTP/1.1 200 OK\r\n"
    while True:
        await asyncio.sleep(0.01)
        yield b"X: y\r\n"
