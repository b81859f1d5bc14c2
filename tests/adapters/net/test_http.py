"""The guarded client against honest, broken and hostile servers on loopback."""

from __future__ import annotations

import asyncio
import gzip
import socket
import time
import tracemalloc

import pytest

from comity import errors
from comity.net import http
from support.addresses import Names
from support.pair import wait_for

MIB = 1024 * 1024


async def test_request_and_answer_arrive_whole(serve, client, answer):
    server = await serve(lambda *_: answer(b"hello", "201 Created", X_Thing="1"))
    got = await client.request(
        "POST", server.url + "/a?b=c", headers={"Authorization": "Bearer t"}, body=b"body"
    )
    assert (got.status, got.body, got.headers["x-THING"]) == (201, b"hello", "1")
    line, headers, body = server.requests[0]
    assert (line, body) == ("POST /a?b=c HTTP/1.1", b"body")
    assert (headers["Authorization"], headers["Accept-Encoding"]) == ("Bearer t", "identity")


async def test_connection_is_used_again(serve, client, answer):
    server = await serve(lambda *_: answer(b"x"))
    for _ in range(5):
        await client.request("GET", server.url)
    assert server.connections == 1


async def test_path_is_sent_as_it_is_written(serve, client, answer):
    server = await serve(lambda *_: answer())
    await client.request("GET", server.url + "/negotiations/urn:uuid:1/a%2Fb/%C3%A9?x=%2F")
    assert server.requests[0][0] == "GET /negotiations/urn:uuid:1/a%2Fb/%C3%A9?x=%2F HTTP/1.1"


async def test_international_name_is_asked_for_as_it_is_written(serve, answer):
    server = await serve(lambda *_: answer())
    names = Names({"xn--bcher-kva.example": ["127.0.0.1"]})
    client = http.HttpClient(http.Guard(insecure=True), resolver=names)
    await client.request("GET", f"http://xn--bcher-kva.example:{server.port}")
    await client.close()
    assert names.asked == ["xn--bcher-kva.example"]
    assert server.requests[0][1]["Host"] == f"xn--bcher-kva.example:{server.port}"


async def test_no_proxy_and_no_netrc_from_the_environment(serve, client, answer, monkeypatch, tmp_path):
    proxy = await serve(lambda *_: answer())
    server = await serve(lambda *_: answer())
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login a password b\n")
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    await client.request("GET", server.url)
    assert (proxy.connections, server.connections) == (0, 1)
    assert "Authorization" not in server.requests[0][1]


async def test_cookies_are_not_kept(serve, client, answer):
    server = await serve(lambda *_: answer(Set_Cookie="a=b; Path=/"))
    await client.request("GET", server.url)
    await client.request("GET", server.url)
    assert "Cookie" not in server.requests[1][1]


@pytest.mark.parametrize(
    "headers",
    [
        {"X": "a\r\nY: b"},
        {"X": "a\nb"},
        {"X": "a\0"},
        {"X\r\n": "a"},
        {"X: y": "a"},
        {"": "a"},
        {"X": "\ud800"},
    ],
)
async def test_header_that_would_begin_another_is_not_sent(serve, client, answer, headers):
    server = await serve(lambda *_: answer())
    with pytest.raises(errors.PermanentDeliveryError, match="cannot be sent"):
        await client.request("GET", server.url, headers=headers)
    with pytest.raises(errors.PermanentDeliveryError, match="cannot be sent"):
        async with client.stream("GET", server.url, headers=headers):
            pass
    assert server.connections == 0


# --- where it connects


