"""Receiving from a provider in memory, which serves real answers of `serve` and misbehaves when told to."""

import hashlib
import json
import random

import pytest

from comity.dataplane import serve
from comity.errors import (
    PermanentDeliveryError,
    StorageError,
    TransientDeliveryError,
)
from comity.techdata import manifest
from support.provider import Provider, listing, noise


async def test_a_package_lies_whole_in_the_folder(tmp_path):
    contents = {"a.step": noise(100_000), "b/c d/ü.txt": b"text", "empty": b"", "zeros": bytes(3_000_000)}
    provider = Provider(contents)
    received = await provider.get(tmp_path / "in", expected_sha256=provider.content.sha256)
    for path, data in contents.items():
        assert (tmp_path / "in" / path).read_bytes() == data
    assert listing(tmp_path / "in") == sorted([".comity-before.json", ".comity-manifest.json", *contents])
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
    for kept, name, what in (
        (b"my own notes", "b", "was changed since it was received"),
        (b"mine too", "d", "was not received here"),
    ):
        with pytest.raises(StorageError, match=f"{name}' is there already and {what}"):
            await newest.get(tmp_path)
        assert (tmp_path / name).read_bytes() == kept
        (tmp_path / name).unlink()
    await newest.get(tmp_path)
    assert (tmp_path / "b").read_bytes() == noise(8000, 4)


async def test_a_new_revision_goes_on_from_what_an_interrupted_older_one_left(tmp_path):
    older = Provider({"a": noise(5000), "b": noise(400_000, 2)})
    older.tamper = lambda path, reply: setattr(reply, "cut_after", 9000) if path.endswith("/b") else None
    with pytest.raises(TransientDeliveryError):
        await older.get(tmp_path)
    assert (tmp_path / "a").read_bytes() == noise(5000)
    await Provider({"a": noise(5100, 3), "b": noise(400_000, 4)}).get(tmp_path)
    assert (tmp_path / "a").read_bytes() == noise(5100, 3)
    assert (tmp_path / "b").read_bytes() == noise(400_000, 4)
    assert listing(tmp_path) == [".comity-manifest.json", "a", "b"]


async def test_what_appears_at_a_files_place_while_it_is_fetched_is_not_replaced(tmp_path):
    provider = Provider({"a": noise(5000)})
    provider.tamper = lambda path, _reply: (
        (tmp_path / "a").write_bytes(b"mine") if path.endswith("/a") else None
    )
    with pytest.raises(StorageError, match="is there already"):
        await provider.get(tmp_path)
    assert (tmp_path / "a").read_bytes() == b"mine"


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


async def test_a_provider_without_ranges_is_received_all_the_same(tmp_path):
    provider = Provider({"a": noise(9000)})
    (tmp_path / ".a.part").write_bytes(noise(9000)[:4000])

    def whole(path, reply):
        if path:
            reply.status, reply.body = 200, noise(9000)

    provider.tamper = whole
    await provider.get(tmp_path)
    assert (tmp_path / "a").read_bytes() == noise(9000)


async def test_a_package_published_anew_meanwhile_is_received_from_its_new_manifest(tmp_path):
    provider = Provider({"a": noise(9000), "b": noise(9000, 2)})

    def republish(path, _reply):
        if not path:
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
