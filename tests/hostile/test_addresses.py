"""Every place where a partner, or one of our own people, names an address x every address that leads inward.

The connector runs without the development flag; the only loopback address that it may reach is that of an honest
partner, over TLS. What it must not reach are canaries: listeners on other loopback addresses, which count who comes. A
resolver of the test answers for names and notes what it was asked. COMITY_ADDRESSES=all takes every address at every
sink; else each sink has a share of them, another one each, and tests/adapters/net/test_guard.py has all at the guard.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import itertools
import os
import re
import ssl

import aiohttp
import pytest
from aiohttp import web

from comity.controlplane import partners
from comity.db import pulls
from comity.identity import did as did_names
from comity.identity import jose
from comity.net import http
from support import addresses, asgi, authority, wire
from support import pair as pairs
from support.addresses import Names
from support.pair import offer_of, wait_for
from support.peer import BASE, Peer
from support.process import Process, awaited, bought, finalized, transfer

HONEST_AT = "127.0.0.9"
SHARE = 1 if os.environ.get("COMITY_ADDRESSES") == "all" else 4
AUTH = "https://w3id.org/tractusx/auth/"
HTTP = "https://w3id.org/idsa/v4.1/HTTP"
OFFER = {"@id": "urn:o", "@type": "Offer", "target": "asset", "permission": [{"action": "use"}]}


class Canary:
    """Listens on one port of the loopback addresses and counts connections."""

    def __init__(self) -> None:
        self.hits: list[str] = []

    async def start(self):
        self.port = pairs.free_port()
        places = ["127.0.0.1", "127.0.0.2", "127.1.2.3", "127.255.255.254", "::1"]
        self._servers = []
        for place in places:
            with contextlib.suppress(OSError):  # a machine without IPv6
                self._servers.append(await asyncio.start_server(self._come, place, self.port))

    async def _come(self, reader, writer):
        self.hits.append(str(writer.get_extra_info("sockname")[0]))
        writer.close()

    def stop(self):
        for server in self._servers:
            server.close()


class Honest(Peer):
    """A partner over TLS at the one address that is allowed; `elsewhere` is where it sends whoever comes."""

    def __init__(self, files) -> None:
        super().__init__()
        self.address = f"https://honest.example:{self.port}"
        self.did = did_names.format_did_web(self.address)
        self.key = jose.SigningKey.generate(f"{self.did}#key-1")
        self.dsp = self.address + BASE
        self.elsewhere, self.only_data = "", False
        self.next_page = ""
        self._files = files

    async def listen(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._files.certificate, self._files.key)
        self._site = web.TCPSite(self._runner, HONEST_AT, self.port, ssl_context=context)
        await self._site.start()

    async def _serve(self, request):
        if self.elsewhere and (request.path == "/data" or not self.only_data):
            return web.Response(status=307, headers={"Location": self.elsewhere})
        if self.next_page and request.path.endswith("/catalog/request"):
            links = {"Link": f'<{self.next_page}>; rel="next"'}
            return web.json_response(
                wire.message("Catalog", participantId=self.did, dataset=[]), headers=links
            )
        return await super()._serve(request)


class World:
    """The connector, its honest partner, the canaries, and what was asked of the resolver."""

    def __init__(self, site, honest, canary, names):
        self.site, self.honest, self.canary, self.names = site, honest, canary, names
        self.did, self.dsp = site.did, f"http://{site.conf.listen}{BASE}"
        self.api = asgi.Client(site.parts.internal, site.conf.management_key)
        self.party = {"counterPartyId": honest.did, "protocol": "dataspace-protocol-http:2025-1"}
        self.number = itertools.count()

    def __getattr__(self, name):
        return getattr(self.site, name)


@pytest.fixture
async def world(tmp_path, template, monkeypatch, request):
    """`request.param` are networks that are allowed beside the honest partner's address."""
    files = authority.make(tmp_path / "tls", "honest.example")
    canary = Canary()
    await canary.start()
    honest = Honest(files)
    names = Names({"honest.example": [HONEST_AT], **addresses.INWARD})
    monkeypatch.setattr(http, "Threads", lambda: names)
    looking = functools.partial(aiohttp.TCPConnector, use_dns_cache=False)  # each request looks names up anew
    monkeypatch.setattr(aiohttp, "TCPConnector", looking)
    await honest.start()
    site = pairs.new_site(
        tmp_path / "site", template, insecure=False, address="https://connector.example",
    )  # fmt: skip
    allow = (HONEST_AT, *getattr(request, "param", ()))
    site.conf = dataclasses.replace(site.conf, allow=allow, ca_file=files.authority)
    monkeypatch.setattr(pairs.settings, "split_listen", lambda listen, name: tuple_of(site.conf.listen))
    await site.start()
    await site.publish()
    try:
        await site.befriend(honest)
        made = World(site, honest, canary, names)
        made.sold = (await finalized(honest, made))[1]
        made.bought = await bought(honest, made)
        yield made
    finally:
        canary.stop()
        await site.stop()
        await honest.stop()


