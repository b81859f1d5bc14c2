"""Objects in real stores, S3's and Azure's: published, read by range, written and read back, with their refusals.

A store that is slow, wrong or lying is tried too; lists that lie are written in S3's words only.
"""

import asyncio
import hashlib
import json
import os
from functools import partial

import pytest

from comity.errors import StorageError
from comity.storage import buckets, objects, opening, source
from support import azurite, seaweed, spoiled_store

CONTENT = bytes(range(256)) * 40
ODD = "list/c d+%41&=#?@~'()/ä€😀.bin"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def listed(container, endpoint, **more):
    values = {"url": f"s3://{container}/out", "endpoint": endpoint, "credentials_file": "x"}
    return buckets.read("own", {**values, **more}, insecure=True)


def opened(bucket, credentials=None, stall_s=5.0):
    async def given(_bucket):
        return credentials or seaweed.server().alpha.credentials

    return objects.Objects((bucket,), given, insecure=True, stall_s=stall_s)


@pytest.fixture(scope="module")
def container():
    server = seaweed.server()
    return server.bucket(server.alpha)


@pytest.fixture(scope="module", params=[seaweed, azurite], ids=["s3", "azure"])
def server(request):
    return request.param.server()


@pytest.fixture(scope="module")
def section(server):
    """What the settings say of a bucket in a store of each kind."""
    return {
        **server.section(server.alpha, server.bucket(server.alpha), "out"),
        "credentials_file": "x",
    }


@pytest.fixture(scope="module")
def own(server, section):
    made = opened(buckets.read("own", section, insecure=True), server.alpha.credentials)
    yield made
    made.close()


def at(own, path):
    """Return a place in the one bucket that is listed."""
    return own.find(f"{own.listed[0].kind}://own/{path}")


async def put(own, path, content=CONTENT):
    place = at(own, path)
    bucket = await own.open_bucket(place)
    return place, await asyncio.to_thread(bucket.put, place, content, hashlib.sha256(content).hexdigest())


async def read(own, found, *span):
    return b"".join([chunk async for chunk in await own.open_range(found, *span)])


async def test_published_object_is_hashed_and_read_by_range(own):
    place, written = await put(own, "a/pump.step")
    found = await own.publish(place)
    assert (found.sha256, found.size_bytes, found.etag) == (SHA256, len(CONTENT), written.etag)
    assert (found.address, found.name, found.kind) == (str(place), "pump.step", "object")
    assert await read(own, found) == CONTENT
    assert await read(own, found, 100, 5000) == CONTENT[100:5000]
    assert await read(own, found, 7, 7) == b""


async def test_object_larger_than_a_run_is_written_in_parts_and_read_in_runs(own, tmp_path):
    content = os.urandom(objects.RUN_BYTES + 4321)
    path = tmp_path / "big"
    path.write_bytes(content)
    place = at(own, "big")
    bucket = await own.open_bucket(place)
    sha256 = hashlib.sha256(content).hexdigest()
    written = await asyncio.to_thread(bucket.put, place, path, sha256)
    assert place.bucket.kind != "s3" or written.etag.endswith('-2"')  # of a multipart upload
    found = await own.publish(place)
    assert found.sha256 == sha256
    beginning = objects.RUN_BYTES - 5
    assert await read(own, found, beginning) == content[beginning:]


async def test_list_has_what_is_below_and_nothing_beside(own):
    written = {}
    for path in ("list/b/2", "list/a", "listed", "list/b/1", ODD):
        written[path.removeprefix("list/")] = (await put(own, path, path.encode()))[1].etag.strip('"')
    found = await own.find_all(at(own, "list"), 10)
    assert [(each.path, each.size_bytes) for each in found][:3] == [("a", 6), ("b/1", 8), ("b/2", 8)]
    assert found[3].path == ODD.removeprefix("list/")
    assert {each.path: each.etag for each in found}.items() <= written.items()
    assert await own.find_all(at(own, "nothing"), 10) == []
    with pytest.raises(StorageError, match="more than 2 objects"):
        await own.find_all(at(own, "list"), 2)


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


