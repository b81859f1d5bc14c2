"""A connector in this process that is spoken to without sockets, and whose own messages stay in our hands.

Every message that it sends is a `Sending` until the test answers it, so nothing happens by itself and a run can be
repeated exactly. Time stands still unless it is moved. Three others send to it: the partner, another partner, and a
stranger who is on no list; the partner's DID document and states are served over loopback.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from comity import errors, runtime
from comity.delivery.worker import POLL_S
from comity.dsp import notice as notices
from comity.net import http as net_http
from hostile import machine_model as models
from support import asgi, pair, wire
from support.peer import BASE, Peer
from support.process import PATHS

ASSET = "asset"
TERMS = {"ours": wire.USE, "others": wire.until("9000-01-01")}
"""Days pass in a run, and a million steps are as many as a life has."""
NAMES = {
    "request": "ContractRequestMessage",
    "offer": "ContractOfferMessage",
    "accepted": "ContractNegotiationEventMessage",
    "finalized": "ContractNegotiationEventMessage",
    "agreement": "ContractAgreementMessage",
    "verification": "ContractAgreementVerificationMessage",
    "termination": "ContractNegotiationTerminationMessage",
    "start": "TransferStartMessage",
    "suspension": "TransferSuspensionMessage",
    "completion": "TransferCompletionMessage",
}
MOVES = {
    "agreement": "agree",
    "accepted": "accept",
    "verification": "verify",
    "finalized": "finalize",
    "termination": "terminate",
    "suspension": "suspend",
    "completion": "complete",
}
HOUR_S = 3600


def name_of(kind: str, message: str) -> str:
    """The type of a message: two names mean another one in a transfer."""
    transfers = {"request": "TransferRequestMessage", "termination": "TransferTerminationMessage"}
    return transfers.get(message, NAMES[message]) if kind == "transfer" else NAMES[message]


class Clock:
    """The connector's time: it stands still."""

    def __init__(self) -> None:
        self.now_s = time.time()

    def module(self) -> Any:
        """What stands for the module `time` in the connector."""
        return SimpleNamespace(
            time=lambda: self.now_s,
            monotonic=lambda: self.now_s,
            time_ns=lambda: int(self.now_s * 1000) * 1_000_000,
        )


