"""The ASGI shell, driven message by message: what it sends, and what it leaves unfinished when a stream is cut."""

import asyncio
import hashlib
import json

import pytest

from comity.api import connection, dataplane
from comity.dataplane import flows, serve, tokens
from comity.errors import DatabaseError, IdentityError, NotFoundError, PolicyError, StorageError
from comity.storage import source

CONTENT = b"0123456789" * 100
TOKEN = "t" * 43


class Memory:
    def __init__(self, error=None, fail_after=None):
        self.error, self.fail_after, self.closed = error, fail_after, 0

    async def open_range(self, published, start=0, end=None):
        if self.error:
            raise self.error
        return self._chunks(start, end)

    async def _chunks(self, start, end):
        try:
            for position in range(start, end, 100):
                if self.fail_after is not None and position >= self.fail_after:
                    raise source.changed("'/srv/secret' changed")
                yield CONTENT[position : min(position + 100, end)]
        finally:
            self.closed += 1


class Exchange:
    """One request and what came back; `slow_after` bytes the reader takes no more."""

    def __init__(self, *, slow_after=None, extensions=None):
        self.messages = []
        self.aborted = False
        self.reading = asyncio.Event()
        self.left = asyncio.Event()
        self._slow_after = slow_after

    async def receive(self):
        if not self.reading.is_set():
            self.reading.set()
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        if self._slow_after is not None and len(self.body) >= self._slow_after:
            self.stuck = True
            await asyncio.Event().wait()
        self.messages.append(message)

    async def abort(self):
        self.aborted = True

    @property
    def status(self):
        return self.messages[0]["status"]

    @property
    def headers(self):
        return {name.decode(): value.decode() for name, value in self.messages[0]["headers"]}

    @property
    def body(self):
        return b"".join(message.get("body", b"") for message in self.messages)

    @property
    def complete(self):
        return bool(self.messages) and not self.messages[-1].get("more_body", True)


def make(lookup=None, memory=None, open_flows=None, prefix=""):
    published = source.Source(
        kind="file", address="/srv/secret", size_bytes=1000, sha256=hashlib.sha256(CONTENT).hexdigest()
    )

    async def grant(transfer_id, token_digest):
        assert token_digest == tokens.digest(TOKEN)
        return serve.Grant(transfer_id, published)

    return dataplane.application(
        lookup or grant,
        storages={"file": memory or Memory()},
        open_flows=open_flows or flows.Flows(),
        prefix=prefix,
    )


async def run(
    app, path="/t-1", method="GET", exchange=None, headers=(), token=f"Bearer {TOKEN}", root_path=""
):
    exchange = exchange or Exchange()
    named = [(b"authorization", token.encode())] if token else []
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "root_path": root_path,
        "headers": [*named, *headers],
        "extensions": {connection.ABORT: exchange.abort},
    }
    await app(scope, exchange.receive, exchange.send)
    return exchange


async def test_a_granted_request_gets_the_bytes():
    memory = Memory()
    exchange = await run(make(memory=memory))
    assert (exchange.status, exchange.body, exchange.complete) == (200, CONTENT, True)
    assert memory.closed == 1
    assert not exchange.aborted


async def test_repeated_ranges_become_one_list_and_are_refused():
    exchange = await run(make(), headers=[(b"range", b"bytes=0-1"), (b"Range", b"bytes=2-3")])
    assert exchange.status == 416


@pytest.mark.parametrize(
    ("path", "prefix", "root_path"),
    [
        ("/t-1", "", ""),
        ("/data/t-1", "/data", ""),
        ("/base/data/t-1", "/data", "/base"),
        ("/data/t-1", "", "/data"),
    ],
)
async def test_the_transfer_is_found_below_any_mount(path, prefix, root_path):
    assert (await run(make(prefix=prefix), path, root_path=root_path)).body == CONTENT


