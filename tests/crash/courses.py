"""What happens between two connectors in a case: the messages of both machines, each in a course of few steps.

A course is begun and moved on through the management APIs, as often as needed until it is answered: what a program does
whose connector is away for a moment. All other messages follow by themselves.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import itertools
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from comity import settings
from comity.client.connector import NEGOTIATIONS, PROTOCOL, TRANSFERS
from comity.dsp import machine, terms
from comity.dsp.terms import CONSUMER, PROVIDER
from comity.testing import collect, history, record
from crash import points
from crash.forked import Forked
from support import processes, stores

ASSET = "drawings"
OTHER_TERMS = {"leftOperand": "dateTime", "operator": "lteq", "rightOperand": "2099-12-31T00:00:00Z"}
TABLES = {NEGOTIATIONS: "negotiation", TRANSFERS: "transfer"}
CONVERGED_S = 60.0
LOOK_S = {stores.SQLITE: 0.03, stores.POSTGRESQL: 0.1}
"""How often a store is looked into: on PostgreSQL each look is a new connection."""


class Step(NamedTuple):
    """`by` asks for `move` once its side is in `state`."""

    by: str
    state: str
    move: str


class Course(NamedTuple):
    """How a process is begun, what people do in it, and where it ends on both sides."""

    noun: str
    begun_by: str
    opening: str
    end: str
    steps: tuple[Step, ...] = ()


AGREED = Course(NEGOTIATIONS, CONSUMER, "request", terms.FINALIZED)
COUNTERED = Course(
    NEGOTIATIONS, CONSUMER, "request other terms", terms.FINALIZED, (Step(CONSUMER, terms.OFFERED, "accept"),)
)
OFFERED = Course(
    NEGOTIATIONS, PROVIDER, "offer", terms.FINALIZED, (Step(CONSUMER, terms.OFFERED, "request"),)
)
DECLINED = Course(
    NEGOTIATIONS, PROVIDER, "offer", terms.TERMINATED, (Step(CONSUMER, terms.OFFERED, "terminate"),)
)
COMPLETED = Course(
    TRANSFERS, CONSUMER, "transfer", terms.COMPLETED, (Step(CONSUMER, terms.STARTED, "complete"),)
)
STOPPED = Course(
    TRANSFERS,
    CONSUMER,
    "transfer",
    terms.TERMINATED,
    (Step(PROVIDER, terms.STARTED, "suspend"), Step(CONSUMER, terms.SUSPENDED, "terminate")),
)

MESSAGES: dict[str, tuple[Course, str]] = {
    machine.REQUEST + points.FIRST: (AGREED, CONSUMER),
    machine.REQUEST: (OFFERED, CONSUMER),
    machine.OFFER + points.FIRST: (OFFERED, PROVIDER),
    machine.OFFER: (COUNTERED, PROVIDER),
    machine.ACCEPT: (COUNTERED, CONSUMER),
    machine.AGREEMENT: (AGREED, PROVIDER),
    machine.VERIFICATION: (AGREED, CONSUMER),
    machine.FINALIZE: (AGREED, PROVIDER),
    machine.NEGOTIATION_TERMINATION: (DECLINED, CONSUMER),
    machine.TRANSFER_REQUEST: (COMPLETED, CONSUMER),
    machine.START: (COMPLETED, PROVIDER),
    machine.SUSPENSION: (STOPPED, PROVIDER),
    machine.COMPLETION: (COMPLETED, CONSUMER),
    machine.TRANSFER_TERMINATION: (STOPPED, CONSUMER),
}
"""Every message -> a course in which it comes, and who sends it: ten types, with events and openings fourteen."""


def flow(course: Course) -> list[str]:
    """Return the messages of a course in their order."""
    order = {
        AGREED: [machine.REQUEST + points.FIRST],
        COUNTERED: [machine.REQUEST + points.FIRST, machine.OFFER, machine.ACCEPT],
        OFFERED: [machine.OFFER + points.FIRST, machine.REQUEST],
        DECLINED: [machine.OFFER + points.FIRST, machine.NEGOTIATION_TERMINATION],
        COMPLETED: [machine.TRANSFER_REQUEST, machine.START, machine.COMPLETION],
        STOPPED: [machine.TRANSFER_REQUEST, machine.START, machine.SUSPENSION, machine.TRANSFER_TERMINATION],
    }[course]
    agreeing = [machine.AGREEMENT, machine.VERIFICATION, machine.FINALIZE]
    return order + (agreeing if course.end == terms.FINALIZED else [])


def sender_of(message: str) -> str:
    """Return who sends a message in its course."""
    return MESSAGES[message][1]


class Ending(NamedTuple):
    """Where a process has to end: which side, and at what."""

    side: str
    plan: points.Plan


@dataclass
class Process:
    """One negotiation or transfer of a course, begun once and moved on by its people."""

    course: Course
    key: str
    id: str = ""
    step: int = 0
    tried: bool = False


class Seen(NamedTuple):
    """A process at one side: its state, whether a message of it waits, and whether one leads to another state."""

    state: str | None
    waiting: bool
    leading: bool = False


@dataclass
class Sides:
    """Two connectors that know each other, with something to agree on and an agreement to transfer under."""

    provider: Forked
    consumer: Forked
    kind: str
    left: list[Ending] = field(default_factory=list)
    operations: list[record.Operation] = field(default_factory=list)
    offer: dict[str, Any] = field(default_factory=dict)
    agreement: str = ""
    numbers: Any = field(default_factory=itertools.count)

    def __getitem__(self, role: str) -> Forked:
        return self.provider if role == PROVIDER else self.consumer

    @classmethod
    def start(cls, folder: Path, kind: str) -> Sides:
        """Start both on stores of a kind, with what the courses need."""
        sides = cls(*(_made(folder, name, kind) for name in (PROVIDER, CONSUMER)), kind=kind)
        for role in (PROVIDER, CONSUMER):
            sides[role].start()
        sides._prepare()
        return sides

    def end(self) -> None:
        for role in (PROVIDER, CONSUMER):
            self[role].end()

    def _prepare(self) -> None:
        processes.introduce(self.provider, self.consumer)
        source = self.provider.conf.folder.parent / ASSET
        source.mkdir(exist_ok=True)
        (source / "a.txt").write_text("a drawing")
        self.provider.api.publish(str(source), timeout_s=20, asset_id=ASSET)
        body = processes.contract_request(self.provider, self.consumer, ASSET)
        self.offer = body["policy"]
        first = self.run(AGREED, [])[0]
        sql = "SELECT agreement_id FROM negotiation WHERE id = ?1"
        self.agreement = self.consumer.rows(sql, first.id)[0][0]

    def run(self, course: Course, endings: list[Ending], *, count: int = 1) -> list[Process]:
        """Take `count` processes through a course while a side ends as planned, and return them when both agree.

        The plan of a later ending begins to count when the one before it was carried out.
        """
        made = [Process(course, f"crash-{next(self.numbers)}") for _ in range(count)]
        left = self.left = list(endings)
        if left:
            self[left[0].side].expect(left[0].plan)
        deadline = time.monotonic() + CONVERGED_S
        try:
            while not self._turn(made, left):
                assert time.monotonic() < deadline, self._words(made, left)
                time.sleep(LOOK_S[self.kind])
        finally:
            for each in (self.provider, self.consumer):
                each.expect()
        while not all(each.answers() for each in (self.provider, self.consumer)):
            assert time.monotonic() < deadline, self._words(made, left)
            self._revive(left, more=False)  # one that was about to end does not answer any more
            time.sleep(LOOK_S[self.kind])
        return made

    def check(self, *more: str) -> None:
        """Have the history of both sides checked: their stores, what was on the wire, and what was asked for.

        `more` are invariants that must have been decided beside those of every course.
        """
        both = (self.provider, self.consumer)
        heard: dict[str, record.Message] = {}
        for line in (line for each in both for line in each.heard.read_bytes().splitlines()):
            number, message = msgspec.json.decode(line, type=tuple[str, record.Message])
            heard[number] = message  # the last line has the answer, if there was one
        sides = [asyncio.run(collect.folder(each.conf.folder)) for each in both]
        seen = record.History(
            sides=tuple(sides),
            messages=tuple(heard.values()),
            operations=tuple(self.operations),
        )
        history.check(seen).expect("I1", "I2", "I3", "I4", "I5", "I6", "I10", "I11", *more)

    def _turn(self, made: list[Process], left: list[Ending]) -> bool:
        """Look at everything once, do what there is to do, and return whether all has ended."""
        self._revive(left)
        seen = {role: self._look(role, made) for role in (PROVIDER, CONSUMER)}
        for each in made:
            with contextlib.suppress(OSError, http.client.HTTPException):
                self._move(each, seen)
        ended = Seen(made[0].course.end, waiting=False)
        return all(
            each.step == len(each.course.steps) and all(seen[role].get(each.id) == ended for role in seen)
            for each in made
        )

    def _revive(self, left: list[Ending], *, more: bool = True) -> None:
        """Start whoever has ended again, and with `more` have the next one end as planned."""
        for role in (PROVIDER, CONSUMER):
            side = self[role]
            code = side.process.poll()
            if code is None:
                continue
            assert code == points.EXIT, f"{side.conf.name} ended with {code}\n{side.tail()}"
            assert left, f"{side.conf.name} ended once more than it should"
            assert left[0].side == role, (left, role)
            left.pop(0)
            if left and more:
                self[left[0].side].expect(left[0].plan)
            side.process = side.launch()  # not waited for: the next end may come before it answers

    def _look(self, role: str, made: list[Process]) -> dict[str, Seen]:
        """Return what a side has of each process, by the id with which it was begun."""
        course = made[0].course
        named = "id" if course.begun_by == role else "counterparty_pid"
        sql = (
            f"SELECT {named}, state, EXISTS (SELECT 1 FROM outbox WHERE process_id = p.id),"
            " EXISTS (SELECT 1 FROM outbox WHERE process_id = p.id AND implied = 0)"
            f" FROM {TABLES[course.noun]} p"
        )
        rows = self[role].rows(sql)
        return {name: Seen(state, bool(waiting), bool(leading)) for name, state, waiting, leading in rows}

    def _move(self, each: Process, seen: dict[str, dict[str, Seen]]) -> None:
        if not each.id:
            each.id = self._begin(each)
            return
        if each.step == len(each.course.steps):
            return
        step = each.course.steps[each.step]
        at = seen[step.by].get(each.id)
        if at is None or (at.state != step.state and not each.tried):
            return
        if each.tried and (at.leading or at.state != step.state):
            each.step, each.tried = each.step + 1, False  # it was not answered, but done
            return
        each.tried = True
        self._ask(each, step)
        each.step, each.tried = each.step + 1, False

    def _begin(self, each: Process) -> str:
        body: dict[str, Any] = {"protocol": PROTOCOL, "counterPartyAddress": self.provider.dsp}
        policy = dict(self.offer)
        path = each.course.noun
        if each.course.opening == "transfer":
            body |= {
                "@type": "TransferRequest",
                "contractId": self.agreement,
                "transferType": "HttpData-PULL",
            }
            body |= {"counterPartyId": self.provider.did}
        elif each.course.opening == "offer":
            path += "/offers"
            body |= {"@type": "ContractOffer", "policy": policy, "counterPartyId": self.consumer.did}
            body |= {"counterPartyAddress": self.consumer.dsp}
        else:
            if each.course.opening == "request other terms":
                policy["permission"] = [{"action": "use", "constraint": [OTHER_TERMS]}]
            body |= {"@type": "ContractRequest", "policy": policy, "counterPartyId": self.provider.did}
        side = self[each.course.begun_by]
        return self._post(side, path, body, key=each.key)["@id"]

    def _ask(self, each: Process, step: Step) -> None:
        side = self[step.by]
        name = each.id
        if step.by != each.course.begun_by:
            sql = f"SELECT id FROM {TABLES[each.course.noun]} WHERE counterparty_pid = ?1"
            name = side.rows(sql, name)[0][0]
        body = {"reason": "it is over"}
        if step.move == "request":
            body = {"policy": self.offer}
        self._post(side, f"{each.course.noun}/{name}/{step.move}", body, process_id=name)

    def _post(self, side: Forked, path: str, body: Any, *, key: str = "", process_id: str = "") -> Any:
        """Send one request to a management API, and write down what came of it.

        Raises:
            OSError, HTTPException: the connector was not there, or not any more.
        """
        host, port = settings.split_listen(side.conf.management, "management")
        connection = http.client.HTTPConnection(host, port, timeout=20)
        headers = {"X-Api-Key": side.conf.management_key, "Content-Type": "application/json"}
        if key:
            headers["Idempotency-Key"] = key
        outcome, content = record.INFO, None
        at = time.time_ns() // 1_000_000
        try:
            connection.request("POST", f"/management/v3/{path}", json.dumps(body), headers)
            answer = connection.getresponse()
            said = answer.read()
            outcome = record.OK if answer.status < 300 else record.FAIL
            content = json.loads(said) if said else {}
        finally:
            connection.close()
            self.operations.append(
                record.Operation(
                    at=at,
                    participant_id=side.did,
                    outcome=outcome,
                    key=key,
                    created=(content or {}).get("@id", "") if key else "",
                    process_id=process_id,
                )
            )
        assert outcome == record.OK, (path, answer.status, content)
        return content

    def _words(self, made: list[Process], left: list[Ending]) -> str:
        seen = {role: self._look(role, made) for role in (PROVIDER, CONSUMER)}
        lines = [f"{made[0].course} did not end within {CONVERGED_S} s; still to come: {left}"]
        for each in made:
            found = {role: seen[role].get(each.id) for role in seen}
            lines.append(f"{each.key} {each.id}: step {each.step}, tried {each.tried}, {found}")
        for role in seen:
            rows = self[role].rows("SELECT process_id, message, attempts, due_at, last_error FROM outbox")
            lines += [f"--- {role}: {rows}", self[role].tail()]
        return "\n".join(lines)


def _made(folder: Path, name: str, kind: str) -> Forked:
    url = stores.fresh(kind, folder / name)
    return Forked(processes.make(folder, name, **({"database": url} if url else {})).conf)
