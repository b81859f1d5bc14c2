import base64
import hashlib
import json

import pytest

from comity.dataplane import serve
from comity.errors import ConflictError, InvalidInputError, NotFoundError, PolicyError, StorageError
from comity.storage import source
from comity.techdata import manifest

CONTENT = bytes(range(256)) * 4
SHA = hashlib.sha256(CONTENT).hexdigest()


class Memory:
    """A back end in memory; remembers what was opened."""

    def __init__(self, content=CONTENT, error=None):
        self.content, self.error, self.opened = content, error, []

    async def open_range(self, published, start=0, end=None):
        self.opened.append((published.address, start, end))
        if self.error:
            raise self.error
        return self._chunks(start, len(self.content) if end is None else end)

    async def _chunks(self, start, end):
        for position in range(start, end, 100):
            yield self.content[position : min(position + 100, end)]


def a_source(**changed):
    values = {
        "kind": "file",
        "address": "/srv/a.step",
        "size_bytes": len(CONTENT),
        "sha256": SHA,
        "name": "a.step",
    }
    return source.Source(**(values | {"media_type": "model/step"} | changed))


def a_package(*paths):
    entries = tuple(manifest.File(path, len(CONTENT), SHA) for path in paths)
    data = manifest.encode(manifest.Manifest("t", entries))
    return serve.package(data, {path: a_source(address=f"/srv/{path}") for path in paths})


async def ask(content, path="", method="GET", memory=None, *, revoked=False, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    storages = {"file": memory or Memory(), "http": memory or Memory()}
    answer = await serve.answer(serve.Grant("t-1", content, revoked=revoked), method, path, named, storages)
    body = answer.body if isinstance(answer.body, bytes) else b"".join([chunk async for chunk in answer.body])
    assert all(name.isascii() and "\n" not in value and "\r" not in value for name, value in answer.headers)
    return answer.status, dict(answer.headers), body


async def test_a_single_resource_is_given_whole_with_its_digest():
    status, headers, body = await ask(a_source())
    assert (status, body) == (200, CONTENT)
    assert headers["Content-Length"] == "1024"
    assert headers["ETag"] == f'"sha256-{SHA}"'
    assert headers["Accept-Ranges"] == "bytes"
    assert headers["Content-Type"] == "model/step"
    assert headers["Content-Disposition"] == 'attachment; filename="a.step"'
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Repr-Digest"] == f"sha-256=:{base64.b64encode(bytes.fromhex(SHA)).decode()}:"


async def test_a_part_says_which_it_is_and_carries_the_digest_of_the_whole():
    status, headers, body = await ask(a_source(), range="bytes=10-19", if_range=f'"sha256-{SHA}"')
    assert (status, body) == (206, CONTENT[10:20])
    assert headers["Content-Range"] == "bytes 10-19/1024"
    assert headers["Content-Length"] == "10"
    assert "Repr-Digest" in headers


async def test_an_impossible_range_is_told_the_size():
    memory = Memory()
    status, headers, _ = await ask(a_source(), memory=memory, range="bytes=1024-")
    assert (status, headers["Content-Range"], memory.opened) == (416, "bytes */1024", [])


async def test_head_answers_like_get_without_opening_anything():
    memory = Memory()
    status, headers, body = await ask(a_source(), method="HEAD", memory=memory)
    assert (status, body, memory.opened) == (200, b"", [])
    assert headers == (await ask(a_source()))[1]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "get", ""])
async def test_other_methods_are_refused_before_anything_is_read(method):
    memory = Memory()
    status, headers, _ = await ask(a_source(), method=method, memory=memory)
    assert (status, headers["Allow"], memory.opened) == (405, "GET, HEAD", [])


async def test_a_revoked_grant_gets_nothing():
    memory = Memory()
    with pytest.raises(PolicyError):
        await ask(a_source(), memory=memory, revoked=True)
    assert memory.opened == []


@pytest.mark.parametrize("path", ["", "/"])
async def test_the_base_of_a_package_is_its_manifest(path):
    content = a_package("a.step", "b/c d.txt")
    status, headers, body = await ask(content, path)
    assert (status, body) == (200, content.manifest)
    assert headers["Content-Type"] == manifest.MEDIA_TYPE
    assert headers["ETag"] == f'"sha256-{manifest.digest(body)}"'
    assert (await ask(content, path, if_none_match=headers["ETag"]))[0] == 304
    assert (await ask(content, path, range="bytes=0-3"))[2] == body[:4]