async def refused(client, url, **options):
    with pytest.raises(errors.PermanentDeliveryError) as caught:
        await client.request("GET", url, **options)
    assert caught.value.code == "refused-address"
    with pytest.raises(errors.PermanentDeliveryError) as caught:
        async with client.stream("GET", url):
            pass
    assert caught.value.code == "refused-address"


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:{}/", "https://127.0.0.1:{}/", "https://localhost:{}/", "https://[::1]:{}/"]
)
async def test_loopback_is_not_touched_without_the_development_flag(serve, answer, url):
    server = await serve(lambda *_: answer())
    strict = http.HttpClient(http.Guard())
    await refused(strict, url.format(server.port))
    await strict.close()
    assert server.connections == 0


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"], ["::1"], ["10.0.0.1"], ["169.254.169.254"], ["::ffff:127.0.0.1"],
        ["64:ff9b::7f00:1"], ["fec0::1"],
        ["0.0.0.0"], ["10.0.0.1", "10.0.0.2"], ["10.0.0.1", "fd00::1"],
        ["8.8.8.8", "127.0.0.1"], ["127.0.0.1", "8.8.8.8"],
        ["2002:7f00:1::", "::1"], ["100.64.0.1"], ["224.0.0.1"],
    ],
    ids=str,
)  # fmt: skip
async def test_name_that_resolves_to_a_special_address_is_refused(serve, answer, addresses):
    server = await serve(lambda *_: answer())
    strict = http.HttpClient(http.Guard(), resolver=Names({"evil.example": addresses}))
    await refused(strict, f"https://evil.example:{server.port}/")
    await strict.close()
    assert server.connections == 0


async def test_socket_is_checked_even_if_the_resolver_is_not(serve, answer, monkeypatch):
    async def unchecked(self, host, port=0, family=socket.AF_INET):
        return await self._resolver.resolve(host, port, family)

    monkeypatch.setattr(http.CheckedResolver, "resolve", unchecked)
    server = await serve(lambda *_: answer())
    strict = http.HttpClient(http.Guard(), resolver=Names({"evil.example": ["127.0.0.1"]}))
    await refused(strict, f"https://evil.example:{server.port}/")
    await strict.close()
    assert server.connections == 0


async def test_name_that_changes_its_address_is_refused_when_it_turns_inward(serve, answer):
    server = await serve(lambda *_: answer(Connection="close"))
    names = Names({"rebind.example": [["127.0.0.1"], ["10.0.0.1"], ["169.254.169.254"]]})
    client = http.HttpClient(http.Guard(insecure=True), resolver=names)
    url = f"http://rebind.example:{server.port}/"
    assert (await client.request("GET", url)).status == 200
    await client.close()  # forgets connections and names
    await refused(client, url)
    await client.close()
    assert server.connections == 1


async def test_listed_host_may_be_at_a_private_address_and_others_there_may_not(serve, answer):
    server = await serve(lambda *_: answer(b"in"))
    names = Names({"inside.example": ["127.0.0.1"], "evil.example": ["127.0.0.1"]})
    guard = http.Guard(["inside.example"], insecure=True)
    guard._reason = lambda text: "private"  # loopback stands for a private network here
    client = http.HttpClient(guard, resolver=names)
    assert (await client.request("GET", f"http://inside.example:{server.port}/")).body == b"in"
    await refused(client, f"http://evil.example:{server.port}/")
    await client.close()
    assert server.connections == 1


# --- redirects


async def test_redirects_are_not_followed(serve, client, answer):
    server = await serve(lambda *_: answer(status="302 Found", Location="/b"))
    assert (await client.request("GET", server.url)).status == 302
    async with client.stream("GET", server.url) as stream:
        assert stream.status == 302
    assert len(server.requests) == 2


# --- answers that are too slow, too long, too short, or no answers


async def drained(client, url, take=None, **options) -> None:
    async with client.stream("GET", url, **options) as stream:
        async for chunk in stream.chunks():
            if take is not None:
                await take(chunk)


async def _pieces(*parts, pause_s=0.0, forever=False):
    for part in parts:
        yield part
    while forever:
        await asyncio.sleep(pause_s)
        yield parts[-1]


async def _silent():
    await asyncio.Event().wait()
    yield b""


