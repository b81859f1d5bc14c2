"""A push arrives exact at any HTTP endpoint, goes on where a resumable one stands, and never delivers what is wrong."""

import asyncio
import hashlib
import json
import random
import sys
import time

import pytest

from adapters.dataplane.processes import ENVIRONMENT, HERE, make_client
from comity.dataplane import flows, push, serve
from comity.dsp.push import Destination
from comity.errors import (
    ConflictError,
    PermanentDeliveryError,
    PolicyError,
    StorageError,
    TransientDeliveryError,
)
from comity.net import http
from comity.storage import file, folder
from comity.techdata import manifest
from support import pair
from support.endpoint import Endpoint, digest_header

MIB, GIB = 2**20, 2**30
SHA256_OF_1_GIB_OF_ZEROS = "49bc20df15e412a64472421e13fe86ff1c5165e18b2afccf160d4dc19fe68a14"
PACKAGE = {"a.txt": b"hello", "b/c d.bin": b"\x01" * 70_000, "b/empty": b"", "z.bin": b"\x02" * (2 * MIB)}


@pytest.fixture
def files(tmp_path):
    return file.Files([str(tmp_path)])


@pytest.fixture
async def client():
    made = make_client()
    yield made
    await made.close()


@pytest.fixture
def sender(client, files):
    return push.Push(client.stream, {"file": files}, flows.Flows(check_every_s=0.05, stall_s=0.5))


async def published(files, path, content):
    path.write_bytes(content)
    return serve.Grant("t-1", await files.publish(str(path)))


async def package(files, tmp_path):
    for name, content in PACKAGE.items():
        (tmp_path / "pub" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "pub" / name).write_bytes(content)
    found = await folder.scan(files, str(tmp_path / "pub"))
    data = manifest.encode(found.manifest("package"))
    return serve.Grant("t-1", serve.package(data, {entry.path: entry.source for entry in found.files}))


def noise(size, seed=1):
    return random.Random(seed).randbytes(size)


@pytest.mark.parametrize("size", [0, 1, 65_536, MIB - 1, MIB, 3 * MIB + 17])
@pytest.mark.parametrize("resumable", [False, True])
async def test_a_file_arrives_exact_with_its_length_digest_and_name(tmp_path, files, sender, size, resumable):
    content = noise(size)
    grant = await published(files, tmp_path / "part.step", content)
    async with Endpoint(resumable=resumable) as endpoint:
        assert await sender.run(grant, Destination(endpoint.url, headers={"X-Api-Key": "k"})) == size
        assert bytes(endpoint.got["/up/secret-place"]) == content
        sent = endpoint.of("POST", "PATCH")
    assert [request.method for request in sent] == ["PATCH" if resumable else "POST"]
    headers = sent[0].headers
    assert headers["Content-Length"] == str(size)
    assert headers["Repr-Digest"] == headers["Content-Digest"] == digest_header(content)
    assert headers["Content-Disposition"] == 'attachment; filename="part.step"'
    assert headers["X-Api-Key"] == "k"
    assert ("Transfer-Encoding" in headers) is False


async def test_method_and_media_type_are_the_ones_that_were_asked_for(tmp_path, files, sender):
    grant = await published(files, tmp_path / "part.txt", b"x")
    async with Endpoint() as endpoint:
        await sender.run(grant, Destination(endpoint.url, method="PUT", media_type="model/step"))
        (sent,) = endpoint.of("PUT", "POST")
    assert (sent.method, sent.headers["Content-Type"]) == ("PUT", "model/step")


@pytest.mark.parametrize("resumable", [False, True])
async def test_a_package_arrives_as_its_manifest_and_then_each_file_below_the_endpoint(
    tmp_path, files, sender, resumable
):
    grant = await package(files, tmp_path)
    told = []
    async with Endpoint(resumable=resumable) as endpoint:
        destination = Destination(endpoint.url, folder=True)
        await sender.run(grant, destination, on_progress=lambda *now: told.append(now))
        got = {path.removeprefix("/up/secret-place/"): bytes(data) for path, data in endpoint.got.items()}
        first = endpoint.of("POST")[0]
    assert first.path.endswith("/.comity-manifest.json")
    assert got.pop(".comity-manifest.json") == grant.content.manifest
    assert got == PACKAGE
    total = sum(map(len, PACKAGE.values()))
    assert told[-1] == (4, total, total)
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)


