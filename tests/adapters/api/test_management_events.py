"""Events and webhooks through the management API: pages, streams, who is told, and what is refused."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from comity.api.management import stream as streams
from comity.controlplane import events as use_cases
from comity.db import events, webhooks
from comity.management.events import ProgressData
from support.pair import wait_for

POLICY = {"policy": {"@type": "Set", "permission": [{"action": "use"}]}}
SECRET = "whsec_" + "A" * 43 + "="


@dataclass
class Stream:
    """A stream that an ASGI application sends; `leave` is the reader going away."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    ended: bool = False
    paused: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def events(self) -> list[tuple[int, dict[str, Any]]]:
        """(id, data) of each event that came whole."""
        found = []
        for block in self.body.decode().split("\n\n")[:-1]:
            fields = dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":"))
            if "data" in fields and "id" in fields:
                found.append((int(fields["id"]), json.loads(fields["data"])))
        return found

    @property
    def passing(self) -> list[dict[str, Any]]:
        """What was told without a place in the log."""
        blocks = self.body.decode().split("\n\n")
        return [json.loads(each.removeprefix("data: ")) for each in blocks if each.startswith("data: ")]

    @property
    def place(self) -> int:
        ids = [line for line in self.body.decode().split("\n") if line.startswith("id: ")]
        return int(ids[-1].removeprefix("id: "))


@contextlib.asynccontextmanager
async def streaming(site, query: str = "", **headers: str):
    stream = Stream()
    stream.paused.set()
    sent = {"x-api-key": site.conf.management_key, "accept": "text/event-stream"}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/management/v3/events",
        "raw_path": b"/management/v3/events",
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
    }
    asked = False

    async def receive():
        nonlocal asked
        if not asked:
            asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await stream.left.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        await stream.paused.wait()
        if message["type"] == "http.response.start":
            stream.status = message["status"]
            stream.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            stream.body += message["body"]
            stream.ended = not message.get("more_body")

    running = asyncio.create_task(site.parts.internal(scope, receive, send))
    try:
        await wait_for(lambda: stream.body or running.done(), "the stream begins")
        yield stream
    finally:
        stream.left.set()
        await asyncio.wait_for(running, 5)


async def make(api, *names):
    for name in names:
        await api.created("policydefinitions", {"@id": name, **POLICY})


async def test_a_page_has_the_events_after_a_place_as_cloud_events(site, api):
    await make(api, "a", "b", "c")
    first = (await api.get("events?limit=2")).json
    assert [each["subject"] for each in first["events"]] == ["a", "b"]
    assert {name: first[name] for name in ("next", "more", "oldest", "newest")} == {
        "next": 2,
        "more": True,
        "oldest": 1,
        "newest": 3,
    }
    (event,) = (await api.get(f"events?after={first['next']}")).json["events"]
    assert (event["type"], event["source"]) == ("policy.definition.created", site.did)
    assert (event["specversion"], event["data"]) == ("1.0", {"policyDefinitionId": "c"})
    by_sequence = await api.get(f"events?after={event['sequence']}")
    assert by_sequence.json["events"] == []


async def test_pages_may_be_of_one_thing_and_of_some_types(api):
    await make(api, "a", "b")
    await api.delete("policydefinitions/a")
    of_a = (await api.get("events?processId=a")).json
    assert [each["type"] for each in of_a["events"]] == [
        "policy.definition.created",
        "policy.definition.deleted",
    ]
    typed = (await api.get("events?types=policy.definition.deleted,asset")).json
    assert [each["subject"] for each in typed["events"]] == ["a"]


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("after=x", "$.after"),
        ("after=-1", "$.after"),
        ("after=1", "$.after"),
        ("limit=0", "$.limit"),
        ("limit=1001", "$.limit"),
        ("types=nonsense", "$.types[0]"),
        ("types=asset,,policy", "$.types[1]"),
        ("type=asset", "$.type"),
        ("process=a", "$.process"),
    ],
)
async def test_a_page_that_cannot_be_is_refused_with_its_place(api, query, path):
    answer = await api.get(f"events?{query}")
    assert answer.status == 400
    assert answer.problem["path"] == path


