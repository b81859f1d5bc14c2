"""What a scripted provider may send to the inbox of a transfer, and what it is answered."""

import asyncio
import hashlib
import json
from types import SimpleNamespace

import aiohttp
import pytest

from comity.controlplane import get, processes
from comity.dataplane import disk
from comity.management import query
from support import handed as handing
from support.endpoint import digest_header
from support.handed import CONTENT, TUS, chunked, into, listing, request
from support.pair import wait_for
from support.peer import status
from support.process import bought


@pytest.fixture
async def http():
    async with aiohttp.ClientSession(headers={"User-Agent": "scripted"}) as session:
        yield session


@pytest.fixture
async def handed(site, peer, http, tmp_path):
    return await handing.hand_over(site, peer, http, tmp_path)


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_a_chunked_body_as_other_connectors_push_it_is_received_before_the_start_has_come(
    handed, method
):
    answer = await handed.send(method, chunked(CONTENT), Content_Type="application/octet-stream")
    assert answer.status == 204, answer.body
    assert answer.headers["Repr-Digest"] == digest_header(CONTENT)
    assert listing(handed.folder) == {"data": CONTENT}
    await handed.start()
    assert (await handed.row())[:2] == ("DONE", 1)
    assert (await handed.process.send("TransferCompletionMessage")).status == 200
    await handed.site.reaches(handed.id, "COMPLETED")


async def test_what_the_provider_does_not_complete_we_complete_after_a_while(handed, peer, monkeypatch):
    monkeypatch.setattr("comity.controlplane.transfer_moves.COMPLETE_AFTER_S", 0.2)
    await handed.start()
    assert (await handed.send("POST", CONTENT)).status == 204
    await wait_for(lambda: peer.of("/completion"))
    await handed.site.reaches(handed.id, "COMPLETED")


async def test_a_completion_before_all_is_here_is_shown_as_a_failure(handed):
    await handed.start()
    assert (await handed.rest(CONTENT[:1000], 0, len(CONTENT))).status == 204
    assert (await handed.process.send("TransferCompletionMessage")).status == 200
    state, *_, error = await handed.row()
    assert (state, "before all of its data" in error) == ("FAILED", True)
    document = await processes.load_transfer(handed.site.connector, handed.id)
    assert "before all of its data" in document["errorDetail"]


async def test_a_resumable_client_is_told_where_it_stands_and_sends_the_rest(handed):
    await handed.start()
    stand = await handed.send("HEAD", Tus_Resumable="1.0.0")
    assert (stand.status, stand.headers["Upload-Offset"]) == (200, "0")
    assert stand.headers["Upload-Defer-Length"] == "1"
    total = len(CONTENT)
    for at, end in ((0, 1), (1, 400_000), (400_000, total)):
        answer = await handed.rest(CONTENT[at:end], at, total, Repr_Digest=digest_header(CONTENT))
        assert (answer.status, answer.headers["Upload-Offset"]) == (204, str(end))
        if end < total:
            stand = await handed.send("HEAD", Tus_Resumable="1.0.0")
            assert (stand.headers["Upload-Offset"], stand.headers["Upload-Length"]) == (str(end), str(total))
    assert listing(handed.folder) == {"data": CONTENT}
    assert (await handed.row())[0] == "DONE"


async def test_a_rest_that_begins_elsewhere_or_is_of_something_else_is_not_taken(handed):
    await handed.start()
    total = len(CONTENT)
    assert (await handed.rest(CONTENT[:1000], 0, total, Repr_Digest=digest_header(CONTENT))).status == 204
    wrong = await handed.rest(CONTENT[2000:], 2000, total)
    assert (wrong.status, wrong.headers["Upload-Offset"]) == (409, "1000")
    other = await handed.rest(b"x" * (total - 1000), 1000, total, Repr_Digest=digest_header(b"x"))
    assert (other.status, other.headers["Upload-Offset"]) == (409, "0")
    assert (await handed.rest(CONTENT, 0, total, Repr_Digest=digest_header(CONTENT))).status == 204
    assert listing(handed.folder) == {"data": CONTENT}


async def test_bytes_with_another_digest_are_thrown_away(handed):
    await handed.start()
    for method in ("POST", "PATCH"):
        named = {**TUS, "Upload-Offset": "0", "Upload-Length": "5"} if method == "PATCH" else {}
        answer = await handed.send(method, b"wrong", Repr_Digest=digest_header(b"right"), **named)
        assert answer.status == 460
        assert listing(handed.folder) == {}
    assert (await handed.send("POST", b"right", Repr_Digest=digest_header(b"right"))).status == 204
    assert listing(handed.folder) == {"data": b"right"}


