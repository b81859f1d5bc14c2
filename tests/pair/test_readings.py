"""Reading at a partner: only the asked ranges are fetched, and the agreement's terms are asked at each request."""

import asyncio
import hashlib
import time

import msgspec
import pytest
from aiohttp import web

from comity import errors
from comity.controlplane import get, reading_files, readings
from comity.controlplane.readings import Wanted
from comity.controlplane.received import Access
from comity.dsp import terms
from support import asgi, everything, stores, wire
from support.pair import wait_for
from support.process import awaited

PURPOSE = "production:programme-1"
ON_EACH_STORE = pytest.mark.parametrize("store_kind", stores.KINDS, indirect=True)
"""For what asks the store for more than records by their ids."""
CONTENT = bytes(range(256)) * 4096


def api(site):
    return asgi.Client(site.parts.internal, site.conf.management_key)


async def asked(pair, asset_id="asset", **said):
    """Ask to read and return the reading once it can be read, or never will."""
    client = api(pair.consumer)
    body = {"counterPartyId": pair.provider.did, "assetId": asset_id, **said}
    made = await client.request("POST", "readings", body)
    assert made.status == 200, made.body

    async def ready():
        found = (await client.request("GET", f"readings/{made.json['@id']}")).json
        return found if found["stage"] not in {"NEGOTIATING", "REQUESTING"} else None

    return await wait_for(ready)


async def begun(pair, asset_id="asset", **said):
    """Begin to read and return the reading."""
    found = await asked(pair, asset_id, **said)
    assert (found["stage"], found["error"]) == ("READY", "")
    return found


async def accesses(pair, reading):
    found = await pair.consumer.entries(reading["transferId"])
    return [(each["outcome"], each["detail"]) for each in found if each["message"] == "comity:Access"]


async def test_ranges_of_a_package_come_from_the_partner_with_the_headers_of_a_file(pair):
    await pair.provider.publish(files={"data/a b.bin": CONTENT, "b.txt": b"hello"})
    reading = await begun(pair)
    client, at = api(pair.consumer), f"readings/{reading['@id']}"
    listed = (await client.request("GET", f"{at}/files")).json
    assert [each["path"] for each in listed] == ["b.txt", "data/a b.bin"]
    digest = hashlib.sha256(CONTENT).hexdigest()
    assert listed[1]["sha256"] == digest
    manifest = await client.request("GET", f"{at}/manifest")
    assert hashlib.sha256(manifest.body).hexdigest() == reading["manifestSha256"]
    path = f"{at}/files/data/a%20b.bin"
    head = await client.request("HEAD", path)
    assert (head.status, head.headers["content-length"], head.body) == (200, str(len(CONTENT)), b"")
    assert head.headers["etag"] == f'"sha256-{digest}"'
    key = {"x-api-key": pair.consumer.conf.management_key}
    part = await client.request("GET", path, headers={**key, "range": "bytes=1000-1999"})
    assert (part.status, part.body) == (206, CONTENT[1000:2000])
    assert part.headers["content-range"] == f"bytes 1000-1999/{len(CONTENT)}"
    assert (await client.request("GET", path)).body == CONTENT
    other = await client.request("GET", path, headers={**key, "range": "bytes=0-9", "if-match": '"other"'})
    assert other.status == 412
    assert (await client.request("GET", f"{at}/files/nothing")).problem["type"] == "not-found"
    assert await accesses(pair, reading) == [
        ("opened", "person: not named; read at the partner: data/a b.bin")
    ]


@ON_EACH_STORE
async def test_whoever_asks_again_reads_on_and_an_end_is_told_to_the_partner(pair):
    await pair.provider.publish()
    reading = await begun(pair)
    assert (await begun(pair))["@id"] == reading["@id"]
    assert (await begun(pair, person="Jo Doe"))["@id"] != reading["@id"]
    client, at = api(pair.consumer), f"readings/{reading['@id']}"
    other = (await client.request("POST", "apikeys", {"name": "other", "role": "operator"})).json["key"]
    refused = await asgi.Client(pair.consumer.parts.internal, other).request("GET", f"{at}/files/a.txt")
    assert refused.problem["message"] == "this reading was begun with another API key"
    by_jo = {"filterExpression": [{"operandLeft": "person", "operator": "=", "operandRight": "Jo Doe"}]}
    newest = {"sortField": "createdAt", "sortOrder": "DESC"}
    for _ in range(2):
        assert len((await client.request("POST", "readings/request", newest)).json) == 2
        assert (await client.request("POST", "readings/request", by_jo)).json[0]["person"] == "Jo Doe"
    for _ in range(2):
        assert (await client.request("DELETE", at)).status == 204
    assert [each["person"] for each in (await client.request("POST", "readings/request", {})).json] == [
        "Jo Doe"
    ]
    await pair.consumer.reaches(reading["transferId"], terms.COMPLETED)
    assert (await client.request("GET", at)).json["stage"] == "ENDED"
    assert (await client.request("GET", f"{at}/files/a.txt")).problem["reasons"] == ["it was ended"]
    assert (await begun(pair))["@id"] != reading["@id"]


