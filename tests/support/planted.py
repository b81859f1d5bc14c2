"""Faults to plant in a real connector, each a patch of one thing that it must do: what the checker has to catch.

Each takes pytest's `monkeypatch` and a `witnessed.World` whose connectors run.
"""

from __future__ import annotations

import contextlib
import dataclasses
from typing import Any

import msgspec

from comity import errors
from comity.api import dsp as endpoints
from comity.controlplane import decide, negotiation, negotiation_moves, process, repeats
from comity.db import agreements, events, evidence, negotiations, outbox
from comity.delivery import retry, worker
from comity.dsp import machine, terms
from comity.dsp import negotiation as documents
from comity.dsp import process as steps
from comity.evidence import entry
from comity.net.guard import Guard


class _LostError(Exception):
    """Rolls a unit back."""


class _Forgetful:
    """A store that answers before its commit, and then never commits."""

    def __init__(self, store: Any) -> None:
        self._store = store

    async def read(self, unit):
        return await self._store.read(unit)

    async def write(self, unit):
        results = []

        async def lost(tx):
            results.append(await unit(tx))
            raise _LostError

        with contextlib.suppress(_LostError):
            await self._store.write(lost)
        return results[-1]


def reply_before_commit(patch, world):
    real = negotiation.receive

    async def receive(connector, incoming, *, role):
        if incoming.key == machine.REQUEST:
            connector = dataclasses.replace(connector, database=_Forgetful(connector.database))
        return await real(connector, incoming, role=role)

    patch.setattr(endpoints.negotiation, "receive", receive)


def person_told_before_commit(patch, world):
    real = repeats._once

    async def once(connector, request, run):
        return await real(
            dataclasses.replace(connector, database=_Forgetful(connector.database)), request, run
        )

    patch.setattr(repeats, "_once", once)


def no_compare_and_set(patch, world):
    """A page that was opened long ago decides with what it showed then, and nothing compares versions."""
    rows = negotiations._ROWS
    patch.setattr(rows, "_update", rows._update.replace("AND version = ?2", "AND ?2 = ?2"))
    shown = {}
    save = rows.save

    async def remember(tx, changed, **more):
        saved = await save(tx, changed, **more)
        if saved.state == terms.REQUESTED:
            shown.setdefault(saved.id, saved)
        return saved

    async def make(connector, negotiation_id, move):
        stale = shown[negotiation_id]
        await connector.database.write(lambda tx: negotiation_moves.carry_out(connector, tx, stale, move))

    patch.setattr(negotiations, "save", remember)
    patch.setattr(negotiation_moves, "make", make)


def save_ignored(patch, world):
    """Somebody else changed the row in between, and nobody looks at what became of the update."""
    save = negotiations.save

    async def careless(tx, changed, **more):
        if changed.state == terms.FINALIZED and changed.role == terms.PROVIDER:
            await tx.run("UPDATE negotiation SET version = version + 1 WHERE id = ?1", changed.id)
            with contextlib.suppress(errors.ConflictError):
                return await save(tx, changed, **more)
            return changed
        return await save(tx, changed, **more)

    patch.setattr(negotiations, "save", careless)


def outbox_skipped(patch, world):
    add = outbox.add

    async def skip(tx, new):
        return new if new.message == machine.AGREEMENT else await add(tx, new)

    patch.setattr(outbox, "add", skip)


def deleted_before_acknowledged(patch, world):
    attempt = worker.Worker._attempt

    async def forgetful(self, row):
        if row.message == machine.AGREEMENT:
            store = self._outcomes._connector.database
            await store.write(lambda tx: tx.run("DELETE FROM outbox WHERE id = ?1", row.id))
        return await attempt(self, row)

    patch.setattr(worker.Worker, "_attempt", forgetful)


def _parties(patch, compare):
    """Let who asks for a process be compared with its partner in another way."""

    async def found(tx, process_id, asking):
        known = await negotiations.find(tx, process_id)
        return known if known is not None and compare(known.counterparty_id, asking) else None

    patch.setattr(negotiations, "find_with", found)


def compared_by_prefix(patch, world):
    _parties(patch, lambda partner, asking: partner[:17] == asking[:17])


def anybody_may(patch, world):
    _parties(patch, lambda *_: True)


def not_yours_told_from_missing(patch, world):
    def refuse(partner, asking):
        if partner != asking:
            raise errors.RemoteProtocolError("this negotiation is not yours")
        return True

    _parties(patch, refuse)


def agreement_rebuilt(patch, world):
    """The consumer keeps what it asked for, and not what it was sent."""
    insert = agreements.insert

    async def rebuilt(tx, new):
        if new.role == terms.CONSUMER:
            asked = (await negotiations.load(tx, new.negotiation_id)).offer
            document = documents.agreement_document(
                asked,
                agreement_id=new.id,
                provider_id=new.provider_id,
                consumer_id=new.consumer_id,
                timestamp="2026-01-01T00:00:00Z",
            )
            new = msgspec.structs.replace(new, document=document)
        await insert(tx, new)

    patch.setattr(agreements, "insert", rebuilt)


