"""The HTTP back end against a back end in memory that keeps every request it saw."""

import contextlib

import pytest

from comity.errors import PermanentDeliveryError, StorageError, TransientDeliveryError
from comity.storage import http, source

URL = "https://back.end/parts/7?v=1"
CONTENT = bytes(range(200))


class Headers(dict):
    def get(self, name, default=None):
        return super().get(name.lower(), default)


class Reply:
    def __init__(self, status, headers, body, error=None):
        self.status, self.headers, self.body, self.error = status, Headers(headers), body, error

    async def chunks(self):
        for start in range(0, len(self.body), 64):
            yield self.body[start : start + 64]
        if self.error:
            raise self.error


class BackEnd:
    def __init__(self, etag='"v1"', content=CONTENT):
        self.etag, self.content, self.seen = etag, content, []
        self.tamper = lambda reply: None
        self.down = None

    @contextlib.asynccontextmanager
    async def stream(self, method, url, *, headers):
        self.seen.append((method, url, dict(headers)))
        if self.down:
            raise self.down
        reply = self.answer(method, headers)
        self.tamper(reply)
        yield reply

    def answer(self, method, headers):
        tag = {"etag": self.etag, "set-cookie": "a=b", "content-type": "text/csv"}
        if headers.get("If-Match") not in {None, self.etag}:
            return Reply(412, tag, b"")
        body = b"" if method == "HEAD" else self.content
        if "Range" in headers:
            start, end = headers["Range"].removeprefix("bytes=").split("-")
            body = self.content[int(start) : int(end) + 1 if end else None]
            told = f"bytes {start}-{int(start) + len(body) - 1}/{len(self.content)}"
            return Reply(206, tag | {"content-range": told, "content-length": str(len(body))}, body)
        return Reply(200, tag | {"content-length": str(len(self.content))}, body)


async def read(back_end, published, start=0, end=None):
    return b"".join(
        [chunk async for chunk in await http.HttpSource(back_end).open_range(published, start, end)]
    )


async def test_a_published_url_is_pinned_and_read():
    back_end = BackEnd()
    published = await http.HttpSource(back_end, headers={"X-Api-Key": "k"}).publish(URL, name="a.csv")
    assert (published.size_bytes, published.etag, published.media_type) == (200, '"v1"', "text/csv")
    assert back_end.seen[0][0] == "HEAD"
    assert back_end.seen[0][2]["X-Api-Key"] == "k"
    assert await read(back_end, published) == CONTENT
    assert await read(back_end, published, 10, 150) == CONTENT[10:150]
    assert back_end.seen[2][1:] == (
        URL,
        {"Accept-Encoding": "identity", "If-Match": '"v1"', "Range": "bytes=10-149"},
    )


async def test_a_back_end_without_head_is_served_whole_only():
    back_end = BackEnd()
    back_end.tamper = lambda reply: setattr(reply, "status", 405)
    published = await http.HttpSource(back_end).publish(URL, media_type="text/plain")
    assert (published.size_bytes, published.etag, published.media_type) == (None, "", "text/plain")
    back_end.tamper = lambda reply: None
    assert await read(back_end, published) == CONTENT


@pytest.mark.parametrize(
    "headers",
    [
        {"etag": 'W/"v1"', "content-length": "-1"},
        {"etag": "v1", "content-length": "1e3"},
        {"etag": '"v1', "content-length": "\u0661"},
        {"etag": '"a\r\nb"', "content-length": "9" * 30, "content-type": "text/plain\r\nX: y"},
    ],
)
async def test_headers_that_prove_nothing_are_not_written_down(headers):
    back_end = BackEnd()
    back_end.tamper = lambda reply: reply.headers.update(headers)
    published = await http.HttpSource(back_end).publish(URL)
    assert (published.size_bytes, published.etag) == (None, "")
    assert "\n" not in published.media_type


@pytest.mark.parametrize("status", [301, 302, 401, 404, 500])
async def test_a_url_that_does_not_answer_is_not_published(status):
    back_end = BackEnd()
    back_end.tamper = lambda reply: setattr(reply, "status", status)
    with pytest.raises(StorageError, match=str(status)):
        await http.HttpSource(back_end).publish(URL)


