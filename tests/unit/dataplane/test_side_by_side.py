"""Many files and ranges of large ones at once: what is asked for, how far ahead, and what need not be asked for."""

import asyncio
import contextlib
import hashlib
import random

import pytest

from comity.dataplane import packages
from comity.dataplane.speeds import Speed
from comity.errors import ComityError, PermanentDeliveryError, TransientDeliveryError
from support.provider import Provider, listing, noise

MIB = 2**20


class Busy(Provider):
    """Answers after a while, in any order; counts what is asked for at a time."""

    def __init__(self, contents, **more):
        super().__init__(contents, **more)
        self.chance = random.Random(5)
        self.asked = self.most_asked = self.open = self.most_open = 0

    @contextlib.asynccontextmanager
    async def request(self, url, *, headers):
        async with super().request(url, headers=headers) as reply:
            size = len(reply.body) if "/files/" in url else 0
            self.asked, self.open = self.asked + size, self.open + 1
            self.most_asked, self.most_open = (
                max(self.most_asked, self.asked),
                max(self.most_open, self.open),
            )
            await asyncio.sleep(self.chance.random() / 200)
            body = reply.chunks

            async def chunks():
                try:
                    async for chunk in body():
                        yield chunk
                finally:
                    self.asked, self.open = self.asked - size, self.open - 1

            reply.chunks = chunks
            yield reply


async def test_files_and_ranges_come_side_by_side_and_never_more_than_one_mib_ahead(tmp_path):
    contents = {f"d{at % 3}/{at}": noise(50_000 + at, at) for at in range(40)}
    contents["big"] = noise(5 * MIB + 17, 99)
    provider = Busy(contents)
    received = await provider.get(tmp_path)
    assert all((tmp_path / path).read_bytes() == data for path, data in contents.items())
    assert received.fetched_bytes == sum(map(len, contents.values()))
    assert 2 < provider.most_open <= 8
    assert provider.most_asked <= MIB
    assert sum(path == "/files/big" for path, _ in provider.requests) >= 10


async def test_a_large_resource_comes_in_ranges_under_its_tag(tmp_path):
    provider = Busy(noise(3 * MIB + 5))
    await provider.get(tmp_path)
    assert (tmp_path / "part.bin").read_bytes() == noise(3 * MIB + 5)
    assert [wanted for _, wanted in provider.requests][:2] == [None, f"bytes={MIB // 2}-{MIB - 1}"]
    assert all("If-Range" in headers for headers in provider.headers[1:])
    assert listing(tmp_path) == [".comity-receiving.json", ".resource.json", "part.bin"]


async def test_a_resource_whose_ranges_are_promised_and_not_served_comes_as_one_stream_in_the_end(tmp_path):
    content = noise(2 * MIB + 5)
    provider = Provider(content)

    def whole(_path, reply):
        if reply.status == 206:
            reply.status, reply.body = 200, content
            reply.headers["content-length"] = str(len(content))

    provider.tamper = whole
    with pytest.raises(TransientDeliveryError, match="ranges"):
        await provider.get(tmp_path)
    assert (await provider.get(tmp_path)).fetched_bytes == len(content)
    assert (tmp_path / "part.bin").read_bytes() == content


async def test_one_stream_is_enough(tmp_path):
    provider = Busy({"a": noise(2 * MIB), "b": noise(1000)})
    await provider.get(tmp_path, speed=Speed(streams=1))
    assert provider.most_open == 1
    assert (tmp_path / "a").read_bytes() == noise(2 * MIB)


async def test_equal_files_are_fetched_once(tmp_path):
    contents = {f"copy-{at}": noise(200_000) for at in range(30)} | {"other": noise(10), "empty": b""}
    provider = Provider(contents)
    received = await provider.get(tmp_path)
    assert len(provider.requests) == 3
    assert received.fetched_bytes == 200_010
    assert all((tmp_path / path).read_bytes() == data for path, data in contents.items())


async def test_a_new_revision_copies_what_was_moved_and_fetches_what_is_new(tmp_path):
    await Provider({"a": noise(300_000), "b": noise(300_000, 2), "c": b"c"}).get(tmp_path)
    moved = {"b": noise(300_000), "a": noise(300_000, 2), "new/c": b"c", "d": b"new"}
    provider = Provider(moved)
    received = await provider.get(tmp_path)
    assert received.fetched_bytes == 3
    assert [path for path, _ in provider.requests] == ["", "/files/d"]
    assert all((tmp_path / path).read_bytes() == data for path, data in moved.items())


