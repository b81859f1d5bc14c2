"""Reading at data planes of other kinds: what each of them offers is used, and what they get wrong is found."""

import asyncio
import hashlib

import pytest
from aiohttp import web

from comity.dataplane import looked, remote, serve
from comity.dsp.transfer import Access
from comity.errors import ConflictError, PermanentDeliveryError, TransientDeliveryError
from comity.net.guard import Guard
from comity.net.http import HttpClient
from comity.storage.source import Source
from comity.techdata import manifest

CONTENT = bytes(range(256)) * 2000


class Plane:
    """A data plane that may know HEAD, ranges and entity tags, or not."""

    def __init__(self) -> None:
        self.content = CONTENT
        self.etag = '"one"'
        self.knows_head = self.knows_ranges = self.names_size = True
        self.manifest = b""
        self.asked: list[tuple[str, str, str]] = []
        self.status = 200
        self.manifests = self.crowded = 0
        self.never_ends = False

    async def answer(self, request):
        self.asked.append((request.method, request.path, request.headers.get("Range", "")))
        if request.headers.get("Authorization") != "Bearer token":
            return web.json_response({"message": "not you"}, status=401)
        if self.status != 200:
            return web.json_response({"message": "the policy says no"}, status=self.status)
        if request.method == "HEAD" and not self.knows_head:
            return web.Response(status=405)
        if self.manifest and request.path == "/data":
            return self.tell(request)
        if request.headers.get("If-Match", self.etag) != self.etag:
            return web.Response(status=412)
        return await self.give(request)

    def tell(self, request):
        if request.headers.get("If-None-Match") == serve.etag_of(manifest.digest(self.manifest)):
            return web.Response(status=304)
        self.manifests += request.method == "GET"
        return web.Response(body=self.manifest, content_type=manifest.MEDIA_TYPE)

    async def give(self, request):
        if self.crowded:
            self.crowded -= 1
            return web.json_response({"message": "too many streams"}, status=429)
        headers = {"ETag": self.etag} if self.etag else {}
        headers["Content-Disposition"] = 'attachment; filename="table.parquet"'
        body, status = self.content, 200
        if "Range" in request.headers and self.knows_ranges:
            start, end = request.http_range.start, request.http_range.stop
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(body)}"
            body, status = body[start:end], 206
        if self.names_size:
            return web.Response(body=body, status=status, headers=headers)
        answer = web.StreamResponse(status=status, headers=headers)
        answer.enable_chunked_encoding()
        await answer.prepare(request)
        if request.method != "HEAD":
            await answer.write(body)
        while self.never_ends:
            await answer.write(bytes(1 << 16))
        return answer


@pytest.fixture
async def plane():
    made = Plane()
    server = web.Server(made.answer)
    runner = web.ServerRunner(server)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.access = Access(f"http://127.0.0.1:{runner.addresses[0][1]}/data", "Bearer token")
    client = HttpClient(Guard([], insecure=True))
    made.remote = remote.Remote(client.stream)
    yield made
    await client.close()
    await runner.cleanup()


async def read(plane, source, start=0, end=None):
    chunks = await plane.remote.open_range(source, start, end)
    return b"".join([chunk async for chunk in chunks])


async def test_size_name_and_ranges_are_used_where_they_are(plane):
    source = await plane.remote.look(plane.access)
    assert (source.name, source.size_bytes, source.etag) == ("table.parquet", len(CONTENT), '"one"')
    assert await read(plane, source, 1000, 3000) == CONTENT[1000:3000]
    assert plane.asked == [("HEAD", "/data", ""), ("GET", "/data", "bytes=1000-2999")]
    assert await read(plane, source) == CONTENT


async def test_without_head_the_beginning_of_an_answer_tells_as_much(plane):
    plane.knows_head = False
    source = await plane.remote.look(plane.access)
    assert (source.size_bytes, source.etag) == (len(CONTENT), '"one"')
    assert [method for method, *_ in plane.asked] == ["HEAD", "GET"]


async def test_a_server_that_ignores_ranges_is_read_from_its_beginning_and_cut(plane):
    plane.knows_ranges = False
    source = await plane.remote.look(plane.access)
    assert await read(plane, source, 300_000, 300_010) == CONTENT[300_000:300_010]
    assert await read(plane, source, 511_990, 512_000) == CONTENT[-10:]