def tuple_of(listen):
    host, _, port = listen.rpartition(":")
    return host, int(port)


# Sinks: each brings one address to one place, and waits until the connector has done with it what it will.


async def settled(world, transfer_id):
    async def done():
        sql = (
            "SELECT error FROM transfer WHERE id = ?1 UNION ALL SELECT error FROM pull WHERE transfer_id = ?1"
        )
        return any(error for (error,) in await world.site.rows(sql, transfer_id))

    await wait_for(done, f"{transfer_id} to be settled")


async def callback_of_a_request(world, url):
    offer = offer_of(await world.honest.dataset(world))
    document = Process(world.honest, world).message(
        "ContractRequestMessage", offer=offer, callbackAddress=url
    )
    return await world.honest.send(world, "/negotiations/request", document)


async def callback_of_an_offer(world, url):
    process = Process(world.honest, world, consumer=False)
    document = process.message("ContractOfferMessage", offer=OFFER, callbackAddress=url)
    return await world.honest.send(world, "/negotiations/offers", document)


async def callback_of_a_transfer(world, url):
    return await transfer(world.honest, world).request_data(world.sold, callbackAddress=url)


async def destination_of_a_push(world, url):
    address = {"@type": "DataAddress", "endpointType": HTTP, "endpoint": url}
    address["endpointProperties"] = [
        {"@type": "EndpointProperty", "name": "https://w3id.org/comity/v0/folder", "value": "true"}
    ]
    return await transfer(world.honest, world).request_data(
        world.sold, format="HttpData-PUSH", dataAddress=address
    )


async def asked_for_data(world):
    asked = await world.site.ask_for_data(world.bought.id)
    await world.site.reaches(asked.id, "REQUESTED")
    return asked.id, awaited(world.honest, world, asked.id, collection="transfers")


async def source_of_a_pull(world, url):
    transfer_id, handing = await asked_for_data(world)
    pull = pulls.Pull(
        transfer_id=transfer_id,
        destination=str(world.folder.parent / f"got{next(world.number)}"),
        updated_at=0,
    )
    await world.connector.database.write(lambda tx: pulls.save(tx, pull))
    address = {"@type": "DataAddress", "endpointType": HTTP, "endpoint": url}
    answer = await handing.send("TransferStartMessage", dataAddress=address)
    if answer.status == 200:
        await settled(world, transfer_id)
    return answer


async def endpoint_of_a_refresh(world, url):
    transfer_id, handing = await asked_for_data(world)
    named = {
        "refreshToken": "r",
        "refreshEndpoint": url,
        "refreshAudience": world.honest.did,
        "expiresIn": "1",
    }
    properties = [{"name": "authorization", "value": "x" * 20, "@type": "EndpointProperty"}]
    properties += [
        {"name": AUTH + name, "value": text, "@type": "EndpointProperty"} for name, text in named.items()
    ]
    address = {"@type": "DataAddress", "endpointType": HTTP, "endpoint": world.honest.address}
    answer = await handing.send(
        "TransferStartMessage", dataAddress={**address, "endpointProperties": properties}
    )
    if answer.status == 200:
        answer = await world.api.post(f"edrs/{transfer_id}/refresh")
    return answer


def of_management(path, make):
    async def sink(world, url):
        return await world.api.post(path, make(world, url))

    return sink


def to_partner(**more):
    return lambda world, url: {**world.party, "counterPartyAddress": url, **more}