@pytest.mark.parametrize("path", ["/t-1/x", "/t-1//etc/passwd", "/t-1/../t-1/x", "/t-1/files/a"])
async def test_a_path_below_a_single_resource_is_not_there(path):
    assert (await run(make(), path)).status == 404


@pytest.mark.parametrize("token", ["", "Basic abc", "x"])
async def test_without_a_token_nothing_is_looked_up(token):
    async def lookup(_transfer_id, _digest):
        raise AssertionError("looked up")

    exchange = await run(make(lookup), token=token)
    assert (exchange.status, exchange.headers["www-authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (IdentityError("no", step="token"), 401),
        (PolicyError("no", reasons=["dateTime lteq 2020"]), 403),
        (NotFoundError("no"), 404),
        (DatabaseError("secret path"), 503),
        (StorageError("secret path"), 503),
    ],
)
async def test_what_the_control_plane_refuses_is_answered_without_our_facts(error, status):
    async def lookup(_transfer_id, _digest):
        raise error

    exchange = await run(make(lookup))
    assert (exchange.status, exchange.complete) == (status, True)
    told = json.loads(exchange.body)
    assert told["code"] == error.code
    assert "secret" not in told["message"]
    assert told["message"].endswith(": dateTime lteq 2020") is (status == 403)


async def test_a_changed_source_is_a_conflict_that_names_no_path():
    exchange = await run(make(memory=Memory(error=source.changed("'/srv/secret' changed"))))
    assert exchange.status == 409
    assert b"srv" not in exchange.body


async def test_a_source_that_changes_in_the_middle_aborts_the_connection():
    memory = Memory(fail_after=500)
    exchange = await run(make(memory=memory))
    assert (exchange.status, len(exchange.body)) == (200, 500)
    assert not exchange.complete
    assert exchange.aborted
    assert memory.closed == 1


async def test_a_cut_reaches_a_stream_blocked_on_a_slow_reader():
    open_flows, memory = flows.Flows(), Memory()
    exchange = Exchange(slow_after=300)
    task = asyncio.create_task(run(make(memory=memory, open_flows=open_flows), exchange=exchange))
    while not hasattr(exchange, "stuck"):  # noqa: ASYNC110
        await asyncio.sleep(0)
    assert open_flows.cut("t-1") == 1
    async with asyncio.timeout(1):
        await task
    assert exchange.aborted
    assert not exchange.complete
    assert (len(exchange.body), memory.closed, open_flows.count()) == (300, 1, 0)


async def test_a_cut_during_the_look_up_is_answered_403():
    open_flows, looking = flows.Flows(), asyncio.Event()

    async def lookup(_transfer_id, _digest):
        looking.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(run(make(lookup, open_flows=open_flows)))
    await looking.wait()
    open_flows.cut("t-1")
    assert (await task).status == 403


async def test_a_reader_who_leaves_stops_the_reading():
    open_flows, memory = flows.Flows(), Memory()
    exchange = Exchange(slow_after=300)
    task = asyncio.create_task(run(make(memory=memory, open_flows=open_flows), exchange=exchange))
    while not hasattr(exchange, "stuck"):  # noqa: ASYNC110
        await asyncio.sleep(0)
    exchange.left.set()
    async with asyncio.timeout(1):
        await task
    assert (memory.closed, open_flows.count()) == (1, 0)


async def test_too_many_streams_of_a_transfer_are_told_to_come_again():
    open_flows = flows.Flows(per_transfer=1)
    app = make(open_flows=open_flows)
    first = Exchange(slow_after=300)
    task = asyncio.create_task(run(app, exchange=first))
    while not hasattr(first, "stuck"):  # noqa: ASYNC110
        await asyncio.sleep(0)
    second = await run(app)
    assert (second.status, second.headers["retry-after"]) == (429, "5")
    open_flows.cut_all()
    await task


async def test_head_and_other_methods():
    assert (await run(make(), method="HEAD")).body == b""
    assert (await run(make(), method="POST")).status == 405
