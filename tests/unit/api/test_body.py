"""A body is read up to its limit, and no further."""

import asyncio

import pytest
from starlette.requests import Request

from comity.api import body
from comity.api.body import TooLargeError
from comity.api.connection import WHOLE
from comity.errors import InvalidInputError


class Sender:
    """Sends pieces of a body and counts those that were taken; without an end the client leaves."""

    def __init__(self, *pieces, headers=None, ends=True):
        self.pieces, self.ends, self.taken = list(pieces), ends, 0
        listed = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
        scope = {"type": "http", "method": "POST", "path": "/", "headers": listed, "query_string": b""}
        self.request = Request(scope, self.receive)

    async def receive(self):
        if self.taken == len(self.pieces):
            return {"type": "http.disconnect"}
        self.taken += 1
        more = self.taken < len(self.pieces) or not self.ends
        return {"type": "http.request", "body": self.pieces[self.taken - 1], "more_body": more}


async def test_a_body_of_the_limit_is_taken_whole():
    assert await body.read(Sender(b"ab", b"", b"cd").request, 4) == b"abcd"
    assert await body.read(Sender(b"").request, 0) == b""


async def test_a_body_over_the_limit_is_refused_while_it_comes():
    sender = Sender(b"ab", b"cde", b"never read", headers={"transfer-encoding": "chunked"})
    with pytest.raises(body.TooLargeError, match="more than 4 bytes"):
        await body.read(sender.request, 4)
    assert sender.taken == 2


@pytest.mark.parametrize("told", ["5", "104857600", "9" * 5000])
async def test_a_body_that_says_it_is_too_long_is_not_read(told):
    sender = Sender(b"ab", headers={"content-length": told})
    with pytest.raises(body.TooLargeError):
        await body.read(sender.request, 4)
    assert sender.taken == 0


@pytest.mark.parametrize("told", ["x", "-5", "\u0665", "1.5"])
async def test_a_length_that_is_none_does_not_matter(told):
    sender = Sender(b"ab", headers={"content-length": told})
    assert await body.read(sender.request, 4) == b"ab"


async def test_a_body_that_says_less_than_it_is_does_not_pass():
    with pytest.raises(body.TooLargeError):
        await body.read(Sender(b"abcdef", headers={"content-length": "3"}).request, 4)


async def test_a_body_that_breaks_off_is_no_body():
    with pytest.raises(InvalidInputError, match="before it was whole"):
        await body.read(Sender(b"ab", ends=False).request, 4)


@pytest.mark.parametrize("encoding", ["gzip", "identity, gzip", "br"])
async def test_a_compressed_body_is_refused(encoding):
    with pytest.raises(InvalidInputError, match="compressed"):
        await body.read(Sender(b"ab", headers={"content-encoding": encoding}).request, 4)
    assert await body.read(Sender(b"ab", headers={"content-encoding": "Identity"}).request, 4) == b"ab"


@pytest.mark.parametrize(
    "kind", ["application/json", "Application/JSON; charset=utf-8", "application/ld+json", None]
)
def test_json_by_any_name_is_taken(kind):
    body.check_json(Sender(headers={"content-type": kind} if kind else {}).request)


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "json"]
)
def test_what_says_it_is_something_else_is_refused(kind):
    with pytest.raises(body.NotJsonError, match="must be JSON"):
        body.check_json(Sender(headers={"content-type": kind}).request)


async def test_a_body_that_comes_too_slowly_is_refused(monkeypatch):
    monkeypatch.setattr(body, "BODY_S", 0.01)

    async def never():
        await asyncio.Event().wait()

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [], "query_string": b""}
    with pytest.raises(body.TooSlowError):
        await body.read(Request(scope, never), 4)


async def test_a_body_that_has_come_needs_no_time(monkeypatch):
    monkeypatch.setattr(body, "BODY_S", 0)
    sender = Sender(b"ab")
    sender.request.scope["extensions"] = {WHOLE: True}
    assert await body.read(sender.request, 4) == b"ab"
    with pytest.raises(TooLargeError):
        await body.read(Request(sender.request.scope, Sender(b"abc").receive), 2)


@pytest.mark.parametrize(
    ("told", "short"),
    [("0", True), ("65536", True), ("65537", False), (None, False), ("-1", False), ("x", False)],
)
def test_only_a_body_that_says_so_is_short(told, short):
    assert body.is_short(Sender(headers={"content-length": told} if told else {}).request) is short