OK_HEAD = b"HTTP/1.1 200 OK\r\n"
SLOW = {
    "silent": _silent,
    "drips-head": lambda: _pieces(OK_HEAD, b"X: y\r\n", pause_s=0.05, forever=True),
    "drips-body": lambda: _pieces(
        OK_HEAD + b"Content-Length: 1000\r\n\r\n", b"x", pause_s=0.05, forever=True
    ),
    "drips-chunks": lambda: _pieces(
        OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n", pause_s=0.05, forever=True
    ),
    "continues-forever": lambda: _pieces(b"HTTP/1.1 100 Continue\r\n\r\n", pause_s=0.01, forever=True),
}


@pytest.mark.parametrize("script", SLOW.values(), ids=SLOW.keys())
async def test_answer_that_does_not_end_in_time_is_given_up(serve, client, script):
    server = await serve(lambda *_: script())
    began = time.monotonic()
    with pytest.raises(errors.TransientDeliveryError) as caught:
        await client.request("POST", server.url, body=b"x", timeout_s=0.3)
    assert time.monotonic() - began < 2
    assert caught.value.outcome_unknown


BLOCK = b"x" * 65536
ENDLESS = {
    "chunked": (OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + BLOCK + b"\r\n"),
    "until-close": (OK_HEAD + b"Connection: close\r\n\r\n", BLOCK),
    "5-GB": (OK_HEAD + b"Content-Length: 5000000000\r\n\r\n", BLOCK),
    "exabytes": (OK_HEAD + b"Content-Length: 9223372036854775807\r\n\r\n", BLOCK),
}


@pytest.mark.parametrize("parts", ENDLESS.values(), ids=ENDLESS.keys())
async def test_answer_that_is_too_long_is_cut_off(serve, client, parts):
    server = await serve(lambda *_: _pieces(*parts, forever=True))
    tracemalloc.start()
    with pytest.raises(errors.PermanentDeliveryError, match="more than 1048576 bytes") as caught:
        await client.request("GET", server.url, max_bytes=MIB)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert caught.value.status == 200
    assert peak < 8 * MIB
    await asyncio.wait_for(server.cut.wait(), 5)


@pytest.mark.parametrize("parts", ENDLESS.values(), ids=ENDLESS.keys())
async def test_error_with_an_endless_body_is_still_an_error_with_its_status(serve, client, parts):
    server = await serve(lambda *_: _pieces(parts[0].replace(b"200 OK", b"503 Busy"), parts[1], forever=True))
    got = await client.request("GET", server.url)
    assert (got.status, len(got.body)) == (503, 65536)
    await asyncio.wait_for(server.cut.wait(), 5)