@pytest.mark.parametrize(
    ("query", "path"), [("limit=3", "$.limit"), ("after=99", "$.after"), ("types=x", "$.types[0]")]
)
async def test_a_stream_that_cannot_be_is_refused_before_it_begins(site, query, path):
    async with streaming(site, query) as stream:
        assert stream.status == 400
        assert json.loads(stream.body)[0]["path"] == path


async def test_a_stream_tells_what_happens_from_then_on(site, api):
    await make(api, "before")
    async with streaming(site) as stream:
        assert stream.status == 200
        assert stream.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert stream.headers["cache-control"] == "no-store"
        assert "content-length" not in stream.headers
        assert (stream.events, stream.place) == ([], 1)
        await make(api, "a", "b")
        await wait_for(lambda: len(stream.events) == 2, "two events")
        assert [(place, event["subject"]) for place, event in stream.events] == [(2, "a"), (3, "b")]


async def test_a_stream_tells_how_far_transfers_have_come_to_who_names_that(site, api):
    figures = {"files_done": 1, "files_total": 2, "bytes_done": 3, "bytes_total": 4}
    news = site.connector.news
    async with (
        streaming(site, "types=transfer.process.progress") as stream,
        streaming(site, "types=transfer.process.progress&processId=urn:b") as of_one,
        streaming(site) as other,
    ):
        for name in ("urn:a", "urn:b"):
            news.move(ProgressData(transfer_process_id=name, **figures))
        await wait_for(lambda: len(stream.passing) == 2 and of_one.passing, "how far they have come")
        await make(api, "a")
        await wait_for(lambda: other.events, "an event")
        told = stream.passing[0]
        assert (told["type"], told["subject"]) == ("transfer.process.progress", "urn:a")
        assert told["data"] == {
            "transferProcessId": "urn:a",
            "filesDone": 1,
            "filesTotal": 2,
            "bytesDone": 3,
            "bytesTotal": 4,
        }
        assert [each["subject"] for each in of_one.passing] == ["urn:b"]
        assert other.passing == []
        assert stream.events == []


async def test_a_stream_goes_on_from_the_last_event_that_its_reader_has(site, api):
    await make(api, "a", "b")
    async with streaming(site, "after=0") as stream:
        await wait_for(lambda: len(stream.events) == 2, "two events")
    await make(api, "c")
    async with streaming(site, "after=0", last_event_id=str(stream.place)) as again:
        await wait_for(lambda: again.events, "what it missed")
        await make(api, "d")
        await wait_for(lambda: len(again.events) == 2, "what is new")
        assert [event["subject"] for _, event in again.events] == ["c", "d"]


async def test_a_stream_of_some_events_moves_its_place_over_the_others(site, api, monkeypatch):
    monkeypatch.setattr(use_cases, "HEARTBEAT_S", 0.05)
    async with streaming(site, "types=policy.definition.deleted") as stream:
        await make(api, "a", "b")
        await wait_for(lambda: stream.place == 2, "its place has moved")
        await api.delete("policydefinitions/b")
        await wait_for(lambda: stream.events, "one event")
        assert [place for place, _ in stream.events] == [3]


async def test_a_stream_says_something_also_when_nothing_happens(site, monkeypatch):
    monkeypatch.setattr(use_cases, "HEARTBEAT_S", 0.02)
    async with streaming(site) as stream:
        await wait_for(lambda: stream.body.count(b":\nid: 0\n\n") >= 3, "three heartbeats")
        assert stream.events == []


