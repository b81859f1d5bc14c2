"""A revoked transfer gives nothing more: not to new requests, not to running streams, not to a reader who stalls."""

import asyncio
import functools
import socket
import time

import pytest
import uvicorn

from adapters.dataplane.processes import make_client
from comity.api import connection, dataplane
from comity.dataplane import flows, pull, serve, tokens
from comity.errors import IdentityError, PermanentDeliveryError, TransientDeliveryError
from comity.storage import file
from support import asgi

MIB = 2**20
TOKEN = "t" * 43


@pytest.fixture
def source(tmp_path):
    (tmp_path / "src").mkdir()
    with (tmp_path / "src/sparse.bin").open("wb") as opened:
        opened.truncate(256 * MIB)
    return tmp_path / "src"


class Running:
    """A data plane in this process, so that the test can cut its flows."""

    def __init__(self, content, files, *, abortable=True, still_allowed=None, check_every_s=2.0):
        self.flows = flows.Flows(check_every_s=check_every_s)
        self.allowed = True

        async def lookup(transfer_id, token_digest):
            assert token_digest == tokens.digest(TOKEN)
            return serve.Grant(transfer_id, content, still_allowed)

        app = dataplane.application(lookup, storages={"file": files}, open_flows=self.flows, prefix="/data")
        options = {"http": connection.AbortableConnection} if abortable else {"http": "httptools"}
        config = uvicorn.Config(app, lifespan="off", log_level="critical", access_log=False, **options)
        self.server = uvicorn.Server(config)

    async def __aenter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.task = asyncio.create_task(self.server.serve([self.listener]))
        while not self.server.started:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        return self

    async def __aexit__(self, *_):
        self.server.should_exit = self.server.force_exit = True
        await self.task
        self.listener.close()


async def stalled_reader(port):
    """Ask for everything and read only the first bytes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=65536)
    writer.write(f"GET /data/t-1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode())
    assert (await reader.read(100)).startswith(b"HTTP/1.1 200")
    return reader, writer


async def drain(reader):
    size = 0
    try:
        while data := await reader.read(MIB):
            size += len(data)
    except ConnectionError:
        pass
    return size


async def wait_for_flow(running, count=1):
    async with asyncio.timeout(5):
        while running.flows.count("t-1") != count:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("abortable", [True, False], ids=["with abort", "plain uvicorn"])
async def test_a_cut_ends_a_stream_blocked_on_a_stalled_reader(source, abortable):
    files = file.Files([str(source)])
    content = await files.publish(str(source / "sparse.bin"))
    async with Running(content, files, abortable=abortable) as running:
        reader, writer = await stalled_reader(running.port)
        await wait_for_flow(running)
        await asyncio.sleep(0.2)
        started = time.monotonic()
        assert running.flows.cut("t-1") == 1
        await wait_for_flow(running, 0)
        assert time.monotonic() - started < 0.5
        async with asyncio.timeout(5):
            got = await drain(reader)
        assert got < 32 * MIB
        writer.close()


async def test_a_cut_ends_a_running_receiver_which_then_is_refused(tmp_path, source, serve, receiver):
    with (source / "sparse.bin").open("r+b") as opened:
        opened.truncate(8 * 2**30)
    provider = serve(source / "sparse.bin", "00" * 32)
    part = tmp_path / "in/.resource.part"
    process = receiver(provider.url, tmp_path / "in")
    while process.poll() is None and (not part.exists() or part.stat().st_size < 50 * MIB):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    provider.revoke()
    started = time.monotonic()
    _, err = await asyncio.to_thread(process.communicate, None, 10)
    assert time.monotonic() - started < 5
    assert any(
        each in err.decode() for each in ("TransientDeliveryError", "403")
    )  # in a block, or between two
    assert part.stat().st_size < 8 * 2**30
    client = make_client()
    with pytest.raises(PermanentDeliveryError) as caught:
        await pull.Pull(functools.partial(client.stream, "GET")).run(
            provider.url, f"Bearer {TOKEN}", tmp_path / "in2"
        )
    assert caught.value.status == 403
    await client.close()


async def test_a_right_lost_elsewhere_is_noticed_although_the_reader_stalls(source):
    allowed = True

    async def still_allowed():
        return allowed

    files = file.Files([str(source)])
    content = await files.publish(str(source / "sparse.bin"))
    async with Running(content, files, still_allowed=still_allowed, check_every_s=0.05) as running:
        _, writer = await stalled_reader(running.port)
        await wait_for_flow(running)
        await asyncio.sleep(0.2)
        assert running.flows.count() == 1
        allowed = False
        await wait_for_flow(running, 0)
        writer.close()


async def test_a_reader_who_leaves_frees_its_stream(source):
    files = file.Files([str(source)])
    content = await files.publish(str(source / "sparse.bin"))
    async with Running(content, files) as running:
        _, writer = await stalled_reader(running.port)
        await wait_for_flow(running)
        writer.transport.abort()
        await wait_for_flow(running, 0)


async def test_a_cut_stream_is_transient_for_the_receiver_and_the_next_request_goes_on(tmp_path, source):
    files = file.Files([str(source)])
    content = await files.publish(str(source / "sparse.bin"))
    async with Running(content, files) as running:
        client = make_client()
        get = pull.Pull(functools.partial(client.stream, "GET"))
        url = f"http://127.0.0.1:{running.port}/data/t-1"

        def cut_late(_files, done, _total):
            if done > 20 * MIB:
                running.flows.cut("t-1")

        with pytest.raises(TransientDeliveryError):
            await get.run(url, TOKEN, tmp_path / "in", on_progress=cut_late)
        received = await get.run(url, TOKEN, tmp_path / "in")
        assert received.sha256 == content.sha256
        assert received.fetched_bytes < 256 * MIB - 19 * MIB
        await client.close()


async def test_a_request_that_is_cut_before_its_answer_is_told_what_the_next_one_is():
    arrived = asyncio.Event()

    async def lookup(transfer_id, token_digest):
        if arrived.is_set():
            raise IdentityError("this token opens nothing here (any more)", step="token")
        arrived.set()
        await asyncio.Event().wait()

    open_flows = flows.Flows()
    client = asgi.Client(dataplane.application(lookup, storages={}, open_flows=open_flows), "")
    headers = {"authorization": f"Bearer {TOKEN}"}
    asking = asyncio.create_task(client.request("GET", "/urn:uuid:1/files/a", headers=headers))
    await arrived.wait()
    open_flows.cut("urn:uuid:1")
    assert (await asking).status == 401
