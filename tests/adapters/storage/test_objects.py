"""Objects in a real S3 server: published, read by range, written and read back, with the store's refusals."""

import asyncio
import hashlib
import json
import os
from functools import partial

import pytest

from comity.errors import StorageError
from comity.storage import buckets, objects, opening, source
from support import seaweed, spoiled_store

CONTENT = bytes(range(256)) * 40
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def listed(container, endpoint, **more):
    values = {"url": f"s3://{container}/out", "endpoint": endpoint, "credentials_file": "x"}
    return buckets.read("own", {**values, **more}, insecure=True)


def opened(bucket, credentials=None, stall_s=5.0):
    text = credentials or seaweed.server().alpha.credentials

    async def given(_bucket):
        return text

    return objects.Objects((bucket,), given, insecure=True, stall_s=stall_s)


@pytest.fixture(scope="module")
def container():
    server = seaweed.server()
    return server.bucket(server.alpha)


@pytest.fixture(scope="module")
def own(container):
    made = opened(listed(container, seaweed.server().endpoint))
    yield made
    made.close()


async def put(own, path, content=CONTENT):
    place = own.find(f"s3://own/{path}")
    bucket = await own.open_bucket(place)
    return place, await asyncio.to_thread(bucket.put, place, content, hashlib.sha256(content).hexdigest())


async def read(own, found, *span):
    return b"".join([chunk async for chunk in await own.open_range(found, *span)])


async def test_published_object_is_hashed_and_read_by_range(own):
    place, written = await put(own, "a/pump.step")
    found = await own.publish(place)
    assert (found.sha256, found.size_bytes, found.etag) == (SHA256, len(CONTENT), written.etag)
    assert (found.address, found.name, found.kind) == ("s3://own/a/pump.step", "pump.step", "object")
    assert await read(own, found) == CONTENT
    assert await read(own, found, 100, 5000) == CONTENT[100:5000]
    assert await read(own, found, 7, 7) == b""


async def test_object_larger_than_a_run_is_written_in_parts_and_read_in_runs(own, tmp_path):
    content = os.urandom(objects.RUN_BYTES + 4321)
    path = tmp_path / "big"
    path.write_bytes(content)
    place = own.find("s3://own/big")
    bucket = await own.open_bucket(place)
    sha256 = hashlib.sha256(content).hexdigest()
    written = await asyncio.to_thread(bucket.put, place, path, sha256)
    assert written.etag.endswith('-2"')  # of a multipart upload
    found = await own.publish(place)
    assert found.sha256 == sha256
    beginning = objects.RUN_BYTES - 5
    assert await read(own, found, beginning) == content[beginning:]


async def test_list_has_what_is_below_and_nothing_beside(own):
    for path in ("list/b/2", "list/a", "listed", "list/b/1"):
        await put(own, path, path.encode())
    found = await own.find_all(own.find("s3://own/list"), 10)
    assert [(each.path, each.size_bytes) for each in found] == [("a", 6), ("b/1", 8), ("b/2", 8)]
    assert await own.find_all(own.find("s3://own/nothing"), 10) == []
    with pytest.raises(StorageError, match="more than 2 objects"):
        await own.find_all(own.find("s3://own/list"), 2)


@pytest.mark.parametrize("change", ["other bytes", "same size", "gone"])
async def test_object_that_changed_since_it_was_published_is_refused(own, change):
    place, _ = await put(own, "changing")
    found = await own.publish(place)
    if change == "gone":
        bucket = await own.open_bucket(place)
        await asyncio.to_thread(bucket.delete, place)
    else:
        await put(own, "changing", CONTENT[::-1] if change == "same size" else b"other")
    with pytest.raises(StorageError) as caught:
        await read(own, found, 5, 10)
    assert caught.value.code == source.CHANGED


async def test_bucket_that_keeps_versions_hands_out_what_was_published():
    server = seaweed.server()
    container = server.bucket(server.alpha)
    server.keep_versions(server.alpha, container)
    own = opened(listed(container, server.endpoint))
    place, _ = await put(own, "kept")
    found = await own.publish(place)
    await put(own, "kept", b"overwritten")
    assert found.version
    assert await read(own, found) == CONTENT
    assert (await own.publish(place)).size_bytes == 11


async def test_wrong_key_and_missing_bucket_are_said_in_one_sentence(container, own):
    server = seaweed.server()
    place, _ = await put(own, "there")
    wrong = json.dumps({"access_key_id": server.alpha.access_key, "secret_access_key": "planted-wrong"})
    unknown = json.dumps({"access_key_id": "AKIAPLANTED", "secret_access_key": "planted-wrong"})
    for text in (wrong, unknown, server.beta.credentials):
        other = opened(listed(container, server.endpoint), text)
        for ask in (
            other.publish,
            partial(other.find_all, most=9),
            lambda _, other=other: put(other, "mine"),
        ):
            with pytest.raises(StorageError, match="refuses the credentials of the bucket own") as caught:
                await ask(place)
            assert caught.value.__suppress_context__
    nowhere = opened(listed("alpha-none", server.endpoint))
    for ask in (nowhere.find_all(nowhere.find("s3://own"), 9), put(nowhere, "mine")):
        with pytest.raises(StorageError, match="there is no bucket 'alpha-none'"):
            await ask


