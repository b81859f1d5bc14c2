"""One call to negotiate and start, over restarts; and data tokens that end before their transfer does."""

import json
from urllib.parse import parse_qs

import pytest
from aiohttp import web

from comity import errors
from comity.controlplane import catalog, edrs
from comity.db import pulls
from comity.identity import jose
from comity.management import processes as forms
from comity.management import query
from support.edc import criterion
from support.pair import offer_of, wait_for
from support.ports import free_port
from support.process import awaited

OFFER = {"@id": "urn:offer", "@type": "Offer", "target": "part", "permission": [{"action": "use"}]}
AUTH = "https://w3id.org/tractusx/auth/"


def wanted(party, offer=OFFER):
    body = {"counterPartyId": party.did, "policy": {**offer, "assigner": party.did}}
    return forms.decode_contract_request(body)


async def entries(site, negotiation_id):
    spec = query.Spec(criteria=(criterion("contractNegotiationId", "=", negotiation_id),))
    return await edrs.find(site.connector, spec)


@pytest.mark.parametrize("held", ["/negotiations/request", "/agreement/verification", "/transfers/request"])
async def test_one_call_goes_on_after_a_restart_wherever_it_was(pair, held):
    await pair.provider.publish()
    dataset = await catalog.request_dataset(pair.consumer.connector, pair.provider.did, None, "asset")
    hold = pair.provider.hold(held)
    name, created_at = await edrs.negotiate(pair.consumer.connector, wanted(pair.provider, offer_of(dataset)))
    await hold.arrived.wait()
    await pair.consumer.stop()
    pair.provider.release(hold)
    await pair.consumer.start()
    (entry,) = await wait_for(lambda: entries(pair.consumer, name))
    assert entry["createdAt"] >= created_at
    assert len(await pair.consumer.rows("SELECT id FROM transfer")) == 1
    address = await edrs.load_address(pair.consumer.connector, entry["@id"], auto_refresh=True)
    assert address["endpoint"].startswith(pair.provider.conf.address)
    assert address["authorization"]


class Tokens:
    """A scripted refresh endpoint: each refresh token is good once, as Tractus-X's profile has it."""

    def __init__(self):
        self.address = f"http://127.0.0.1:{free_port()}/dataplane"
        self.seen = []
        self.valid = "refresh-0"
        self.answer = None
        self.status = 200

    async def start(self):
        application = web.Application()
        application.router.add_post("/dataplane/token", self.serve)
        self.runner = web.AppRunner(application, access_log=None)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", int(self.address.split(":")[2].split("/")[0])).start()

    async def serve(self, request):
        form = parse_qs(await request.text())
        self.seen.append((request, form))
        if self.answer is not None or self.status != 200:
            return web.json_response(self.answer, status=self.status)
        if form.get("refresh_token") != [self.valid]:
            return web.json_response({"error": "invalid_grant"}, status=401)
        at = len(self.seen)
        self.valid = f"refresh-{at}"
        answer = {"access_token": f"data-{at}", "refresh_token": self.valid, "expires_in": 300}
        return web.json_response(answer)

    def claims(self, at=-1):
        token = self.seen[at][0].headers["Authorization"].removeprefix("Bearer ")
        return json.loads(jose.decode_segment(token.split(".")[1].encode()))


@pytest.fixture
async def tokens():
    made = Tokens()
    await made.start()
    yield made
    await made.runner.cleanup()


def address_of(tokens, peer, *, expires_in="300", **changes):
    edc = "https://w3id.org/edc/v0.0.1/ns/"
    named = {
        edc + "endpoint": f"{peer.address}/data",
        edc + "authorization": "data-0",
        AUTH + "refreshToken": "refresh-0",
        AUTH + "refreshEndpoint": tokens.address,
        AUTH + "refreshAudience": peer.did,
        AUTH + "expiresIn": expires_in,
        **changes,
    }
    return {
        "@type": "DataAddress",
        "endpointType": "https://w3id.org/idsa/v4.1/HTTP",
        "endpointProperties": [
            {"@type": "EndpointProperty", "name": name, "value": value}
            for name, value in named.items()
            if value
        ],
    }


async def running(site, peer, address):
    """A transfer begun by one call, with the scripted partner as its provider, and that partner's side of it."""
    name, _ = await edrs.negotiate(site.connector, wanted(peer))
    process = awaited(peer, site, name)
    await site.reaches(name, "REQUESTED")
    assert (await process.agree(OFFER)).status == 200
    await site.reaches(name, "VERIFIED")
    assert (await process.event("FINALIZED")).status == 200
    (row,) = await site.rows("SELECT id FROM transfer")
    await site.reaches(row[0], "REQUESTED")
    handed = awaited(peer, site, row[0], collection="transfers")
    assert (await handed.send("TransferStartMessage", dataAddress=address)).status == 200
    return row[0], handed