def agreement_changed_by_both(patch, world):
    """The provider adds a permission when it agrees, and the consumer does not compare."""
    made = documents.agreement_document

    def generous(offer, **more):
        found = made(offer, **more)
        return {**found, "permission": [*found["permission"], {"action": "distribute"}]}

    patch.setattr(documents, "agreement_document", generous)
    patch.setattr(documents, "check_agreement", lambda *_, **__: None)


def never_in_force(patch, world):
    async def forget(tx, negotiation_id):
        pass

    patch.setattr(agreements, "finalize", forget)


def nothing(patch, world):
    """The fault is in what is driven: somebody changes the store behind the connector's back."""


def repeats_not_known(patch, world):
    async def unknown(tx, *key):
        return None

    patch.setattr(process.inbox, "find", unknown)


def one_pid_two_processes(patch, world):
    async def unknown(tx, *key):
        return None

    patch.setattr(negotiations, "find_by_party", unknown)
    patch.setattr(process.inbox, "find", unknown)
    world.before.append(lambda tx: tx.run("DROP INDEX negotiation_of_party"))


def key_forgotten(patch, world):
    async def unknown(tx, *key, since_ms):
        return None

    async def not_kept(tx, new, *, since_ms):
        return True

    patch.setattr(repeats.repeatable, "find", unknown)
    patch.setattr(repeats.repeatable, "insert", not_kept)


def _evidence_without(patch, key):
    append = evidence.append

    async def skip(tx, each, *beside):
        if key not in {each.message, f"{each.direction} {each.message}"}:
            await append(tx, each, *beside)

    patch.setattr(evidence, "append", skip)


def evidence_missing(patch, world):
    _evidence_without(patch, f"in {machine.VERIFICATION}")


def evidence_of_ours_missing(patch, world):
    _evidence_without(patch, f"out {machine.FINALIZE}")


def evidence_in_another_transaction(patch, world):
    """Records are gathered and written three at a time; what waited when the process died is lost."""
    append, waiting = evidence.append, []

    async def later(tx, *each):
        waiting.append(each)
        if len(waiting) == 3:
            for gathered in waiting:
                await append(tx, *gathered)
            waiting.clear()

    patch.setattr(evidence, "append", later)


def chain_forked(patch, world):
    link, count = entry.link, iter(range(1000))

    def forked(before, row):
        return link(entry.GENESIS if next(count) == 4 else before, row)

    patch.setattr(entry, "link", forked)


def state_goes_back(patch, world):
    take_first = process.take_first

    async def careless(tx, incoming, known, *more, **named):
        repeat = await take_first(tx, incoming, known, *more, **named)
        if repeat is not None:
            await negotiations.save(tx, msgspec.structs.replace(known, state=repeat))
        return repeat

    patch.setattr(process, "take_first", careless)


def steps_not_checked(patch, world):
    def anything(kind, state, intent, message, sender, **more):
        return steps.Step(
            state, next(to for (_, key, _), to in machine.TABLES[kind].items() if key == message)
        )

    patch.setattr(steps, "receive", anything)


def event_twice(patch, world):
    add = events.add

    async def twice(tx, name, subject, **more):
        await add(tx, name, subject, **more)
        if name.endswith("finalized"):
            await add(tx, name, subject, **more)

    patch.setattr(events, "add", twice)


def event_skipped(patch, world):
    add = events.add

    async def skip(tx, name, subject, **more):
        if not name.endswith("verified"):
            await add(tx, name, subject, **more)

    patch.setattr(events, "add", skip)


def ended_without_reason(patch, world):
    made = documents.termination_message

    def silent(record_, reason, **more):
        return made(record_, "", **{**more, "code": None})

    patch.setattr(documents, "termination_message", silent)


def ended_without_telling(patch, world):
    carry_out = negotiation_moves.carry_out

    async def alone(connector, tx, known, move, *more, **named):
        if move.kind != decide.TERMINATE:
            return await carry_out(connector, tx, known, move, *more, **named)
        ended = process.stepped(known, terms.TERMINATED, now_ms=connector.now_ms(), error=move.reason)
        return await negotiations.save(tx, ended)

    patch.setattr(negotiation_moves, "carry_out", alone)


def retries_without_pause(patch, world):
    patch.setattr(retry, "delay_s", lambda *_, **__: 0.0)


def guard_off(patch, world):
    patch.setattr(Guard, "check_address", lambda self, ip: None)


def key_in_the_log(patch, world):
    find = world.consumer.parts.internal

    async def talkative(scope, receive, send):
        endpoints.log.warning("a request with the headers %s", dict(scope["headers"]))
        await find(scope, receive, send)

    world.consumer.parts = dataclasses.replace(world.consumer.parts, internal=talkative)


def key_in_an_answer(patch, world):
    async def broken(connector, request, run):
        raise errors.ConflictError(f"the key {world.consumer.conf.management_key} was used before")

    patch.setattr(repeats, "_once", broken)
