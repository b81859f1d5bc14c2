"""Histories of two connectors that never ran: random, valid, as large as one likes.

A story walks the machine's tables with chance: messages are lost, answers too, copies come late, and a partner's next
message overtakes an acknowledgement.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable
from typing import Any

import msgspec

from comity.dsp import machine, terms
from comity.evidence import entry
from comity.testing import record
from comity.testing.history import History

START_MS = 1_800_000_000_000
PROVIDER, CONSUMER, STRANGER = "did:web:provider", "did:web:consumer", "did:web:stranger"
DIDS = {terms.PROVIDER: PROVIDER, terms.CONSUMER: CONSUMER}
PATHS = {
    machine.REQUEST: "request",
    machine.OFFER: "offers",
    machine.ACCEPT: "events",
    machine.FINALIZE: "events",
    machine.AGREEMENT: "agreement",
    machine.VERIFICATION: "agreement/verification",
    machine.TRANSFER_REQUEST: "request",
    machine.START: "start",
    machine.SUSPENSION: "suspension",
    machine.COMPLETION: "completion",
}
CONTENT = {"a.txt": hashlib.sha256(b"hello").hexdigest()}
END = 0.1
replace = msgspec.structs.replace


class _Side:
    """One connector's store, as the story fills it."""

    def __init__(self, role: str) -> None:
        self.did = DIDS[role]
        self.processes: dict[str, record.Process] = {}
        self.agreements: dict[str, record.Agreement] = {}
        self.events: list[record.Event] = []
        self.evidence: list[record.Evidence] = []
        self._head = entry.GENESIS

    def reach(self, pid: str, state: str | None, at: int) -> None:
        process = self.processes[pid]
        number = (process.number or 0) + 1
        self.processes[pid] = replace(process, state=state, number=number)
        seq = len(self.events) + 1
        self.events.append(
            record.Event(seq=seq, id=f"{self.did}#{seq}", subject=pid, number=number, state=state, at=at)
        )

    def prove(self, **fields: Any) -> None:
        row = entry.encode(entry.Entry(**fields))
        self._head = entry.link(self._head, row)
        self.evidence.append(record.Evidence(len(self.evidence) + 1, row, self._head))

    def made(self) -> record.Side:
        return record.Side(
            participant_id=self.did,
            processes=tuple(self.processes.values()),
            agreements=tuple(self.agreements.values()),
            outbox=(),
            events=tuple(self.events),
            evidence=tuple(self.evidence),
        )