async def test_files_that_are_known_to_be_there_are_not_sent_again(tmp_path, files, sender):
    grant = await package(files, tmp_path)
    async with Endpoint() as endpoint:
        await sender.run(grant, Destination(endpoint.url, folder=True), files_done=3)
        assert [request.path.rpartition("/")[2] for request in endpoint.of("POST")] == [
            ".comity-manifest.json",
            "z.bin",
        ]


async def test_a_package_of_many_files_does_not_go_to_an_endpoint_for_one(tmp_path, files, sender):
    grant = await package(files, tmp_path)
    async with Endpoint() as endpoint:
        with pytest.raises(PermanentDeliveryError, match="package of 4 files"):
            await sender.run(grant, Destination(endpoint.url))
        assert endpoint.requests == []


async def test_a_hundred_random_cuts_leave_the_file_exact_and_nothing_is_sent_twice(tmp_path, files):
    content = noise(24 * MIB + 17)
    grant = await published(files, tmp_path / "model.step", content)
    chance = random.Random(2)
    async with Endpoint(resumable=True) as endpoint:
        endpoint.cut = lambda: chance.randrange(1, 2 * len(content) // 120)
        while endpoint.cuts < 100:
            client = make_client()
            sender = push.Push(client.stream, {"file": files}, flows.Flows())
            with pytest.raises(TransientDeliveryError):
                await sender.run(grant, Destination(endpoint.url))
            await client.close()
        endpoint.cut = lambda: None
        client = make_client()
        sender = push.Push(client.stream, {"file": files}, flows.Flows())
        assert await sender.run(grant, Destination(endpoint.url)) == len(content)
        await client.close()
        offsets = [int(request.headers["Upload-Offset"]) for request in endpoint.of("PATCH")]
        assert bytes(endpoint.got["/up/secret-place"]) == content
    assert endpoint.cuts >= 100
    assert offsets == sorted(offsets)
    assert len(set(offsets)) == len(offsets) == endpoint.cuts + 1
    assert not endpoint.of("POST")


async def test_a_cut_at_a_plain_endpoint_sends_the_whole_body_again(tmp_path, files, sender):
    content = noise(3 * MIB)
    grant = await published(files, tmp_path / "model.step", content)
    async with Endpoint() as endpoint:
        endpoint.cut = lambda: MIB
        with pytest.raises(TransientDeliveryError):
            await sender.run(grant, Destination(endpoint.url))
        assert endpoint.whole == {}
        endpoint.cut = lambda: None
        await sender.run(grant, Destination(endpoint.url))
        assert endpoint.whole == {"/up/secret-place": content}


async def test_an_answer_with_another_digest_is_a_failure(tmp_path, files, sender):
    grant = await published(files, tmp_path / "model.step", b"x" * 1000)
    for status in (200, 201, 204):
        async with Endpoint() as endpoint:
            endpoint.answers = [(status, {"Repr-Digest": digest_header(b"other")})]
            with pytest.raises(PermanentDeliveryError) as caught:
                await sender.run(grant, Destination(endpoint.url))
            assert caught.value.code == "hash-mismatch"


async def test_a_digest_of_the_answer_itself_says_nothing_of_the_body(tmp_path, files, sender):
    grant = await published(files, tmp_path / "model.step", b"x" * 1000)
    async with Endpoint() as endpoint:
        endpoint.answers = [(200, {"Repr-Digest": digest_header(b'{"ok":true}')}, b'{"ok":true}')]
        assert await sender.run(grant, Destination(endpoint.url)) == 1000


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 415, 422])
async def test_a_refusal_is_permanent_and_tells_the_receivers_words(tmp_path, files, sender, status):
    grant = await published(files, tmp_path / "model.step", b"x" * MIB)
    async with Endpoint() as endpoint:
        endpoint.answers = [(status, {}, b'{"message": "not like this"}')]
        with pytest.raises(PermanentDeliveryError, match="not like this") as caught:
            await sender.run(grant, Destination(endpoint.url))
    assert caught.value.status == status
    assert "secret-place" not in caught.value.message


