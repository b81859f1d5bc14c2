"""A provider pushes to the endpoint that a consumer names: under the agreement, while the transfer runs, only there."""

import asyncio
import time

import pytest

from comity import runtime
from comity.controlplane import decide, partners, processes
from comity.net import guard
from support import schemas, stores, wire
from support.endpoint import Endpoint
from support.pair import wait_for
from support.process import finalized, transfer

CONTENT = bytes(range(256)) * 4096
BIG = {"big.bin": CONTENT * 48}
EDC = "https://w3id.org/edc/v0.0.1/ns/"


def address(endpoint, kind="HttpData", **properties):
    """A data address as EDC writes it: everything in endpointProperties, named by its namespace."""
    named = {
        EDC + "baseUrl": endpoint,
        **{name.replace("_", ":"): value for name, value in properties.items()},
    }
    listed = [{"@type": "EndpointProperty", "name": name, "value": value} for name, value in named.items()]
    return {"@type": "DataAddress", "endpointType": kind, "endpointProperties": listed}


async def requested(peer, site, agreement_id, **fields):
    process = transfer(peer, site)
    answer = await process.request_data(agreement_id, format="HttpData-PUSH", **fields)
    return process, answer


async def pushing(peer, site, agreement_id, data_address):
    process, answer = await requested(peer, site, agreement_id, dataAddress=data_address)
    assert answer.status == 201, answer.body
    return process


async def agreed(site, peer, **published):
    await site.publish(**published)
    return (await finalized(peer, site))[1]


async def row(site, process, *columns):
    found = await site.rows(
        f"SELECT {', '.join(columns or ('state',))} FROM push WHERE transfer_id = ?1", process.theirs
    )
    return found[0] if columns else found[0][0]


async def busy(endpoint):
    """Wait until a body is on its way."""
    await wait_for(lambda: endpoint.of("POST", "PATCH"), "a body")


async def test_the_catalog_offers_push_beside_pull(site, peer):
    await site.publish()
    formats = [each["format"] for each in (await peer.dataset(site))["distribution"]]
    assert formats == ["HttpData-PULL", "HttpData-PUSH"]


@pytest.mark.parametrize("kind", ["HttpData", "https://w3id.org/idsa/v4.1/HTTP"])
async def test_data_is_pushed_after_a_start_without_an_address_and_then_completed(site, peer, kind):
    agreement_id = await agreed(site, peer, files={"a.bin": CONTENT})
    async with Endpoint() as endpoint:
        wanted = address(endpoint.url, kind, authKey="X-Api-Key", authCode="canary-4711")
        process = await pushing(peer, site, agreement_id, wanted)
        await site.reaches(process.theirs, "COMPLETED")
        assert endpoint.whole == {"/up/secret-place": CONTENT}
        assert endpoint.of("POST")[0].headers["X-Api-Key"] == "canary-4711"
    (start,) = peer.of(f"/{process.pid}/start")
    assert "dataAddress" not in start.document
    assert len(peer.of(f"/{process.pid}/completion")) == 1
    assert await row(site, process, "state", "bytes_done", "error") == ("DONE", len(CONTENT), "")


async def test_credentials_and_address_are_neither_in_the_database_nor_in_the_log(site, peer, caplog):
    caplog.set_level("DEBUG")
    agreement_id = await agreed(site, peer)
    async with Endpoint() as endpoint:
        endpoint.answers = [(503, {}), (503, {}), (403, {})]
        await pushing(
            peer, site, agreement_id, address(endpoint.url, authKey="Authorization", authCode="canary-4711")
        )
        await wait_for(lambda: peer.of("/termination"))
    stored = stores.stored(site.conf)
    evidence = str(await site.entries())
    for canary in ("canary-4711", "secret-place"):
        assert canary.encode() not in stored
        assert canary not in evidence
        assert canary not in "\n".join(
            each.getMessage() for each in caplog.records if "aiohttp" not in each.name
        )


async def test_a_package_goes_to_an_endpoint_that_takes_packages(site, peer):
    files = {"a.txt": b"hello", "b/c.bin": CONTENT}
    agreement_id = await agreed(site, peer, files=files)
    async with Endpoint() as endpoint:
        _, answer = await requested(peer, site, agreement_id, dataAddress=address(endpoint.url))
        assert answer.status == 400
        assert "package of 2 files" in answer.reason
        assert not schemas.problems(answer.document)
        wanted = address(endpoint.url, **{"https_//w3id.org/comity/folder": "true"})
        process = await pushing(peer, site, agreement_id, wanted)
        await site.reaches(process.theirs, "COMPLETED")
        got = {path.removeprefix("/up/secret-place/"): data for path, data in endpoint.whole.items()}
    assert got.keys() - files.keys() == {".comity-manifest.json"}
    assert {name: got[name] for name in files} == files