async def test_a_reader_who_takes_nothing_holds_no_event_in_memory_and_gets_all_later(site, api):
    async with streaming(site, "after=0") as stream:
        stream.paused.clear()
        reads = 0
        read = site.connector.database.read

        async def counting(unit):
            nonlocal reads
            reads += "find_page" in getattr(unit, "__qualname__", "")  # the evidence is read with a partial
            return await read(unit)

        site.connector.database.read = counting
        for at in range(30):
            await make(api, f"p{at}")
            await asyncio.sleep(0.005)
        assert reads <= 1, "it does not read on while the last page is not taken"
        stream.paused.set()
        await wait_for(lambda: len(stream.events) == 30, "all of them")
        assert [place for place, _ in stream.events] == list(range(1, 31))


async def test_streams_end_when_the_connector_stops_also_one_that_nobody_reads(site, api):
    async with streaming(site) as stream, streaming(site) as stuck:
        stuck.paused.clear()
        await make(api, "a")
        site.connector.news.close()
        await wait_for(lambda: stream.ended, "the stream ends")
        stuck.left.clear()
    assert not stuck.ended


async def test_events_that_are_not_kept_any_more_are_told_from_those_that_were_never_there(site, api):
    await make(api, *"abcde")
    await site.connector.database.write(
        lambda tx: events.purge(tx, before_ms=site.connector.now_ms() + 1, first_needed=4)
    )
    gone = await api.get("events?after=1")
    assert (gone.status, gone.problem["type"]) == (404, "not-found")
    assert "the oldest is 4" in gone.problem["message"]
    assert [each["subject"] for each in (await api.get("events?after=0")).json["events"]] == ["d", "e"]
    assert (await api.get("events?after=3")).status == 200
    async with streaming(site, last_event_id="1") as stream:
        assert stream.status == 404
    refused = await api.post("webhooks", {"url": "http://127.0.0.1:1/", "after": 1})
    assert (refused.status, refused.problem["path"]) == (400, "$.after")


async def test_old_events_are_purged_but_for_those_that_a_webhook_needs(site, api):
    await make(api, *"abcde")
    url = "http://127.0.0.1:9/"
    name = await api.created("webhooks", {"url": url, "after": 2})
    await wait_for(lambda: _fails(api, name), "it fails")
    await use_cases.purge(site.connector, -1)
    assert (await api.get("events?limit=1")).json["oldest"] == 3
    await api.delete(f"webhooks/{name}")
    await use_cases.purge(site.connector, -1)
    assert (await api.get("events?limit=1")).json["oldest"] == 5


async def _fails(api, name):
    found = (await api.get(f"webhooks/{name}")).json
    return found if found.get("failingSince") else None


async def test_a_webhook_is_shown_with_how_it_stands_and_without_its_secret(site, api):
    await make(api, "a")
    await api.created("secrets", {"@id": "their-key", "value": "hidden"})
    body = {
        "url": "http://127.0.0.1:9/hook",
        "types": ["policy"],
        "secret": SECRET,
        "authKey": "X-Key",
        "authCodeId": "their-key",
    }
    name = await api.created("webhooks", body)
    await make(api, "b")
    found = await wait_for(lambda: _fails(api, name), "it fails")
    assert {
        key: found[key] for key in ("@type", "@id", "url", "types", "authKey", "authCodeId", "signed")
    } == {
        "@type": "Webhook",
        "@id": name,
        "url": body["url"],
        "types": ["policy"],
        "authKey": "X-Key",
        "authCodeId": "their-key",
        "signed": True,
    }
    assert (found["state"], found["lastDelivered"], found["newest"]) == ("ACTIVE", 1, 2)
    assert found["lastError"]
    assert found["nextAttempt"] >= found["failingSince"] > 0
    assert SECRET not in json.dumps(found)
    assert [each["@id"] for each in (await api.get("webhooks")).json] == [name]
    assert (await api.get("webhooks?processId=x")).json == []
    assert (await api.delete(f"webhooks/{name}")).status == 204
    for answer in (await api.get(f"webhooks/{name}"), await api.delete(f"webhooks/{name}")):
        assert answer.status == 404
    assert (await api.get("webhooks")).json == []


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"url": "ftp://app.example/"}, "$.url"),
        ({"url": "http://10.0.0.1/"}, "$.url"),
        ({"url": "nowhere"}, "$.url"),
        ({"url": None}, "$.url"),
        ({"authKey": "X-Key", "authCodeId": "missing"}, "$.authCodeId"),
        ({"secret": "x"}, "$.secret"),
        ({"after": 1}, "$.after"),
        ({"types": ["x"]}, "$.types[0]"),
    ],
)
async def test_a_webhook_that_cannot_be_is_refused_with_its_place(api, change, path):
    answer = await api.post("webhooks", {"url": "http://127.0.0.1:9/", **change})
    assert answer.status == 400
    assert answer.problem["path"] == path
    assert (await api.get("webhooks")).json == []