@pytest.mark.parametrize("status", [423, 429, 500, 502, 503, 507])
async def test_what_may_pass_is_transient_with_the_wait_that_the_receiver_asks_for(
    tmp_path, files, sender, status
):
    grant = await published(files, tmp_path / "model.step", b"x" * MIB)
    async with Endpoint() as endpoint:
        endpoint.answers = [(status, {"Retry-After": "7"})]
        with pytest.raises(TransientDeliveryError) as caught:
            await sender.run(grant, Destination(endpoint.url))
    assert caught.value.retry_after_s == 7


async def test_a_redirect_is_not_followed_and_a_refused_address_gets_nothing(tmp_path, files):
    grant = await published(files, tmp_path / "model.step", b"x")
    client = http.HttpClient(http.Guard(insecure=True))
    sender = push.Push(client.stream, {"file": files}, flows.Flows())
    async with Endpoint() as hidden, Endpoint() as endpoint:
        for target in (hidden.url, "http://10.0.0.1/", "http://169.254.169.254/latest"):
            endpoint.answers = [(307, {"Location": target})]
            with pytest.raises(PermanentDeliveryError, match="redirects are not followed"):
                await sender.run(grant, Destination(endpoint.url))
        assert hidden.requests == []
    for target in ("http://10.0.0.1/in", "http://169.254.169.254/in", "http://[::ffff:10.0.0.1]/in"):
        with pytest.raises(PermanentDeliveryError, match="address is refused") as caught:
            await sender.run(grant, Destination(target))
        assert caught.value.code == "refused-address"
    await client.close()


async def test_a_receiver_that_is_not_there_is_transient_and_its_address_is_not_told(tmp_path, files, sender):
    grant = await published(files, tmp_path / "model.step", b"x")
    async with Endpoint() as endpoint:
        pass
    with pytest.raises(TransientDeliveryError) as caught:
        await sender.run(grant, Destination(f"{endpoint.url}?sig=canary"))
    assert f"http://127.0.0.1:{endpoint.port}" in caught.value.message
    assert "secret-place" not in caught.value.message
    assert "canary" not in caught.value.message


async def test_a_slow_receiver_gets_all_and_one_that_stands_still_is_left(tmp_path, files, client):
    content = noise(48 * MIB)
    grant = await published(files, tmp_path / "model.step", content)
    sender = push.Push(client.stream, {"file": files}, flows.Flows(check_every_s=0.1, stall_s=1.2))
    async with Endpoint() as endpoint:
        endpoint.pause_s = 0.003
        begun_s = time.monotonic()
        assert await sender.run(grant, Destination(endpoint.url)) == len(content)
        assert time.monotonic() - begun_s > 1.4, "it took no longer than a standstill may: this shows nothing"
        endpoint.pause_s, endpoint.hang = 0, True
        grant = await published(files, tmp_path / "big.step", noise(32 * MIB))
        with pytest.raises(ConflictError, match="stalled"):
            await sender.run(grant, Destination(endpoint.url))


async def test_a_revoked_right_ends_a_push_at_once(tmp_path, files, client):
    grant = await published(files, tmp_path / "model.step", noise(32 * MIB))
    open_flows = flows.Flows()
    sender = push.Push(client.stream, {"file": files}, open_flows)
    async with Endpoint() as endpoint:
        endpoint.pause_s = 0.01
        pushing = asyncio.create_task(sender.run(grant, Destination(endpoint.url)))
        await pair.wait_for(lambda: endpoint.of("POST"))
        begun_s = time.monotonic()
        assert open_flows.cut("t-1") == 1
        with pytest.raises(PolicyError):
            await pushing
        assert time.monotonic() - begun_s < 1
        await asyncio.sleep(0.1)
        assert endpoint.whole == {}


