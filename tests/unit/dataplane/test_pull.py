"""Receiving from a provider in memory, which serves real answers of `serve` and misbehaves when told to."""

import asyncio
import contextlib
import hashlib
import json
import os
import random
import threading
import urllib.parse
from pathlib import Path

import pytest

from comity.dataplane import fetch, pull, serve, target
from comity.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    PermanentDeliveryError,
    StorageError,
    TransientDeliveryError,
)
from comity.storage import source
from comity.techdata import manifest

URL = "https://provider.example/data/t-1"
GIB = 2**30


class Headers(dict):
    def get(self, name, default=None):
        return super().get(name.lower(), default)


class Reply:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = Headers({name.lower(): value for name, value in headers})
        self.body = body
        self.cut_after = None

    async def chunks(self):
        left = self.cut_after
        for start in range(0, len(self.body), 4096):
            chunk = self.body[start : start + 4096]
            if left is not None and len(chunk) > left:
                yield chunk[:left]
                raise TransientDeliveryError("the connection was cut")
            left = None if left is None else left - len(chunk)
            yield chunk


class Provider:
    """Serves `contents` (path -> bytes as a package, or bytes as one resource); `tamper` may change a reply."""

    def __init__(self, contents, *, name="part.bin"):
        self.requests = []
        self.headers = []
        self.tamper = lambda _path, _reply: None
        self.publish(contents, name)

    def publish(self, contents, name="part.bin"):
        self.contents = contents if isinstance(contents, dict) else {"": contents}
        sources = {
            path: source.Source(
                kind="file",
                address=path,
                size_bytes=len(data),
                sha256=hashlib.sha256(data).hexdigest(),
                name=name,
            )
            for path, data in self.contents.items()
        }
        if isinstance(contents, dict):
            files = tuple(
                manifest.File(path, entry.size_bytes, entry.sha256) for path, entry in sources.items()
            )
            self.content = serve.package(manifest.encode(manifest.Manifest("t", files)), sources)
        else:
            self.content = sources[""]

    async def open_range(self, published, start=0, end=None):
        return self._chunks(self.contents[published.address][start:end])

    async def _chunks(self, data):
        yield data

    @contextlib.asynccontextmanager
    async def request(self, url, *, headers):
        path = urllib.parse.unquote(url.removeprefix(URL))
        self.requests.append((path, headers.get("Range")))
        self.headers.append(headers)
        assert headers["Authorization"] == "Bearer secret"
        lowered = {name.lower(): value for name, value in headers.items()}
        try:
            answer = await serve.answer(
                serve.Grant("t-1", self.content), "GET", path, lowered, {"file": self}
            )
            body = (
                answer.body
                if isinstance(answer.body, bytes)
                else b"".join([part async for part in answer.body])
            )
            reply = Reply(answer.status, answer.headers, body)
        except NotFoundError:
            reply = Reply(404, (), b'{"message": "there is no such resource"}')
        self.tamper(path, reply)
        yield reply

    def get(self, folder, **options):
        settings = {name: options.pop(name) for name in ("free", "reserve_bytes") if name in options}
        settings = {"free": lambda _folder: GIB, "reserve_bytes": 0} | settings
        return pull.Pull(self.request, **settings).run(URL, "Bearer secret", folder, **options)


