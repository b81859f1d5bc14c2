"""A partner that may send anything at any time, against the reference model of what the specification lets happen.

Random runs of a connector in both roles: every message in every state, repeats, wrong ids, strangers, our operator's
moves, answers that are lost, restarts and time that passes; after each step the connector's answer, its states, its
agreements and what it sends must be the model's. COMITY_FUZZ_STEPS says how many steps are made (5,000).
"""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from hostile import machine_model as models
from hostile.machine_model import Model, Row
from hostile.machine_world import HOUR_S, Play, Sending, World, lost, name_of, seen, turned_down
from support import wire

ORDINARY = 5_000
STEPS = int(os.environ.get("COMITY_FUZZ_STEPS", ORDINARY))
A_RUN, AT_LEAST = 60, 32
"""Steps of a run at most, and on average at the least: some end early."""
MOST = 3
EVENTS = {"accepted": ":ACCEPTED", "finalized": ":FINALIZED"}
STATE = (
    "SELECT id, state, (SELECT count(*) FROM agreement WHERE negotiation_id = p.id),"
    " (SELECT count(*) FROM agreement WHERE negotiation_id = p.id AND finalized) FROM negotiation p"
    " UNION ALL SELECT id, state, 0, 0 FROM transfer"
)
ROLES = st.sampled_from([models.CONSUMER, models.PROVIDER])
KINDS = st.sampled_from(["negotiation", "negotiation", "transfer"])
TERMS = st.sampled_from(["ours", "ours", "others"])
RARELY = st.sampled_from([False, False, False, True])
NUMBER = st.integers(0, 10_000)
count = {"steps": 0}


class Pair:
    """One process: as the partner plays it, as the model has it, and what was sent in it."""

    def __init__(self, play: Play, model: Model) -> None:
        self.play, self.model = play, model
        self.sent: list[tuple[str, dict[str, Any], dict[str, Any]]] = []
        self.first: tuple[str, dict[str, Any]] | None = None
        self.answer = ""