async def test_a_body_that_breaks_off_is_no_file(handed):
    await handed.start()

    async def breaking():
        yield CONTENT[:300_000]
        await asyncio.sleep(0.1)
        raise ConnectionError

    with pytest.raises(aiohttp.ClientError):
        await handed.send("POST", breaking())

    async def noted():
        return "gone" in (await handed.row())[5]

    await wait_for(noted)
    assert listing(handed.folder) == {}
    assert (await handed.send("POST", CONTENT)).status == 204
    assert listing(handed.folder) == {"data": CONTENT}


async def test_a_wrong_token_opens_nothing_and_says_nothing(handed):
    await handed.start()
    other = handed.url[:-4] + "0000"
    for authorization in ("", "Bearer " + "x" * 43, handed.authorization + "x"):
        answer = await handed.send("POST", b"x", authorization=authorization)
        assert answer.status == 401
        async with handed.http.post(
            other, data=b"x", headers={"Authorization": handed.authorization}
        ) as missing:
            assert missing.status == 401
    assert not handed.folder.exists()


async def test_nothing_more_is_taken_once_all_is_here_or_the_transfer_has_ended(handed):
    await handed.start()
    assert (await handed.send("POST", CONTENT)).status == 204
    again = await handed.send("POST", b"more")
    assert again.status == 423
    stand = await handed.send("HEAD", Tus_Resumable="1.0.0")
    assert stand.headers["Upload-Offset"] == stand.headers["Upload-Length"] == str(len(CONTENT))
    assert (await handed.process.send("TransferCompletionMessage")).status == 200
    for method in ("POST", "PUT", "HEAD"):
        assert (await handed.send(method)).status == 403
    assert listing(handed.folder) == {"data": CONTENT}


async def test_a_connector_that_stops_asks_the_sender_to_come_again(handed):
    await handed.start()
    released = asyncio.Event()

    async def slow():
        yield CONTENT[:600_000]
        await released.wait()

    sending = asyncio.create_task(handed.send("POST", slow()))
    await wait_for((handed.folder / ".resource.part").exists)
    handed.site.parts.open_flows.cut_all()  # as when it is told to stop
    answer = await asyncio.wait_for(sending, 5)
    assert (answer.status, answer.headers["Retry-After"]) == (503, "2")
    assert (await handed.send("POST", CONTENT)).status == 204


async def test_a_suspended_transfer_asks_to_come_again_and_an_open_body_is_cut(handed):
    await handed.start()
    released = asyncio.Event()

    async def slow():
        yield CONTENT[:300_000]
        await released.wait()
        yield CONTENT[300_000:]

    sending = asyncio.create_task(handed.send("POST", slow()))
    await wait_for((handed.folder / ".resource.part").exists)
    assert (await handed.process.send("TransferSuspensionMessage", reason=["x"])).status == 200
    answer = await asyncio.wait_for(sending, 5)
    assert answer.status == 423
    released.set()
    assert (await handed.send("POST", CONTENT)).status == 423
    assert (await handed.process.send("TransferStartMessage")).status == 200
    assert (await handed.send("POST", CONTENT)).status == 204
    assert listing(handed.folder) == {"data": CONTENT}


EVIL = [
    "../out",
    "..%2Fout",
    "/etc/passwd",
    "a/../../out",
    ".hidden",
    "b/.comity-manifest.json",
    "not-in-it",
    "%00",
]


async def test_only_the_files_of_the_manifest_are_taken_whatever_a_path_says(handed):
    await handed.start()
    entry = {
        "mediaType": "a/b",
        "path": "a.txt",
        "sha256": hashlib.sha256(b"hello").hexdigest(),
        "sizeBytes": 5,
    }
    data = json.dumps(
        {"files": [entry], "format": "comity-package/1", "sizeBytes": 5, "title": "t"}, separators=(",", ":")
    ).encode()
    assert (await handed.send("POST", b"hello", path="/a.txt")).status == 404
    assert (await handed.send("POST", data, path="/.comity-manifest.json")).status == 204
    for path in EVIL:
        assert (await handed.send("PUT", b"x", path=f"/{path}")).status in {401, 404}, path
    assert (await handed.send("PUT", b"wrong", path="/a.txt")).status == 460
    assert (await handed.send("PUT", b"hello!", path="/a.txt")).status == 422
    assert [path.name for path in handed.folder.parent.iterdir() if path.name == "out"] == []


