"""Who connects to a listener with TLS and does not agree on it: counted as everyone, and ended as soon."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import ssl

import pytest

from comity import data_folder, runtime
from comity.api import connection
from support import authority
from support.pair import wait_for

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def application(scope, receive, send):
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


class Listener:
    """The listener for partners, as `runtime` makes it, with two places for each address."""

    def __init__(self, folder):
        files = authority.make(folder / "tls")
        self.client_tls = ssl.create_default_context(cafile=files.authority)
        made = data_folder.initialize(
            folder / "data",
            address="https://localhost",
            name="x",
            tls_certificate=files.certificate,
            tls_key=files.key,
        )
        given = dataclasses.replace(made, limits_connections_per_address=2)
        self.server = runtime._server(application, given)

    async def start(self):
        config, state = self.server.config, self.server.server_state
        self.connections = state.connections
        make = functools.partial(
            config.http_protocol_class, config=config, server_state=state, app_state={}, _loop=None
        )
        self.listening = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0, ssl=config.ssl)
        self.port = self.listening.sockets[0].getsockname()[1]

    async def say_nothing(self):
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def ask(self):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=self.client_tls)
        writer.write(REQUEST)
        assert await reader.readline() == b"HTTP/1.1 204 No Content\r\n"
        return reader, writer


@pytest.fixture
async def listener(tmp_path):
    made = Listener(tmp_path)
    await made.start()
    yield made
    made.listening.close()
    for each in list(made.connections):
        each.transport.abort()
    await wait_for(lambda: not made.connections)


async def ended(reader):
    with contextlib.suppress(ConnectionError):
        assert await asyncio.wait_for(reader.read(), 5) == b""
    return True


async def test_who_says_nothing_has_a_place_and_makes_room_for_others(listener):
    silent = [await listener.say_nothing() for _ in range(2)]
    _, writer = await listener.ask()
    assert await ended(silent[0][0])
    assert not silent[1][0].at_eof()
    _, other = await listener.ask()
    assert await ended(silent[1][0])
    for each in (writer, other, *(each for _, each in silent)):
        each.transport.abort()


async def test_who_agreed_has_one_place(listener):
    kept = [await listener.ask() for _ in range(2)]
    assert len(listener.connections) == 2
    for reader, writer in kept:
        writer.write(REQUEST)
        await reader.readuntil(b"HTTP/1.1 204")
        writer.transport.abort()


async def test_a_handshake_that_is_not_made_in_time_is_ended(listener, monkeypatch):
    monkeypatch.setattr(connection, "HEAD_S", 0.2)
    for first in (b"", b"\x16\x03\x01"):
        reader, writer = await listener.say_nothing()
        writer.write(first)
        assert await ended(reader)
        writer.transport.abort()


async def test_without_a_descriptor_it_is_dropped_and_keeps_no_place(listener, monkeypatch):
    places = listener.server.config.http_protocol_class.args[1].places

    def none_left(_):
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(asyncio.trsock.TransportSocket, "dup", none_left)
        reader, writer = await listener.say_nothing()
        assert await ended(reader)
        writer.transport.abort()
    assert not places._of
    _, writer = await listener.ask()
    writer.transport.abort()


@pytest.mark.parametrize("first", [b"GET / HTTP/1.1\r\n\r\n", b""], ids=["no TLS", "nothing"])
async def test_nothing_is_kept_of_a_handshake_that_failed(listener, first):
    places = listener.server.config.http_protocol_class.args[1].places
    for _ in range(3):
        reader, writer = await listener.say_nothing()
        await wait_for(lambda: places._of)
        writer.write(first)
        writer.write_eof()
        with contextlib.suppress(ConnectionError):
            await asyncio.wait_for(reader.read(), 5)
        writer.transport.abort()
        await wait_for(lambda: not (places._of or places._open or places._waiting))
