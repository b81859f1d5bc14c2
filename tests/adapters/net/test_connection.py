"""Connections that are kept: used again when that is safe, and never when something was left in them."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading

import pytest
from yarl import URL

from comity import errors
from comity.net import connection, http, pool, resolver
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


ENDLESS = {"one long": b"a" * 8192, "many short": b"X: y\r\n" * 1000}


@pytest.mark.parametrize("piece", ENDLESS.values(), ids=ENDLESS)
async def test_trailers_have_an_end(serve, client, piece):
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    server = await serve(lambda *_: for_ever(head + b"2\r\nab\r\n0\r\nT: ", piece))
    with pytest.raises(errors.TransientDeliveryError, match="trailers"):
        await client.request("GET", server.url, timeout_s=2)
    await asyncio.wait_for(server.cut.wait(), 5)
    assert kept(client) == []


async def test_a_large_body_in_small_chunks_is_no_trailer(serve, client):
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = [part for _ in range(200) for part in (b"3e8;" + b"x" * 500 + b"\r\n", b"a" * 1000 + b"\r\n")]
    server = await serve(lambda *_: pieces(head, *chunks, b"0\r\n\r\n"))
    assert len((await client.request("GET", server.url)).body) == 200_000


async def test_answers_before_the_answer_have_an_end(serve, client, monkeypatch):
    """Each comes by itself, and is small."""
    came = asyncio.Event()

    class Noticed(connection.Connection):
        def data_received(self, data):
            super().data_received(data)
            came.set()

    async def one_by_one():
        while True:
            yield b"HTTP/1.1 103 Early Hints\r\nLink: </" + b"a" * 4096 + b">\r\n\r\n"
            await came.wait()
            came.clear()

    monkeypatch.setattr(pool, "Connection", Noticed)
    server = await serve(lambda *_: one_by_one())
    with pytest.raises(errors.TransientDeliveryError, match="the head of the answer has more"):
        await client.request("GET", server.url, timeout_s=2)


def head_of(size, *, interim):
    """A head of exactly so many bytes, or one and those that go before it."""
    end = OK.replace(b"\r\n\r\n", b"\r\nX: ")
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </" + b"a" * 500 + b">\r\n\r\n"
    before = early * ((size - 1000) // len(early)) if interim else b"Y: y\r\n" * 1000
    whole = before + end if interim else end.replace(b"X: ", before + b"X: ")
    return whole + b"x" * (size - len(whole) - 4) + b"\r\n\r\n"


@pytest.mark.parametrize("step", [1000, 1 << 20], ids=["in pieces", "at once"])
@pytest.mark.parametrize("interim", [False, True], ids=["one head", "with those before it"])
async def test_a_head_may_be_so_long_and_no_longer(serve, client, monkeypatch, step, interim):
    class InSteps(connection.Connection):
        def data_received(self, data):
            for at in range(0, len(data), step):
                super().data_received(data[at : at + step])

    monkeypatch.setattr(pool, "Connection", InSteps)
    longest, longer = (head_of(connection.HEAD_BYTES + more, interim=interim) for more in (0, 1))
    server = await serve(lambda *_: pieces(longest + b"ab"))
    assert (await client.request("GET", server.url)).body == b"ab"
    server = await serve(lambda *_: pieces(longer + b"ab"))
    with pytest.raises(errors.TransientDeliveryError, match="the head of the answer has more"):
        await client.request("GET", server.url)


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


class Waiting(Names):
    """Answers when it is told to."""

    def __init__(self, table) -> None:
        super().__init__(table)
        self.ready = asyncio.Event()

    async def resolve(self, host, port=0, family=socket.AF_INET):
        found = await super().resolve(host, port, family)
        await self.ready.wait()
        return found


class Clock:
    now_s = 1000.0

    def __call__(self):
        return self.now_s


async def test_one_name_is_asked_for_once_at_a_time_whoever_gives_up(serve, answer):
    server = await serve(lambda *_: answer(b"x", Connection="close"))
    names = Waiting({"slow.example": ["127.0.0.1"]})
    client = http.HttpClient(http.Guard(insecure=True), resolver=names)
    url = f"http://slow.example:{server.port}"
    asking = [asyncio.create_task(client.request("GET", url)) for _ in range(10)]
    await wait_for(lambda: names.asked)
    asking[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking[0]
    with pytest.raises(errors.TransientDeliveryError, match="in time"):
        await client.request("GET", url, timeout_s=0.05)
    names.ready.set()
    assert {(await each).status for each in asking[1:]} == {200}
    assert (await client.request("GET", url)).status == 200
    assert names.asked == ["slow.example"]
    await client.close()


async def test_an_answer_of_the_names_is_kept_for_a_moment_and_errors_are_not(monkeypatch):
    monkeypatch.setattr(resolver, "ANSWERS", 2)
    clock, names = Clock(), Names({name: ["192.0.2.1"] for name in ("a", "b", "c")})
    answers = resolver.Answers(names, clock)
    for _ in range(2):
        assert await answers.find("a") == ("192.0.2.1",)
        with pytest.raises(OSError, match="no such name"):
            await answers.find("none")
    assert names.asked == ["a", "none", "none"]
    clock.now_s += resolver.ANSWER_S
    for name in ("a", "b", "c", "b", "a"):
        await answers.find(name)
    assert names.asked[3:] == ["a", "b", "c", "a"]  # the oldest of more than two is forgotten


@pytest.fixture
def tarpit(monkeypatch):
    """Nobody answers for the names of tarpit.example, as long as the test runs; all others lead here."""
    real, over, asked = socket.getaddrinfo, threading.Event(), []

    def look_up(host, *values, **more):
        if host.endswith(".tarpit.example"):
            asked.append(host)
            over.wait(60)
            raise socket.gaierror("no answer")
        return real("127.0.0.1", *values, **more)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    yield asked
    over.set()


async def test_names_that_nobody_answers_for_hold_up_no_others(serve, answer, client, tarpit, monkeypatch):
    monkeypatch.setattr(resolver, "PLACE_S", 0.5)
    server = await serve(lambda *_: answer(b"x"))
    slow = [f"http://n{at}.tarpit.example:{server.port}" for at in range(200)]
    asking = [asyncio.create_task(client.request("GET", each)) for each in slow]
    await wait_for(lambda: tarpit)
    got = await client.request("GET", f"http://honest.example:{server.port}", timeout_s=5)
    assert got.body == b"x"
    async with client.stream("GET", f"http://other.example:{server.port}", timeout_s=5) as streamed:
        assert streamed.status == 200
    assert len(tarpit) == resolver.OF_A_DOMAIN
    done, _ = await asyncio.wait(asking, timeout=5, return_when=asyncio.FIRST_EXCEPTION)
    with pytest.raises(
        errors.TransientDeliveryError, match="in time"
    ):  # and nobody waits for a place for ever
        await done.pop()
    for each in asking:
        each.cancel()
    await asyncio.gather(*asking, return_exceptions=True)


@pytest.mark.usefixtures("tarpit")
async def test_a_name_that_was_answered_makes_room_for_the_next(client, serve, answer):
    server = await serve(lambda *_: answer(b"x"))
    names = [f"http://n{at}.other.example:{server.port}" for at in range(3 * resolver.OF_A_DOMAIN)]
    answers = await asyncio.gather(*(client.request("GET", each) for each in names))
    assert {each.body for each in answers} == {b"x"}


async def test_a_name_that_was_answered_before_waits_for_no_nameserver(monkeypatch):
    monkeypatch.setattr(resolver, "SLOW_S", 0.05)
    clock, names = Clock(), Waiting({"a": [["192.0.2.1"], ["192.0.2.2"]], "gone": ["192.0.2.3"]})
    names.ready.set()
    answers = resolver.Answers(names, clock)
    for name in ("a", "gone"):
        await answers.find(name)
    del names.table["gone"]
    answers.forget("a")
    names.ready.clear()
    assert await asyncio.wait_for(answers.find("a"), 5) == ("192.0.2.1",)
    names.ready.set()
    await wait_for(lambda: not answers._asking)
    assert await answers.find("a") == ("192.0.2.2",)
    assert names.asked == ["a", "gone", "a"]
    clock.now_s += resolver.ANSWER_S
    with pytest.raises(OSError, match="no such name"):
        await answers.find("gone")


async def test_a_name_at_whose_address_nobody_is_is_asked_for_again(serve, answer):
    server = await serve(lambda *_: answer(b"x"))
    names = Names({"moves.example": [["127.0.0.2"], ["127.0.0.1"]]})
    client = http.HttpClient(http.Guard(insecure=True), resolver=names)
    url = f"http://moves.example:{server.port}"
    with pytest.raises(errors.TransientDeliveryError):
        await client.request("GET", url)
    assert (await client.request("GET", url)).body == b"x"
    await client.close()


async def test_a_kept_address_is_checked_where_it_is_connected_to(serve, answer):
    server = await serve(lambda *_: answer(b"x", Connection="close"))
    guard = http.Guard(insecure=True)
    client = http.HttpClient(guard, resolver=Names({"turns.example": ["127.0.0.1"]}))
    url = f"http://turns.example:{server.port}"
    assert (await client.request("GET", url)).body == b"x"
    guard._reason = lambda text: "private"
    with pytest.raises(errors.PermanentDeliveryError) as caught:
        await client.request("GET", url)
    assert caught.value.code == "refused-address"
    assert server.connections == 1
    await client.close()


async def test_a_connection_that_is_always_used_again_is_dropped_in_the_end(serve, answer):
    server = await serve(lambda *_: answer(b"x"))
    guard, clock, target = http.Guard(insecure=True), Clock(), URL(server.url)
    made = pool.Connections(guard, ssl.create_default_context(), Names({}), checked=True, clock=clock)
    counts = []
    for _ in range(int(pool.AGE_S / 3) + 1):
        taken = await made.take(target, 5)
        loop = asyncio.get_running_loop()
        await taken.ask("GET", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", until_s=loop.time() + 5)
        assert await taken.readany() == b"x"
        made.give_back(target, taken)
        counts.append(server.connections)
        clock.now_s += 3
    made.close()
    assert counts == [1] * (len(counts) - 1) + [2]


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


async def for_ever(first, piece):
    yield first
    while True:
        yield piece


async def drips():
    yield b"HTTP/1.1 200 OK\r\n"
    while True:
        await asyncio.sleep(0.01)
        yield b"X: y\r\n"