def listing(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def noise(size, seed=1):
    return random.Random(seed).randbytes(size)


async def test_a_package_lies_whole_in_the_folder(tmp_path):
    contents = {"a.step": noise(100_000), "b/c d/ü.txt": b"text", "empty": b"", "zeros": bytes(3_000_000)}
    provider = Provider(contents)
    received = await provider.get(tmp_path / "in", expected_sha256=provider.content.sha256)
    for path, data in contents.items():
        assert (tmp_path / "in" / path).read_bytes() == data
    assert listing(tmp_path / "in") == sorted([".comity-manifest.json", *contents])
    assert {file.path: file.sha256 for file in received.files} == {
        path: hashlib.sha256(data).hexdigest() for path, data in contents.items()
    }
    assert received.sha256 == provider.content.sha256
    assert received.manifest == (tmp_path / "in/.comity-manifest.json").read_bytes()
    assert received.fetched_bytes == received.size_bytes == sum(map(len, contents.values()))


async def test_what_lies_there_whole_is_not_fetched_again(tmp_path):
    provider = Provider({"a": noise(5000), "b": noise(6000, 2)})
    await provider.get(tmp_path)
    (tmp_path / "b").unlink()
    provider.requests.clear()
    received = await provider.get(tmp_path)
    assert provider.requests == [("", None), ("/files/b", None)]
    assert received.fetched_bytes == 6000
    assert (tmp_path / "b").read_bytes() == noise(6000, 2)


async def test_an_earlier_revision_is_replaced_but_never_what_somebody_else_put_there(tmp_path):
    await Provider({"a": noise(5000), "b": noise(6000, 2)}).get(tmp_path)
    newer = Provider({"a": noise(5000), "b": noise(7000, 3), "c": noise(10)})
    await newer.get(tmp_path)
    assert (tmp_path / "b").read_bytes() == noise(7000, 3)
    (tmp_path / "b").write_bytes(b"my own notes")
    (tmp_path / "d").write_bytes(b"mine too")
    newest = Provider({"a": noise(5000), "b": noise(8000, 4), "d": noise(20)})
    for kept, name in ((b"my own notes", "b"), (b"mine too", "d")):
        with pytest.raises(StorageError, match=f"{name}' is there already and was not received here"):
            await newest.get(tmp_path)
        assert (tmp_path / name).read_bytes() == kept
        (tmp_path / name).unlink()
    await newest.get(tmp_path)
    assert (tmp_path / "b").read_bytes() == noise(8000, 4)


async def test_progress_ends_at_everything_and_never_claims_more(tmp_path):
    seen = []
    provider = Provider({"a": noise(50_000), "b": noise(60_000)})
    await provider.get(tmp_path, on_progress=lambda *told: seen.append(told))
    assert seen[-1] == (2, 110_000, 110_000)
    assert all(done <= total for _, done, total in seen)
    assert [told[1] for told in seen] == sorted(told[1] for told in seen)


@pytest.mark.parametrize("contents", [noise(400_000), {"a/b": noise(400_000)}], ids=["resource", "package"])
async def test_a_cut_stream_goes_on_where_it_stopped(tmp_path, contents):
    provider = Provider(contents)
    chance = random.Random(7)
    fetched, attempts = 0, 0
    largest = max(provider.contents, key=lambda path: len(provider.contents[path]))

    def cut(path, reply):
        if path.endswith(largest) or not isinstance(contents, dict):
            reply.cut_after = chance.randrange(0, 20_000)

    provider.tamper = cut
    while True:
        attempts += 1
        seen = []
        try:
            received = await provider.get(tmp_path, on_progress=lambda *told, into=seen: into.append(told))
        except TransientDeliveryError:
            assert attempts < 200
        else:
            break
    fetched = sum(int(wanted.split("=")[1][:-1]) for _, wanted in provider.requests[-1:] if wanted)
    assert 0 < fetched < 400_000
    assert attempts > 20
    path = tmp_path / (received.files[0].path)
    assert path.read_bytes() == noise(400_000)


async def test_a_part_of_an_older_content_is_started_over_once(tmp_path):
    provider = Provider({"a": noise(9000)})
    (tmp_path / ".a.part").write_bytes(b"x" * 4000)
    received = await provider.get(tmp_path)
    assert provider.requests == [("", None), ("/files/a", "bytes=4000-"), ("/files/a", None)]
    assert (tmp_path / "a").read_bytes() == noise(9000)
    assert received.fetched_bytes == 5000 + 9000


async def test_a_part_that_is_whole_needs_no_request(tmp_path):
    provider = Provider({"a": noise(9000)})
    (tmp_path / ".a.part").write_bytes(noise(9000))
    received = await provider.get(tmp_path)
    assert (provider.requests, received.fetched_bytes) == ([("", None)], 0)


async def test_a_part_longer_than_the_file_is_started_over(tmp_path):
    provider = Provider({"a": noise(9000)})
    (tmp_path / ".a.part").write_bytes(noise(9001))
    await provider.get(tmp_path)
    assert (tmp_path / "a").read_bytes() == noise(9000)


@pytest.mark.parametrize("contents", [noise(9000), {"a": noise(9000)}], ids=["resource", "package"])
async def test_a_wrong_hash_fails_visibly_after_one_more_try(tmp_path, contents):
    provider = Provider(contents)

    def corrupt(path, reply):
        if reply.headers.get("Content-Type") != manifest.MEDIA_TYPE:
            reply.body = b"\xff" + reply.body[1:]

    provider.tamper = corrupt
    with pytest.raises(PermanentDeliveryError) as caught:
        await provider.get(tmp_path)
    assert caught.value.code == "hash-mismatch"
    assert (
        len([path for path, _ in provider.requests if path.endswith("a") or not isinstance(contents, dict)])
        == 2
    )
    assert not (tmp_path / "a").exists()
    assert not (tmp_path / "part.bin").exists()
    provider.tamper = lambda _path, _reply: None
    assert (await provider.get(tmp_path)).size_bytes == 9000


@pytest.mark.parametrize("contents", [noise(9000), {"a": noise(9000)}], ids=["resource", "package"])
async def test_another_content_than_the_agreed_one_is_refused(tmp_path, contents):
    with pytest.raises(PermanentDeliveryError) as caught:
        await Provider(contents).get(tmp_path, expected_sha256="00" * 32)
    assert caught.value.code == "hash-mismatch"
    assert not (tmp_path / "a").exists()


async def test_a_provider_that_sends_more_than_it_promised_is_stopped(tmp_path):
    provider = Provider({"a": noise(9000)})

    def inflate(path, reply):
        if path:
            reply.body += b"x" * 10_000_000

    provider.tamper = inflate
    with pytest.raises(PermanentDeliveryError) as caught:
        await provider.get(tmp_path)
    assert caught.value.code == "bad-content"
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 2**20


async def test_a_provider_that_sends_another_range_is_stopped(tmp_path):
    provider = Provider({"a": noise(9000)})
    (tmp_path / ".a.part").write_bytes(noise(9000)[:4000])

    def shift(path, reply):
        if path:
            reply.headers["content-range"] = "bytes 3999-8999/9000"

    provider.tamper = shift
    with pytest.raises(PermanentDeliveryError, match="range"):
        await provider.get(tmp_path)


async def test_the_rest_of_a_resource_must_begin_where_the_part_ends(tmp_path):
    provider = Provider(noise(9000))
    provider.tamper = lambda _path, reply: setattr(reply, "cut_after", 5000)
    with pytest.raises(TransientDeliveryError):
        await provider.get(tmp_path)
    provider.tamper = lambda _path, reply: reply.headers.update({"content-range": "bytes 4999-8999/9000"})
    with pytest.raises(PermanentDeliveryError, match="range"):
        await provider.get(tmp_path)


@pytest.mark.parametrize("contents", [noise(9000), {"a": noise(9000)}], ids=["resource", "package"])
async def test_the_rest_is_asked_for_under_the_tag_of_the_part(tmp_path, contents):
    provider = Provider(contents)
    provider.tamper = lambda path, reply: (
        setattr(reply, "cut_after", 5000) if reply.headers.get("Repr-Digest") else None
    )
    with pytest.raises(TransientDeliveryError):
        await provider.get(tmp_path)
    provider.tamper = lambda _path, _reply: None
    await provider.get(tmp_path)
    etag = serve.etag_of(hashlib.sha256(noise(9000)).hexdigest())
    assert [(wanted.get("Range"), wanted.get("If-Range")) for wanted in provider.headers][-1] == (
        "bytes=5000-",
        etag,
    )


async def test_the_note_of_another_transfer_in_the_same_folder_counts_for_nothing(tmp_path):
    await Provider(noise(9000)).get(tmp_path)
    note = tmp_path / ".resource.json"
    note.write_text(note.read_text().replace("t-1", "t-0"))
    provider = Provider(noise(9000))
    assert (await provider.get(tmp_path)).fetched_bytes == 9000
    assert provider.requests == [("", None)]


async def test_a_provider_without_ranges_is_received_from_the_start(tmp_path):
    provider = Provider({"a": noise(9000)})
    (tmp_path / ".a.part").write_bytes(noise(9000)[:4000])

    def whole(path, reply):
        if path:
            reply.status, reply.body = 200, noise(9000)

    provider.tamper = whole
    received = await provider.get(tmp_path)
    assert received.fetched_bytes == 9000


async def test_a_package_published_anew_meanwhile_is_received_from_its_new_manifest(tmp_path):
    provider = Provider({"a": noise(9000), "b": noise(9000, 2)})

    def republish(path, _reply):
        if path == "/files/a":
            provider.publish({"a": noise(9000), "b": noise(9000, 3)})

    provider.tamper = republish
    with pytest.raises(TransientDeliveryError, match="manifest"):
        await provider.get(tmp_path)
    await provider.get(tmp_path)
    assert (tmp_path / "b").read_bytes() == noise(9000, 3)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, PermanentDeliveryError),
        (403, PermanentDeliveryError),
        (404, PermanentDeliveryError),
        (409, PermanentDeliveryError),
        (302, PermanentDeliveryError),
        (204, PermanentDeliveryError),
        (408, TransientDeliveryError),
        (416, TransientDeliveryError),
        (429, TransientDeliveryError),
        (500, TransientDeliveryError),
        (503, TransientDeliveryError),
    ],
)
async def test_a_refusal_carries_status_and_the_providers_words(tmp_path, status, error):
    provider = Provider(noise(10))

    def refuse(_path, reply):
        reply.status, reply.body = status, json.dumps({"message": "no\x1b[2J " + "x" * 600}).encode()
        reply.headers["retry-after"] = "7"

    provider.tamper = refuse
    with pytest.raises(error) as caught:
        await provider.get(tmp_path)
    assert f"status {status}" in caught.value.message
    assert "\x1b" not in caught.value.message
    if error is PermanentDeliveryError:
        assert (caught.value.status, len(caught.value.reason)) == (status, 500)
    else:
        assert caught.value.retry_after_s == 7


