"""Azure Blob and Google Cloud Storage, against emulators where there are some: none can be had as a Python package.

COMITY_TEST_AZURITE names `azurite/dist/src/blob/main.js` (npm install azurite), COMITY_TEST_GCS the program
`fake-gcs-server` (go install github.com/fsouza/fake-gcs-server@latest), which takes no uploads of the kind that obstore
makes: so of Google's only reading is tried.
"""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import http.client
import json
import os
import subprocess
import time
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from comity.errors import StorageError
from comity.storage import bucket_scan, buckets, objects, source
from support.ports import free_port

ACCOUNT = "devstoreaccount1"
KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="  # everybody's
)
CONTENT = bytes(range(256)) * 36_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def ask(port, method, path, body=b"", headers=()):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    with contextlib.closing(connection):
        connection.request(method, path, body, dict(headers))
        return connection.getresponse().status


@contextlib.contextmanager
def running(*command, port):
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError):
                ask(port, "GET", "/")
                break
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield
    finally:
        process.kill()
        process.wait()


def opened(bucket, **credentials):
    async def given(_bucket):
        return json.dumps(credentials)

    return objects.Objects((bucket,), given, insecure=True)


async def read(own, found, *span):
    return b"".join([chunk async for chunk in await own.open_range(found, *span)])


def make_container(port):
    now = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime())
    own = {"x-ms-date": now, "x-ms-version": "2021-08-06"}
    lines = "\n".join(f"{name}:{value}" for name, value in own.items())
    text = f"PUT\n{chr(10) * 11}{lines}\n/{ACCOUNT}/{ACCOUNT}/own\nrestype:container"
    digest = hmac.new(base64.b64decode(KEY), text.encode(), hashlib.sha256).digest()
    own["Authorization"] = f"SharedKey {ACCOUNT}:{base64.b64encode(digest).decode()}"
    assert ask(port, "PUT", f"/{ACCOUNT}/own?restype=container", headers=own.items()) == 201


@pytest.mark.skipif("COMITY_TEST_AZURITE" not in os.environ, reason="COMITY_TEST_AZURITE names no emulator")
async def test_azure_is_written_read_listed_and_refuses_another_key():
    port = free_port()
    where = ("--blobHost", "127.0.0.1", "--blobPort", str(port), "--inMemoryPersistence", "--silent")
    with running("node", os.environ["COMITY_TEST_AZURITE"], *where, port=port):
        make_container(port)
        endpoint = f"http://127.0.0.1:{port}/{ACCOUNT}"
        values = {"url": "azure://own/out", "account": ACCOUNT, "endpoint": endpoint, "credentials_file": "x"}
        own = opened(buckets.read("own", values, insecure=True), account_key=KEY)
        place = own.find("azure://own/dir/a b.bin")
        bucket = await own.open_bucket(place)
        await asyncio.to_thread(bucket.put, place, CONTENT, SHA256)
        (found,) = (await bucket_scan.scan(own, "azure://own/dir")).files
        assert (found.path, found.source.sha256) == ("a b.bin", SHA256)
        assert await read(own, found.source, 5, 9_000_000) == CONTENT[5:9_000_000]
        copied = await asyncio.to_thread(bucket.copy, place, own.find("azure://own/dir/copy"), SHA256)
        assert copied.sha256 == SHA256
        await asyncio.to_thread(bucket.put, place, b"other", hashlib.sha256(b"other").hexdigest())
        with pytest.raises(StorageError) as caught:
            await read(own, found.source)
        assert caught.value.code == source.CHANGED
        other = opened(own.listed[0], account_key="AAAA")
        with pytest.raises(StorageError, match="refuses the credentials"):
            await other.find_all(place, 9)
        missing = opened(
            buckets.read("own", {**values, "url": "azure://none"}, insecure=True), account_key=KEY
        )
        with pytest.raises(StorageError, match="there is no bucket 'none'"):
            await missing.find_all(missing.find("azure://own"), 9)
        await asyncio.to_thread(bucket.delete, place)
        with pytest.raises(StorageError, match="there is no object"):
            await own.look(place)


@pytest.mark.skipif("COMITY_TEST_GCS" not in os.environ, reason="COMITY_TEST_GCS names no emulator")
async def test_google_is_listed_hashed_and_read_by_range():
    port = free_port()
    where = ("-scheme", "http", "-host", "127.0.0.1", "-port", str(port), "-backend", "memory")
    public = ("-public-host", f"127.0.0.1:{port}")
    with running(os.environ["COMITY_TEST_GCS"], *where, *public, port=port):
        said = {"Content-Type": "application/json"}.items()
        assert ask(port, "POST", "/storage/v1/b?project=x", b'{"name":"own"}', said) == 200
        upload = f"/upload/storage/v1/b/own/o?uploadType=media&name={quote('out/dir/a b.bin')}"
        assert ask(port, "POST", upload, CONTENT) == 200
        key = rsa.generate_private_key(65537, 2048).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        values = {"url": "gcs://own/out", "endpoint": f"http://127.0.0.1:{port}", "credentials_file": "x"}
        own = opened(
            buckets.read("own", values, insecure=True),
            client_email="a@b",
            private_key=key.decode(),
            private_key_id="1",
        )
        (found,) = (await bucket_scan.scan(own, "gcs://own/dir")).files
        assert (found.path, found.source.sha256) == ("a b.bin", SHA256)
        assert await read(own, found.source, 5, 9_000_000) == CONTENT[5:9_000_000]
        assert ask(port, "POST", upload, b"other") == 200
        with pytest.raises(StorageError) as caught:
            await read(own, found.source)
        assert caught.value.code == source.CHANGED
