"""Objects in Google Cloud Storage, listed and read: no server to be had takes uploads as obstore makes them."""

import hashlib
import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from comity.errors import StorageError
from comity.storage import bucket_scan, buckets, objects, source
from support import gcs

CONTENT = bytes(range(256)) * 36_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
NAME = "c d+%41&=#@~'()/ä€😀.bin"


def opened(section, credentials=""):
    async def given(_bucket):
        return credentials

    way = {"credentials_file": "x"} if credentials else {"anonymous": True}
    return objects.Objects((buckets.read("own", {**section, **way}, insecure=True),), given, insecure=True)


@pytest.fixture(scope="module")
def server():
    return gcs.server()


@pytest.fixture
def container(server):
    return server.bucket(server.alpha)


@pytest.fixture
def own(server, container):
    made = opened(server.section(server.alpha, container, "out"), server.alpha.credentials)
    yield made
    made.close()


async def read(own, found, *span):
    return b"".join([chunk async for chunk in await own.open_range(found, *span)])


async def test_google_is_listed_hashed_and_read_by_range(server, container, own):
    for key, content in ((f"out/dir/{NAME}", CONTENT), ("out/dir/empty", b""), ("out/directory", b"beside")):
        server.put(container, key, content)
    found = {each.path: each.source for each in (await bucket_scan.scan(own, "gcs://own/dir")).files}
    assert found.keys() == {NAME, "empty"}
    assert found[NAME].sha256 == SHA256
    assert await read(own, found[NAME], 5, 9_000_000) == CONTENT[5:9_000_000]
    assert await read(own, found["empty"]) == b""
    with pytest.raises(StorageError, match="there is no object 'gcs://own/none'"):
        await own.look(own.find("gcs://own/none"))


@pytest.mark.parametrize("content", [b"other", CONTENT[::-1]])
async def test_object_that_changed_at_google_since_it_was_published_is_refused(
    server, container, own, content
):
    server.put(container, "out/a", CONTENT)
    found = await own.publish(own.find("gcs://own/a"))
    server.put(container, "out/a", content)
    with pytest.raises(StorageError) as caught:
        await read(own, found)
    assert caught.value.code == source.CHANGED


async def test_account_in_another_form_is_refused_and_not_shown(server, container):
    section = server.section(server.alpha, container, "out")
    for change in ({"private_key": "planted"}, {"private_key_id": None}):
        text = json.dumps({**json.loads(server.alpha.credentials), **change})
        other = opened(section, text)
        with pytest.raises(StorageError, match=r"not in the right form|cannot be opened so") as caught:
            await other.look(other.find("gcs://own/a"))
        assert "planted" not in str(caught.value) + caught.value.hint


@pytest.fixture
def elsewhere():
    """A server that nobody is to ask, and what it was asked."""
    asked = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        do_PUT = do_POST = do_GET  # noqa: N815  their names

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as made:
        thread = Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"127.0.0.1:{made.server_address[1]}", asked
        made.shutdown()
        thread.join()


async def test_neither_the_machine_nor_an_account_says_where_google_is(
    server, container, elsewhere, monkeypatch
):
    address, asked = elsewhere
    for name in ("GCE_METADATA_HOST", "GCE_METADATA_ROOT"):
        monkeypatch.setenv(name, address)
    section = server.section(server.alpha, container, "out")
    nobody = opened(section)
    place = nobody.find("gcs://own/a")
    bucket = await nobody.open_bucket(place)
    with pytest.raises(StorageError):
        await nobody.run(place, lambda: bucket.put(place, CONTENT[:9], SHA256))
    account = {**json.loads(server.alpha.credentials), "gcs_base_url": f"http://{address}"}
    server.put(container, "out/a", CONTENT)
    own = opened(section, json.dumps(account))
    assert (await own.publish(own.find("gcs://own/a"))).sha256 == SHA256
    assert asked == []