@pytest.mark.parametrize(
    "body", [b"<html>", b"", b"[1]", b'{"message": 5}', b"[" * 10_000, b"x" * 100_000, b"\xff"]
)
async def test_a_refusal_in_any_words_is_understood(tmp_path, body):
    provider = Provider(noise(10))

    def refuse(_path, reply):
        reply.status, reply.body = 403, body

    provider.tamper = refuse
    with pytest.raises(PermanentDeliveryError) as caught:
        await provider.get(tmp_path)
    assert (caught.value.status, caught.value.reason) == (403, "")


@pytest.mark.parametrize("path", ["../x", "/etc/x", "a/../../x", ".ssh/x", "a\\b", "a\0b", "a//b"])
async def test_a_manifest_with_a_dangerous_path_writes_nothing(tmp_path, path):
    provider = Provider({"aaaaaaa": b"x"})

    def poison(asked, reply):
        if not asked:
            reply.body = reply.body.replace(b'"aaaaaaa"', json.dumps(path).encode())

    provider.tamper = poison
    with pytest.raises(PermanentDeliveryError) as caught:
        await provider.get(tmp_path / "in")
    assert caught.value.code == "bad-content"
    assert listing(tmp_path) == []


@pytest.mark.parametrize("body", [b"", b"{}", b"null", b"\xff" * 100, b"[" * 100_000])
async def test_a_broken_manifest_is_refused(tmp_path, body):
    provider = Provider({"a": b"x"})

    def break_it(_path, reply):
        reply.body = body

    provider.tamper = break_it
    with pytest.raises(PermanentDeliveryError) as caught:
        await provider.get(tmp_path)
    assert caught.value.code == "bad-content"


