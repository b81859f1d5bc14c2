"""Answers in gzip: read as they are meant, whatever pieces they come in, and never unpacked past their limit."""

from __future__ import annotations

import asyncio
import gzip
import os
import random
import tracemalloc
import zlib

import pytest

from comity import errors
from comity.net import answer as answer_of
from comity.net import dsp, http

MIB = 1024 * 1024
HEAD = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n"


async def pieces(*parts):
    for part in parts:
        yield part


def whole(packed, encoding="gzip"):
    return b"HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n%s" % (
        encoding.encode(), len(packed), packed,
    )  # fmt: skip


SIZES = [
    0,
    1,
    1000,
    answer_of.STEP_BYTES - 1,
    answer_of.STEP_BYTES,
    answer_of.STEP_BYTES + 1,
    4 * answer_of.STEP_BYTES,
    5 * MIB + 7,
]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ["zeros", "chance"])
async def test_an_answer_is_what_was_packed(serve, client, size, kind):
    plain = bytes(size) if kind == "zeros" else os.urandom(size)
    server = await serve(lambda *_: whole(gzip.compress(plain)))
    assert (await client.request("GET", server.url)).body == plain


async def test_pieces_of_any_size_give_the_same(serve, client):
    plain = os.urandom(300_000) + bytes(3 * MIB) + b"end"
    packed = gzip.compress(plain)
    chance = random.Random(8)
    cuts = sorted(chance.randrange(len(packed)) for _ in range(40))
    parts = [packed[a:b] for a, b in zip([0, *cuts], [*cuts, None], strict=True)]
    server = await serve(lambda *_: pieces(HEAD + b"Content-Length: %d\r\n\r\n" % len(packed), *parts))
    assert (await client.request("GET", server.url)).body == plain


async def test_the_limit_is_on_what_comes_out(serve, client):
    server = await serve(lambda *_: whole(gzip.compress(bytes(5000))))
    assert len((await client.request("GET", server.url, max_bytes=5000)).body) == 5000
    with pytest.raises(errors.PermanentDeliveryError, match="more than 4999 bytes"):
        await client.request("GET", server.url, max_bytes=4999)


def bomb():
    """10 MB that would be 10 GB: one MiB of zeros, packed in a way that can be repeated."""
    packing = zlib.compressobj(9, zlib.DEFLATED, 31)
    first = packing.compress(bytes(MIB)) + packing.flush(zlib.Z_FULL_FLUSH)
    again = packing.compress(bytes(MIB)) + packing.flush(zlib.Z_FULL_FLUSH)
    return [first, *[again] * 10_239]


async def test_a_bomb_of_10_gb_is_left_after_16_mib_and_memory_stays_flat(serve, client):
    parts = bomb()
    assert sum(map(len, parts)) < 11 * MIB
    assert len(zlib.decompressobj(31).decompress(b"".join(parts[:64]))) == 64 * MIB
    server = await serve(lambda *_: pieces(HEAD + b"Connection: close\r\n\r\n", *parts))
    tracemalloc.start()
    try:
        with pytest.raises(errors.PermanentDeliveryError, match=f"more than {http.MAX_BYTES} bytes"):
            await client.request("GET", server.url)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < http.MAX_BYTES + 8 * MIB
    assert server.sent < sum(map(len, parts))


async def test_others_go_on_while_much_is_unpacked(serve, client):
    server = await serve(lambda *_: whole(gzip.compress(bytes(12 * MIB))))
    turns = 0
    asking = asyncio.create_task(client.request("GET", server.url))
    while not asking.done():
        await asyncio.sleep(0)
        turns += 1
    assert len(asking.result().body) == 12 * MIB
    assert turns > 40


BROKEN = {
    "cut": gzip.compress(b"abc" * 1000)[:-9],
    "cut at once": gzip.compress(b"abc")[:5],
    "wrong sum": gzip.compress(b"abc" * 1000)[:-8] + bytes(8),
    "more after it": gzip.compress(b"abc") + b"x",
    "two members": gzip.compress(b"abc") * 2,
    "no gzip": b"plain text",
    "zlib": zlib.compress(b"abc"),
}


@pytest.mark.parametrize("packed", BROKEN.values(), ids=BROKEN)
async def test_what_is_no_whole_gzip_is_refused(serve, client, packed):
    server = await serve(lambda *_: whole(packed))
    with pytest.raises(errors.PermanentDeliveryError, match="cannot be undone"):
        await client.request("GET", server.url)


async def test_the_words_of_an_error_are_read_also_when_they_are_packed(serve, client):
    packed = gzip.compress(b'{"reason": ["no such offer"]}')
    head = b"HTTP/1.1 400 Bad\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    server = await serve(lambda *_: head + packed)
    with pytest.raises(errors.PermanentDeliveryError, match="no such offer"):
        await dsp.DspClient(client).post_page(server.url, b"{}", dsp.Bearer())


async def test_gzip_is_asked_for_catalogs_and_datasets_and_for_nothing_else(serve, client):
    server = await serve(lambda *_: whole(gzip.compress(b"{}")))
    talk = dsp.DspClient(client)
    assert await talk.post_page(server.url, b"{}", dsp.Bearer()) == (b"{}", None)
    assert await talk.get(server.url, dsp.Bearer()) == b"{}"
    assert await talk.post(server.url, b"{}", dsp.Bearer()) == b"{}"
    asked = [headers["Accept-Encoding"] for _, headers, _ in server.requests]
    assert asked == ["gzip", "gzip", "identity"]