async def test_limit_is_exact(serve, client, answer):
    server = await serve(lambda *_: answer(b"x" * 1000))
    assert len((await client.request("GET", server.url, max_bytes=1000)).body) == 1000
    with pytest.raises(errors.PermanentDeliveryError):
        await client.request("GET", server.url, max_bytes=999)
    chunked = await serve(lambda *_: OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
    assert (await client.request("GET", chunked.url, max_bytes=3)).body == b"abc"
    with pytest.raises(errors.PermanentDeliveryError):
        await client.request("GET", chunked.url, max_bytes=2)


BROKEN = {
    "nothing": b"",
    "cut-in-status": b"HTTP/1.",
    "cut-in-head": OK_HEAD + b"Content-Le",
    "cut-in-body": OK_HEAD + b"Content-Length: 100\r\n\r\nabc",
    "cut-in-chunk": OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\n64\r\nabc",
    "cut-between-chunks": OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    "noise": bytes(range(256)) * 4,
    "html-without-head": b"<html>hello</html>\r\n\r\n",
    "tls-alert": b"\x15\x03\x01\x00\x02\x02\x28",
    "ssh": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "http-9": b"HTTP/9.9 200 OK\r\n\r\n",
    "status-word": b"HTTP/1.1 abc OK\r\n\r\n",
    "status-6-digits": b"HTTP/1.1 200000 OK\r\n\r\n",
    "length-negative": OK_HEAD + b"Content-Length: -1\r\n\r\n",
    "length-word": OK_HEAD + b"Content-Length: many\r\n\r\n",
    "length-twice": OK_HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "length-unicode": OK_HEAD + "Content-Length: ١\r\n\r\na".encode(),
    "length-and-chunked": OK_HEAD + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc",
    "chunk-size-word": OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\nabc\r\n",
    "chunk-size-huge": OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffffff\r\nabc",
    "header-without-name": OK_HEAD + b": x\r\n\r\n",
    "header-nul": OK_HEAD + b"X: a\0b\r\n\r\n",
    "header-64-KiB": OK_HEAD + b"X: " + b"x" * 65536 + b"\r\n\r\n",
    "status-64-KiB": b"HTTP/1.1 200 " + b"O" * 65536 + b"\r\n\r\n",
    "10000-headers": OK_HEAD
    + b"".join(b"X%d: x\r\n" % n for n in range(10_000))
    + b"Content-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN.keys())
async def test_broken_answer_is_a_transient_error_whose_outcome_is_unknown(serve, client, data):
    server = await serve(lambda *_: _pieces(data))
    with pytest.raises(errors.TransientDeliveryError) as caught:
        await client.request("POST", server.url, body=b"x")
    assert caught.value.outcome_unknown
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 600
    with pytest.raises(errors.TransientDeliveryError):
        await drained(client, server.url)


async def test_refused_connection_says_that_nothing_arrived(client):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(errors.TransientDeliveryError) as caught:
            await client.request("POST", f"http://127.0.0.1:{free.getsockname()[1]}/", body=b"x")
    assert not caught.value.outcome_unknown


async def test_unknown_name_says_that_nothing_arrived():
    client = http.HttpClient(http.Guard(insecure=True), resolver=Names({}))
    with pytest.raises(errors.TransientDeliveryError) as caught:
        await client.request("POST", "http://nowhere.example/a?token=secret", body=b"x")
    await client.close()
    assert not caught.value.outcome_unknown
    assert "secret" not in caught.value.message


# --- encodings


async def test_gzip_that_was_not_asked_for_is_undone(serve, client, answer):
    server = await serve(lambda *_: answer(gzip.compress(b"plain"), Content_Encoding="gzip"))
    assert (await client.request("GET", server.url)).body == b"plain"


async def test_encoded_body_of_an_error_does_not_hide_its_status(serve, client, answer):
    server = await serve(lambda *_: answer(b"\x1f\x8b", "503 Busy", Content_Encoding="gzip"))
    assert (await client.request("GET", server.url)).status == 503


PACKED = gzip.compress(b"a")
ENCODED = {
    "bomb": (gzip.compress(bytes(32 * MIB)), "gzip"),
    "many-members": (PACKED * 10_000, "gzip"),
    "cut": (gzip.compress(b"abc" * 100)[:-9], "gzip"),
    "no-gzip": (b"plain", "gzip"),
    "brotli": (b"plain", "br"),
    "twice": (PACKED, "gzip, gzip"),
    "deflate": (b"x", "deflate"),
}


@pytest.mark.parametrize(("body", "name"), ENCODED.values(), ids=ENCODED.keys())
async def test_encoded_answer_that_cannot_be_trusted_is_refused(serve, client, answer, body, name):
    server = await serve(lambda *_: answer(body, Content_Encoding=name))
    with pytest.raises(errors.PermanentDeliveryError):
        await client.request("GET", server.url)
    with pytest.raises(errors.PermanentDeliveryError, match="Content-Encoding"):
        async with client.stream("GET", server.url):
            pass


# --- streams


async def test_stream_gives_every_byte_in_chunks_of_at_most_one_mib(serve, client):
    parts = [bytes([n]) * 700_001 for n in range(30)]
    total = sum(map(len, parts))
    server = await serve(lambda *_: _pieces(OK_HEAD + b"Content-Length: %d\r\n\r\n" % total, *parts))
    async with client.stream("GET", server.url + "/data", headers={"Range": "bytes=0-"}) as stream:
        assert (stream.status, stream.headers["content-length"]) == (200, str(total))
        got = [chunk async for chunk in stream.chunks()]
    assert b"".join(got) == b"".join(parts)
    assert max(map(len, got)) <= MIB
    assert server.requests[0][1]["Range"] == "bytes=0-"


@pytest.mark.parametrize("framing", [b"Content-Length: 1000000\r\n", b"Transfer-Encoding: chunked\r\n"])
async def test_stream_gives_what_came_before_the_connection_broke(serve, client, framing):
    came = bytes(range(250)) * 1200
    sent = came if framing.startswith(b"Content") else b"%x\r\n%s\r\n" % (len(came), came)
    reset = asyncio.Event()

    async def resets():
        yield OK_HEAD + framing + b"\r\n" + sent
        await reset.wait()
        raise ConnectionResetError  # the server's end aborts the connection

    server = await serve(lambda *_: resets())
    async with client.stream("GET", server.url) as stream:
        await wait_for(lambda: stream._content.total_bytes == len(came))
        reset.set()
        await wait_for(lambda: stream._content.exception() is not None)
        got = []
        with pytest.raises(errors.TransientDeliveryError, match="broke"):  # noqa: PT012  a loop is what fails
            async for chunk in stream.chunks():
                got.append(chunk)  # noqa: PERF401  the loop raises
    assert b"".join(got) == came


async def test_stream_has_no_limit_on_time_but_on_silence(serve, client):
    parts = [b"x" * 10] * 8
    head = OK_HEAD + b"Content-Length: 80\r\n\r\n"

    async def drips():
        yield head
        for part in parts:
            await asyncio.sleep(0.1)
            yield part

    server = await serve(lambda *_: drips())
    async with client.stream("GET", server.url, timeout_s=0.4) as stream:
        assert len(b"".join([chunk async for chunk in stream.chunks()])) == 80

    async def stops():
        yield head + b"x"
        await asyncio.Event().wait()

    server = await serve(lambda *_: stops())
    with pytest.raises(errors.TransientDeliveryError, match="in time"):
        await drained(client, server.url, timeout_s=0.2)


async def test_stream_waits_for_its_head_only_so_long(serve, client):
    server = await serve(lambda *_: SLOW["drips-head"]())
    with pytest.raises(errors.TransientDeliveryError, match="in time"):
        async with client.stream("GET", server.url, timeout_s=0.3):
            pass


async def test_leaving_a_stream_early_drops_the_connection(serve, client):
    server = await serve(lambda *_: _pieces(*ENDLESS["5-GB"], forever=True))
    async with client.stream("GET", server.url) as stream:
        async for _ in stream.chunks():
            break
    await asyncio.wait_for(server.cut.wait(), 5)
    assert server.sent < 32 * MIB


async def test_error_of_the_reader_passes_through_a_stream(serve, client):
    server = await serve(lambda *_: _pieces(*ENDLESS["chunked"], forever=True))

    async def full(_):
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        await drained(client, server.url, take=full)
    await asyncio.wait_for(server.cut.wait(), 5)


async def test_head_request_says_the_size_and_has_no_body(serve, client):
    server = await serve(lambda *_: OK_HEAD + b"Content-Length: 5000000000\r\n\r\n")
    for _ in range(2):
        async with client.stream("HEAD", server.url) as stream:
            assert [chunk async for chunk in stream.chunks()] == []
            assert stream.headers["Content-Length"] == "5000000000"
        assert (await client.request("HEAD", server.url)).body == b""
    assert server.connections == 2  # one for streams, one for requests


async def test_closed_client_can_be_used_again(serve, client, answer):
    server = await serve(lambda *_: answer(b"x"))
    await client.request("GET", server.url)
    await client.close()
    assert (await client.request("GET", server.url)).body == b"x"
    assert server.connections == 2
