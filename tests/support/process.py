"""A scripted counterparty's side of one negotiation or transfer: messages with both pids, sent where they belong."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from support import wire
from support.pair import offer_of
from support.peer import Answer, Peer

PATHS = {
    "ContractRequestMessage": "request",
    "ContractOfferMessage": "offers",
    "ContractAgreementMessage": "agreement",
    "ContractAgreementVerificationMessage": "agreement/verification",
    "ContractNegotiationEventMessage": "events",
    "ContractNegotiationTerminationMessage": "termination",
    "TransferRequestMessage": "request",
    "TransferStartMessage": "start",
    "TransferSuspensionMessage": "suspension",
    "TransferCompletionMessage": "completion",
    "TransferTerminationMessage": "termination",
}


@dataclass
class Process:
    """The peer's `pid` and, once known, ours (`theirs`)."""

    peer: Peer
    site: Any
    consumer: bool = True
    collection: str = "negotiations"
    pid: str = field(default_factory=wire.new_id)
    theirs: str = ""

    def message(self, kind: str, **fields: Any) -> dict[str, Any]:
        mine, other = ("consumerPid", "providerPid") if self.consumer else ("providerPid", "consumerPid")
        return wire.message(kind, **{mine: self.pid, other: self.theirs or None, **fields})

    async def send(self, kind: str, *, document: Any = None, to: str = "", **fields: Any) -> Answer:
        """Send a message of this process, or `document` in its place, to the process `to` (default: ours)."""
        sent = self.message(kind, **fields) if document is None else document
        target = to or self.theirs
        path = f"/{self.collection}/{target + '/' if target else ''}{PATHS[kind]}"
        answer = await self.peer.send(self.site, path, sent)
        if not self.theirs and answer.status == 201:
            self.theirs = answer.document["providerPid" if self.consumer else "consumerPid"]
        return answer

    async def state(self) -> str:
        answer = await self.peer.get(self.site, f"/{self.collection}/{self.theirs}")
        return answer.document["state"]

    async def ask(self, offer: dict[str, Any], **fields: Any) -> Answer:
        """Begin a negotiation as consumer."""
        return await self.send("ContractRequestMessage", offer=offer, callbackAddress=self.peer.dsp, **fields)

    async def propose(self, offer: dict[str, Any], **fields: Any) -> Answer:
        """Begin a negotiation as provider: a first offer."""
        sent = self.message("ContractOfferMessage", offer=offer, callbackAddress=self.peer.dsp, **fields)
        answer = await self.peer.send(self.site, "/negotiations/offers", sent)
        if answer.status == 201:
            self.theirs = answer.document["consumerPid"]
        return answer

    async def agree(self, offer: dict[str, Any], **changes: Any) -> Answer:
        """Send the agreement to an offer as provider, with changes."""
        document = wire.agreement(offer, **{"assigner": self.peer.did, "assignee": self.site.did, **changes})
        return await self.send("ContractAgreementMessage", agreement=document)

    async def verify(self) -> Answer:
        return await self.send("ContractAgreementVerificationMessage")

    async def event(self, name: str, **fields: Any) -> Answer:
        return await self.send("ContractNegotiationEventMessage", eventType=name, **fields)

    async def terminate(self, **fields: Any) -> Answer:
        kind = "ContractNegotiation" if self.collection == "negotiations" else "Transfer"
        return await self.send(f"{kind}TerminationMessage", **{"reason": ["enough"], **fields})

    async def request_data(self, agreement_id: str, **fields: Any) -> Answer:
        """Ask for data as consumer."""
        fields = {"format": "HttpData-PULL", "callbackAddress": self.peer.dsp, **fields}
        return await self.send("TransferRequestMessage", agreementId=agreement_id, **fields)


def transfer(peer: Peer, site: Any, **more: Any) -> Process:
    return Process(peer, site, collection="transfers", **more)


def awaited(peer: Peer, site: Any, pid: str, *, collection: str = "negotiations") -> Process:
    """The peer's side, as provider, of a process that our connector began: both pids as it answers politely."""
    return Process(peer, site, consumer=False, collection=collection, pid=peer.pid_for(pid), theirs=pid)


async def finalized(peer: Peer, site: Any, asset_id: str = "asset") -> tuple[Process, str]:
    """Negotiate with the connector as consumer to the end; returns the process and the agreement's id."""
    process = Process(peer, site)
    assert (await process.ask(offer_of(await peer.dataset(site, asset_id)))).status == 201
    await site.reaches(process.theirs, "AGREED")
    agreement_id = peer.of(f"/{process.pid}/agreement")[-1].document["agreement"]["@id"]
    assert (await process.verify()).status == 200
    await site.reaches(process.theirs, "FINALIZED")
    return process, agreement_id


async def started(peer: Peer, site: Any, agreement_id: str) -> tuple[Process, str, str]:
    """Ask for data and wait for the start; returns the process, the address and the token."""
    process = transfer(peer, site)
    answer = await process.request_data(agreement_id)
    assert answer.status == 201, answer.body
    await site.reaches(process.theirs, "STARTED")
    return process, *access(peer, process)


def access(peer: Peer, process: Process, at: int = -1) -> tuple[str, str]:
    """The address and token of a start that the peer received."""
    address = peer.of(f"/{process.pid}/start")[at].document["dataAddress"]
    named = {each["name"]: each["value"] for each in address["endpointProperties"]}
    return address["endpoint"], named["authorization"]


async def bought(peer, site):
    """The negotiation in which the site, as consumer, came to an agreement with the peer."""
    offer = {"@id": "urn:o", "@type": "Offer", "target": "asset", "permission": [{"action": "use"}]}
    record = await site.request(peer, offer)
    await site.reaches(record.id, "REQUESTED")
    process = awaited(peer, site, record.id)
    assert (await process.agree(offer)).status == 200
    await site.reaches(record.id, "VERIFIED")
    assert (await process.event("FINALIZED")).status == 200
    return record