REFUSED = {
    "loopback by name": ("https://localhost/in", "loopback"),
    "loopback": ("https://127.0.0.1/in", "loopback"),
    "private": ("https://10.1.2.3/in", "private"),
    "private too": ("https://192.168.0.1/in", "private"),
    "metadata": ("https://169.254.169.254/latest/meta-data", "link-local"),
    "metadata of another cloud": ("https://168.63.129.16/", "a cloud's own"),
    "mapped": ("https://[::ffff:127.0.0.1]/in", "loopback"),
    "unique local": ("https://[fd00::1]/in", "private"),
    "numbers": ("https://2130706433/in", "four decimal numbers"),
    "octal": ("https://0177.0.0.1/in", "four decimal numbers"),
    "not encrypted": ("http://partner.example/in", "not encrypted"),
    "user": ("https://me@partner.example/in", "https URL without user"),
    "not http": ("file:///etc/passwd", "must be an https URL"),
    "ftp": ("ftp://partner.example/", "must be an https URL"),
    "nothing": ("", "names no endpoint"),
}


@pytest.mark.parametrize(("endpoint", "why"), REFUSED.values(), ids=REFUSED)
async def test_a_consumer_that_names_an_address_inside_is_refused_with_a_sentence(
    site, peer, endpoint, why, monkeypatch
):
    agreement_id = await agreed(site, peer)
    ours, strict = (
        site.connector.egress.check_url,
        guard.Guard().check_url,
    )  # no loopback, as between two sites
    monkeypatch.setattr(
        site.connector.egress, "check_url", lambda url: ours(url) if url == peer.dsp else strict(url)
    )
    _, answer = await requested(peer, site, agreement_id, dataAddress=address(endpoint))
    assert answer.status == 400
    assert why in answer.reason
    assert not schemas.problems(answer.document)
    assert await site.rows("SELECT 1 FROM transfer") == []
    assert await site.rows("SELECT 1 FROM push") == []


ASKED_TOO_MUCH = {
    "no address": None,
    "another kind": address("https://partner.example/", "AmazonS3"),
    "a secret of ours": address("https://partner.example/", authKey="Authorization", secretName="ours"),
    "a header of the hop": address("https://partner.example/", header_Host="inside"),
    "a forged source": address("https://partner.example/", authKey="X-Forwarded-For", authCode="10.0.0.1"),
    "a line end": address("https://partner.example/", authKey="X-Api-Key", authCode="a\r\nX-Evil: 1"),
    "another method": address("https://partner.example/", method="DELETE"),
    "oauth": address("https://partner.example/", oauth2_tokenUrl="https://partner.example/token"),
}


@pytest.mark.parametrize("wanted", ASKED_TOO_MUCH.values(), ids=ASKED_TOO_MUCH)
async def test_what_a_push_does_not_do_for_a_partner_is_refused(site, peer, wanted):
    agreement_id = await agreed(site, peer)
    _, answer = await requested(peer, site, agreement_id, dataAddress=wanted)
    assert answer.status == 400
    assert not schemas.problems(answer.document)
    assert await site.rows("SELECT 1 FROM transfer") == []


async def test_a_name_that_leads_inside_at_connect_time_ends_the_transfer_and_nothing_is_sent(site, peer):
    agreement_id = await agreed(site, peer)
    site_client = site.parts.connector.back_end._client
    site_client._resolver = _Resolver("10.0.0.7")
    await site_client.close()  # sessions are made anew, with this resolver
    process = await pushing(peer, site, agreement_id, address("http://rebound.example/in"))
    await wait_for(lambda: peer.of(f"/{process.pid}/termination"))
    reason = peer.of(f"/{process.pid}/termination")[0].document["reason"][0]
    assert "address is refused" in reason
    assert "private" not in reason  # else names could be tried out until one is there inside
    assert "private" in (await row(site, process, "error"))[0]


class _Resolver:
    def __init__(self, ip):
        self.ip = ip

    async def resolve(self, host, port=0, family=0):
        if host == "127.0.0.1":
            return [{"hostname": host, "host": host, "port": port, "family": 2, "proto": 0, "flags": 0}]
        return [{"hostname": host, "host": self.ip, "port": port, "family": 2, "proto": 0, "flags": 0}]

    async def close(self):
        pass


async def test_a_refusal_of_the_receiver_ends_the_transfer_with_its_words(site, peer):
    agreement_id = await agreed(site, peer)
    async with Endpoint() as endpoint:
        endpoint.answers = [(403, {}, b'{"message": "your key has expired"}')]
        process = await pushing(peer, site, agreement_id, address(endpoint.url))
        await site.reaches(process.theirs, "TERMINATED")
    (told,) = peer.of(f"/{process.pid}/termination")
    assert "status 403: your key has expired" in told.document["reason"][0]
    assert (await row(site, process, "state", "error_code")) == ("FAILED", "delivery-refused")