class Story:
    """Makes things up until `finish` says what was seen."""

    def __init__(self, seed: int, *, trouble: float = 0.2) -> None:
        self._chance = random.Random(seed)
        self._trouble = trouble
        self._now = START_MS
        self._count = 0
        self.sides = {role: _Side(role) for role in (terms.PROVIDER, terms.CONSUMER)}
        self.messages: list[record.Message] = []
        self.served: list[record.Served] = []
        self.received: list[record.Received] = []
        self.operations: list[record.Operation] = []
        self.readings: list[record.Reading] = []
        self._early: dict[str, list[Callable[[], None]]] = {}

    def now(self) -> int:
        self._now += self._chance.randint(1, 20)
        return self._now

    def name(self, what: str) -> str:
        self._count += 1
        return f"urn:{what}:{self._count:08d}"

    def finish(self) -> History:
        self._visit()
        return History(
            sides=tuple(side.made() for side in self.sides.values()),
            messages=tuple(self.messages),
            served=tuple(self.served),
            contents=(record.Content(provider=PROVIDER, asset_id="asset", files=CONTENT),),
            received=tuple(self.received),
            operations=tuple(self.operations),
            readings=tuple(self.readings),
            every_operation=True,
        )

    def negotiate(self) -> dict[str, str] | None:
        """Walk through one negotiation; return the pids if it came to an agreement."""
        pids = {role: self.name(role[0] + "n") for role in DIDS}
        if self._walk(terms.NEGOTIATION, pids, {}) != terms.FINALIZED:
            return None
        return pids

    def transfer(self, agreed: dict[str, str]) -> None:
        """Walk through one transfer under an agreement."""
        pids = {role: self.name(role[0] + "t") for role in DIDS}
        agreement = self.sides[terms.PROVIDER].agreements[agreed[terms.PROVIDER]]
        self._walk(terms.TRANSFER, pids, {"agreementId": agreement.id})

    def _walk(self, kind: str, pids: dict[str, str], more: dict[str, Any]) -> str | None:
        state: str | None = None
        moves = [row for row in machine.TABLES[kind] if row[0] is None]
        while moves:
            _, key, by = self._chance.choice(moves)
            state = self._step(kind, pids, state, key, by, more)
            self._use_data(kind, pids, state)
            if (kind, state) in History().resting and self._chance.random() < END:
                break
            moves = [
                row
                for row in machine.TABLES[kind]
                if row[0] == state
                and (row[1] not in machine.TERMINATIONS.values() or self._chance.random() < END)
                and row[:2] != (terms.STARTED, machine.START)
                and (row[0], row[2], kind) != (terms.SUSPENDED, terms.CONSUMER, terms.TRANSFER)
            ]
        self._catch_up(pids)
        return state

    def _step(self, kind, pids, state, key, by, more) -> str:
        after = machine.TABLES[kind][state, key, by]
        other = terms.other(by)
        maker, taker = self.sides[by], self.sides[other]
        body = self._body(kind, pids, state, key, by, more)
        if state is None:
            self._begin(kind, pids, maker, taker, by, body)
        self._settle(pids[by])  # whoever sends has recorded what came before
        at, came = self.now(), self.now()
        overtakes = self._chance.random() < self._trouble / 2 and after not in machine.TERMINAL
        sha256 = hashlib.sha256(body).hexdigest()
        common = {"kind": kind, "message": key, "sha256": sha256, "sender": maker.did, "receiver": taker.did}
        message_id = json.loads(body)["@id"]
        open_ = self._early.pop(pids[other], [])
        taker.reach(pids[other], after, came)
        self._end(taker, pids[other], after)
        taker.prove(
            **common,
            at=came,
            direction="in",
            message_id=message_id,
            process_id=pids[other],
            before=state or "",
            after=after,
        )
        for acknowledge in open_:
            acknowledge()
        self._agree(kind, pids, key, body, other, sha256)
        path = f"/{kind}s/{'' if state is None else pids[other] + '/'}{PATHS.get(key, 'termination')}"
        self._speak(
            at, came, maker.did, taker.did, path, body, self._answer(kind, pids, after), state is None
        )

        def acknowledge(*, early: bool = True) -> None:
            if not early:
                maker.reach(pids[by], after, self._now)
                self._end(maker, pids[by], after)
            maker.prove(
                **common,
                at=self._now,
                direction="out",
                message_id=message_id,
                process_id=pids[by],
                before=state or "",
                after=after,
                attempts=1,
                outcome="acknowledged",
            )

        answers = any(row[0] == after and row[2] == other for row in machine.TABLES[kind])
        if overtakes and answers:
            self._early[pids[by]] = [acknowledge]
        else:
            acknowledge(early=False)
        return after

    def _settle(self, pid: str) -> None:
        """Record an acknowledgement that no message overtook after all."""
        for acknowledge in self._early.pop(pid, []):
            acknowledge(early=False)

    def _catch_up(self, pids: dict[str, str]) -> None:
        for pid in pids.values():
            self._settle(pid)

    def _end(self, side: _Side, pid: str, state: str) -> None:
        if state == terms.TERMINATED:
            side.processes[pid] = replace(side.processes[pid], error="enough")

    def _begin(self, kind, pids, maker, taker, by, body) -> None:
        offer = json.loads(body).get("offer")
        agreement = json.loads(body).get("agreementId", "")
        for side, role in ((maker, by), (taker, terms.other(by))):
            side.processes[pids[role]] = record.Process(
                kind=kind,
                id=pids[role],
                role=role,
                counterparty_id=DIDS[terms.other(role)],
                counterparty_pid=pids[terms.other(role)],
                state=None,
                agreement_id=agreement,
                asset_id="asset",
                offer=offer,
                number=0,
            )
        maker.reach(pids[by], None, self.now())
        self.operations.append(
            record.Operation(
                at=self._now,
                participant_id=maker.did,
                outcome=record.OK,
                key=self.name("key"),
                creates=kind,
                created=pids[by],
            )
        )

    def _body(self, kind, pids, state, key, by, more) -> bytes:
        kind_of, _, event = key.partition(":")
        both = {"consumerPid": pids[terms.CONSUMER], "providerPid": pids[terms.PROVIDER]}
        if state is None:
            del both["providerPid" if by == terms.CONSUMER else "consumerPid"]
        fields: dict[str, Any] = {"@id": self.name("m"), "@type": kind_of, **both}
        if event:
            fields["eventType"] = event
        if key in {machine.REQUEST, machine.OFFER}:
            fields["offer"] = {
                "@id": self.name("o"),
                "@type": "Offer",
                "target": "asset",
                "permission": [{"action": "use"}],
            }
        if key == machine.AGREEMENT:
            fields["agreement"] = {
                "@id": self.name("a"),
                "@type": "Agreement",
                "target": "asset",
                "assigner": PROVIDER,
                "assignee": CONSUMER,
                "permission": [{"action": "use"}],
            }
        if key == machine.START and by == terms.PROVIDER:
            token = {"name": "authorization", "value": f"token of {fields['@id']}"}
            fields["dataAddress"] = {"endpointProperties": [token]}
        if key in machine.TERMINATIONS.values():
            fields["reason"] = ["enough"]
        return json.dumps({**fields, **(more if state is None else {})}).encode()

    def _answer(self, kind, pids, state) -> bytes:
        name = "ContractNegotiation" if kind == terms.NEGOTIATION else "TransferProcess"
        both = {"consumerPid": pids[terms.CONSUMER], "providerPid": pids[terms.PROVIDER]}
        return json.dumps({"@type": name, **both, "state": state}).encode()

    def _agree(self, kind, pids, key, body, taker, sha256) -> None:
        if kind != terms.NEGOTIATION or key not in {machine.AGREEMENT, machine.FINALIZE}:
            return
        for role, side in self.sides.items():
            if key == machine.FINALIZE:
                held = side.agreements[pids[role]]
                side.agreements[pids[role]] = replace(held, finalized=True)
                continue
            document = json.loads(body)["agreement"]
            side.agreements[pids[role]] = record.Agreement(
                id=document["@id"],
                negotiation_id=pids[role],
                document=document,
                counterparty_id=DIDS[terms.other(role)],
                finalized=False,
                message_sha256=sha256,
            )
            side.processes[pids[role]] = replace(side.processes[pids[role]], agreement_id=document["@id"])
            self.readings.append(
                record.Reading(
                    at=self._now, participant_id=side.did, agreement_id=document["@id"], document=document
                )
            )

    def _speak(self, at, came, maker, taker, path, body, answer, first) -> None:
        """Put a message on the wire: lost, repeated, unanswered, and in the end taken."""
        status = 201 if first else 200
        said = {"sender": maker, "receiver": taker, "path": path, "body": body}
        if self._chance.random() < self._trouble:  # a request that got lost
            self.messages.append(record.Message(at=at - 1, **said, leg=record.SENDER))
        whole = record.Message(at=at, **said, status=status, answer=answer, answered_at=came)
        if self._chance.random() < self._trouble:  # an answer that got lost, and the same again
            self.messages.append(record.Message(at=at, **said, leg=record.SENDER))
            self.messages.append(replace(whole, leg=record.RECEIVER))
            whole = replace(whole, at=came + 40, answered_at=came + 41)
            self._now = max(self._now, came + 41)
        self.messages.append(whole)
        if self._chance.random() < self._trouble:  # a copy that comes late
            self.messages.append(replace(whole, at=came + 5000, answered_at=came + 5001, leg=record.RECEIVER))

    def _use_data(self, kind, pids, state) -> None:
        if kind != terms.TRANSFER or state != terms.STARTED:
            return
        starts = [
            each for each in self.messages[-5:] if each.path == f"/transfers/{pids[terms.CONSUMER]}/start"
        ]
        if not starts:
            return
        token = json.loads(starts[-1].body)["dataAddress"]["endpointProperties"][0]["value"]
        self.served.append(
            record.Served(
                at=self.now(),
                until=self.now(),
                provider=PROVIDER,
                transfer_id=pids[terms.PROVIDER],
                receiver=CONSUMER,
                token_sha256=hashlib.sha256(token.encode()).hexdigest(),
                path="files/a.txt",
                size=5,
                sha256=CONTENT["a.txt"],
            )
        )
        self.received.append(
            record.Received(consumer=CONSUMER, transfer_id=pids[terms.CONSUMER], files=dict(CONTENT))
        )

    def _visit(self) -> None:
        """A third party asks for a process of others, and for one that is missing."""
        for pid in [*list(self.sides[terms.PROVIDER].processes)[:3], "urn:missing"]:
            at = self.now()
            for kind in ("negotiations", "transfers"):
                answer = json.dumps({"@type": "Error", "providerPid": pid, "reason": ["none"]}).encode()
                self.messages.append(
                    record.Message(
                        at=at,
                        sender=STRANGER,
                        receiver=PROVIDER,
                        method="GET",
                        path=f"/{kind}/{pid}",
                        status=404,
                        answer=answer,
                        answered_at=at + 1,
                    )
                )


def story(seed: int, *, negotiations: int = 5, trouble: float = 0.2) -> History:
    """A valid history of so many negotiations, and a transfer for each that came to an agreement."""
    made = Story(seed, trouble=trouble)
    for _ in range(negotiations):
        agreed = made.negotiate()
        if agreed is not None:
            made.transfer(agreed)
    return made.finish()