async def test_an_endless_manifest_is_cut_off(tmp_path, monkeypatch):
    monkeypatch.setattr(manifest, "MAX_BYTES", 10_000)
    provider = Provider({"a": b"x"})

    def endless(_path, reply):
        reply.body = b" " * 1_000_000

    provider.tamper = endless
    with pytest.raises(PermanentDeliveryError, match="more than 10000"):
        await provider.get(tmp_path)


@pytest.mark.parametrize("where", ["b", "b/c"])
async def test_a_planted_link_to_a_folder_is_not_followed(tmp_path, where):
    (tmp_path / "outside").mkdir()
    (tmp_path / "in/b").parent.mkdir()
    if where == "b/c":
        (tmp_path / "in/b").mkdir()
    (tmp_path / "in" / where).symlink_to(tmp_path / "outside")
    with pytest.raises(StorageError):
        await Provider({"b/c/d": noise(10)}).get(tmp_path / "in")
    assert listing(tmp_path / "outside") == []


async def test_a_planted_link_in_the_place_of_a_part_is_replaced_not_followed(tmp_path):
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    inside = tmp_path / "in"
    inside.mkdir()
    (inside / ".a.part").symlink_to(victim)
    other = tmp_path / "other"
    other.write_bytes(b"precious")
    os.link(other, inside / ".b.part")
    os.mkfifo(inside / ".c.part")
    await Provider({"a": noise(100), "b": noise(200), "c": noise(300)}).get(inside)
    assert victim.read_bytes() == other.read_bytes() == b"precious"
    assert [(inside / name).read_bytes() for name in "abc"] == [noise(100), noise(200), noise(300)]
    assert not (inside / "a").is_symlink()


