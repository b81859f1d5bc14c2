"""A push side by side and in blocks: how much it saves, what becomes of a newer revision, and what hostile ones try."""

import asyncio
import hashlib
import itertools
import json

import aiohttp
import pytest

from comity.controlplane import receiving
from comity.dataplane import reception
from comity.techdata import manifest
from support import handed as handing
from support.endpoint import digest_header
from support.handed import CONTENT, TUS, asked, into, listing, pull_row
from support.pair import wait_for

A_WHOLE = CONTENT
OTHER = CONTENT[:5000]
AHEAD = {"Comity-Ahead": "1"}


@pytest.fixture
async def http():
    async with aiohttp.ClientSession(headers={"User-Agent": "scripted"}) as session:
        yield session


@pytest.fixture
async def handed(site, peer, http, tmp_path):
    made = await handing.hand_over(site, peer, http, tmp_path)
    await made.start()
    return made


def a_manifest(**files):
    listed = [
        {"mediaType": "a/b", "path": path, "sha256": hashlib.sha256(data).hexdigest(), "sizeBytes": len(data)}
        for path, data in sorted(files.items())
    ]
    size = sum(map(len, files.values()))
    body = {"files": listed, "format": "comity-package/1", "sizeBytes": size, "title": "t"}
    return json.dumps(body, separators=(",", ":")).encode()


async def begin(handed, **files):
    answer = await handed.send("POST", a_manifest(**files), path="/.comity-manifest.json")
    assert answer.status == 204, answer.body
    return answer


async def block(handed, path, data, start, end, *, total=None, **headers):
    told = {**TUS, "Upload-Offset": str(start), "Upload-Length": str(total or len(data)), **headers}
    return await handed.send("PATCH", data[start:end], path, **told)


@pytest.mark.parametrize(
    ("alone", "least", "limit"), [(True, 4, 8), (False, 1, 1)], ids=["alone", "replicas"]
)
async def test_small_files_do_not_take_a_round_trip_each_in_turn_but_at_replicas(
    pair, tmp_path, monkeypatch, alone, least, limit
):
    monkeypatch.setattr(pair.consumer.connector.database, "is_alone", lambda: alone)
    files = {f"{at:02}.txt": bytes([at]) * 100 for at in range(24)}
    at_once, most = 0, 0
    nearby = receiving.Receiving.admit

    async def far(*words):
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.01)
        at_once -= 1
        return await nearby(*words)

    monkeypatch.setattr(receiving.Receiving, "admit", far)
    transfer_id = await asked(pair, into(tmp_path / "got"), files=files)
    await pair.consumer.reaches(transfer_id, "COMPLETED", 20)
    assert least <= most <= limit
    assert listing(tmp_path / "got") == files


async def test_blocks_that_come_before_their_turn_wait_for_it(handed):
    answer = await begin(handed, a=A_WHOLE)
    assert answer.headers["Comity-Ahead"] == str(2**20)
    ends = (0, 300_000, 700_000, len(A_WHOLE))
    sending = []
    for start, end in reversed(list(itertools.pairwise(ends))):
        sending.append(asyncio.create_task(block(handed, "/a", A_WHOLE, start, end, **AHEAD)))
        await asyncio.sleep(0.02)  # those behind it come first
    answers = await asyncio.gather(*sending)
    assert [each.status for each in answers] == [204] * 3
    assert [int(each.headers["Upload-Offset"]) for each in answers] == sorted(ends[1:], reverse=True)
    assert answers[0].headers["Repr-Digest"] == digest_header(A_WHOLE)
    assert listing(handed.folder) == {"a": A_WHOLE}
    assert (await handed.row())[0] == "DONE"


LIES = {
    "a gap": (1000, 2000, {}, 409),
    "what is here already": (0, 400, {}, 409),
    "beyond the end": (4 * len(CONTENT), 4 * len(CONTENT), {}, 409),
    "another length": (500, 900, {"total": 7}, 400),
    "a turn that never comes": (1000, 2000, AHEAD, 409),
}


@pytest.mark.parametrize(("start", "end", "more", "status"), LIES.values(), ids=LIES)
async def test_a_block_that_lies_about_its_place_changes_nothing(
    handed, monkeypatch, start, end, more, status
):
    monkeypatch.setattr(reception, "TURN_S", 0.05)
    await begin(handed, a=A_WHOLE)
    assert (await block(handed, "/a", A_WHOLE, 0, 500)).status == 204
    answer = await block(handed, "/a", A_WHOLE, start, end, **more)
    assert answer.status == status
    if status == 409:
        assert answer.headers["Upload-Offset"] == "500"
    assert (await block(handed, "/a", A_WHOLE, 500, len(A_WHOLE))).status == 204
    assert listing(handed.folder) == {"a": A_WHOLE}


async def test_more_than_the_manifest_says_ends_the_transfer(handed):
    await begin(handed, a=b"hello")
    assert (await block(handed, "/a", b"hello, world", 0, 12, total=5)).status == 422
    assert (await handed.row())[0] == "FAILED"
    assert listing(handed.folder) == {}


