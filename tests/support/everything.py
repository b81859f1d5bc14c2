"""Everything that changes a connector's state, done once: every message that it may receive, every changing endpoint
of its management API, every way in which data is pushed to it.

The connector waits for a person at every step, and the counterparty is scripted, so that one thing happens at a time.
"""

from __future__ import annotations

import asyncio
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
from aiohttp import web

from comity import errors
from comity.client.calls import STORE
from comity.client.connector import Connector
from comity.controlplane import checkpoints
from comity.evidence import checkpoint
from comity.framework import document as documents
from comity.techdata import manifest
from support import agreeing, carrying, tracing, wire
from support.pair import offer_of, wait_for
from support.peer import Peer, status
from support.process import Process, awaited

BY_HAND = """
import functools, logging, os, pathlib
from comity import runtime, settings
from comity.controlplane.decide import Move

class Waits:
    def negotiation(self, case):
        return Move()

    def transfer(self, case):
        return Move()

logging.basicConfig(level="INFO")
assemble = functools.partial(runtime.connector, decisions=Waits())
runtime.serve(settings.load(pathlib.Path(os.environ["COMITY_DATA"])), assemble=assemble)
"""
USE = {"permission": [{"action": "use"}]}
AUTH = "https://w3id.org/tractusx/auth/"
TUS = {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream"}


class Offering(Peer):
    """The counterparty, with one dataset in its catalog, and a framework agreement if it has one."""

    framework: dict[str, Any] | None = None

    def polite(self, request: web.Request, seen: Any) -> web.Response:
        if request.method == "GET" and "/catalog/datasets/" in request.path:
            name, said = "part", {}
            if self.framework is not None and not request.path.endswith("/part"):
                name = documents.urn(self.framework)
                said = {"comity:framework": documents.canonical(self.framework).decode()}
            return web.json_response(
                {
                    "@context": ["https://w3id.org/dspace/2025/1/context.jsonld"],
                    "@id": name,
                    **said,
                    "@type": "Dataset",
                    "hasPolicy": [{name: value for name, value in offer("6").items() if name != "target"}],
                    "distribution": [
                        {"@type": "Distribution", "format": "HttpData-PULL", "accessService": self.dsp}
                    ],
                }
            )
        return super().polite(request, seen)


class ByHand(tracing.Traced):
    """A traced connector that decides nothing by itself."""

    def words(self, *more: str) -> list[str]:
        return [*tracing.under_strace(self.trace), sys.executable, "-c", BY_HAND]


class Person:
    """Who works with the connector through its management API, with the data folder's key or one of their own."""

    def __init__(self, site: ByHand, key: str = "") -> None:
        self._site = site
        self._key = key or site.conf.management_key

    async def do(self, method: str, path: str, body: Any = None) -> Any:
        api = Connector(self._site.conf.management_address, self._key, timeout_s=20)
        return await asyncio.to_thread(api.request, method, path, body)

    async def sees(self, path: str, state: str) -> None:
        """Wait until a process is in a state."""
        seen = ""
        for _ in range(2000):
            seen = (await self.do("GET", f"{path}/state"))["state"]
            if seen == state:
                return
            await asyncio.sleep(0.005)
        raise AssertionError(f"{path} is {seen} and not {state}")

    async def move(self, path: str, move: str, state: str, body: Any = None) -> None:
        for _ in range(2000):
            try:
                await self.do("POST", f"{path}/{move}", body)
                break
            except errors.LocalProtocolError as error:
                if "on its way" not in error.message:
                    raise
                await asyncio.sleep(0.005)
        await self.sees(path, state)


def offer(name: str, **more: Any) -> dict[str, Any]:
    return {"@id": f"urn:offer:{name}", "@type": "Offer", "target": "part", **USE, **more}


def ok(answer: Any) -> Any:
    assert 200 <= answer.status < 300, (answer.status, answer.body)
    return answer


async def everything(site: ByHand, peer: Peer, folder: Path) -> None:
    """Do it all."""
    person = Person(site)
    await _offering(person, site, peer, folder)
    agreed = await _selling(person, site, peer)
    await _approving(person, site, peer, folder)
    await _handing_out(person, site, peer, agreed)
    bought = await _buying(person, site, peer)
    await _getting(person, site, peer, bought)
    await _receiving(person, site, peer, bought, folder)
    await _inquiring(person, site, peer, bought, folder)
    await _carrying(person, site, peer, bought, folder)
    await _edrs(person, site, peer)
    await _exchanging(person, site, peer, folder)
    await _agreeing(person, site, peer, folder)
    await _witnessing(person, site, peer)
    await _looking_after(person, agreed, peer)


async def _offering(person: Person, site: ByHand, peer: Peer, folder: Path) -> None:
    await person.do("POST", "partners", {"participant": peer.did, "name": "Peer"})
    (folder / "package").mkdir(parents=True, exist_ok=True)
    (folder / "package" / "a.txt").write_text("a drawing")
    await person.do("POST", "packages", {"folder": str(folder / "package"), "assetId": "package"})
    await person.do("POST", "revisions/package/recall", {"revision": 1, "reason": "sheet 4 is wrong"})
    asset = {
        "@id": "part",
        "properties": {},
        "dataAddress": {"type": "File", "path": str(folder / "package/a.txt")},
    }
    for method in ("POST", "PUT"):
        await person.do(method, "assets", asset)
    await person.do("POST", "assets", {**asset, "@id": "gone"})
    await person.do("DELETE", "assets/gone")
    for name in ("use", "gone"):
        await person.do("POST", "policydefinitions", {"@id": name, "policy": {"@type": "Set", **USE}})
    await person.do("PUT", "policydefinitions", {"@id": "use", "policy": {"@type": "Set", **USE}})
    await person.do("PUT", "policydefinitions/use", {"@id": "use", "policy": {"@type": "Set", **USE}})
    await person.do("DELETE", "policydefinitions/gone")
    wanted = [{"operandLeft": "id", "operator": "=", "operandRight": "part"}]
    definition = {"accessPolicyId": "use", "contractPolicyId": "use", "assetsSelector": wanted}
    for name in ("parts", "gone"):
        await person.do("POST", "contractdefinitions", {"@id": name, **definition})
    await person.do("PUT", "contractdefinitions", {"@id": "parts", **definition})
    await person.do("DELETE", "contractdefinitions/gone")


async def _selling(person: Person, site: ByHand, peer: Peer) -> str:
    """We are the provider: a request, offers both ways, an agreement; and all the ways to end."""
    dataset = await peer.dataset(site, "part")
    asked = Process(peer, site)
    ok(await asked.ask(offer_of(dataset)))
    at = f"contractnegotiations/{asked.theirs}"
    await person.move(at, "offer", "OFFERED", {"policy": USE})
    ok(await asked.send("ContractRequestMessage", offer=offer_of(dataset)))
    await person.move(at, "offer", "OFFERED", {"policy": USE})
    ok(await asked.event("ACCEPTED"))
    await person.move(at, "agree", "AGREED")
    ok(await asked.verify())
    await person.move(at, "finalize", "FINALIZED")
    ended = Process(peer, site)
    ok(await ended.ask(offer_of(dataset)))
    ok(await ended.terminate())
    offered = {"counterPartyId": peer.did, "policy": {"target": "part", **USE}}
    begun = (await person.do("POST", "contractnegotiations/offers", offered))["@id"]
    at = f"contractnegotiations/{begun}"
    await person.sees(at, "OFFERED")
    await person.move(at, "terminate", "TERMINATED", {"reason": "no"})
    await person.do("DELETE", at)
    return str(peer.of(f"/{asked.pid}/agreement")[-1].document["agreement"]["@id"])


async def _approving(person: Person, site: ByHand, peer: Peer, folder: Path) -> None:
    """A person is asked before we agree: once she approves it, once she refuses."""
    made = await person.do("POST", "apikeys", {"name": "anna", "role": "approver"})
    anna, rule = Person(site, made["key"]), {"approvers": ["anna"]}
    await person.do(
        "POST", "packages", {"folder": str(folder / "package"), "assetId": "asked", "approval": rule}
    )
    dataset = await peer.dataset(site, "asked")
    for decision, state in (("approve", "AGREED"), ("refuse", "TERMINATED")):
        asked = Process(peer, site)
        ok(await asked.ask(offer_of(dataset)))
        at = f"contractnegotiations/{asked.theirs}"
        await person.do("POST", f"{at}/agree")
        waiting = (await person.do("GET", at))["approval"]["@id"]
        await anna.do("POST", f"approvals/{waiting}/{decision}", {"reason": "seen"})
        await person.sees(at, state)


async def _handing_out(person: Person, site: ByHand, peer: Peer, agreed: str) -> None:
    """We are the provider: transfers that are started, paused, gone on with, completed, ended, by either side."""
    wanted = Process(peer, site, collection="transfers")
    ok(await wanted.request_data(agreed))
    at = f"transferprocesses/{wanted.theirs}"
    await person.move(at, "resume", "STARTED")
    ok(await wanted.send("TransferSuspensionMessage", reason=["wait"]))
    ok(await wanted.send("TransferStartMessage"))
    await person.move(at, "suspend", "SUSPENDED", {"reason": "wait"})
    await person.move(at, "resume", "STARTED")
    ok(await wanted.send("TransferCompletionMessage"))
    for ends_it in ("peer", "person"):
        wanted = Process(peer, site, collection="transfers")
        ok(await wanted.request_data(agreed))
        if ends_it == "peer":
            ok(await wanted.terminate())
        else:
            await person.move(
                f"transferprocesses/{wanted.theirs}", "terminate", "TERMINATED", {"reason": "no"}
            )


async def _buying(person: Person, site: ByHand, peer: Peer) -> str:
    """We are the consumer: our request, offers both ways, an agreement; an offer that nobody asked for."""
    asked = {"counterPartyId": peer.did, "policy": offer("1", assigner=peer.did)}
    begun = (await person.do("POST", "contractnegotiations", asked))["@id"]
    at = f"contractnegotiations/{begun}"
    await person.sees(at, "REQUESTED")
    theirs = awaited(peer, site, begun)
    ok(await theirs.send("ContractOfferMessage", offer=offer("2")))
    await person.move(at, "request", "REQUESTED", {"policy": USE})
    ok(await theirs.send("ContractOfferMessage", offer=offer("3")))
    await person.move(at, "accept", "ACCEPTED")
    ok(await theirs.agree(offer("3")))
    await person.move(at, "verify", "VERIFIED")
    ok(await theirs.event("FINALIZED"))
    proposed = Process(peer, site, consumer=False)
    ok(await proposed.propose(offer("4")))
    ok(await proposed.terminate())
    return str((await person.do("GET", at))["contractAgreementId"])


async def _getting(person: Person, site: ByHand, peer: Peer, bought: str) -> None:
    """We are the consumer: a pull, whose token is asked for by a program."""
    body = {"contractId": bought, "transferType": "HttpData-PULL"}
    begun = (await person.do("POST", "transferprocesses", body))["@id"]
    at = f"transferprocesses/{begun}"
    await person.sees(at, "REQUESTED")
    theirs = awaited(peer, site, begun, collection="transfers")
    ok(await theirs.send("TransferStartMessage", dataAddress=address(peer)))
    await person.move(at, "suspend", "SUSPENDED", {"reason": "wait"})
    await person.move(at, "resume", "STARTED")
    ok(await theirs.send("TransferSuspensionMessage", reason=["wait"]))
    ok(await theirs.send("TransferStartMessage", dataAddress=address(peer)))
    await person.move(at, "complete", "COMPLETED")


def address(peer: Peer, **more: str) -> dict[str, Any]:
    named = {"endpoint": f"{peer.address}/data", "authorization": "secret", "authType": "bearer", **more}
    return {
        "@type": "DataAddress",
        "endpointType": "https://w3id.org/idsa/v4.1/HTTP",
        "endpoint": f"{peer.address}/data",
        "endpointProperties": [
            {"@type": "EndpointProperty", "name": name, "value": value} for name, value in named.items()
        ],
    }


async def _receiving(person: Person, site: ByHand, peer: Peer, bought: str, folder: Path) -> None:
    """Data is pushed to us: a resource in two parts, then a package, whose second file comes in two parts."""
    data = bytes(range(256)) * 400
    async with aiohttp.ClientSession() as http:
        pushing = await _push(person, site, peer, bought, folder / "resource", http)
        for begin, end in ((0, 50_000), (50_000, len(data))):
            told = {"Upload-Offset": str(begin), "Upload-Length": str(len(data))}
            ok(await pushing.send("PATCH", "", data[begin:end], **TUS, **told))
        pushing = await _push(person, site, peer, bought, folder / "whole", http)
        ok(await pushing.send("PUT", "", data))
        files = {"a.txt": b"hello", "b/c/d.bin": data}
        pushing = await _push(person, site, peer, bought, folder / "received", http)
        ok(await pushing.send("PUT", "/.comity-manifest.json", manifest_of(files)))
        ok(await pushing.send("PUT", "/a.txt", files["a.txt"]))
        for begin, end in ((0, 70_000), (70_000, len(data))):
            told = {"Upload-Offset": str(begin), "Upload-Length": str(len(data))}
            ok(await pushing.send("PATCH", "/b/c/d.bin", data[begin:end], **TUS, **told))
        kept = await _push(person, site, peer, bought, STORE, http)
        ok(await kept.send("PUT", "", data))
        await person.do("POST", f"received/{kept.id}/export", {"destination": str(folder / "exported")})
    await person.do("POST", f"received/{pushing.id}/open", {"purpose": "repair"})
    await person.do("POST", f"received/{pushing.id}/attest", {"statement": "It stays in one room."})
    await person.do("POST", "deletions", {"transferId": pushing.id})


async def _carrying(person: Person, site: ByHand, peer: Peer, bought: str, folder: Path) -> None:
    """A medium goes to the counterparty and comes back with its receipt; one of the counterparty's is taken."""
    (folder / "stick").mkdir()
    medium = {"medium": str(folder / "stick")}
    await person.do("POST", "packages", {"folder": str(folder / "package"), "assetId": "crate"})
    asked = Process(peer, site)
    ok(await asked.ask(offer_of(await peer.dataset(site, "crate"))))
    at = f"contractnegotiations/{asked.theirs}"
    await person.move(at, "agree", "AGREED")
    ok(await asked.verify())
    await person.move(at, "finalize", "FINALIZED")
    written = await person.do("POST", "carries/write", {**medium, "assetId": "crate"})
    await asyncio.to_thread(carrying.receive, folder / "stick", peer, site, written)
    (back,) = await person.do("POST", "carries/receipts", medium)
    assert back["state"] == "taken", back
    held = (await person.do("GET", f"contractagreements/{quote(bought, safe='')}"))["policy"]
    held = {name: value for name, value in held.items() if name != "@context"}
    code = await asyncio.to_thread(carrying.write, folder / "stick", peer, site, held, b"a drawing")
    into = {**medium, "code": code, "destination": str(folder / "carried")}
    (taken,) = await person.do("POST", "carries/take", into)
    assert taken["state"] == "taken", taken


def manifest_of(files: dict[str, bytes]) -> bytes:
    listed = tuple(
        manifest.File(
            path=path, size_bytes=len(data), sha256=sha256(data).hexdigest(), media_type="text/plain"
        )
        for path, data in files.items()
    )
    return manifest.encode(manifest.Manifest(title="pushed", files=listed))


class _Pushing:
    def __init__(self, http: aiohttp.ClientSession, name: str, address: str, authorization: str) -> None:
        self.id = name
        self._http, self._address, self._authorization = http, address, authorization

    async def send(self, method: str, path: str, data: bytes, **headers: str) -> Any:
        sent = {"Authorization": self._authorization, **headers}
        async with self._http.request(method, self._address + path, data=data, headers=sent) as answer:
            answer.body = await answer.read()
            return answer


async def _push(
    person: Person, site: ByHand, peer: Peer, bought: str, folder: Path | str, http: Any
) -> _Pushing:
    body = {
        "contractId": bought,
        "transferType": "HttpData-PUSH",
        "dataDestination": {"type": "File", "path": str(folder)},
    }
    name = (await person.do("POST", "transferprocesses", body))["@id"]
    await person.sees(f"transferprocesses/{name}", "REQUESTED")
    sent = next(each for each in peer.of("/transfers/request") if each.document["consumerPid"] == name)
    named = {
        each["name"].rpartition("/")[2]: each["value"]
        for each in sent.document["dataAddress"]["endpointProperties"]
    }
    ok(await awaited(peer, site, name, collection="transfers").send("TransferStartMessage"))
    return _Pushing(http, name, sent.document["dataAddress"]["endpoint"], named["authCode"])


async def _inquiring(person: Person, site: ByHand, peer: Peer, bought: str, folder: Path) -> None:
    """What a holder asks and we decide, in each way; and what we ask, write and withdraw ourselves."""
    made = await person.do("POST", "apikeys", {"name": "olga", "role": "approver"})
    olga, shown = Person(site, made["key"]), {"folder": str(folder / "package"), "assetId": "inquired"}
    published = await person.do("POST", "packages", shown)
    asked = Process(peer, site)
    ok(await asked.ask(offer_of(await peer.dataset(site, "inquired"))))
    at = f"contractnegotiations/{asked.theirs}"
    await person.move(at, "agree", "AGREED")
    ok(await asked.verify())
    await person.move(at, "finalize", "FINALIZED")
    agreement = str(peer.of(f"/{asked.pid}/agreement")[-1].document["agreement"]["@id"])
    limits = {"lotFrom": "1", "lotTo": "2"}
    for name, kind, verb, said in (
        ("urn:q", "question", "answer", {"text": "Yes."}),
        ("urn:d", "deviation", "grant", {}),
        ("urn:r", "question", "refuse", {"text": "No."}),
    ):
        body = {
            "@type": "comity:InquiryNotice",
            "@id": name,
            "agreementId": agreement,
            "kind": kind,
            "text": "May we?",
        }
        body |= {"assetId": "inquired", "manifestSha256": published["manifestSha256"]}
        body |= {"limits": limits} if kind == "deviation" else {}
        ok(await peer.send(site, "/../../comity/notices", wire.encode(body)))
        await olga.do("POST", f"inquiries/{name}/{verb}", said)
    await olga.do("POST", "inquiries/urn:d/revoke", {"text": "M6 breaks."})
    body = {"agreementId": bought, "kind": "question", "text": "Why?", "manifestSha256": "0" * 64}
    ours = f"inquiries/{quote((await person.do('POST', 'inquiries', body))['@id'], safe='')}"
    await person.do("POST", f"{ours}/say", {"text": "And when?"})
    await person.do("POST", f"{ours}/withdraw", {"text": "It is in the manual."})


async def _edrs(person: Person, site: ByHand, peer: Peer) -> None:
    """One call that negotiates and starts; its token is replaced, then forgotten."""
    begun = (
        await person.do("POST", "edrs", {"counterPartyId": peer.did, "policy": offer("5", assigner=peer.did)})
    )["@id"]
    at = f"contractnegotiations/{begun}"
    await person.sees(at, "REQUESTED")
    theirs = awaited(peer, site, begun)
    ok(await theirs.agree(offer("5")))
    await person.move(at, "verify", "VERIFIED")
    known = len(peer.of("/transfers/request"))
    ok(await theirs.event("FINALIZED"))
    await wait_for(lambda: len(peer.of("/transfers/request")) > known)
    name = peer.of("/transfers/request")[-1].document["consumerPid"]
    await person.sees(f"transferprocesses/{name}", "REQUESTED")
    handed = awaited(peer, site, name, collection="transfers")
    refreshing = {
        AUTH + "refreshToken": "refresh",
        AUTH + "refreshEndpoint": f"{peer.address}/refresh",
        AUTH + "refreshAudience": peer.did,
        AUTH + "expiresIn": "300",
    }
    ok(await handed.send("TransferStartMessage", dataAddress=address(peer, **refreshing)))
    token = {"access_token": "newer", "refresh_token": "refresh-2", "expires_in": 300}
    peer.script("/refresh/token", status(200, token))
    await person.do("POST", f"edrs/{name}/refresh")
    await person.do("DELETE", f"edrs/{name}")


async def _exchanging(person: Person, site: ByHand, peer: Peer, folder: Path) -> None:
    """One call that gets a dataset into a folder."""
    await person.do(
        "POST",
        "exchanges",
        {"counterPartyId": peer.did, "assetId": "part", "destination": str(folder / "got")},
    )
    begun = (await person.do("POST", "readings", {"counterPartyId": peer.did, "assetId": "part"}))["@id"]
    await person.do("DELETE", f"readings/{quote(begun, safe='')}")


async def _agreeing(person: Person, site: ByHand, peer: Offering, folder: Path) -> None:
    """A framework agreement that we propose, suspend and end, what is delivered of it; and one that we sign."""
    texts = str(agreeing.write(folder / "texts"))
    ours = agreeing.document((peer.did, site.did))
    urn = (await person.do("POST", "frameworks", {"document": ours, "folder": texts}))["@id"]
    at = f"frameworks/{quote(urn, safe='')}"
    asked = Process(peer, site)
    ok(await asked.ask(offer_of(await peer.dataset(site, quote(urn, safe="")))))
    negotiation = f"contractnegotiations/{asked.theirs}"
    await person.move(negotiation, "agree", "AGREED")
    ok(await asked.verify())
    await person.move(negotiation, "finalize", "FINALIZED")
    made = {"commitment": "C1", "quantity": "40", "frameworkAgreement": urn}
    await person.do("POST", "frameworks/deliveries", made)
    said = {
        "@type": "comity:FrameworkNotice",
        "@id": "urn:n",
        "frameworkAgreement": urn,
        "event": "delivered",
    }
    body = wire.encode({**said, "delivery": "urn:d", "commitment": "C2", "quantity": "1", "evidence": ""})
    ok(await peer.send(site, "/../../comity/notices", body))
    await person.do("POST", f"{at}/confirm", {"delivery": "urn:d"})
    await person.do("POST", f"{at}/signatures", {"content": "AAAA"})
    await person.do("POST", f"{at}/suspend", {"reason": "wait"})
    await person.do("POST", f"{at}/resume")
    await person.do("POST", f"{at}/end", {"reason": "over"})
    theirs = agreeing.document((peer.did, site.did), id=agreeing.ID.replace("1111", "2222"))
    peer.framework = theirs
    signing = {"counterPartyId": peer.did, "frameworkAgreement": documents.urn(theirs)}
    await person.do("POST", "frameworks/sign", signing)


async def _witnessing(person: Person, site: ByHand, peer: Peer) -> None:
    """The counterparty's log has two faces, of which we saw one; then a checkpoint of ours."""
    faces = [checkpoint.Checkpoint(checkpoint.origin(peer.did, 0), 3, bytes([each]) * 32) for each in (1, 2)]
    seen, other = (checkpoint.sign(each, peer.key) for each in faces)
    body = {
        "@type": checkpoints.NOTICE,
        "@id": "urn:c",
        "checkpoint": seen,
        "sinceOrigin": "",
        "sinceSize": 0,
    }
    ok(await peer.send(site, "/../../comity/notices", wire.encode({**body, "consistency": []})))
    await person.do("POST", "evidence/compare", {"checkpoint": other})
    (finding,) = (await person.do("GET", "evidence/checkpoints"))["findings"]
    await person.do("POST", f"evidence/{quote(finding['id'], safe='')}/acknowledge")
    await person.do("POST", "evidence/checkpoints")


async def _looking_after(person: Person, agreed: str, peer: Peer) -> None:
    """Retirements, secrets, webhooks, keys of the API and of our own, partners."""
    await person.do("POST", "contractagreements/retirements", {"agreementId": agreed, "reason": "superseded"})
    await person.do("DELETE", f"contractagreements/retirements/{agreed}")
    await person.do("POST", f"contractagreements/{agreed}/evidence")
    await person.do("POST", "licences", {"number": "L-1", "quantity": 1, "until": "2099-12-31"})
    for method in ("POST", "PUT"):
        await person.do(method, "secrets", {"@id": "secret", "value": method})
    await person.do("DELETE", "secrets/secret")
    made = (await person.do("POST", "webhooks", {"url": f"{peer.address}/hook"}))["@id"]
    await person.do("DELETE", f"webhooks/{made}")
    await person.do("POST", "apikeys", {"name": "dashboard", "role": "viewer"})
    await person.do("DELETE", "apikeys/dashboard")
    await person.do("POST", "identity/rotate", {"leadSeconds": 330})
    await person.do("DELETE", "identity/key-1")
    await person.do("DELETE", f"partners/{quote(peer.did, safe='')}")