@ON_EACH_STORE
async def test_whoever_reads_another_revision_between_goes_on_with_the_same_reading(pair):
    await pair.provider.publish()
    newest, first = await begun(pair), await begun(pair, revision=1)
    german, other = ({"person": "Jo", "nationality": [each]} for each in ("DE", "FR"))
    ours, theirs = await begun(pair, **german), await begun(pair, **other)
    assert (await begun(pair))["@id"] == newest["@id"]
    assert (await begun(pair, revision=1))["@id"] == first["@id"]
    assert (await begun(pair, **german))["@id"] == ours["@id"] != theirs["@id"]


@ON_EACH_STORE
async def test_what_nobody_reads_for_a_day_ends_at_both_sides(pair):
    await pair.provider.publish()
    idle, read = await begun(pair), await begun(pair, person="Jo Doe")
    connector = pair.consumer.connector
    now_ms = connector.now_ms
    object.__setattr__(connector, "now_ms", lambda: now_ms() + readings.IDLE_MS + 1000)
    try:
        client, path = api(pair.consumer), f"readings/{read['@id']}/files/a.txt"
        assert (await client.request("GET", path)).status == 200
        await readings.end_idle(connector)
        await pair.consumer.reaches(idle["transferId"], terms.COMPLETED)
        assert (await client.request("GET", path)).status == 200
        listed = (await client.request("POST", "readings/request", {})).json
        assert [each["person"] for each in listed] == ["Jo Doe"]
    finally:
        object.__setattr__(connector, "now_ms", now_ms)


async def test_a_reading_is_given_up_where_the_partner_takes_its_token_no_more_but_not_in_its_beginning(pair):
    await pair.provider.publish()
    reading = await begun(pair)
    await pair.provider.connector.database.write(
        lambda tx: tx.run("UPDATE transfer SET token_sha256 = ?1", b"other")
    )
    client, at = api(pair.consumer), f"readings/{reading['@id']}"
    for _ in range(2):
        refused = (await client.request("GET", f"{at}/files")).problem
        assert refused["message"] == "the partner does not let it be read"
    assert (await begun(pair))["@id"] == reading["@id"]
    older = "UPDATE exchange SET created_at = created_at - ?1"
    await pair.consumer.connector.database.write(lambda tx: tx.run(older, reading_files.BEGINNING_MS))
    refused = (await client.request("GET", f"{at}/files")).problem
    assert (refused["message"], refused["hint"]) == (
        "the partner does not let it be read any more",
        "begin to read it again",
    )
    ended = (await client.request("GET", at)).json
    assert ended["stage"] == "ENDED"
    assert ended["error"] == "the partner takes its token no more: status 401"
    theirs = (await pair.provider.rows("SELECT id FROM transfer"))[0][0]
    await pair.provider.reaches(theirs, terms.TERMINATED)
    assert (await begun(pair))["@id"] != reading["@id"]


async def test_what_is_read_comes_no_faster_than_all_transfers_may(pair):
    await pair.provider.publish(files={"a.bin": CONTENT})
    reading = await begun(pair)
    pair.consumer.connector.speeds.incoming.bytes_per_s = 4 * len(CONTENT)
    client, path = api(pair.consumer), f"readings/{reading['@id']}/files/a.bin"
    since_s = time.monotonic()
    both = await asyncio.gather(*(client.request("GET", path) for _ in range(2)))
    assert [each.body for each in both] == [CONTENT] * 2
    assert time.monotonic() - since_s > 0.25  # the last 512 KiB, and a tenth of a second, are not waited for


async def test_who_asks_at_the_same_time_reads_the_same(pair):
    await pair.provider.publish()
    body = {"counterPartyId": pair.provider.did, "assetId": "asset"}
    made = await asyncio.gather(*(api(pair.consumer).request("POST", "readings", body) for _ in range(5)))
    assert len({each.json["@id"] for each in made}) == 1