async def test_a_copy_that_is_not_what_it_was_is_fetched(tmp_path):
    await Provider({"a": noise(300_000)}).get(tmp_path)
    (tmp_path / "a").write_bytes(bytes(300_000))
    received = await Provider({"b": noise(300_000)}).get(tmp_path)
    assert received.fetched_bytes == 300_000
    assert (tmp_path / "b").read_bytes() == noise(300_000)


async def test_the_manifest_is_not_sent_again_after_a_cut(tmp_path):
    provider = Provider({"a": noise(9000), "b": noise(9000, 2)})
    provider.tamper = lambda path, reply: setattr(reply, "cut_after", 5000) if path.endswith("b") else None
    with pytest.raises(TransientDeliveryError):
        await provider.get(tmp_path)
    statuses = []
    provider.tamper = lambda path, reply: statuses.append((path, reply.status))
    await provider.get(tmp_path)
    assert statuses == [("", 304), ("/files/b", 206)]


@pytest.mark.parametrize("kind", ["package", "resource"])
async def test_a_source_that_changes_underneath_never_ends_in_a_mixed_file(tmp_path, kind):
    first, second = noise(4 * MIB, 1), noise(4 * MIB, 2)
    provider = Busy({"a": first} if kind == "package" else first)
    asked = 0

    def change(path, _reply):
        nonlocal asked
        asked += 1
        if asked == 5:
            provider.publish({"a": second} if kind == "package" else second)

    provider.tamper = change
    for _ in range(3):
        with contextlib.suppress(ComityError):
            await provider.get(tmp_path)
            break
    name = "a" if kind == "package" else "part.bin"
    assert hashlib.sha256((tmp_path / name).read_bytes()).digest() == hashlib.sha256(second).digest()


async def test_after_any_cuts_little_is_sent_again(tmp_path):
    contents = {"big": noise(6 * MIB, 3)} | {f"s{at}": noise(30_000, at) for at in range(30)}
    provider = Busy(contents)
    chance, cuts, sent = random.Random(11), 0, 0

    def cut(path, reply):
        nonlocal sent
        if path and chance.random() < 0.15:
            reply.cut_after = chance.randrange(max(1, len(reply.body)))
        sent += (len(reply.body) if reply.cut_after is None else reply.cut_after) if path else 0

    provider.tamper = cut
    while True:
        try:
            await provider.get(tmp_path)
        except TransientDeliveryError:
            cuts += 1
        else:
            break
    assert cuts >= 3
    assert sent - sum(map(len, contents.values())) <= cuts * MIB
    assert all((tmp_path / path).read_bytes() == data for path, data in contents.items())


async def test_a_file_that_comes_wrong_twice_does_not_take_the_others_with_it(tmp_path):
    provider = Busy({f"f{at}": noise(1000, at) for at in range(20)})
    provider.tamper = lambda path, reply: setattr(reply, "body", bytes(1000)) if path.endswith("f7") else None
    with pytest.raises(PermanentDeliveryError, match="'f7'"):
        await provider.get(tmp_path)
    assert sum((tmp_path / f"f{at}").exists() for at in range(20)) == 19
    assert not (tmp_path / "f7").exists()


async def test_files_are_kept_in_groups_and_counted_when_they_are(tmp_path, monkeypatch):
    monkeypatch.setattr(packages, "GROUP_FILES", 10)
    seen = []
    provider = Provider({f"f{at:02}": noise(100, at) for at in range(25)})
    await provider.get(tmp_path, on_progress=lambda files, done, _total: seen.append((files, done)))
    counted = sorted({files for files, _ in seen})
    assert counted[:2] == [0, 10]
    assert len(counted) <= 4
    assert seen[-1] == (25, 2500)


async def test_room_is_looked_at_again_while_bytes_come(tmp_path, monkeypatch):
    monkeypatch.setattr("comity.dataplane.attempt._CHECK_EVERY_BYTES", MIB)
    room = [10 * MIB]

    def taken(_path, _reply):
        room[0] -= MIB  # somebody else writes, too

    provider = Provider({"a": noise(8 * MIB)})
    provider.tamper = taken
    with pytest.raises(ComityError) as caught:
        await provider.get(tmp_path, free=lambda _folder: room[0])
    assert caught.value.code == "disk-full"
    assert 0 < (tmp_path / ".a.part").stat().st_size < 8 * MIB