class Partner(RuleBasedStateMachine):
    """What a partner, an operator, the network and time can do to a connector."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.pairs: list[Pair] = []
        self.made: dict[str, float] = {}
        """The `@id` of a message of the connector -> when it was made."""
        self.tried: dict[str, int] = {}
        self.ids: dict[Row, str] = {}

    @initialize(policy=st.booleans())
    def open(self, policy: Any) -> None:
        self.policy = policy
        self.world.open(policy=policy)

    def teardown(self) -> None:
        self.world.run(self._evidence())
        self.world.close()

    async def _evidence(self) -> None:
        """Each change of state has one record, and its steps are the diagram's."""
        await self.world.site.entries()  # the chain is verified
        for pair in self.pairs:
            path = await self.world.site.path_of(pair.play.id)
            steps = {(before or "", after) for (before, _, _), after in models.STEPS[pair.model.kind].items()}
            assert all(
                step in steps or step[0] == step[1] or step[1] == models.TERMINATED for step in path
            ), path

    def pair(self, number: int) -> Pair:
        return self.pairs[number % len(self.pairs)]

    @precondition(lambda self: len(self.pairs) < MOST)
    @rule(kind=KINDS, role=ROLES, terms=TERMS, fault=RARELY, under=NUMBER, ours=st.booleans())
    def somebody_begins(self, kind: str, role: str, terms: str, fault: Any, under: int, ours: Any) -> None:
        """A process begins, by our operator or by the partner."""
        if ours:
            self.we_begin(kind, role, terms)
        else:
            self.partner_begins(kind, role, terms, fault, under)

    def partner_begins(self, kind: str, role: str, terms: str, fault: Any, under: int) -> None:
        """A first message, under one of the agreements that there are where it is a transfer's."""
        role = models.PROVIDER if kind == "transfer" else role
        pair = Pair(Play(self.world, kind, role), Model(kind, role, terms=terms, policy=self.policy))
        message, document = pair.play.first(terms)
        status = 201
        if kind == "transfer":
            document, status = {**document, "agreementId": "urn:none"}, 400
            if not fault:
                status = 201 if self._under(document, under) else 400
        elif fault and role == models.PROVIDER:  # as consumer we take an offer of anything
            document, status = {**document, "offer": pair.play.offer(terms, "another")}, 400
        answer = self.world.run(pair.play.begin_there(message, document))
        assert answer.status == status, answer
        if status == 201:
            pair.answer = answer.json["state"]
            pair.first = (message, document)
            self.pairs.append(pair)
            pair.model.begun(message, body(document))
            assert pair.answer == models.STEPS[kind][(None, models.other(role), message)]
        self.check()

    def _under(self, document: dict[str, Any], number: int) -> bool:
        """Choose an agreement for a transfer; whether it is in force, or comes into force by being used."""
        mine = [each for each in self.pairs if each.model.agreements and each.model.role == models.PROVIDER]
        at = number % (len(mine) + 1)
        if at == len(mine):
            document["agreementId"] = self.world.agreement_ids[models.PROVIDER]
            return True
        found = mine[at]
        document["agreementId"] = self.world.run(self.world.site.agreement(found.play.id)).id
        coming = [row for row in found.model.open if row.leads_to == "FINALIZED"]
        for row in coming:  # its use shows that our finalization has arrived
            row.shown, found.model.state = True, "FINALIZED"
        return found.model.state == "FINALIZED"

    def partner_begins_again(self, pair: Pair, *, other_id: bool, changed: bool) -> None:
        """The same first message once more, with another `@id` or another content."""
        if pair.first is None:
            return
        message, document = pair.first
        document = {**document, "@id": "urn:other" if other_id else document["@id"]}
        if changed:
            document["more"] = 1
        answer = self.world.run(pair.play.begin_there(message, document))
        assert seen(answer) == ((400, None) if changed else (201, pair.answer))

    def we_begin(self, kind: str, role: str, terms: str) -> None:
        role = models.CONSUMER if kind == "transfer" else role
        pair = Pair(Play(self.world, kind, role), Model(kind, role, terms=terms, policy=self.policy))
        self.world.run(pair.play.begin_here(terms))
        self.pairs.append(pair)
        assert pair.model.begin_here()
        self.check()

    @precondition(lambda self: self.pairs)
    @rule(number=NUMBER, at=NUMBER)
    def partner_goes_on(self, number: int, at: int) -> None:
        """A message that is legal now, if there is one besides the end."""
        pair = self.pair(number)
        legal = self.legal(pair.model, models.other(pair.model.role), pair.model.coming or pair.model.state)
        if legal:
            self.sends(pair, legal[at % len(legal)], at)

    @precondition(lambda self: self.pairs)
    @rule(
        number=NUMBER,
        at=NUMBER,
        sender=st.sampled_from([*["the partner"] * 9, *models.SENDERS]),
        how=st.sampled_from(["new", "new", "without id", "again", "again", "its id", "our pid", "their pid"]),
        terms=TERMS,
        fault=RARELY,
    )
    def partner_sends(self, number: int, at: int, sender: str, how: str, terms: str, fault: Any) -> None:
        """Any message to a process that there is."""
        pair = self.pair(number)
        named = [each for each in models.MESSAGES[pair.model.kind] if each != models.TERMINATION] * 3
        message = [*named, models.TERMINATION][at % (len(named) + 1)]
        self.sends(pair, message, at, sender=sender, how=how, terms=terms, fault=fault)

    @staticmethod
    def legal(model: Model, by: str, state: str | None) -> list[str]:
        """What a side may send now, besides the end."""
        steps = models.STEPS[model.kind]
        return [each for (at, who, each) in steps if (at, who) == (state, by) and each != models.TERMINATION]

    def sends(
        self,
        pair: Pair,
        message: str,
        at: int,
        *,
        sender: str = "the partner",
        how: str = "new",
        terms: str = "ours",
        fault: Any = False,
    ) -> None:
        """Send it, and compare the answer."""
        play, model = pair.play, pair.model
        if message == "agreement" and not fault:
            terms = model.terms
        fault = fault and message in {"request", "offer", "agreement", "start"}
        id_ = None if how == "without id" else "new"
        if how == "its id" and model.taken:
            id_ = sorted(model.taken)[at % len(model.taken)]
        document = play.document(message, id_=id_, terms=terms, fault=fault)
        if how == "again" and pair.sent:
            message, document, more = pair.sent[at % len(pair.sent)]
            terms, fault = more["terms"], more["fault"]
        pid = play.pid
        if how == "our pid":
            document = {**document, **play.pids(ours="urn:wrong")}
        if how == "their pid":
            pid = wire.new_id()
            document = {**document, **play.pids(theirs=pid)}
        found = self.world.run(play.send(message, document, sender))
        stopped = models.stopped(model.kind, message, sender)
        if stopped:
            wanted: tuple[int, str | None] = stopped, None
        elif how == "our pid" or (how == "their pid" and model.known):
            wanted = 404, None
        else:
            wanted = self._received(pair, message, document, terms=terms, fault=fault)
            if wanted[0] == 200:
                play.pid = pid if how == "their pid" else play.pid
                pair.sent.append((message, document, {"terms": terms, "fault": fault}))
        assert found == wanted, (message, how, sender, model)
        self.check()

    def _received(
        self, pair: Pair, message: str, document: Any, *, terms: str, fault: Any
    ) -> tuple[int, str | None]:
        model = pair.model
        brings = {"terms": terms} if message in {"request", "offer"} else {}
        if message == "agreement":
            fault = fault or terms != model.terms
        if message == "start":
            fault = fault and model.role == models.CONSUMER and not model.addressed
        return model.receive(message, body(document), document.get("@id"), fault=fault, **brings)

    @precondition(lambda self: self.pairs)
    @rule(number=NUMBER, at=NUMBER, terms=TERMS)
    def we_go_on(self, number: int, at: int, terms: str) -> None:
        """A move that is possible now, if there is one besides the end."""
        pair = self.pair(number)
        legal = self.legal(pair.model, pair.model.role, pair.model.state)
        if legal:
            self.moves(pair, legal[at % len(legal)], terms)

    @precondition(lambda self: self.pairs)
    @rule(number=NUMBER, at=NUMBER, terms=TERMS)
    def we_move(self, number: int, at: int, terms: str) -> None:
        """A move that our operator asks for, possible or not."""
        pair = self.pair(number)
        listed = models.MOVES[pair.model.kind]
        self.moves(pair, listed[at % len(listed)], terms)

    def moves(self, pair: Pair, message: str, terms: str) -> None:
        brings = {"terms": terms} if message in {"request", "offer"} else {}
        done = self.world.run(pair.play.move(message, terms))
        assert done == pair.model.move(message, **brings), (message, pair.model)
        self.check()

    @precondition(lambda self: self.world.site.sendings)
    @rule(number=NUMBER)
    def partner_takes(self, number: int) -> None:
        """A message of the connector is acknowledged."""
        self.answers(number, "taken")

    @precondition(lambda self: self.world.site.sendings)
    @rule(
        number=NUMBER,
        how=st.sampled_from(["refused", "refused, though taken", "lost", "lost", "no pids", "away"]),
    )
    def partner_fails(self, number: int, how: str) -> None:
        """A message of the connector is answered in another way, or not at all."""
        self.answers(number, how)

    def answers(self, number: int, how: str) -> None:
        sendings = self.world.site.sendings
        sending = sendings[number % len(sendings)]
        name = sending.document["@id"]
        pair, row = self._row(name)
        first = sending.path.count("/") == 2
        if how == "away":
            self.world.clock.now_s += 73 * HOUR_S
        expired = self.world.clock.now_s - self.made[name] > 72 * HOUR_S
        told = row.before != row.leads_to or self.tried[name] > 0
        pid = pair.play.pid
        if how == "refused, though taken":
            self.world.partner.states[pid] = row.leads_to
        self.world.run(self._answer(sending, how, pid))
        self.world.partner.states = {}
        model = pair.model
        if (
            how == "taken"
            or (how == "no pids" and not first)
            or (how == "refused, though taken" and told and not first)
        ):
            model.acknowledged(row)
        elif how.startswith("refused"):
            model.refused(row)
        elif expired:
            model.refused(row, reachable=False)
        else:
            self.tried[name] += 1
            if row in model.gone:
                model.gone.remove(row)
        self.check()

    async def _answer(self, sending: Sending, how: str, pid: str) -> None:
        if how == "taken":
            await self.world.acknowledge(sending, pid)
        elif how == "no pids":
            await self.world.answer(sending, {})
        else:
            error = turned_down() if how.startswith("refused") else lost()
            await self.world.answer(sending, error=error)
        await self.world.settle()

    def _row(self, name: str) -> tuple[Pair, Row]:
        for pair in self.pairs:
            for row in (*pair.model.rows, *pair.model.gone):
                if self.ids.get(row) == name:
                    return pair, row
        raise AssertionError(name)

    @precondition(lambda self: self.pairs)
    @rule(
        number=NUMBER,
        what=st.sampled_from(["again", "again", "asked", "asked", "restart", "minutes", "a day"]),
    )
    def other_things_happen(self, number: int, what: str) -> None:
        """A first message comes again, somebody asks for a state, the connector restarts, time passes."""
        pair = self.pair(number)
        if what == "again":
            self.partner_begins_again(pair, other_id=number % 2 == 0, changed=number % 3 == 0)
        elif what == "asked":
            self.somebody_asks(pair, models.SENDERS[number % len(models.SENDERS)])
        elif what == "restart":
            self.world.run(self.world.restart())
            for each in self.pairs:
                each.model.gone = []
        else:
            self.world.clock.now_s += 600 if what == "minutes" else 24 * HOUR_S
        self.check()

    def somebody_asks(self, pair: Pair, sender: str) -> None:
        """For the state of a process."""
        path = f"{pair.play.collection}/{pair.play.id}"
        answer = self.world.run(self.world.send(sender, path, None, method="GET"))
        states = {"the partner": (200, pair.model.state or pair.model.coming), "another partner": (404, None)}
        assert seen(answer) == states.get(sender, (401, None))

    def check(self) -> None:
        """The connector is where the model is."""
        count["steps"] += 1
        rows = self.world.run(self.world.settle())
        found = {row[0]: row[1:] for row in self.world.run(self.world.site.rows(STATE))}
        held = set()
        for pair in self.pairs:
            model = pair.model
            in_force = int(model.state == "FINALIZED")
            wanted = (
                (model.state, model.agreements, in_force)
                if model.kind == "negotiation"
                else (model.state, 0, 0)
            )
            assert found[pair.play.id] == wanted, model
            mine = [row for row in rows if row.process_id == pair.play.id]
            outbox = [(row.message, row.leads_to, bool(row.shown), bool(row.waits)) for row in mine]
            assert outbox == [
                (key_of(model.kind, row.message), row.leads_to, row.shown, row.after is not None)
                for row in model.rows
            ], model
            for row, stored in zip(model.rows, mine, strict=True):
                assert self.ids.setdefault(row, stored.message_id) == stored.message_id
                self.made.setdefault(stored.message_id, self.world.clock.now_s)
                self.tried.setdefault(stored.message_id, 0)
            held |= {self.ids[row] for row in (*model.rows, *model.gone) if row.after is None}
        assert {each.document["@id"] for each in self.world.site.sendings} == held