async def test_a_purpose_is_asked_for_in_one_sentence_told_to_the_provider_and_recorded_at_both_sides(pair):
    await pair.provider.befriend(pair.consumer, purpose=[PURPOSE])
    await pair.provider.publish(policy=wire.constrained("purpose", "eq", PURPOSE))
    body = {"counterPartyId": pair.provider.did, "assetId": "asset"}
    refused = await api(pair.consumer).request("POST", "readings", body)
    assert (refused.status, refused.problem["message"]) == (
        403,
        f"name the purpose for which it is read: {PURPOSE}",
    )
    reading = await begun(pair, purpose=PURPOSE)
    reply, _ = await reading_files.answer(pair.consumer.connector, reading["@id"], "a.txt", "GET", {})
    assert b"".join([each async for each in reply.body]) == b"hello"
    (entry,) = [
        each
        for each in await pair.consumer.entries(reading["transferId"])
        if each["message"] == "comity:Access"
    ]
    assert (entry["outcome"], entry["purpose"]) == ("opened", PURPOSE)
    assert (await pair.provider.rows("SELECT purpose FROM transfer")) == [(PURPOSE,)]
    with pytest.raises(errors.PolicyError, match="not offered for sale"):
        await readings.start(
            pair.consumer.connector,
            Wanted(counterparty_id=pair.provider.did, asset_id="asset"),
            Access(purpose="sale"),
        )


@ON_EACH_STORE
async def test_under_a_count_each_reading_is_a_use_and_the_last_one_may_go_on(pair):
    await pair.provider.publish(policy=wire.constrained("count", "lteq", "2"))
    first, second = await begun(pair), await begun(pair)
    assert first["@id"] != second["@id"]
    assert first["locked"] == second["locked"] == []
    third = await asked(pair)
    why = "the policy does not allow it: count lteq 2: 2 used already"
    assert (third["stage"], third["error"]) == ("FAILED", why)
    reply, _ = await reading_files.answer(pair.consumer.connector, second["@id"], "a.txt", "HEAD", {})
    assert reply.status == 200


@ON_EACH_STORE
async def test_what_the_provider_suspends_or_recalls_is_refused_here_and_written_down(pair):
    await pair.provider.publish(files={"a.bin": CONTENT})
    reading = await begun(pair)
    theirs = (await pair.provider.rows("SELECT id FROM transfer"))[0][0]
    client, path = api(pair.consumer), f"readings/{reading['@id']}/files/a.bin"
    assert (await client.request("GET", path)).status == 200
    await pair.provider.move(theirs, "suspend", reason="a check")
    await pair.consumer.reaches(reading["transferId"], terms.SUSPENDED)
    refused = await client.request("GET", path)
    assert (refused.status, refused.problem["reasons"]) == (403, ["its transfer is SUSPENDED: a check"])
    assert [outcome for outcome, _ in await accesses(pair, reading)] == ["opened", "refused"]
    await pair.provider.move(theirs, "start")
    await pair.consumer.reaches(reading["transferId"], terms.STARTED)
    assert (await client.request("GET", path)).body == CONTENT


async def test_another_content_at_the_partner_is_refused_and_then_read_anew(pair):
    await pair.provider.publish(files={"a.bin": CONTENT})
    reading = await begun(pair)
    client, path = api(pair.consumer), f"readings/{reading['@id']}/files/a.bin"
    assert (await client.request("GET", path)).body == CONTENT
    await pair.provider.publish(files={"a.bin": CONTENT[::-1]})
    refused = await client.request("GET", path)
    assert (refused.status, refused.problem["message"]) == (409, "the partner has another 'a.bin' now")
    assert (await client.request("GET", path)).body == CONTENT[::-1]
    await pair.provider.publish(files={"a.bin": CONTENT, "b.bin": b"new"})
    client, at = api(pair.consumer), f"readings/{reading['@id']}/files"
    assert [each["path"] for each in (await client.request("GET", at)).json] == ["a.bin", "b.bin"]
    assert (await client.request("GET", path)).body == CONTENT
    await pair.provider.publish(files={"a.bin": CONTENT, "c.bin": b"newer"})
    assert (await client.request("GET", f"{at}/c.bin")).body == b"newer"
    await pair.provider.publish(files={"a.bin": CONTENT[1:]})
    assert (await client.request("HEAD", path)).headers["content-length"] == str(len(CONTENT) - 1)


async def test_a_file_that_is_not_what_was_published_is_named(pair):
    await pair.provider.publish()
    reading = await begun(pair)
    (pair.provider.folder.parent / "published" / "asset" / "a.txt").write_text("other")
    refused = await api(pair.consumer).request("GET", f"readings/{reading['@id']}/files/a.txt")
    assert (refused.status, refused.problem["type"]) == (409, "conflict")
    assert "'a.txt' is not what was published" in refused.problem["message"]