async def test_a_token_that_has_time_left_is_kept_and_its_refresh_is_shown(site, peer, tokens):
    name, _ = await running(site, peer, address_of(tokens, peer))
    for refresh in (False, True):
        shown = await edrs.load_address(site.connector, name, auto_refresh=refresh)
        assert (shown["authorization"], shown["tx-auth:expiresIn"]) == ("data-0", "300")
        assert shown["tx-auth:refreshEndpoint"] == tokens.address
    assert tokens.seen == []


async def test_a_token_that_ends_is_replaced_when_it_is_asked_for_and_not_before(site, peer, tokens):
    name, _ = await running(site, peer, address_of(tokens, peer, expires_in="10"))
    assert (await edrs.load_address(site.connector, name))["authorization"] == "data-0"
    shown = await edrs.load_address(site.connector, name, auto_refresh=True)
    assert (shown["authorization"], shown["tx-auth:refreshToken"]) == ("data-1", "refresh-1")
    ((request, form),) = tokens.seen
    assert form == {"grant_type": ["refresh_token"], "refresh_token": ["refresh-0"]}
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert "refresh" not in request.query_string
    claims = tokens.claims()
    assert (claims["iss"], claims["sub"], claims["aud"], claims["token"]) == (
        site.did,
        site.did,
        peer.did,
        "data-0",
    )
    again = await edrs.load_address(site.connector, name, auto_refresh=True)  # the new one is good for 300 s
    assert again == shown == await edrs.load_address(site.connector, name)
    assert len(tokens.seen) == 1
    await site.stop()
    await site.start()
    assert await edrs.load_address(site.connector, name) == shown
    forced = await edrs.load_address(site.connector, name, force=True)
    assert forced["authorization"] == "data-2"
    assert tokens.claims()["token"] == "data-1"
    stored = b"".join(row[0] for row in await site.rows("SELECT data_address_sealed FROM transfer"))
    assert b"refresh-" not in stored


@pytest.mark.parametrize("missing", ["refreshToken", "refreshEndpoint", "refreshAudience"])
async def test_without_all_that_a_refresh_needs_the_token_stays(site, peer, tokens, missing):
    name, _ = await running(site, peer, address_of(tokens, peer, expires_in="1", **{AUTH + missing: ""}))
    assert (await edrs.load_address(site.connector, name, force=True))["authorization"] == "data-0"
    assert tokens.seen == []


async def test_a_refresh_that_is_refused_says_so_and_loses_nothing(site, peer, tokens):
    name, _ = await running(site, peer, address_of(tokens, peer))
    for tokens.status, tokens.answer in ((401, {"error": "invalid_grant"}), (200, {"nothing": 1}), (200, [])):
        with pytest.raises(errors.PermanentDeliveryError):
            await edrs.load_address(site.connector, name, force=True)
    tokens.status, tokens.answer = 503, {}
    with pytest.raises(errors.TransientDeliveryError):
        await edrs.load_address(site.connector, name, force=True)
    tokens.status, tokens.answer = 200, None
    assert (await edrs.load_address(site.connector, name))["authorization"] == "data-0"
    assert (await edrs.load_address(site.connector, name, force=True))["authorization"].startswith("data-")


async def test_of_two_refreshes_at_once_both_get_the_token_of_the_first(site, peer, tokens):
    name, _ = await running(site, peer, address_of(tokens, peer))
    stale = await site.transfer(name)
    first = await edrs.load_address(site.connector, name, force=True)
    second = await edrs.token_refresh.current(
        site.connector, stale, force=True
    )  # with the refresh token of before
    assert len(tokens.seen) == 2
    named = {each["name"].rsplit("/", 1)[-1]: each["value"] for each in second["endpointProperties"]}
    assert named["authorization"] == first["authorization"] == "data-1"


async def test_a_start_that_comes_meanwhile_wins(site, peer, tokens):
    name, handed = await running(site, peer, address_of(tokens, peer))
    stale = await site.transfer(name)
    assert (await handed.send("TransferSuspensionMessage", reason=["a pause"])).status == 200
    newer = address_of(tokens, peer, **{AUTH + "refreshToken": "other"})
    assert (await handed.send("TransferStartMessage", dataAddress=newer)).status == 200
    await edrs.token_refresh.current(site.connector, stale, force=True)
    shown = await edrs.load_address(site.connector, name)
    assert (shown["authorization"], shown["tx-auth:refreshToken"]) == ("data-0", "other")


async def test_a_refresh_endpoint_that_may_not_be_connected_to_is_refused(site, peer, tokens):
    metadata = {AUTH + "refreshEndpoint": "http://169.254.169.254/latest"}
    name, _ = await running(site, peer, address_of(tokens, peer, **metadata))
    with pytest.raises(errors.PermanentDeliveryError, match=r"169\.254\.169\.254"):
        await edrs.load_address(site.connector, name, force=True)


