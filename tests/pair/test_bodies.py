"""Bodies that are no message: a clear error, the right status, nothing stored, nothing held in memory."""

import asyncio
import contextlib
import time
import tracemalloc

import pytest

from comity import errors
from comity.api import connection
from comity.dsp import codec, messages
from support import schemas, wire
from support.pair import offer_of
from support.process import Process

ENDPOINTS = [
    "/negotiations/request",
    "/negotiations/offers",
    "/transfers/request",
    "/catalog/request",
    "/negotiations/urn:x/events",
]
GOOD = wire.message(
    "ContractRequestMessage", consumerPid="urn:c", callbackAddress="http://127.0.0.1:1", offer={}
)


def deep(opening: bytes, closing: bytes, depth: int) -> bytes:
    return wire.encode(GOOD)[:-1] + b', "x": ' + opening * depth + closing * depth + b"}"


BROKEN = {
    "empty": b"",
    "not JSON": b"hello",
    "half": wire.encode(GOOD)[:-20],
    "array": b"[]",
    "null": b"null",
    "NaN": wire.encode(GOOD)[:-1] + b', "x": NaN}',
    "Infinity": wire.encode(GOOD)[:-1] + b', "x": -Infinity}',
    "huge float": wire.encode(GOOD)[:-1] + b', "x": 1e999}',
    "huge int": wire.encode(GOOD)[:-1] + b', "x": ' + b"9" * 5000 + b"}",
    "duplicate key": wire.encode(GOOD)[:-1] + b', "consumerPid": "urn:other"}',
    "nested duplicate key": wire.encode(GOOD)[:-1] + b', "x": {"a": 1, "a": 2}}',
    "not UTF-8": wire.encode(GOOD)[:-1] + b', "x": "\xff"}',
    "lone surrogate": wire.encode(GOOD)[:-1] + b', "x": "\\ud800"}',
    "byte order mark": b"\xef\xbb\xbf" + wire.encode(GOOD),
    "UTF-16": wire.encode(GOOD).decode().encode("utf-16"),
    "10,000 arrays": deep(b"[", b"]", 10_000),
    "10,000 objects": deep(b'{"a":', b"}", 10_000).replace(b'{"a":}', b'{"a":1}'),
    "900 arrays": deep(b"[", b"]", 900),
    "100,000 arrays": deep(b"[", b"]", 100_000),
    "100,000 keys": b"{" + b",".join(b'"%d":0' % each for each in range(100_000)) + b"}",
    "unclosed arrays": b"[" * 100_000,
    "two documents": wire.encode(GOOD) * 2,
    "gzip": b"\x1f\x8b\x08\x00" + b"\x00" * 40,
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
async def test_what_is_not_json_gets_an_error_of_the_protocol(site, peer, body):
    for path in ENDPOINTS:
        answer = await peer.send(site, path, body)
        assert answer.status == 400, (path, answer.body)
        assert answer.document["@type"].endswith("Error")
        assert not schemas.problems(answer.document)
        assert answer.reason
    assert await site.rows("SELECT 1 FROM negotiation") == []


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
def test_what_is_not_json_is_refused_in_little_time(body):
    took_s = []
    for _ in range(3):
        before_s = time.thread_time()
        with pytest.raises(errors.InvalidInputError):
            codec.decode(body, messages.ContractRequestMessage)
        took_s.append(time.thread_time() - before_s)
    assert min(took_s) < 0.1


WRONG = {
    "no context": {"@context": None},
    "old context": {"@context": ["https://w3id.org/dspace/2024/1/context.json"]},
    "context object": {"@context": {"dspace": "https://w3id.org/dspace/2025/1/"}},
    "context with another meaning": {"@context": [wire.CONTEXT, {"permission": "urn:x"}]},
    "context with another prefix": {"@context": [wire.CONTEXT, {"odrl": "urn:x:"}]},
    "context with a vocabulary": {"@context": [wire.CONTEXT, {"@vocab": "urn:x:"}]},
    "graph": {"@graph": [{"@id": "urn:x"}]},
    "included": {"@included": [{"@id": "urn:x"}]},
    "reverse": {"@reverse": {"offer": "urn:x"}},
    "no type": {"@type": None},
    "other type": {"@type": "ContractAgreementMessage"},
    "error type": {"@type": "ContractNegotiationError"},
    "type object": {"@type": {"a": 1}},
    "type list": {"@type": ["ContractRequestMessage", "X"]},
    "type number": {"@type": 3},
    "pid number": {"consumerPid": 3},
    "pid empty": {"consumerPid": ""},
    "pid long": {"consumerPid": "x" * 1025},
    "pid missing": {"consumerPid": None},
    "offer text": {"offer": "urn:o"},
    "offer missing": {"offer": None},
    "offer list": {"offer": []},
    "id number": {"@id": 7},
    "id object": {"@id": {}},
    "callback list": {"callbackAddress": []},
}


@pytest.mark.parametrize("changes", WRONG.values(), ids=WRONG)
async def test_a_wrong_field_is_named(site, peer, changes):
    await site.publish()
    process = Process(peer, site)
    offer = offer_of(await peer.dataset(site))
    document = {**process.message("ContractRequestMessage", offer=offer, callbackAddress=peer.dsp), **changes}
    document = {name: value for name, value in document.items() if value is not None}
    answer = await peer.send(site, "/negotiations/request", document)
    assert answer.status == 400, answer.body
    assert next(iter(changes)).strip("@") in answer.reason.replace("$.", "")
    assert await site.rows("SELECT 1 FROM negotiation") == []


LENIENT = {
    "context text": {"@context": wire.CONTEXT},
    "more contexts": {"@context": [wire.CONTEXT, "https://w3id.org/edc/dspace/v0.0.1", {"x": "urn:x"}]},
    "prefixed type": {"@type": "dspace:ContractRequestMessage"},
    "full type": {"@type": "https://w3id.org/dspace/2025/1/ContractRequestMessage"},
    "type in a list": {"@type": ["ContractRequestMessage"]},
    "unknown property": {"urn:x": {"a": [1, None]}},
    "null property": {"providerPid": None},
}


@pytest.mark.parametrize("changes", LENIENT.values(), ids=LENIENT)
async def test_what_is_plain_all_the_same_is_taken(site, peer, changes):
    await site.publish()
    process = Process(peer, site)
    offer = offer_of(await peer.dataset(site))
    document = {**process.message("ContractRequestMessage", offer=offer, callbackAddress=peer.dsp), **changes}
    assert (await peer.send(site, "/negotiations/request", document)).status == 201


@pytest.mark.parametrize(("method", "path", "status"), [
    ("GET", "/negotiations/request", 405),
    ("PUT", "/negotiations/urn:x", 405),
    ("POST", "/negotiations/urn:x", 405),
    ("GET", "/transfers/urn:x/start", 405),
    ("POST", "/negotiations/urn:x/nothing", 404),
    ("POST", "/nothing", 404),
    ("GET", "/", 404),
    ("GET", "/negotiations/%00", 404),
    ("GET", "/negotiations/..%2f..%2fetc", 404),
    ("GET", "/transfers/%ff%fe", 404),
])  # fmt: skip
async def test_what_is_no_endpoint_is_answered_as_such(site, peer, method, path, status):
    assert (await peer.send(site, path, method=method)).status == status


async def talk(site, head: str, *chunks: bytes, finish=True):
    """Send raw bytes and return the status line, or '' if the connection was closed without one."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(site.conf.listen.rpartition(":")[2]))
    sent = 0
    try:
        writer.write(head.encode())
        for chunk in chunks:
            writer.write(chunk)
            await writer.drain()
            sent += len(chunk)
    except ConnectionError:
        pass
    if not finish:
        writer.write_eof()
    line = b""
    try:
        async with asyncio.timeout(5):
            line = await reader.readline()
    except (ConnectionError, TimeoutError):
        pass
    writer.transport.abort()
    return line.decode().strip(), sent


MIB = 1 << 20


def chunk(size: int) -> bytes:
    return f"{size:x}\r\n".encode() + b" " * size + b"\r\n"


@pytest.mark.parametrize("known", [True, False])
async def test_a_body_of_100_mb_is_cut_early_and_held_nowhere(site, peer, known):
    token = peer.token(site.did, None) if known else "x.y.z"
    head = (
        "POST /dsp/2025-1/negotiations/request HTTP/1.1\r\nHost: x\r\n"
        f"Transfer-Encoding: chunked\r\nAuthorization: Bearer {token}\r\n\r\n"
    )
    piece = chunk(MIB)
    tracemalloc.start()
    try:
        line, sent = await talk(site, head, *[piece] * 100)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (" 413 " if known else " 401 ") in line or line == ""
    assert sent < 50 * MIB or not known
    assert peak < 24 * MIB


async def test_a_body_that_says_it_is_too_large_is_refused_before_it_is_sent(site):
    head = f"POST /dsp/2025-1/negotiations/request HTTP/1.1\r\nHost: x\r\nContent-Length: {100 * MIB}\r\n\r\n"
    line, _ = await talk(site, head)
    assert " 413 " in line


@pytest.mark.parametrize("length", ["5", "-1", "x", "99999999999999999999999"])
async def test_a_wrong_content_length_breaks_nothing(site, peer, length):
    head = f"POST /dsp/2025-1/negotiations/request HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"
    line, _ = await talk(site, head, b"{}", finish=False)
    assert " 500 " not in line
    line, _ = await talk(site, head, b'{"a": 1, "b": 2}', finish=False)
    assert " 500 " not in line
    assert (await peer.get(site, "/negotiations/urn:x")).status == 404


async def test_a_body_that_is_never_finished_does_not_keep_others_from_being_answered(site, peer):
    head = "POST /dsp/2025-1/negotiations/request HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"
    _, writer = await asyncio.open_connection("127.0.0.1", int(site.conf.listen.rpartition(":")[2]))
    writer.write(head.encode() + b"{")
    await writer.drain()
    assert (await peer.get(site, "/negotiations/urn:x")).status == 404
    writer.transport.abort()


async def opened(site):
    return await asyncio.open_connection("127.0.0.1", int(site.conf.listen.rpartition(":")[2]))


async def is_dropped(reader, timeout_s=5):
    try:
        async with asyncio.timeout(timeout_s):
            return not await reader.read()
    except ConnectionError:
        return True


async def test_a_stranger_is_refused_before_a_long_body_is_read(site):
    head = f"POST /dsp/2025-1/negotiations/request HTTP/1.1\r\nHost: x\r\nContent-Length: {MIB - 1}\r\n\r\n"
    reader, writer = await opened(site)
    writer.write(head.encode() + b" " * 1000)
    async with asyncio.timeout(5):
        assert b" 401 " in await reader.readline()
    writer.transport.abort()


async def test_a_partner_may_send_a_long_body_bound_to_its_token_or_not(site, peer):
    await site.publish()
    offer = {**offer_of(await peer.dataset(site)), "dct:title": "x" * 200_000}
    for bound in (True, False):
        document = wire.encode(
            Process(peer, site).message("ContractRequestMessage", offer=offer, callbackAddress=peer.dsp)
        )
        authorization = "Bearer " + peer.token(site.did, document if bound else None)
        answer = await peer.send(site, "/negotiations/request", document, authorization=authorization)
        assert answer.status == 201, answer.body


@pytest.mark.parametrize("begun", [b"", b"GET /health HT", b"GET /health HTTP/1.1\r\nHost: x\r\nA: b"])
async def test_a_connection_without_a_whole_head_is_dropped_in_time(site, monkeypatch, begun):
    monkeypatch.setattr(connection, "HEAD_S", 0.05)
    reader, writer = await opened(site)
    writer.write(begun)
    assert await is_dropped(reader)
    writer.close()


async def test_a_second_head_on_a_connection_has_its_own_time(site, monkeypatch):
    reader, writer = await opened(site)
    writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b" 200 " in await reader.readline()
    monkeypatch.setattr(connection, "HEAD_S", 0.05)
    writer.write(b"GET /health HTTP/1.1\r\nHost")
    async with asyncio.timeout(5):
        assert await reader.read()  # the rest of the first answer, then the end
    writer.close()


@pytest.mark.parametrize("piece", [b"x" * 4000, b"a: b\r\n" * 500])
async def test_a_head_without_end_is_dropped(site, piece):
    reader, writer = await opened(site)
    writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\nA: ")
    sent = 0
    with contextlib.suppress(ConnectionError):
        while sent < 8 * MIB and not writer.transport.is_closing():
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
            sent += len(piece)
    assert sent < 8 * MIB
    assert await is_dropped(reader)
    writer.close()