async def test_the_same_webhook_asked_for_twice_with_a_key_is_made_once(site, api):
    headers = {"x-api-key": site.conf.management_key, "Idempotency-Key": "one"}
    made = [await api.post("webhooks", {"url": "http://127.0.0.1:9/"}, headers=headers) for _ in range(2)]
    assert made[0].json["@id"] == made[1].json["@id"]
    assert len(await site.connector.database.read(webhooks.find_all)) == 1


async def test_callbacks_are_stored_with_their_process_and_shown(pair, consumer, offered):
    callback = {
        "@type": "CallbackAddress",
        "uri": "http://127.0.0.1:9/callback",
        "events": ["contract.negotiation", "transfer.process"],
        "transactional": False,
    }
    name = await consumer.created("contractnegotiations", await _wanted(consumer, offered, callback))
    assert (await consumer.get(f"contractnegotiations/{name}")).json["callbackAddresses"] == [callback]
    (listed,) = await consumer.found("contractnegotiations/request")
    assert listed["callbackAddresses"] == [callback]
    (shown,) = (await consumer.get(f"webhooks?processId={name}")).json
    assert (shown["processId"], shown["url"]) == (name, callback["uri"])


async def _wanted(consumer, offered, callback):
    found = await consumer.post("catalog/dataset/request", {"@id": "part", **offered})
    offer = found.json["hasPolicy"][0]
    return {
        **offered,
        "policy": {**offer, "target": "part", "assigner": offered["counterPartyId"]},
        "callbackAddresses": [callback],
    }


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"transactional": True}, "transactional"),
        ({"uri": "http://10.0.0.1/"}, "uri"),
        ({"events": ["x"]}, "events[0]"),
        ({"authKey": "X-Key", "authCodeId": "missing"}, "authCodeId"),
    ],
)
async def test_a_callback_that_cannot_be_begins_no_negotiation(consumer, offered, change, path):
    callback = {"uri": "http://127.0.0.1:9/callback", "events": ["contract"], **change}
    answer = await consumer.post("contractnegotiations", await _wanted(consumer, offered, callback))
    assert answer.status == 400
    assert answer.problem["path"] == f"$.callbackAddresses[0].{path}"
    assert await consumer.found("contractnegotiations/request") == []


async def test_a_stream_ends_with_the_key_that_opened_it(site, api):
    key = (await api.post("apikeys", {"name": "guest", "role": "viewer"})).json["key"]
    async with streaming(site, x_api_key=key) as stream:
        await make(api, "a")
        await wait_for(lambda: len(stream.events) == 1)
        assert (await api.delete("apikeys/guest")).status == 204
        await make(api, "b")
        await wait_for(lambda: stream.ended, "the stream ends")
        assert [data["subject"] for _, data in stream.events] == ["a"]


async def test_only_so_many_streams_are_open_at_once(site, monkeypatch):
    monkeypatch.setattr(streams, "MOST", 2)
    async with streaming(site) as first, streaming(site) as second:
        assert (first.status, second.status) == (200, 200)
        async with streaming(site) as third:
            assert third.status == 429
            assert third.headers["retry-after"]
    async with streaming(site) as again:
        assert again.status == 200