@pytest.mark.parametrize("evil", ["../a", "/a", ".a", "a//b", "a\x00b", "a\\b"])
async def test_a_manifest_that_names_a_way_out_ends_the_transfer(handed, evil):
    await handed.start()
    entry = {"mediaType": "a/b", "path": evil, "sha256": "0" * 64, "sizeBytes": 5}
    body = {"files": [entry], "format": "comity-package/1", "sizeBytes": 5, "title": "t"}
    data = json.dumps(body, separators=(",", ":")).encode()
    assert (await handed.send("POST", data, path="/.comity-manifest.json")).status == 422
    assert (await handed.row())[0] == "FAILED"
    await handed.site.reaches(handed.id, "TERMINATED")
    assert listing(handed.folder) == {}


async def test_room_is_looked_for_before_a_byte_is_taken(handed, monkeypatch):
    await handed.start()
    shutil = disk.shutil
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=64 * 1024 * 1024 + 100))
    for method, named in (("POST", {}), ("PATCH", {**TUS, "Upload-Offset": "0", "Upload-Length": "1000"})):
        answer = await handed.send(method, b"x" * 1000, **named)
        assert (answer.status, answer.headers["Retry-After"]) == (507, "60")
    assert (await handed.send("POST", b"x" * 50)).status == 204


@pytest.mark.parametrize(
    ("method", "headers", "code"),
    [
        ("PATCH", {"Upload_Offset": "0"}, 412),
        ("PATCH", {"Upload_Offset": "0", "Tus_Resumable": "0.2.2"}, 412),
        ("PATCH", {"Upload_Offset": "0", "Tus_Resumable": "1.0.0", "Content_Type": "text/plain"}, 415),
        ("PATCH", {**TUS}, 409),
        ("PATCH", {**TUS, "Upload_Offset": "-1"}, 409),
        ("PATCH", {**TUS, "Upload_Offset": "0"}, 400),
        ("PATCH", {**TUS, "Upload_Offset": "0", "Upload_Length": "x"}, 400),
        ("POST", {"Content_Encoding": "gzip"}, 400),
        ("DELETE", {}, 405),
        ("GET", {}, 405),
    ],
)
async def test_a_request_that_is_not_understood_is_refused(handed, method, headers, code):
    await handed.start()
    answer = await handed.send(method, b"x" * 10, **headers)
    assert answer.status == code, answer.body
    assert listing(handed.folder) == {}


async def test_the_inbox_says_which_protocol_it_speaks(handed):
    answer = await handed.send("OPTIONS")
    assert (answer.status, answer.headers["Tus-Version"]) == (204, "1.0.0")


async def test_a_sender_that_comes_back_ends_its_own_request_that_hangs(handed):
    await handed.start()
    never = asyncio.Event()

    async def hanging():
        yield CONTENT[:600_000]
        await never.wait()

    first = asyncio.create_task(
        handed.send("PATCH", hanging(), **TUS, Upload_Offset="0", Upload_Length=str(len(CONTENT)))
    )
    part = handed.folder / ".resource.part"
    await wait_for(lambda: part.exists() and part.stat().st_size)
    stand = await asyncio.wait_for(handed.send("HEAD", Tus_Resumable="1.0.0"), 5)
    offset = int(stand.headers["Upload-Offset"])
    assert 0 < offset <= 600_000
    answer = await handed.rest(CONTENT[offset:], offset, len(CONTENT))
    assert answer.status == 204
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert listing(handed.folder) == {"data": CONTENT}


async def test_a_provider_that_refuses_the_request_leaves_no_inbox_open(site, peer, http, tmp_path):
    peer.script("/transfers/request", status(400, {"reason": ["no push here"]}))
    record = await bought(peer, site)
    transfer_id = await request(site, (await site.agreement(record.id)).id, into(tmp_path / "got"))
    await site.reaches(transfer_id, "TERMINATED")
    made = handing.Handed(site, peer, http, transfer_id, tmp_path / "got")
    assert (await made.send("POST", b"x")).status == 401
    assert not (tmp_path / "got").exists()
    assert (await get.find(site.connector, query.Spec())) == []