def contract(world, url):
    return {**world.party, "counterPartyAddress": url, "policy": {**OFFER, "assigner": world.honest.did}}


def contract_with_callback(world, url):
    callback = [{"uri": url, "events": ["contract.negotiation"], "transactional": False}]
    return {**contract(world, world.honest.dsp), "callbackAddresses": callback}


async def did_of_a_partner(world, url):
    host = re.sub(r"^[a-z]*:/*", "", url).partition("/")[0]
    return await world.api.post("partners", {"participant": "did:web:" + host.replace(":", "%3A")})


async def did_of_a_token(world, url):
    """Whoever was put on the list by hand is asked for its document when its token comes."""
    host = re.sub(r"^[a-z]*:/*", "", url).partition("/")[0]
    name = "did:web:" + host.replace(":", "%3A")
    row = partners.Partner(
        id=name, name="", address=world.honest.dsp, keys=[], pinned=False, attributes={}, created_at=0
    )
    await world.connector.database.write(lambda tx: partners.partners.save(tx, row))
    key = jose.SigningKey.generate("key-1") if not name.isascii() or " " in name else None
    with contextlib.suppress(Exception):
        key = jose.SigningKey.generate(f"{name}#key-1")
    return await world.honest.get(world, "/catalog/datasets/x", issuer=name, key=key)


async def service_of_a_document(world, url):
    service = {"id": f"{world.honest.did}#dsp", "type": "DataService"}
    service["serviceEndpoint"] = url.rstrip("/") + "/.well-known/dspace-version"
    world.honest.did_changes = {"service": [service]}
    try:
        return await world.api.post("partners", {"participant": world.honest.did})
    finally:
        world.honest.did_changes = {}


async def path_of_a_version(world, url):
    before = world.honest.versions[""]
    listed = [{"version": "2025-1", "path": url, "binding": "HTTPS"}]
    world.honest.versions[""] = {"protocolVersions": listed}
    try:
        return await world.api.post("partners", {"participant": world.honest.address})
    finally:
        world.honest.versions[""] = before
        await world.api.post("partners", {"participant": world.honest.address})


async def next_page_of_a_catalog(world, url):
    world.honest.next_page = url
    try:
        return await world.api.post(
            "catalog/request", {**world.party, "counterPartyAddress": world.honest.dsp}
        )
    finally:
        world.honest.next_page = ""


def redirect(path, make):
    async def sink(world, url):
        world.honest.elsewhere = url
        try:
            return await world.api.post(path, make(world))
        finally:
            world.honest.elsewhere = ""

    return sink


async def redirect_of_data(world, url):
    transfer_id, handing = await asked_for_data(world)
    pull = pulls.Pull(
        transfer_id=transfer_id,
        destination=str(world.folder.parent / f"got{next(world.number)}"),
        updated_at=0,
    )
    await world.connector.database.write(lambda tx: pulls.save(tx, pull))
    address = {"@type": "DataAddress", "endpointType": HTTP, "endpoint": world.honest.address + "/data"}
    world.honest.elsewhere, world.honest.only_data = url, True
    try:
        answer = await handing.send("TransferStartMessage", dataAddress=address)
        assert answer.status == 200
        await settled(world, transfer_id)
    finally:
        world.honest.elsewhere, world.honest.only_data = "", False
    return answer