async def test_a_planted_link_in_the_place_of_a_file_is_refused_not_followed(tmp_path):
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a").symlink_to(victim)
    for contents in ({"a": noise(100)}, {"a": b"precious"}):
        with pytest.raises(StorageError, match="is there already"):
            await Provider(contents).get(tmp_path / "in")
    assert victim.read_bytes() == b"precious"


async def test_a_folder_in_the_place_of_a_file_is_a_clear_error(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(StorageError, match=r"'.*a'"):
        await Provider({"a": noise(10)}).get(tmp_path)


async def test_too_little_room_is_found_before_the_first_byte(tmp_path):
    provider = Provider({"a": noise(9000)})
    with pytest.raises(StorageError) as caught:
        await provider.get(tmp_path, free=lambda _folder: 8999)
    assert caught.value.code == "disk-full"
    assert "9000 more bytes" in caught.value.message
    assert str(tmp_path) in caught.value.message
    assert provider.requests == [("", None)]
    assert listing(tmp_path) == []


async def test_room_is_only_needed_for_what_is_missing(tmp_path):
    provider = Provider({"a": noise(9000), "b": noise(9000, 2)})
    await Provider({"a": noise(9000)}).get(tmp_path)
    (tmp_path / ".b.part").write_bytes(noise(9000, 2)[:8000])
    await provider.get(tmp_path, free=lambda _folder: 1000)
    assert (tmp_path / "b").read_bytes() == noise(9000, 2)


async def test_a_reserve_of_the_disk_stays_free(tmp_path):
    with pytest.raises(StorageError) as caught:
        await Provider(noise(9000)).get(tmp_path, free=lambda _folder: 10_000, reserve_bytes=2000)
    assert caught.value.code == "disk-full"


async def test_a_resource_of_unknown_size_is_stopped_when_the_disk_fills(tmp_path):
    provider = Provider(noise(1000))

    def endless(_path, reply):
        del reply.headers["content-length"]
        reply.body = noise(2**20) * 200

    provider.tamper = endless
    with pytest.raises(StorageError) as caught:
        await provider.get(tmp_path, free=lambda _folder: 50 * 2**20)
    assert caught.value.code == "disk-full"
    assert (tmp_path / ".resource.part").stat().st_size < 100 * 2**20


@pytest.mark.parametrize("headers", [{}, {"etag": 'W/"x"'}], ids=["no tag", "weak tag"])
async def test_a_resource_without_a_strong_tag_starts_over(tmp_path, headers):
    provider = Provider(noise(9000))

    def plain(_path, reply):
        for name in ("etag", "repr-digest", "accept-ranges"):
            reply.headers.pop(name, None)
        reply.headers.update(headers)
        reply.cut_after = cut_after

    provider.tamper = plain
    cut_after = 5000
    with pytest.raises(TransientDeliveryError):
        await provider.get(tmp_path)
    cut_after = None
    received = await provider.get(tmp_path)
    assert (received.fetched_bytes, received.sha256) == (9000, hashlib.sha256(noise(9000)).hexdigest())
    assert provider.requests == [("", None), ("", None)]


async def test_a_resource_that_changed_meanwhile_is_received_whole(tmp_path):
    provider = Provider(noise(9000))
    provider.tamper = lambda _path, reply: setattr(reply, "cut_after", 5000)
    with pytest.raises(TransientDeliveryError):
        await provider.get(tmp_path)
    provider.publish(noise(8000, 2))
    provider.tamper = lambda _path, _reply: None
    received = await provider.get(tmp_path)
    assert provider.requests[-1] == ("", "bytes=5000-")
    assert (tmp_path / received.files[0].path).read_bytes() == noise(8000, 2)


async def test_a_resource_received_before_is_only_hashed_again(tmp_path):
    provider = Provider(noise(9000))
    first = await provider.get(tmp_path)
    again = await provider.get(tmp_path)
    assert len(provider.requests) == 1
    assert (again.sha256, again.fetched_bytes) == (first.sha256, 0)
    (tmp_path / "part.bin").write_bytes(b"damaged")
    with pytest.raises(StorageError, match="is there already"):
        await provider.get(tmp_path)
    (tmp_path / "part.bin").unlink()
    again = await provider.get(tmp_path)
    assert (again.sha256, again.fetched_bytes) == (first.sha256, 0)


async def test_a_resource_whose_last_byte_came_before_the_crash_needs_no_request(tmp_path):
    provider = Provider(noise(9000))
    provider.tamper = lambda _path, reply: setattr(reply, "cut_after", 5000)
    with pytest.raises(TransientDeliveryError):
        await provider.get(tmp_path)
    (tmp_path / ".resource.part").write_bytes(noise(9000))
    assert (await provider.get(tmp_path)).fetched_bytes == 0
    assert len(provider.requests) == 1


async def test_an_empty_resource_is_a_file_too(tmp_path):
    received = await Provider(b"").get(tmp_path)
    assert received.files[0].size_bytes == 0
    assert (tmp_path / "part.bin").read_bytes() == b""


@pytest.mark.parametrize("state", [b"", b"{", b"[]", b'{"url": 5}', b"\xff", b"{}" + b" " * 10_000])
async def test_a_damaged_note_of_an_earlier_attempt_is_ignored(tmp_path, state):
    (tmp_path / ".resource.json").write_bytes(state)
    (tmp_path / ".resource.part").write_bytes(b"junk")
    assert (await Provider(noise(9000)).get(tmp_path)).fetched_bytes == 9000


@pytest.mark.parametrize(
    ("offered", "kept"),
    [
        ("a.step", "a.step"),
        ("../../etc/x", "_.._etc_x"),
        (".bashrc", "bashrc"),
        ("", "data"),
        ("ü.step", "_.step"),
        ("a" * 300, "a" * 200),
    ],
)
async def test_an_offered_name_stays_inside_the_folder(tmp_path, offered, kept):
    received = await Provider(noise(10), name=offered).get(tmp_path / "in")
    assert received.files[0].path == kept
    assert (tmp_path / "in" / kept).read_bytes() == noise(10)


@pytest.mark.parametrize("told", ['filename="../x"', 'filename="/etc/x"', 'filename=".x"', 'filename="a/b"'])
async def test_a_dangerous_name_from_another_connector_is_replaced(tmp_path, told):
    provider = Provider(noise(10))
    provider.tamper = lambda _path, reply: reply.headers.update(
        {"content-disposition": f"attachment; {told}"}
    )
    assert (await provider.get(tmp_path)).files[0].path == "data"


async def test_the_callers_name_wins_and_is_checked(tmp_path):
    assert (await Provider(noise(10)).get(tmp_path, name="b.step")).files[0].path == "b.step"
    for name in ("../x", "a/b", "/x", ".x"):
        with pytest.raises(InvalidInputError):
            await Provider(noise(10)).get(tmp_path, name=name)


async def test_a_folder_takes_one_transfer_at_a_time(tmp_path):
    held = target.Target(tmp_path)
    with pytest.raises(ConflictError):
        await Provider(noise(10)).get(tmp_path)
    held.close()
    await Provider(noise(10)).get(tmp_path)


async def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="file/in"):
        await Provider(noise(10)).get(tmp_path / "file/in")


async def test_nothing_stays_open(tmp_path):
    provider = Provider({"a": noise(9000), "b/c": noise(9000)})
    before = len(list(Path("/proc/self/fd").iterdir()))
    await provider.get(tmp_path / "1")
    provider.tamper = lambda path, reply: setattr(reply, "cut_after", 100) if path else None
    with pytest.raises(TransientDeliveryError):
        await provider.get(tmp_path / "2")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


async def test_a_cancelled_thread_is_waited_for(tmp_path):
    where = target.Target(tmp_path)
    started, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def slow():
        started.set()
        go_on.wait(5)
        ended.set()

    task = asyncio.create_task(where.run(slow))
    await asyncio.to_thread(started.wait, 5)
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()
    assert where.stopped
    where.close()


async def test_small_chunks_are_joined_and_survive_a_cut():
    class Broken:
        async def chunks(self):
            for _ in range(3):
                yield b"ab"
            raise TransientDeliveryError("cut")

    seen = []
    with pytest.raises(TransientDeliveryError):  # noqa: PT012
        async for piece in fetch.pieces(Broken()):
            seen.append(piece)  # noqa: PERF401
    assert seen == [b"ababab"]