async def test_what_has_no_size_is_read_whole(plane):
    plane.names_size, plane.etag = False, ""
    source = await plane.remote.look(plane.access)
    assert (source.size_bytes, source.etag) == (None, "")
    reply = await serve.resource(source, "GET", {"range": "bytes=0-9"}, {remote.KIND: plane.remote})
    assert (reply.status, dict(reply.headers)["Accept-Ranges"]) == (200, "none")
    assert b"".join([chunk async for chunk in reply.body]) == CONTENT


async def test_a_range_that_never_ends_is_not_read_on(plane):
    source = await plane.remote.look(plane.access)
    plane.names_size, plane.never_ends = False, True
    async with asyncio.timeout(5):
        assert await read(plane, source, 1000, 3000) == CONTENT[1000:3000]


async def test_another_content_is_never_mixed_in(plane):
    source = await plane.remote.look(plane.access)
    plane.etag = '"two"'
    with pytest.raises(ConflictError, match=r"another 'table.parquet' now"):
        await read(plane, source, 0, 10)


@pytest.mark.parametrize("status", [401, 403, 404, 410])
async def test_a_refusal_is_told_in_the_partners_words(plane, status):
    plane.status = status
    with pytest.raises(PermanentDeliveryError) as caught:
        await plane.remote.look(plane.access)
    assert caught.value.status == status
    assert (caught.value.reason or "the policy says no") == "the policy says no"


async def test_a_whole_file_with_a_wrong_hash_never_ends(plane):
    files = (
        manifest.File(
            path="a/t.bin",
            size_bytes=len(CONTENT),
            sha256=hashlib.sha256(b"other").hexdigest(),
            media_type="text/plain",
        ),
    )
    plane.manifest = manifest.encode(manifest.Manifest(title="lies", files=files))
    found = await plane.remote.look(plane.access)
    assert isinstance(found, serve.Package)
    plane.etag = serve.etag_of(files[0].sha256)
    chunks = await plane.remote.open_range(found.files["a/t.bin"])
    got = []
    with pytest.raises(PermanentDeliveryError, match="wrong SHA-256"):
        await _gather(chunks, got)
    assert sum(map(len, got)) < len(CONTENT)


async def _gather(chunks, got):
    async for chunk in chunks:
        got.append(chunk)


async def test_a_file_shorter_than_its_manifest_says_breaks_off(plane):
    source = await plane.remote.look(plane.access)
    plane.content = CONTENT[:1000]
    with pytest.raises((TransientDeliveryError, PermanentDeliveryError)):
        await read(plane, source)
    with pytest.raises(PermanentDeliveryError, match="another range"):
        await read(plane, source, 10, 20)


async def test_a_manifest_that_is_known_does_not_come_again(plane):
    file = manifest.File(path="t.bin", size_bytes=0, sha256=hashlib.sha256(b"").hexdigest())
    plane.manifest = manifest.encode(manifest.Manifest(title="one", files=(file,)))
    found = await plane.remote.look(plane.access)
    assert await plane.remote.look(plane.access, found) is found
    assert plane.manifests == 1
    plane.manifest = manifest.encode(manifest.Manifest(title="two", files=(file,)))
    assert (await plane.remote.look(plane.access, found)).manifest == plane.manifest


async def test_a_manifest_that_is_none_is_refused(plane):
    plane.manifest = b'{"files": 7}'
    with pytest.raises(PermanentDeliveryError, match="manifest is not acceptable"):
        await plane.remote.look(plane.access)


async def test_a_partner_that_is_crowded_for_a_moment_is_asked_again(plane):
    source = await plane.remote.look(plane.access)
    plane.crowded = 2
    assert await read(plane, source, 0, 10) == CONTENT[:10]
    plane.crowded = 100
    with pytest.raises(TransientDeliveryError, match="too many streams"):
        await read(plane, source, 0, 10)


def test_packages_that_were_seen_are_kept_by_how_many_files_they_name(monkeypatch):
    monkeypatch.setattr(looked, "KEPT_FILES", 5)
    seen = looked.Looked()

    def package(files):
        named = {str(at): Source(kind=remote.KIND, address="") for at in range(files)}
        return serve.Package(manifest=b"", sha256="", files=named)

    for at in range(3):
        seen.keep(str(at), package(2), 0)
    assert [seen.last(str(at)) is not None for at in range(3)] == [False, True, True]
    seen.keep("many", package(9), 0)
    assert [seen.last(name) is not None for name in ("1", "2", "many")] == [False, False, True]