def body(document: dict[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True).encode()


def key_of(kind: str, message: str) -> str:
    return name_of(kind, message) + EVENTS.get(message, "")


@pytest.mark.timeout(max(120, STEPS // 20))
def test_a_connector_does_what_the_model_says_whatever_is_sent_to_it(template):
    world = Partner.world = World(template)
    limits = settings(
        max_examples=STEPS // AT_LEAST + 1,
        stateful_step_count=A_RUN + 1,
        deadline=None,
        derandomize=STEPS <= ORDINARY,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    try:
        run_state_machine_as_test(Partner, settings=limits)
    finally:
        world.end()
    assert count["steps"] >= STEPS


def test_an_end_that_waited_behind_an_agreement_is_not_sent_when_the_partner_ended_it_first(template):
    world = World(template)
    world.open(policy=True)

    async def both_end() -> list[str]:
        play = Play(world, "negotiation", models.PROVIDER)
        await play.begin()
        assert await play.move(models.TERMINATION)
        await world.settle()
        assert await play.send(models.TERMINATION) == (200, models.TERMINATED)
        assert await world.settle() == []
        return [each.document["@type"] for each in world.site.sendings]

    try:
        assert world.run(both_end()) == ["ContractAgreementMessage"]
        world.close()
    finally:
        world.end()