async def test_a_receiver_that_was_away_gets_all_of_it_when_it_is_back(site, peer):
    agreement_id = await agreed(site, peer, files={"a.bin": CONTENT})
    async with Endpoint() as endpoint:
        await endpoint.disappear()
        process = await pushing(peer, site, agreement_id, address(endpoint.url))

        async def waits():
            return "cannot be reached" in (await row(site, process, "error"))[0]

        await wait_for(waits)
        assert await process.state() == "STARTED"
        await endpoint.listen(endpoint.port)
        await site.reaches(process.theirs, "COMPLETED", 20)
        assert endpoint.whole == {"/up/secret-place": CONTENT}


ENDS = {
    "we suspend": lambda site, process: site.move(process.theirs, decide.SUSPEND, reason="x"),
    "we terminate": lambda site, process: site.move(process.theirs, decide.TERMINATE, reason="x"),
    "they suspend": lambda site, process: process.send("TransferSuspensionMessage", reason=["x"]),
    "they complete": lambda site, process: process.send("TransferCompletionMessage"),
    "they terminate": lambda site, process: process.terminate(),
    "the partner is removed": lambda site, process: partners.remove(site.connector, process.peer.did),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
async def test_a_push_stops_within_five_seconds_of_what_ends_it(site, peer, end):
    agreement_id = await agreed(site, peer, files=BIG)
    async with Endpoint(keep=False) as endpoint:
        endpoint.pause_s = 0.01
        process = await pushing(peer, site, agreement_id, address(endpoint.url))
        await busy(endpoint)
        begun_s = time.monotonic()
        await end(site, process)
        await wait_for(lambda: not endpoint.open, "the body to end", 5)
        assert time.monotonic() - begun_s < 5
        await asyncio.sleep(0.3)
        assert len(endpoint.of("POST")) == 1
        assert endpoint.whole == {}


async def test_a_push_goes_on_after_a_suspension_where_the_receiver_stands(site, peer):
    agreement_id = await agreed(site, peer, files=BIG)
    async with Endpoint(resumable=True) as endpoint:
        endpoint.pause_s = 0.002
        process = await pushing(peer, site, agreement_id, address(endpoint.url))
        await wait_for(lambda: len(endpoint.got.get("/up/secret-place", b"")) > 1 << 20)
        await site.move(process.theirs, decide.SUSPEND, reason="x")
        await site.reaches(process.theirs, "SUSPENDED")
        await wait_for(lambda: not endpoint.open)
        had = len(endpoint.got["/up/secret-place"])
        assert had < len(BIG["big.bin"])
        endpoint.pause_s = 0
        await site.move(process.theirs, decide.START)
        await site.reaches(process.theirs, "COMPLETED", 20)
        assert bytes(endpoint.got["/up/secret-place"]) == BIG["big.bin"]
        offsets = [int(each.headers["Upload-Offset"]) for each in endpoint.of("PATCH")]
    assert offsets == [0, had]


async def test_a_consumers_start_after_its_suspension_is_enough_to_go_on(site, peer):
    agreement_id = await agreed(site, peer, files=BIG)
    async with Endpoint(resumable=True) as endpoint:
        endpoint.pause_s = 0.002
        process = await pushing(peer, site, agreement_id, address(endpoint.url))
        await busy(endpoint)
        assert (await process.send("TransferSuspensionMessage", reason=["x"])).status == 200
        await wait_for(lambda: not endpoint.open)
        endpoint.pause_s = 0
        assert (await process.send("TransferStartMessage")).status == 200
        await site.reaches(process.theirs, "COMPLETED", 20)
        assert bytes(endpoint.got["/up/secret-place"]) == BIG["big.bin"]
    assert len(peer.of(f"/{process.pid}/start")) == 1


async def test_a_push_goes_on_after_a_restart_where_the_receiver_stands(site, peer):
    agreement_id = await agreed(site, peer, files=BIG)
    async with Endpoint(resumable=True) as endpoint:
        endpoint.pause_s = 0.002
        process = await pushing(peer, site, agreement_id, address(endpoint.url))
        await wait_for(lambda: len(endpoint.got.get("/up/secret-place", b"")) > 1 << 20)
        await site.stop()
        await wait_for(lambda: not endpoint.open)
        endpoint.pause_s = 0
        await site.start()
        await site.reaches(process.theirs, "COMPLETED", 20)
        assert bytes(endpoint.got["/up/secret-place"]) == BIG["big.bin"]
        offsets = [int(each.headers["Upload-Offset"]) for each in endpoint.of("PATCH")]
    assert len(offsets) == 2
    assert offsets[1] > 1 << 20


async def test_a_count_counts_pushes_as_it_does_pulls(site, peer):
    agreement_id = await agreed(
        site, peer, policy=wire.constrained("count", "lteq", "1"), access_policy=wire.USE
    )
    async with Endpoint() as endpoint:
        first = await pushing(peer, site, agreement_id, address(endpoint.url))
        await site.reaches(first.theirs, "COMPLETED")
        second = await pushing(peer, site, agreement_id, address(endpoint.url))
        await site.reaches(second.theirs, "TERMINATED")
        assert "count" in peer.of(f"/{second.pid}/termination")[0].document["reason"][0]
        assert len(endpoint.of("POST")) == 1


class Clock:
    def __init__(self):
        self.ahead_ms = 0

    def __call__(self):
        return time.time_ns() // 1_000_000 + self.ahead_ms


async def test_an_agreement_that_expires_ends_a_push_with_its_reason(started, peer, monkeypatch):
    clock = Clock()
    monkeypatch.setattr(runtime, "now_ms", clock)
    site = await started("site")
    await site.befriend(peer)
    agreement_id = await agreed(site, peer, policy=wire.until("2090-01-01T00:00:00Z"), files=BIG)
    async with Endpoint(keep=False) as endpoint:
        endpoint.pause_s = 0.01
        process = await pushing(peer, site, agreement_id, address(endpoint.url))
        await busy(endpoint)
        clock.ahead_ms = 80 * 366 * 24 * 3600 * 1000
        begun_s = time.monotonic()
        await wait_for(lambda: not endpoint.open, "the body to end", 5)
        assert time.monotonic() - begun_s < 5
        await wait_for(lambda: peer.of("/termination"), "the termination", 10)
    reason = peer.of("/termination")[0].document["reason"][0]
    assert "dateTime" in reason
    await site.reaches(process.theirs, "TERMINATED")


async def test_data_that_was_published_anew_in_between_is_not_sent_as_the_rest(site, peer):
    agreement_id = await agreed(site, peer, files=BIG)
    async with Endpoint(resumable=True) as endpoint:
        endpoint.pause_s = 0.002
        process = await pushing(peer, site, agreement_id, address(endpoint.url))
        await wait_for(lambda: len(endpoint.got.get("/up/secret-place", b"")) > 1 << 20)

        async def noted():
            return (await row(site, process, "bytes_done"))[0] > 0

        await wait_for(noted)
        await site.move(process.theirs, decide.SUSPEND, reason="x")
        await site.reaches(process.theirs, "SUSPENDED")
        await site.publish(files={"big.bin": CONTENT * 47 + bytes(len(CONTENT))})
        await site.move(process.theirs, decide.START)
        await site.reaches(process.theirs, "TERMINATED")
        assert len(endpoint.got["/up/secret-place"]) < len(BIG["big.bin"])
    assert "not what was published" in peer.of("/termination")[0].document["reason"][0]


async def test_a_repeated_request_begins_no_second_push(site, peer):
    agreement_id = await agreed(site, peer)
    async with Endpoint() as endpoint:
        process = transfer(peer, site)
        message = process.message(
            "TransferRequestMessage",
            agreementId=agreement_id,
            format="HttpData-PUSH",
            callbackAddress=peer.dsp,
            dataAddress=address(endpoint.url),
        )
        answers = [await process.peer.send(site, "/transfers/request", message) for _ in range(3)]
        assert {each.status for each in answers} == {201}
        process.theirs = answers[0].document["providerPid"]
        await site.reaches(process.theirs, "COMPLETED")
        assert len(endpoint.of("POST")) == 1


async def test_no_token_opens_the_data_of_a_push(site, peer):
    agreement_id = await agreed(site, peer, files=BIG)
    async with Endpoint(keep=False) as endpoint:
        endpoint.pause_s = 0.01
        process = await pushing(peer, site, agreement_id, address(endpoint.url))
        await busy(endpoint)
        url = f"{site.conf.address}/data/{process.theirs}"
        assert (await peer.fetch(url, "x" * 43)).status == 401


async def test_the_path_of_an_address_with_its_port_written_out_is_in_no_message(site, peer, caplog):
    """It may be the receiver's secret; where the port is the scheme's own, URLs have two spellings."""
    caplog.set_level("DEBUG")
    agreement_id = await agreed(site, peer)
    process = await pushing(peer, site, agreement_id, address("https://127.0.0.1:443/secret-place"))

    async def noted():
        return (await row(site, process, "error"))[0]

    error = await wait_for(noted)
    assert "https://127.0.0.1" in error
    shown = await processes.load_transfer(site.connector, process.theirs)
    logged = "\n".join(each.getMessage() for each in caplog.records if "aiohttp" not in each.name)
    for text in (error, str(shown), logged):
        assert "secret-place" not in text