async def test_a_pull_into_a_folder_takes_a_new_token_where_its_own_has_ended(site, peer, tokens, tmp_path):
    content = b"x" * 1000
    asked = []

    async def data(request):
        asked.append(request.headers["Authorization"])
        good = asked[-1] == "Bearer data-1"
        return web.Response(body=content if good else b"", status=200 if good else 401)

    application = web.Application()
    application.router.add_get("/part", data)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    endpoint = {"https://w3id.org/edc/v0.0.1/ns/endpoint": f"http://127.0.0.1:{port}/part"}
    name, handed = await running(site, peer, address_of(tokens, peer, **endpoint))
    assert (await handed.send("TransferSuspensionMessage", reason=["a pause"])).status == 200
    pull = pulls.Pull(transfer_id=name, destination=str(tmp_path / "got"), updated_at=1)
    await site.connector.database.write(lambda tx: pulls.save(tx, pull))
    ended = address_of(tokens, peer, expires_in="1", **endpoint)
    assert (await handed.send("TransferStartMessage", dataAddress=ended)).status == 200
    await site.reaches(name, "COMPLETED")
    assert set(asked) == {"Bearer data-1"}
    received = [each for each in (tmp_path / "got").iterdir() if not each.name.startswith(".")]
    assert [each.read_bytes() for each in received] == [content]
    await runner.cleanup()


async def test_a_pull_whose_token_ends_again_and_again_on_its_way_takes_a_new_one_each_time(
    site, peer, tokens, tmp_path
):
    """The provider ends each token after two ranges, long before the time that it named."""
    content = bytes(range(256)) * 4096 * 6
    served = {}

    async def data(request):
        token = request.headers["Authorization"]
        served[token] = served.get(token, 0) + 1
        if served[token] > 2 or token != f"Bearer data-{len(tokens.seen)}":
            return web.Response(status=401)
        wanted = request.http_range
        part = content[wanted]
        headers = {"ETag": '"one"', "Accept-Ranges": "bytes"}
        if wanted.start is None:
            return web.Response(body=part, headers=headers)
        headers["Content-Range"] = f"bytes {wanted.start}-{wanted.start + len(part) - 1}/{len(content)}"
        return web.Response(body=part, status=206, headers=headers)

    application = web.Application()
    application.router.add_get("/part", data)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    endpoint = {"https://w3id.org/edc/v0.0.1/ns/endpoint": f"http://127.0.0.1:{port}/part"}
    name, handed = await running(site, peer, address_of(tokens, peer, **endpoint))
    assert (await handed.send("TransferSuspensionMessage", reason=["a pause"])).status == 200
    pull = pulls.Pull(transfer_id=name, destination=str(tmp_path / "got"), updated_at=1)
    await site.connector.database.write(lambda tx: pulls.save(tx, pull))
    address = address_of(tokens, peer, **endpoint)
    assert (await handed.send("TransferStartMessage", dataAddress=address)).status == 200
    await site.reaches(name, "COMPLETED", 30)
    received = [each for each in (tmp_path / "got").iterdir() if not each.name.startswith(".")]
    assert [each.read_bytes() for each in received] == [content]
    assert len(tokens.seen) >= 4
    await runner.cleanup()


async def test_our_signature_is_for_the_provider_only_whatever_audience_its_address_names(site, peer, tokens):
    """Else it could have our token for a third participant, and speak to that one in our name."""
    other = "did:web:somebody.example"
    name, _ = await running(site, peer, address_of(tokens, peer, **{AUTH + "refreshAudience": other}))
    with pytest.raises(errors.PermanentDeliveryError, match="audience"):
        await edrs.load_address(site.connector, name, force=True)
    assert tokens.seen == []
    assert (await edrs.load_address(site.connector, name))["authorization"] == "data-0"


@pytest.mark.parametrize("expires_in", ["9" * 5000, "1" * 30])
async def test_a_token_that_lives_longer_than_time_is_kept(site, peer, tokens, expires_in):
    name, _ = await running(site, peer, address_of(tokens, peer, expires_in=expires_in))
    shown = await edrs.load_address(site.connector, name, auto_refresh=True)
    assert shown["authorization"] == "data-0"


async def test_a_time_of_refresh_that_a_provider_made_up_is_not_read(site, peer, tokens):
    address = {**address_of(tokens, peer, expires_in="1"), "comity:refreshedAt": "a day"}
    name, _ = await running(site, peer, address)
    shown = await edrs.load_address(site.connector, name, auto_refresh=True)
    assert shown["authorization"] == "data-1"


@pytest.mark.parametrize(
    "odd", ["text", 7, None, {"name": ["a"], "value": "b"}, {"value": "b"}, {"name": {"@id": "x"}}]
)
async def test_an_address_with_a_property_that_is_none_is_refused_or_refreshed_all_the_same(
    site, peer, tokens, odd
):
    address = address_of(tokens, peer, expires_in="1")
    address["endpointProperties"].append(odd)
    try:
        name, _ = await running(site, peer, address)
    except AssertionError:
        assert [row[0] for row in await site.rows("SELECT state FROM transfer")] == ["REQUESTED"]
        return
    assert (await edrs.load_address(site.connector, name, force=True))["authorization"] == "data-1"