@pytest.mark.parametrize("slash", ["", "/"])
async def test_a_file_of_a_package_is_found_by_its_published_path(slash):
    memory = Memory()
    status, _, body = await ask(a_package("a.step", "b/c d.txt"), slash + "files/b/c d.txt", memory=memory)
    assert (status, body) == (200, CONTENT)
    assert memory.opened == [("/srv/b/c d.txt", 0, 1024)]


TRAVERSALS = [
    "files/../a.step",
    "files/b/../a.step",
    "files//a.step",
    "//files/a.step",
    "files/a.step/",
    "files/./a.step",
    "files/%2e%2e/a.step",
    "files/..%2fa.step",
    "files/a.step\0",
    "files/A.STEP",
    "files/..\\a.step",
    "files//srv/a.step",
    "files//etc/passwd",
    "../files/a.step",
    "files/../../../../etc/passwd",
    "files/http://127.0.0.1/",
    "files/file:///etc/passwd",
    "files/\\\\host\\share",
    "files/a.step?x",
    "files/a.step#x",
    "files/a.step;x",
    "files/",
    "files",
    "a.step",
    "@evil.example/",
    "?a",
    ".",
    "..",
]


@pytest.mark.parametrize("path", TRAVERSALS)
async def test_no_path_reaches_beyond_what_was_published(path):
    memory = Memory()
    with pytest.raises(NotFoundError):
        await ask(a_package("a.step", "b/c"), path, memory=memory)
    with pytest.raises(NotFoundError):
        await ask(a_source(kind="http", address="http://back.end/x"), path, memory=memory)
    assert memory.opened == []


async def test_a_changed_source_is_a_conflict_and_tells_no_path():
    with pytest.raises(ConflictError) as caught:
        await ask(a_source(), memory=Memory(error=source.changed("'/srv/a.step' changed")))
    assert "/srv" not in caught.value.message


async def test_an_unreadable_source_stays_a_storage_error():
    with pytest.raises(StorageError):
        await ask(a_source(), memory=Memory(error=StorageError("disk on fire")))


async def test_a_kind_without_back_end_is_a_storage_error():
    with pytest.raises(StorageError, match="kind"):
        await serve.answer(serve.Grant("t", a_source()), "GET", "", {}, {})


async def test_a_resource_of_unknown_size_is_given_whole_without_ranges():
    memory = Memory()
    published = a_source(kind="http", size_bytes=None, sha256="", etag='"v1"')
    status, headers, body = await ask(published, memory=memory, range="bytes=5-")
    assert (status, body, headers["Accept-Ranges"]) == (200, CONTENT, "none")
    assert "Content-Length" not in headers
    assert memory.opened == [("/srv/a.step", 0, None)]


async def test_the_back_ends_tag_serves_where_there_is_no_hash():
    published = a_source(kind="http", sha256="", etag='"v1"')
    status, headers, body = await ask(published, range="bytes=5-", if_range='"v1"')
    assert (status, body, headers["ETag"]) == (206, CONTENT[5:], '"v1"')
    assert "Repr-Digest" not in headers
    untagged = a_source(kind="http", sha256="")
    assert (await ask(untagged, range="bytes=5-"))[0] == 200


async def test_a_condition_that_fails_is_answered_as_json():
    status, headers, body = await ask(a_source(), if_match='"other"')
    assert (status, headers["Content-Type"]) == (412, "application/json")
    assert json.loads(body)["code"] == "condition"


def test_a_package_is_put_together_only_from_what_its_manifest_says():
    good = a_package("a")
    with pytest.raises(StorageError, match="'a'"):
        serve.package(good.manifest, {})
    with pytest.raises(StorageError):
        serve.package(good.manifest, {"a": a_source(sha256="00" * 32)})
    with pytest.raises(InvalidInputError):
        serve.package(b"{}", {})


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.step", 'attachment; filename="a.step"'),
        ("", "attachment"),
        ("...", "attachment"),
        ("../../x", 'attachment; filename="_.._x"'),
        ('a"; x="b', 'attachment; filename="a_; x=_b"'),
        ("a\r\nSet-Cookie: b", 'attachment; filename="a__Set-Cookie: b"'),
        ("Maß.step", "attachment; filename=\"Ma_.step\"; filename*=UTF-8''Ma%C3%9F.step"),
        ("100%.txt", "attachment; filename=\"100_.txt\"; filename*=UTF-8''100%25.txt"),
        ("\u202egpj.exe", 'attachment; filename="_gpj.exe"'),
    ],
)
def test_an_offered_name_cannot_break_out_of_its_header(name, expected):
    assert serve.disposition(name) == expected


def test_a_long_name_is_cut():
    assert len(serve.disposition("x" * 10_000)) < 300