@pytest.mark.parametrize("resumable", [False, True])
async def test_a_source_that_changed_since_it_was_published_never_arrives_whole(
    tmp_path, files, sender, resumable
):
    grant = await published(files, tmp_path / "model.step", noise(6 * MIB))
    (tmp_path / "model.step").write_bytes(noise(6 * MIB, 7))
    async with Endpoint(resumable=resumable) as endpoint:
        with pytest.raises(StorageError) as caught:
            await sender.run(grant, Destination(endpoint.url))
        assert caught.value.code == "storage-changed"
        assert endpoint.whole == {}


async def test_a_source_with_other_bytes_but_the_same_size_and_time_never_arrives_whole(
    tmp_path, files, sender
):
    import os  # noqa: PLC0415  only this test turns back a clock

    path = tmp_path / "model.step"
    grant = await published(files, path, noise(6 * MIB))
    before = path.stat()
    path.write_bytes(noise(6 * MIB, 7))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    async with Endpoint() as endpoint:
        with pytest.raises(StorageError) as caught:
            await sender.run(grant, Destination(endpoint.url))
        assert caught.value.code == "storage-changed"
        assert endpoint.whole == {}


async def test_a_source_that_changes_while_it_is_sent_never_arrives_whole(tmp_path, files, client):
    path = tmp_path / "model.step"
    grant = await published(files, path, noise(32 * MIB))
    sender = push.Push(client.stream, {"file": files}, flows.Flows())
    async with Endpoint() as endpoint:
        endpoint.pause_s = 0.005
        pushing = asyncio.create_task(sender.run(grant, Destination(endpoint.url)))
        await pair.wait_for(lambda: endpoint.of("POST"))
        with path.open("r+b") as opened:
            opened.write(b"changed")
        with pytest.raises(StorageError) as caught:
            await pushing
        assert caught.value.code == "storage-changed"
        await asyncio.sleep(0.1)
        assert endpoint.whole == {}


async def test_a_resumable_endpoint_that_holds_too_much_is_refused(tmp_path, files, sender):
    grant = await published(files, tmp_path / "model.step", b"x" * 10)
    async with Endpoint(resumable=True) as endpoint:
        endpoint.got["/up/secret-place"] = bytearray(11)
        with pytest.raises(PermanentDeliveryError, match="but there are 10"):
            await sender.run(grant, Destination(endpoint.url))


async def test_bytes_that_a_resumable_endpoint_finds_wrong_twice_are_a_failure(tmp_path, files, sender):
    grant = await published(files, tmp_path / "model.step", b"x" * 10)
    async with Endpoint(resumable=True) as endpoint:
        endpoint.answers = [(460, {}), None]
        await sender.run(grant, Destination(endpoint.url))
        endpoint.got.clear()
        endpoint.whole.clear()
        endpoint.answers = [(460, {}), (460, {})]
        with pytest.raises(PermanentDeliveryError) as caught:
            await sender.run(grant, Destination(endpoint.url))
    assert caught.value.code == "hash-mismatch"


async def test_memory_of_the_sender_stays_flat_over_a_gibibyte(tmp_path):
    path = tmp_path / "sparse.bin"
    with path.open("wb") as opened:
        opened.truncate(GIB)
    peaks = []
    async with Endpoint(keep=False) as endpoint:
        for size in (MIB, GIB):
            with path.open("r+b") as opened:
                opened.truncate(size)
            sha256 = hashlib.sha256(bytes(MIB)).hexdigest() if size == MIB else SHA256_OF_1_GIB_OF_ZEROS
            endpoint.sha256 = hashlib.sha256()
            command = [sys.executable, str(HERE / "pusher.py"), endpoint.url, str(path), sha256]
            process = await asyncio.create_subprocess_exec(
                *command, env=ENVIRONMENT, stdout=asyncio.subprocess.PIPE
            )
            out, _ = await process.communicate()
            told = json.loads(out)
            assert (process.returncode, told["sent"]) == (0, size)
            assert endpoint.sha256.hexdigest() == sha256
            peaks.append(told["peak_kib"])
    assert peaks[1] - peaks[0] < 24 * 1024, peaks