ASSET = {"@type": "Asset", "properties": {}}
SINKS = {
    "callbackAddress of ContractRequestMessage": callback_of_a_request,
    "callbackAddress of ContractOfferMessage": callback_of_an_offer,
    "callbackAddress of TransferRequestMessage": callback_of_a_transfer,
    "destination of a push": destination_of_a_push,
    "source of a pull": source_of_a_pull,
    "endpoint of a token refresh": endpoint_of_a_refresh,
    "did:web name of a partner": did_of_a_partner,
    "did:web name of a token": did_of_a_token,
    "service of a DID document": service_of_a_document,
    "path in a version answer": path_of_a_version,
    "next link of a catalog": next_page_of_a_catalog,
    "counterPartyAddress, catalog": of_management("catalog/request", to_partner()),
    "counterPartyAddress, dataset": of_management("catalog/dataset/request", to_partner(**{"@id": "x"})),
    "counterPartyAddress, negotiation": of_management("contractnegotiations", contract),
    "counterPartyAddress, edrs": of_management("edrs", contract),
    "counterPartyAddress, transfer": of_management(
        "transferprocesses",
        lambda world, url: {
            **world.party,
            "counterPartyAddress": url,
            "contractId": world.agreed,
            "transferType": "HttpData-PULL",
        },
    ),
    "counterPartyAddress, discovery": of_management("connectordiscovery/dspversionparams", to_partner()),
    "counterPartyAddress, versions": of_management("protocol-versions/request", to_partner()),
    "callbackAddresses of a negotiation": of_management("contractnegotiations", contract_with_callback),
    "a partner's address": of_management(
        "partners", lambda world, url: {"participant": "urn:p", "address": url, "keys": []}
    ),
    "a partner by its address": of_management("partners", lambda world, url: {"participant": url}),
    "a webhook": of_management("webhooks", lambda world, url: {"url": url}),
    "an asset's back end": of_management(
        "assets", lambda world, url: {**ASSET, "dataAddress": {"type": "HttpData", "baseUrl": url}}
    ),
    "redirect of a DID document": redirect("partners", lambda world: {"participant": world.honest.did}),
    "redirect of a version answer": redirect("partners", lambda world: {"participant": world.honest.address}),
    "redirect of a catalog": redirect(
        "catalog/request", lambda world: {**world.party, "counterPartyAddress": world.honest.dsp}
    ),
    "redirect of data": redirect_of_data,
}
NEVER = ("redirect", "next link", "path in", "service of")
"""Sinks where what is named is not gone to at all, wherever it leads, or only at the partner's own origin."""


def payloads(port):
    """Addresses that lead inward, those of the loopback network with the port of the canary."""
    numbers = [
        f"https://{f'[{ip}]' if ':' in ip else ip}:{port}/dsp" for ip in addresses.PRIVATE if "%" not in ip
    ]
    forms = [
        f"https://{host}:{port}/{path}"
        for host in ("2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.1", "0", "localhost", "a.localhost",
                     "127.0.0.1.", "[::ffff:127.0.0.1]", "honest.example@127.0.0.1",
                     "127。0。0。1", "①②⑦.⓪.⓪.①", "ｌocalhost")
        for path in ("", "a?b=c")
    ]  # fmt: skip
    names = [f"https://{name}:{port}/dsp" for name in addresses.INWARD]
    plain = [
        f"{scheme}://127.0.0.1:{port}/" for scheme in ("http", "ftp", "gopher", "file", "ws", "unix", "dict")
    ]
    return list(dict.fromkeys([*numbers, *forms, *names, *plain, *addresses.URLS]))


def test_there_are_enough_addresses_and_sinks():
    assert len(payloads(1)) >= 150
    assert len(SINKS) >= 10


def can_be_sent(name, url):
    """Whether an address can stand where a sink has it: a header holds visible ASCII only."""
    in_header = name == "next link of a catalog" or name.startswith("redirect")
    return not in_header or (url.isascii() and url.isprintable())


async def still(world):
    """Wait until everything that was put on its way has been tried."""

    async def tried():
        return not await world.site.rows("SELECT 1 FROM outbox WHERE attempts = 0 AND after_id IS NULL")

    await wait_for(tried)


async def test_no_address_that_leads_inward_is_gone_to_from_any_place(world):
    world.agreed = (await world.site.agreement(world.bought.id)).id
    listed = payloads(world.canary.port)
    pairs_tried = 0
    for at, (name, sink) in enumerate(SINKS.items()):
        for url in listed[at % SHARE :: SHARE]:
            if not can_be_sent(name, url):
                continue
            answer = await sink(world, url)
            assert answer.status < 500 or answer.status in {502, 503}, (name, url, answer)
            assert not world.canary.hits, (name, url)
            pairs_tried += 1
    await still(world)
    print(f"pairs of sink and address: {pairs_tried} of {len(SINKS)} x {len(listed)}")  # noqa: T201  a figure
    assert not world.canary.hits
    for name in set(
        world.names.asked
    ):  # a number, loopback and what is no name are refused before anybody is asked
        assert re.fullmatch(r"[A-Za-z0-9_.-]*[A-Za-z][A-Za-z0-9_.-]*", name), name
        assert not re.fullmatch(r"(.*\.)?(localhost|[0-9]+|0x[0-9a-f]*)\.?", name.lower()), name