async def test_wrong_key_and_missing_bucket_are_said_in_one_sentence(server, section, own):
    place, _ = await put(own, "there")
    for wrong in server.refused:
        other = opened(own.listed[0], wrong.credentials)
        for ask in (
            other.publish,
            partial(other.find_all, most=9),
            lambda _, other=other: put(other, "mine"),
        ):
            with pytest.raises(StorageError, match="refuses the credentials of the bucket own") as caught:
                await ask(place)
            assert caught.value.__suppress_context__
    nowhere = opened(
        buckets.read("own", {**section, "url": f"{server.kind}://alpha-none/out"}, insecure=True),
        server.alpha.credentials,
    )
    for ask in (nowhere.find_all(at(nowhere, "x"), 9), put(nowhere, "mine")):
        with pytest.raises(StorageError, match="there is no bucket 'alpha-none'"):
            await ask


async def test_azure_takes_a_shared_access_signature_for_what_it_allows():
    server = azurite.server()
    container = server.bucket(server.alpha)
    bucket = buckets.read(
        "own", {**server.section(server.alpha, container, "out"), "credentials_file": "x"}, insecure=True
    )

    def having(may, mark=""):
        return opened(
            bucket, json.dumps({"sas_key": mark + azurite.shared_access(server.alpha, container, may)})
        )

    writing, reading = having("rwdl"), having("rl", "?")
    place, _ = await put(writing, "a")
    assert await read(reading, await reading.publish(place)) == CONTENT
    copied = await asyncio.to_thread(
        (await writing.open_bucket(place)).copy, place, at(writing, "copy"), SHA256
    )
    assert copied.size_bytes == len(CONTENT)
    with pytest.raises(StorageError, match="refuses the credentials of the bucket own"):
        await put(reading, "b")


@pytest.mark.parametrize(
    "text", ["", "AKIA:secret", "[]", '{"access_key_id": "planted"}', '{"token": "planted"}']
)
async def test_credentials_in_another_form_are_refused_and_not_shown(own, text):
    other = opened(own.listed[0], text or " ")
    with pytest.raises(StorageError, match="not in the right form") as caught:
        await other.find_all(at(other, "x"), 9)
    assert "planted" not in str(caught.value) + caught.value.hint


async def test_environment_sends_nothing_elsewhere(server, own, monkeypatch):
    named = "AWS_ENDPOINT_URL_S3 AWS_ENDPOINT AWS_ENDPOINT_URL AZURE_ENDPOINT HTTP_PROXY http_proxy ALL_PROXY"
    for name in named.split():
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("AWS_SESSION_TOKEN", "AZURE_STORAGE_SAS_KEY"):
        monkeypatch.setenv(name, "of=another&account=x")
    place, _ = await put(own, "environment")
    fresh = opened(own.listed[0], server.alpha.credentials)
    assert (await fresh.look(place)).size_bytes == len(CONTENT)
    assert os.environ["AWS_ENDPOINT"] == os.environ["HTTP_PROXY"] == "http://127.0.0.1:9"


async def test_missing_extra_is_named(container, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "obstore", None)
    own = opened(listed(container, "http://127.0.0.1:9"))
    with pytest.raises(StorageError, match="needs what the extra s3 brings") as caught:
        await own.look(own.find("s3://own/x"))
    assert caught.value.hint == "install it: pip install '.[s3]' in a clone of Comity"


@pytest.fixture(scope="module")
def spoiled(server):
    with spoiled_store.before(server.port) as made:
        yield made


@pytest.fixture
async def between(spoiled, server, section):
    spoiled.fault = None
    endpoint = section["endpoint"].replace(server.endpoint, spoiled.endpoint)
    bucket = buckets.read("own", {**section, "endpoint": endpoint}, insecure=True)
    made = opened(bucket, server.alpha.credentials, stall_s=1.0)
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


async def test_store_that_trickles_is_given_up(between, spoiled, server):
    spoiled.fault = spoiled_store.trickling
    impatient = opened(between.listed[0], server.alpha.credentials, stall_s=0.2)
    with pytest.raises(StorageError) as caught:
        await read(impatient, between.published)
    assert caught.value.code == opening.AWAY


async def test_wrong_bytes_of_the_right_length_have_another_hash(between, spoiled):
    place = at(between, "spoiled")
    spoiled.fault = spoiled_store.other_bytes
    assert (await between.publish(place)).sha256 != SHA256
    with pytest.raises(StorageError, match="another SHA-256 than was written"):
        await put(between, "written")
    spoiled.fault = None
    with pytest.raises(StorageError, match="no object"):
        await between.look(at(between, "written"))  # it was not left there


@pytest.mark.parametrize("server", [seaweed], indirect=True)
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
        await between.find_all(at(between, "lies"), 10)