class Loop(asyncio.SelectorEventLoop):
    """An event loop whose timers follow the connector's clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        super().__init__()

    def time(self) -> float:
        return self._clock.now_s


@dataclass(eq=False)
class Sending:
    """A message of the connector that waits for its answer."""

    path: str
    body: bytes
    answer: asyncio.Future[bytes]

    @property
    def document(self) -> dict[str, Any]:
        return json.loads(self.body)


class Open(NamedTuple):
    """An open message of the connector as its store has it."""

    process_id: str
    message_id: str
    message: str
    leads_to: str
    shown: bool
    waits: bool


OUTBOX = (
    "SELECT process_id, message_id, message, leads_to, implied, after_id IS NOT NULL FROM outbox ORDER BY id"
)


class Waiting:
    """Decisions of a connector that does nothing by itself."""

    def negotiation(self, case: Any) -> Any:
        return pair.Move()

    transfer = negotiation


class Site(pair.Site):
    """A connector without listeners; `sendings` are its messages that were not answered yet, in order."""

    async def start(self) -> None:
        self.sendings: list[Sending] = []
        self.pauses: list[float] = []
        if not self.conf.database.exists():
            shutil.copy(self.template, self.conf.database)
        self._running = runtime.connector(self.conf, decisions=self.decisions, wrap_post=lambda _: self._post)
        self.parts = await self._running.__aenter__()
        self.parts.worker._pause = self._pause
        self.client = asgi.Client(self.parts.public, "")

    async def stop(self) -> None:
        await self._running.__aexit__(None, None, None)
        self.sendings = []

    async def _post(self, url: str, body: bytes, authorization: str) -> bytes:
        if url.endswith("/comity/notices"):  # no message of the machine: it is taken
            return notices.encode(notices.answer(notices.decode(body), {}))
        sending = Sending(url.partition(BASE)[2], body, asyncio.get_running_loop().create_future())
        self.sendings.append(sending)
        return await sending.answer

    async def _pause(self, seconds: float) -> None:
        """What the worker waits with: seen from outside, so that time can be moved on when nothing else is to come."""
        if seconds == POLL_S:
            await asyncio.sleep(seconds)
            return
        until_s = asyncio.get_running_loop().time() + seconds
        self.pauses.append(until_s)
        try:
            await asyncio.sleep(seconds)
        finally:
            self.pauses.remove(until_s)


class World:
    """The connector, the others, and what a test does with them."""

    def __init__(self, template: Path) -> None:
        """Begin with an empty store: a copy of `template`, in memory where the machine has such a folder."""
        memory = Path("/dev/shm")  # a run commits thousands of times, and power is not cut here
        self._folder = tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None)
        folder = Path(self._folder.name)
        self.clock = Clock()
        self.runner = asyncio.Runner(loop_factory=lambda: Loop(self.clock))
        self.run = self.runner.get_loop().run_until_complete
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(runtime, "time", self.clock.module())
        tls = net_http._tls(None)
        self.patch.setattr(
            net_http, "_tls", lambda *_: tls
        )  # no TLS here, and reading authorities takes long
        self.site: Any = None
        self.run(self._prepare(folder, template))

    async def _prepare(self, folder: Path, template: Path) -> None:
        """Make the store that every run begins with: two partners, an asset, an agreement in each role."""
        made = pair.new_site(folder / "site")
        # which tell partners of the evidence, at times of their own: the model is of negotiations and transfers
        no_checkpoints = replace(made.conf, evidence_checkpoint_every_s=10**12)
        self.site = Site(made.folder, no_checkpoints, template, decisions=None)
        await self.site.start()
        self.peers = {name: Peer() for name in models.SENDERS[:3]}
        for peer in self.peers.values():
            await peer.start()
        self.partner = self.peers["the partner"]
        for name in models.SENDERS[:2]:
            await self.site.befriend(self.peers[name])
        await self.site.publish(ASSET, policy=wire.USE)
        answer = await self.send("the partner", f"/catalog/datasets/{ASSET}", None, method="GET")
        self.offer_id = answer.json["hasPolicy"][0]["@id"]
        self.agreement_ids = {role: await self._agree(role) for role in (models.PROVIDER, models.CONSUMER)}
        await self.site.stop()
        self.template = folder / "begun.sqlite"
        self.site.conf.database.rename(self.template)

    async def _agree(self, role: str) -> str:
        process = Play(self, "negotiation", role)
        await process.begin()
        steps = ["agreement", "verification", "finalized"]
        for message in steps:
            sends = (message != "verification") == (role == models.PROVIDER)
            # the provider's connector makes its moves by itself here
            if not sends:
                assert (await process.send(message))[0] == 200
            await self.answer_all()
        return (await self.site.agreement(process.id)).id

    def open(self, *, policy: bool = False) -> None:
        """Start the connector anew from the prepared store."""
        self.site.decisions = None if policy else Waiting()
        self.site.template = self.template
        for suffix in ("", "-wal", "-shm"):
            self.site.conf.database.with_name(self.site.conf.database.name + suffix).unlink(missing_ok=True)
        self.partner.states = {}
        self.run(self.site.start())

    def close(self) -> None:
        self.run(self.site.stop())

    def end(self) -> None:
        for peer in self.peers.values():
            self.run(peer.stop())
        self.runner.close()
        self.patch.undo()
        self._folder.cleanup()

    async def restart(self) -> None:
        await self.site.stop()
        await self.site.start()
        await self.settle()

    async def send(self, sender: str, path: str, document: Any, *, method: str = "POST") -> asgi.Answer:
        """Send a message to the connector as `sender`, with its own valid token if it has one."""
        body = b"" if document is None else wire.encode(document)
        headers = {"content-type": "application/json", "content-length": str(len(body))}
        if sender in self.peers:
            token = self.peers[sender].token(
                self.site.did, body, later_s=int(self.clock.now_s) - int(time.time())
            )
            headers["authorization"] = f"Bearer {token}"
        return await self.site.client.request(method, BASE + path, body, headers=headers)

    async def settle(self) -> list[Open]:
        """Let the connector do what it has to do until only our answers are missing; returns its open messages."""
        while True:
            await asyncio.sleep(0)
            busy = len(self.site.parts.worker._tasks) - len(self.site.sendings)
            if busy == 0:
                break
            if busy == len(self.site.pauses):
                self.clock.now_s = max(self.site.pauses) + 0.001
        rows = await self.site.rows(OUTBOX)
        held = {each.document["@id"] for each in self.site.sendings}
        assert all(row.waits or row.message_id in held for row in map(Open._make, rows))
        return [Open._make(row) for row in rows]

    async def answer(self, sending: Sending, document: Any = None, error: Exception | None = None) -> None:
        self.site.sendings.remove(sending)
        if error is not None:
            sending.answer.set_exception(error)
        else:
            sending.answer.set_result(wire.encode(document or {}))

    async def acknowledge(self, sending: Sending, pid: str | None = None) -> None:
        """Answer a message of the connector as a partner does that has taken it."""
        sent = sending.document
        pid = pid or Peer.pid_for(sent.get("consumerPid") or sent.get("providerPid"))
        pids = {name: sent.get(name, pid) for name in ("consumerPid", "providerPid")}
        await self.answer(sending, pids)

    async def answer_all(self) -> None:
        """Acknowledge until nothing is sent any more."""
        await self.settle()
        while self.site.sendings:
            await self.acknowledge(self.site.sendings[0])
            await self.settle()


def lost() -> Exception:
    return errors.TransientDeliveryError("no answer", outcome_unknown=True)


def turned_down(status: int = 400) -> Exception:
    return errors.PermanentDeliveryError("no", status=status)


class Play:
    """One process as the partner sees it; `id` is the connector's id of it, `pid` the partner's."""

    def __init__(self, world: World, kind: str, role: str) -> None:
        self.world, self.kind, self.role = world, kind, role
        self.id = ""
        self.pid = wire.new_id()
        self.terms = "ours"

    @property
    def collection(self) -> str:
        return f"/{self.kind}s"

    def pids(self, *, ours: str = "", theirs: str = "") -> dict[str, str | None]:
        mine, other = (theirs or self.pid), (ours or self.id or None)
        if self.role == models.PROVIDER:
            return {"consumerPid": mine, "providerPid": other}
        return {"consumerPid": other, "providerPid": mine}

    def offer(self, terms: str = "ours", target: str = ASSET) -> dict[str, Any]:
        return {"@id": self.world.offer_id, "@type": "Offer", **TERMS[terms], "target": target}

    def content(self, message: str, *, terms: str = "ours", fault: bool = False) -> dict[str, Any]:
        """What a message brings besides its ids; `fault`: something that cannot be taken."""
        if self.kind == "transfer":
            address = {"@type": "DataAddress", "endpointType": "urn:http", "endpoint": "http://127.0.0.1:9/"}
            fields: dict[str, dict[str, Any]] = {
                "start": {"dataAddress": None if fault or self.role == models.PROVIDER else address},
                "suspension": {"reason": ["a break"]},
                "termination": {"reason": ["enough"]},
                "request": self.first_fields(fault=fault),
            }
            return fields.get(message, {})
        if message in {"request", "offer"}:
            return {"offer": self.offer(terms, "another" if fault else ASSET)}
        if message == "agreement":
            parties = {"assigner": self.world.partner.did, "assignee": self.world.site.did}
            more = {"prohibition": [{"action": "print"}]} if fault else {}
            return {"agreement": wire.agreement(self.offer(terms), **parties, **more)}
        events = {"accepted": {"eventType": "ACCEPTED"}, "finalized": {"eventType": "FINALIZED"}}
        return events.get(message, {"reason": ["enough"]} if message == "termination" else {})

    def first_fields(self, *, fault: bool = False) -> dict[str, Any]:
        agreement_id = "urn:none" if fault else self.world.agreement_ids[models.PROVIDER]
        return {
            "agreementId": agreement_id,
            "format": "HttpData-PULL",
            "callbackAddress": self.world.partner.dsp,
        }

    def document(
        self, message: str, *, id_: str | None = "new", pids: Any = None, **content: Any
    ) -> dict[str, Any]:
        fields = {**(pids or self.pids()), **self.content(message, **content)}
        named = wire.new_id() if id_ == "new" else id_
        return wire.message(name_of(self.kind, message), **fields, id_=named)

    def path(self, message: str, process_id: str) -> str:
        """Where a message goes; a first one without an id."""
        return "/".join([self.collection, *filter(None, [process_id]), PATHS[name_of(self.kind, message)]])

    async def send(
        self, message: str, document: Any = None, sender: str = "the partner"
    ) -> tuple[int, str | None]:
        """Send a message of the partner's to the process; returns status and state of the answer."""
        document = document or self.document(message)
        return seen(await self.world.send(sender, self.path(message, self.id), document))

    async def begin_there(self, message: str, document: Any) -> asgi.Answer:
        """The partner begins it."""
        answer = await self.world.send("the partner", self.path(message, ""), document)
        if answer.status == 201 and not self.id:
            self.id = answer.json["providerPid" if self.role == models.PROVIDER else "consumerPid"]
        return answer

    def first(self, terms: str = "ours") -> tuple[str, dict[str, Any]]:
        """The message with which the partner begins a process in which we have this role."""
        message = "request" if self.role == models.PROVIDER else "offer"
        document = {**self.document(message, terms=terms), "callbackAddress": self.world.partner.dsp}
        return message, document

    async def begin_here(self, terms: str = "ours") -> None:
        """Our operator begins it; the first message is on its way afterwards."""
        site = self.world.site
        if self.kind == "transfer":
            record = await site.ask_for_data(await self._negotiation_id())
        else:
            begin = site.request if self.role == models.CONSUMER else site.offer
            record = await begin(self.world.partner, self.offer(terms))
        self.id = record.id
        self.pid = Peer.pid_for(self.id)
        await self.world.settle()

    async def _negotiation_id(self) -> str:
        wanted = self.world.agreement_ids[models.CONSUMER]
        return (await self.world.site.rows("SELECT negotiation_id FROM agreement WHERE id = ?1", wanted))[0][
            0
        ]

    async def begin(self) -> None:
        """Begin as the consumer does: the partner where we are the provider, else ourselves, acknowledged."""
        if self.role == models.PROVIDER:
            answer = await self.begin_there(*self.first())
            assert answer.status == 201, answer
        else:
            await self.begin_here()
            await self.world.acknowledge(self.world.site.sendings[-1], self.pid)
        await self.world.settle()

    async def move(self, message: str, terms: str = "ours") -> bool:
        """Our operator has `message` sent; whether that was possible."""
        kind = MOVES.get(message, message)
        more = {"policy": TERMS[terms]} if message in {"request", "offer"} else {}
        try:
            await self.world.site.move(self.id, kind, reason="as we wish", **more)
        except errors.ProtocolError:
            return False
        return True


def seen(answer: asgi.Answer) -> tuple[int, str | None]:
    """Status and state of an answer, which has the protocol's form whatever it is."""
    if answer.status < 400:
        return answer.status, answer.json["state"]
    assert answer.json.get("@type") in {"ContractNegotiationError", "TransferError"} or answer.status == 404
    return answer.status, None
