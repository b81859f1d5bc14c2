"""What is written in one turn of the event loop goes out together, in order, and is never kept for longer."""

from __future__ import annotations

import asyncio

import pytest

from comity.api.together import LONG_BYTES, Together

HEAD, BODY = b"HTTP/1.1 200 OK\r\n\r\n", b"{}"


class Wire(asyncio.Transport):
    """The transport below: what it was given in one call, and what became of it."""

    def __init__(self):
        super().__init__()
        self.sent = []

    def write(self, data):
        self.sent.append(bytes(data))

    def writelines(self, list_of_data):
        self.sent.append(b"".join(list_of_data))

    def get_write_buffer_size(self):
        return 7

    def close(self):
        self.sent.append("closed")

    def abort(self):
        self.sent.append("dropped")

    def is_closing(self):
        return self.sent[-1:] == ["closed"]


@pytest.fixture
async def wire():
    return Wire()


@pytest.fixture
async def together(wire):
    return Together(wire, asyncio.get_running_loop())


async def turn():
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_the_head_of_an_answer_and_its_body_go_out_as_one(wire, together):
    together.write(HEAD)
    together.write(BODY)
    assert wire.sent == [HEAD + BODY]
    await turn()
    assert wire.sent == [HEAD + BODY]


async def test_what_nothing_follows_goes_out_in_the_next_turn(wire, together):
    together.write(HEAD)
    assert wire.sent == []
    await turn()
    assert wire.sent == [HEAD]
    together.write(BODY)
    await turn()
    assert wire.sent == [HEAD, BODY]


async def test_what_is_long_does_not_wait_and_takes_what_waited_with_it(wire, together):
    piece = bytes(LONG_BYTES)
    together.write(piece)
    together.write(HEAD)
    together.write(piece)
    together.write(piece)
    assert wire.sent == [piece, HEAD + piece, piece]


async def test_what_was_written_is_sent_before_a_connection_is_closed(wire, together):
    together.write(HEAD)
    together.close()
    assert together.is_closing()
    await turn()
    assert wire.sent == [HEAD, "closed"]


async def test_what_waits_is_dropped_with_its_connection(wire, together):
    together.write(HEAD)
    together.abort()
    await turn()
    assert wire.sent == ["dropped"]


async def test_what_waits_is_dropped_when_its_connection_has_ended_by_itself(wire, together):
    together.write(HEAD)
    wire.close()
    await turn()
    assert wire.sent == ["closed"]


async def test_what_waits_counts_as_not_sent(wire, together):
    together.write(HEAD)
    assert together.get_write_buffer_size() == 7 + len(HEAD)
    await turn()
    assert together.get_write_buffer_size() == 7