@pytest.mark.parametrize(
    "text", ["", "AKIA:secret", "[]", '{"access_key_id": "planted"}', '{"token": "planted"}']
)
async def test_credentials_in_another_form_are_refused_and_not_shown(container, text):
    own = opened(listed(container, "http://127.0.0.1:9"), text or " ")
    with pytest.raises(StorageError, match="not in the right form") as caught:
        await own.find_all(own.find("s3://own/x"), 9)
    assert "planted" not in str(caught.value) + caught.value.hint


async def test_environment_sends_nothing_elsewhere(container, own, monkeypatch):
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT", "AWS_ENDPOINT_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of another account")
    place, _ = await put(own, "environment")
    fresh = opened(listed(container, seaweed.server().endpoint))
    assert (await fresh.look(place)).size_bytes == len(CONTENT)
    assert os.environ["AWS_ENDPOINT"] == "http://127.0.0.1:9"


async def test_missing_extra_is_named(container, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "obstore", None)
    own = opened(listed(container, "http://127.0.0.1:9"))
    with pytest.raises(StorageError, match="needs what the extra s3 brings") as caught:
        await own.look(own.find("s3://own/x"))
    assert caught.value.hint == "install it: pip install 'comity[s3]'"


@pytest.fixture(scope="module")
def spoiled(container):
    with spoiled_store.before(seaweed.server().port) as made:
        yield made


@pytest.fixture
async def between(spoiled, container):
    spoiled.fault = None
    made = opened(listed(container, spoiled.endpoint), stall_s=1.0)
    place, _ = await put(made, "spoiled")
    made.published = await made.publish(place)
    yield made
    spoiled.fault = None
    made.close()


FAULTS = {
    "truncated": (spoiled_store.truncated, opening.AWAY),
    "short": (spoiled_store.short, None),
    "long": (spoiled_store.long, None),
    "another ETag": (spoiled_store.other_etag, source.CHANGED),
    "whole for a range": (spoiled_store.whole_for_a_range, opening.AWAY),
    "always 500": (spoiled_store.failing(500, "InternalError"), opening.AWAY),
    "always 503": (spoiled_store.failing(503, "SlowDown"), opening.AWAY),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_store_that_answers_wrongly_is_found_when_it_is_read(between, spoiled, fault):
    spoiled.fault, code = FAULTS[fault]
    with pytest.raises(StorageError) as caught:
        await read(between, between.published, 10, 9000)
    assert code in {None, caught.value.code}


async def test_store_that_is_slow_twice_is_asked_again(between, spoiled):
    spoiled.fault = spoiled_store.failing(503, "SlowDown", times=2)
    assert await read(between, between.published) == CONTENT


async def test_store_that_hangs_is_given_up(between, spoiled):
    spoiled.fault = spoiled_store.hanging(spoiled)
    with pytest.raises(StorageError) as caught:
        await read(between, between.published)
    assert caught.value.code == opening.AWAY
    spoiled.ended.set()
    spoiled.ended.clear()


async def test_store_that_trickles_is_given_up(between, spoiled):
    spoiled.fault = spoiled_store.trickling
    impatient = opened(between.listed[0], stall_s=0.2)
    with pytest.raises(StorageError) as caught:
        await read(impatient, between.published)
    assert caught.value.code == opening.AWAY


async def test_wrong_bytes_of_the_right_length_have_another_hash(between, spoiled):
    place = between.find("s3://own/spoiled")
    spoiled.fault = spoiled_store.other_bytes
    assert (await between.publish(place)).sha256 != SHA256
    with pytest.raises(StorageError, match="another SHA-256 than was written"):
        await put(between, "written")
    spoiled.fault = None
    with pytest.raises(StorageError, match="no object"):
        await between.look(between.find("s3://own/written"))  # it was not left there


@pytest.mark.parametrize(
    "fault",
    [
        spoiled_store.endless_list,
        spoiled_store.list_with("elsewhere/secret"),
        spoiled_store.list_with("out/lies/../../x"),
        spoiled_store.list_of(12),
    ],
)
async def test_list_that_lies_is_found(between, spoiled, fault):
    await put(between, "lies/a")
    spoiled.fault = fault
    with pytest.raises(StorageError):
        await between.find_all(between.find("s3://own/lies"), 10)