async def test_a_changed_resource_is_refused():
    back_end = BackEnd()
    published = await http.HttpSource(back_end).publish(URL)
    back_end.etag = '"v2"'
    with pytest.raises(StorageError) as caught:
        await read(back_end, published)
    assert caught.value.code == source.CHANGED


@pytest.mark.parametrize(
    ("tamper", "code"),
    [
        (lambda reply: reply.headers.update({"etag": '"v2"'}), source.CHANGED),
        (lambda reply: reply.headers.update({"content-length": "199"}), source.CHANGED),
        (lambda reply: setattr(reply, "body", CONTENT[:-1]), source.CHANGED),
        (lambda reply: setattr(reply, "body", CONTENT + b"x"), source.CHANGED),
        (lambda reply: setattr(reply, "body", CONTENT * 1000), source.CHANGED),
        (lambda reply: setattr(reply, "status", 404), source.CHANGED),
        (lambda reply: setattr(reply, "status", 206), "storage"),
        (lambda reply: setattr(reply, "status", 302), "storage"),
        (lambda reply: setattr(reply, "status", 500), "storage"),
        (lambda reply: setattr(reply, "error", TransientDeliveryError("cut")), "storage"),
    ],
)
async def test_a_back_end_that_sends_something_else_is_an_error_not_a_short_file(tamper, code):
    back_end = BackEnd()
    published = await http.HttpSource(back_end).publish(URL)
    back_end.tamper = tamper
    got = []
    with pytest.raises(StorageError) as caught:  # noqa: PT012
        async for chunk in await http.HttpSource(back_end).open_range(published):
            got.append(chunk)  # noqa: PERF401
    assert caught.value.code == code
    assert len(b"".join(got)) <= len(CONTENT)


@pytest.mark.parametrize("told", [None, "bytes 11-149/200", "bytes */200", "junk"])
async def test_a_part_that_is_not_the_asked_one_is_refused(told):
    back_end = BackEnd()
    published = await http.HttpSource(back_end).publish(URL)
    back_end.tamper = lambda reply: reply.headers.update({"content-range": told or ""})
    with pytest.raises(StorageError):
        await read(back_end, published, 10, 150)


async def test_a_back_end_that_ignores_the_range_is_refused():
    back_end = BackEnd()
    published = await http.HttpSource(back_end).publish(URL)
    back_end.tamper = lambda reply: setattr(reply, "status", 200)
    with pytest.raises(StorageError):
        await read(back_end, published, 10, 150)


@pytest.mark.parametrize("error", [TransientDeliveryError("down"), PermanentDeliveryError("refused address")])
async def test_a_back_end_out_of_reach_is_a_storage_error(error):
    back_end = BackEnd()
    published = await http.HttpSource(back_end).publish(URL)
    back_end.down = error
    with pytest.raises(StorageError, match="cannot be reached"):
        await read(back_end, published)
    with pytest.raises(StorageError, match="cannot be reached"):
        await http.HttpSource(back_end).publish(URL)


SECRET = "https://back.end/parts/7?signature=CANARY"
TAMPERS = {
    "refused": lambda reply: setattr(reply, "status", 403),
    "gone": lambda reply: setattr(reply, "status", 404),
    "another etag": lambda reply: reply.headers.update(etag='"v2"'),
    "too short": lambda reply: setattr(reply, "body", reply.body[:10]),
    "broken off": lambda reply: setattr(reply, "error", TransientDeliveryError("cut")),
}


@pytest.mark.parametrize("tamper", TAMPERS.values(), ids=TAMPERS)
async def test_no_error_shows_the_query_of_an_address(tamper):
    back_end = BackEnd()
    published = await http.HttpSource(back_end).publish(SECRET)
    back_end.tamper = tamper
    with pytest.raises(StorageError, match=r"back\.end/parts/7") as caught:
        await read(back_end, published)
    assert "CANARY" not in caught.value.message


async def test_no_error_of_publishing_shows_the_query_of_an_address():
    back_end = BackEnd()
    back_end.tamper = lambda reply: setattr(reply, "status", 403)
    with pytest.raises(StorageError) as caught:
        await http.HttpSource(back_end).publish(SECRET)
    assert "CANARY" not in caught.value.message
