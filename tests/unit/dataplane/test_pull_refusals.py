"""Receiving from a provider that lies, onto a disk that is not ready: nothing is written where it must not be."""

import asyncio
import hashlib
import json
import os
import threading
from pathlib import Path

import pytest

from comity.dataplane import fetch, target
from comity.errors import (
    ConflictError,
    InvalidInputError,
    PermanentDeliveryError,
    StorageError,
    TransientDeliveryError,
)
from comity.techdata import manifest
from support.provider import Provider, listing, noise


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
    assert "at least 9,000 bytes more are needed, 8,999 bytes are free" in caught.value.message
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
        await Provider(noise(9000)).get(tmp_path, free=lambda _folder: 10_000, reserve_bytes=64 << 20)
    assert caught.value.code == "disk-full"
    said = "at least 9,000 bytes more are needed, 67.1 MB are kept free, 10,000 bytes are free"
    assert said in caught.value.message


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
    (tmp_path / ".resource.runs").unlink()
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
    held = target.Folder(tmp_path)
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
    where = target.Folder(tmp_path)
    started, go_on, ended = threading.Event(), threading.Event(), threading.Event()
    told = []

    def slow():
        started.set()
        go_on.wait(5)
        told.append(where.stopped())
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
    assert told == [True]
    assert not await where.run(where.stopped)  # others that use the folder meanwhile go on
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