@pytest.mark.parametrize("path", ["", "/a"])
async def test_a_part_with_content_range_is_not_taken_for_the_whole(handed, path):
    if path:
        await begin(handed, a=A_WHOLE)
    for said in ("bytes 0-9/1048576", "bytes 5-9/10", "bytes 9-5/*", "lies"):
        assert (await handed.send("PUT", A_WHOLE[:10], path, Content_Range=said)).status == 400
    assert listing(handed.folder) == {}
    assert (await handed.send("PUT", A_WHOLE, path)).status == 204


async def test_of_two_who_push_the_same_at_once_the_later_one_stays_and_all_is_exact(handed):
    await begin(handed, a=A_WHOLE)
    never = asyncio.Event()

    async def hanging():
        yield A_WHOLE[:600_000]
        await never.wait()

    told = {**TUS, **AHEAD, "Upload-Offset": "0", "Upload-Length": str(len(A_WHOLE))}
    part = handed.folder / ".a.part"
    first = asyncio.create_task(handed.send("PATCH", hanging(), "/a", **told))
    await wait_for(lambda: part.exists() and part.stat().st_size)
    again = await block(handed, "/a", A_WHOLE, 0, 1000, **AHEAD)
    assert (again.status, (await asyncio.wait_for(first, 5)).status) == (409, 423)
    at = int(again.headers["Upload-Offset"])
    both = await asyncio.gather(*(block(handed, "/a", A_WHOLE, at, len(A_WHOLE), **AHEAD) for _ in range(2)))
    assert {each.status for each in both} <= {204, 409, 423}
    if (stand := await handed.send("HEAD", None, "/a")).status == 200:  # each has kept the other from its end
        at = int(stand.headers["Upload-Offset"])
        assert (await block(handed, "/a", A_WHOLE, at, len(A_WHOLE))).status == 204
    assert listing(handed.folder) == {"a": A_WHOLE}


async def test_the_token_of_another_transfer_opens_nothing(handed, site, peer, http, tmp_path):
    await begin(handed, a=A_WHOLE)
    peer.received.clear()
    other = await handing.hand_over(site, peer, http, tmp_path / "other")
    await other.start()
    for method in ("PUT", "HEAD", "PATCH"):
        named = {**TUS, "Upload-Offset": "0"} if method == "PATCH" else {}
        answer = await handed.send(method, b"x", "/a", authorization=other.authorization, **named)
        assert answer.status == 401
    assert (await handed.send("PUT", A_WHOLE, "/a")).status == 204


@pytest.mark.parametrize(("restarted", "alone"), [(False, True), (True, True), (False, False)])
async def test_another_manifest_takes_the_place_of_the_first_and_nothing_of_that_counts(
    handed, monkeypatch, restarted, alone
):
    monkeypatch.setattr(handed.site.connector.database, "is_alone", lambda: alone)
    await begin(handed, a=b"of the first", b=A_WHOLE)
    assert (await handed.send("PUT", b"of the first", "/a")).status == 204
    assert (await block(handed, "/b", A_WHOLE, 0, 1000)).status == 204
    if restarted:
        await handed.site.stop()
        await handed.site.start()
    await begin(handed, a=b"of the second", b=OTHER)
    assert (await handed.send("HEAD", None, "/b")).headers["Upload-Offset"] == "0"
    assert (await handed.send("PUT", OTHER, "/b")).status == 204
    assert (await handed.row())[:3] == ("RUNNING", 1, 2)
    assert (await handed.send("PUT", b"of the second", "/a")).status == 204
    assert (await handed.row())[0] == "DONE"
    assert listing(handed.folder) == {"a": b"of the second", "b": OTHER}


async def test_a_revision_that_is_published_while_a_push_is_on_its_way_is_what_arrives(pair, tmp_path):
    first = {"a.txt": b"one", "dropped.txt": b"x", "m.bin": CONTENT * 3, "z.txt": b"one"}
    second = {"a.txt": b"two, longer", "m.bin": CONTENT[::-1] * 3, "z.txt": b"one"}
    pair.consumer.connector.speeds.incoming.bytes_per_s = 2_000_000
    transfer_id = await asked(pair, into(tmp_path / "got"), files=first)
    part = tmp_path / "got" / ".m.bin.part"
    await wait_for(lambda: part.exists() and (tmp_path / "got" / "dropped.txt").exists())
    (tmp_path / "published" / "asset" / "dropped.txt").unlink()
    await pair.provider.publish(files=second)
    pair.consumer.connector.speeds.incoming.bytes_per_s = 2**40
    await pair.consumer.reaches(transfer_id, "COMPLETED", 20)
    assert listing(tmp_path / "got") == second
    assert (await pull_row(pair.consumer, transfer_id))[:3] == ("DONE", 3, 3)
    assert manifest.decode((tmp_path / "got" / ".comity-manifest.json").read_bytes()).revision == 2