async def test_what_the_store_holds_is_read_from_there_while_it_is_what_the_partner_has(pair):
    await pair.provider.publish(files={"a.bin": CONTENT})
    got = await get.start(pair.consumer.connector, pair.provider.did, "asset", "store:")

    async def received():
        return (await get.status(pair.consumer.connector, got.id))["stage"] == get.COMPLETED

    await wait_for(received)
    reading = await begun(pair)
    served = []
    client, path = api(pair.consumer), f"readings/{reading['@id']}/files/a.bin"
    stream = pair.consumer.connector.remote._stream
    pair.consumer.connector.remote._stream = lambda *asked, **more: (
        served.append(asked[1]),
        stream(*asked, **more),
    )[1]
    assert (await client.request("GET", path)).body == CONTENT
    assert [each for each in served if "/files/" in each] == []
    await pair.provider.publish(files={"a.bin": CONTENT[::-1]})
    pair.consumer.connector.looked.forget(reading["@id"])
    assert (await client.request("GET", path)).body == CONTENT[::-1]
    assert [each.rpartition("/data/")[2].partition("/")[2] for each in served if "/files/" in each] == [
        "files/a.bin"
    ]


class Elsewhere(everything.Offering):
    """A provider that is no Comity: one table of data, whose token ends and is replaced by refresh."""

    tokens = ("data-0",)

    def polite(self, request, seen):
        if request.path == "/data":
            if request.headers.get("Authorization") != f"Bearer {self.tokens[-1]}":
                return web.json_response({"message": "the token has ended"}, status=403)
            return web.Response(body=CONTENT, headers={"ETag": '"one"'})  # it knows no ranges
        if request.path == "/refresh/token":
            self.tokens = (*self.tokens, f"data-{len(self.tokens)}")
            return web.json_response({"access_token": self.tokens[-1], "expires_in": 300})
        return super().polite(request, seen)


async def test_the_token_of_another_connectors_data_plane_is_kept_here_and_renewed_when_it_is_refused(site):
    peer = Elsewhere()
    await peer.start()
    try:
        await site.befriend(peer)
        client = api(site)
        body = {"counterPartyId": peer.did, "assetId": "part"}
        made = (await client.request("POST", "readings", body)).json
        theirs = awaited(peer, site, made["negotiationId"])
        await site.reaches(made["negotiationId"], "REQUESTED")
        assert (await theirs.agree(everything.offer("6"))).status == 200
        await site.reaches(made["negotiationId"], "VERIFIED")
        assert (await theirs.event("FINALIZED")).status == 200
        await wait_for(lambda: peer.of("/transfers/request"))
        name = peer.of("/transfers/request")[-1].document["consumerPid"]
        await site.reaches(name, "REQUESTED")
        handed = awaited(peer, site, name, collection="transfers")
        refreshing = {
            everything.AUTH + "refreshToken": "refresh",
            everything.AUTH + "refreshEndpoint": f"{peer.address}/refresh",
            everything.AUTH + "refreshAudience": peer.did,
            everything.AUTH + "expiresIn": "300",
            "authorization": "data-0",
        }
        address = everything.address(peer, **refreshing)
        assert (await handed.send("TransferStartMessage", dataAddress=address)).status == 200
        at = f"readings/{made['@id']}"
        (listed,) = (await client.request("GET", f"{at}/files")).json
        assert (listed["path"], listed["sizeBytes"], listed["single"]) == ("data", len(CONTENT), True)
        peer.tokens = (*peer.tokens, "data-1")
        key = {"x-api-key": site.conf.management_key}
        ranged = {**key, "range": "bytes=500000-500009"}
        part = await client.request("GET", f"{at}/files/data", headers=ranged)
        assert (part.status, part.body) == (206, CONTENT[500_000:500_010])
        assert peer.tokens == ("data-0", "data-1", "data-2")
        assert b"data-" not in (await client.request("GET", at)).body
    finally:
        await peer.stop()


async def test_a_package_whose_seal_does_not_hold_is_not_read(pair):
    await pair.provider.publish()
    await pair.provider.hand_out(lambda kept: msgspec.structs.replace(kept, seal=""))
    reading = await begun(pair)
    refused = await api(pair.consumer).request("GET", f"readings/{reading['@id']}/files/a.txt")
    assert refused.status == 502
    assert "there is no seal" in refused.problem["message"]