LOOPBACK = ("127.0.0.1/32", "::1/128")


@pytest.mark.parametrize("world", [LOOPBACK], indirect=True)
async def test_the_canaries_are_hit_where_the_operator_allows_it(world):
    """The proof that each sink of the test above goes out, and that somebody is there to notice."""
    world.agreed = (await world.site.agreement(world.bought.id)).id
    for name, sink in SINKS.items():
        if name.startswith(NEVER) or name == "an asset's back end":  # asked when its data is
            continue
        before = len(world.canary.hits)
        await sink(world, f"https://127.0.0.1:{world.canary.port}/dsp")
        if name == "callbackAddresses of a negotiation":
            await sink(world, f"https://127.0.0.1:{world.canary.port}/dsp")
        if name == "a webhook":
            await callback_of_a_request(world, world.honest.dsp)

        def hit(before=before):
            return len(world.canary.hits) > before

        await wait_for(hit, f"the canary to be hit by {name}")


async def test_a_name_that_turns_inward_after_it_was_looked_at_is_not_followed(world):
    """DNS rebinding: the address that is connected to is the one that was looked at, each time anew."""
    world.names.table["turning.example"] = [[HONEST_AT], ["127.0.0.1"]]
    url = f"https://turning.example:{world.canary.port}/dsp"
    for _ in range(3):
        answer = await world.api.post("catalog/request", {**world.party, "counterPartyAddress": url})
        assert answer.status == 502
    assert world.names.asked.count("turning.example") == 3
    assert not world.canary.hits


async def test_an_answer_does_not_tell_a_partner_which_ports_are_open(world):
    closed = pairs.free_port()
    for host in ("127.0.0.1", "a.evil.example", "[::1]", "localhost"):
        for name in ("callbackAddress of ContractOfferMessage", "source of a pull", "destination of a push"):
            answers = [
                await SINKS[name](world, f"https://{host}:{port}/dsp") for port in (world.canary.port, closed)
            ]
            shown = [re.sub(rb"urn:[a-z]+:[0-9a-f-]+|:\d{4,5}", b"", answer.body) for answer in answers]
            assert answers[0].status == answers[1].status, (name, host)
            assert shown[0] == shown[1], (name, host)
    assert not world.canary.hits


async def test_a_public_callback_is_taken(world):
    answer = await callback_of_a_request(world, "https://partner.example/dsp/2025-1/")
    assert answer.status == 201


@pytest.mark.parametrize("kind", ["ContractRequestMessage", "ContractOfferMessage", "TransferRequestMessage"])
async def test_a_callback_that_may_not_be_called_is_refused(world, kind):
    async def processes():
        return await world.site.rows("SELECT id FROM negotiation UNION SELECT id FROM transfer ORDER BY id")

    before = await processes()
    for url in (
        "http://partner.example/dsp",
        "https://127.0.0.1:8443",
        "https://user@partner.example/",
        "file:///x",
    ):
        answer = await SINKS[f"callbackAddress of {kind}"](world, url)
        assert answer.status == 400, url
        assert "$.callbackAddress" in answer.reason
    assert await processes() == before


async def test_a_data_address_that_is_none_is_refused_and_one_that_leads_inward_ends_the_transfer(world):
    transfer_id, handing = await asked_for_data(world)
    address = {"@type": "DataAddress", "endpointType": HTTP}
    for bad in ("file:///etc/passwd", "https://a b/", 7, None):
        answer = await handing.send("TransferStartMessage", dataAddress={**address, "endpoint": bad})
        assert answer.status == 400, bad
        assert "dataAddress" in answer.reason
    assert (await source_of_a_pull(world, "https://10.0.0.1:1/data")).status == 200
    await world.site.reaches((await world.site.rows("SELECT transfer_id FROM pull"))[0][0], "TERMINATED")
    assert "refused" in (await world.site.rows("SELECT error FROM pull"))[0][0]
    assert await world.site.state(transfer_id) == "REQUESTED"
