"""Every single change of a history that makes it contradict itself, each with what it is called."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import msgspec

from comity.dsp import machine, terms
from comity.evidence import entry
from comity.testing import record
from comity.testing.history import History
from support.stories import STRANGER

replace = msgspec.structs.replace
Mutation = tuple[str, Callable[[], History]]


def mutations(history: History) -> Iterator[Mutation]:
    """Name every single change that contradicts what else is known, with what makes it."""
    for place, side in enumerate(history.sides):
        for what, made in _of_side(side):
            yield what, lambda place=place, made=made: _with_side(history, place, made())
    yield from _of_wire(history)
    yield from _of_data(history)


def _with_side(history: History, place: int, side: record.Side) -> History:
    sides = list(history.sides)
    sides[place] = side
    return replace(history, sides=tuple(sides))


def _put(items, place, *new):
    return (*items[:place], *new, *items[place + 1 :])


def _of_side(side: record.Side) -> Iterator[tuple[str, Callable[[], record.Side]]]:
    def changed(field, place, *new):
        return lambda: replace(side, **{field: _put(getattr(side, field), place, *new)})

    for place, each in enumerate(side.processes):
        if each.state != terms.TERMINATED:  # what has ended for nothing may be taken out of the way
            yield "a process is missing", changed("processes", place)
        twin = replace(each, id=each.id + "x")
        yield "a process is there twice", changed("processes", place, each, twin)
        for state in sorted(set(machine.TABLES[each.kind].values()) - {each.state}):
            yield "a process is in another state", changed("processes", place, replace(each, state=state))
        yield (
            "a process counts its events wrong",
            changed("processes", place, replace(each, number=each.number + 1)),
        )
        if each.state == terms.TERMINATED:
            yield "an end has no reason", changed("processes", place, replace(each, error=""))
        row = record.Outgoing(process_id=each.id, message=machine.VERIFICATION, leads_to=terms.VERIFIED)
        yield (
            "a message is still to be sent",
            lambda row=row: replace(side, outbox=(*side.outbox, row)),
        )
    for place, each in enumerate(side.agreements):
        if each.finalized:
            yield "an agreement is missing", changed("agreements", place)
            yield "an agreement is not in force", changed("agreements", place, replace(each, finalized=False))
        for name, value in (
            ("permission", [{"action": "read"}]),
            ("assignee", STRANGER),
            ("target", "other"),
            ("@id", "urn:other"),
        ):
            document = {**each.document, name: value}
            yield (
                f"an agreement has another {name}",
                changed("agreements", place, replace(each, document=document)),
            )
        yield (
            "an agreement names another message",
            changed("agreements", place, replace(each, message_sha256="0" * 64)),
        )
        twin = replace(each, id=each.id + "x", document={**each.document, "@id": each.id + "x"})
        yield "a negotiation has two agreements", changed("agreements", place, each, twin)
    yield from _of_events(side, changed)
    yield from _of_evidence(side)


def _of_events(side, changed):
    for place, each in enumerate(side.events):
        yield "an event is missing", changed("events", place)
        yield "an event comes twice", changed("events", place, each, replace(each, id=each.id + "x"))
        yield "an event tells of another state", changed("events", place, replace(each, state="VERIFYING"))
        yield "two events have one id", changed("events", place, replace(each, id=side.events[place - 1].id))


def _of_evidence(side):
    rows = [json.loads(each.record) for each in side.evidence]
    taken = [
        place
        for place, row in enumerate(rows)
        if row.get("outcome", "accepted") in {"accepted", "acknowledged"} and row.get("processId")
    ]

    def rechained(changed_rows):
        return lambda: replace(side, evidence=chained(changed_rows))

    for place in taken:
        row = rows[place]
        yield "a record is missing", rechained(_put(rows, place))
        yield "a record is there twice", rechained(_put(rows, place, row, row))
        yield "a record has another digest", rechained(_put(rows, place, {**row, "sha256": "0" * 64}))
        yield "a record leads elsewhere", rechained(_put(rows, place, {**row, "after": "VERIFYING"}))
        yield "a record is of a third party", rechained(_put(rows, place, {**row, "sender": STRANGER}))
        old = side.evidence[place]
        for field, value in (("hash", bytes(32)), ("record", old.record + b" ")):
            bad = msgspec.structs.replace(old, **{field: value})
            yield (
                "the chain is broken",
                lambda bad=bad, place=place: replace(side, evidence=_put(side.evidence, place, bad)),
            )


def chained(rows) -> tuple[record.Evidence, ...]:
    """Chain records anew, as somebody would who hides a change."""
    found, head = [], entry.GENESIS
    for number, row in enumerate(rows, 1):
        body = json.dumps(row, sort_keys=True, separators=(",", ":")).encode()
        head = entry.link(head, body)
        found.append(record.Evidence(number, body, head))
    return tuple(found)


def _of_wire(history: History) -> Iterator[Mutation]:
    def changed(place, each):
        return lambda: replace(history, messages=_put(history.messages, place, each))

    parties = {side.participant_id for side in history.sides}
    for place, each in enumerate(history.messages):
        if each.status not in {200, 201} or each.method != "POST" or each.leg == record.SENDER:
            continue
        if not {each.sender, each.receiver} <= parties:
            continue
        first = each.path in {"/negotiations/request", "/negotiations/offers", "/transfers/request"}
        if not first:  # a copy of a first message is known by its pid, and may have another id
            yield (
                "a message that was taken had another body",
                changed(place, replace(each, body=each.body.replace(b"@id", b"@ix"))),
            )
        yield "a third party's message was taken", changed(place, replace(each, sender=STRANGER))
        document = json.loads(each.answer)
        if first:
            ours = "providerPid" if "consumerPid" in json.loads(each.body) else "consumerPid"
            answer = json.dumps({**document, ours: "urn:lost"}).encode()
            yield "a process that was acknowledged is missing", changed(place, replace(each, answer=answer))


def _of_data(history: History) -> Iterator[Mutation]:
    def served(place, each):
        return lambda: replace(history, served=_put(history.served, place, each))

    for place, each in enumerate(history.served):
        if not each.size or each.status != 200:
            continue
        yield "data went before its start", served(place, replace(each, at=1, until=2))
        yield "data went by another token", served(place, replace(each, token_sha256="0" * 64))
        yield "data went to a third party", served(place, replace(each, receiver=STRANGER))
        yield "data went under no transfer", served(place, replace(each, transfer_id="urn:none"))
        if each.path:
            yield "other data was served", served(place, replace(each, sha256="0" * 64))
    for place, each in enumerate(history.received):
        for files in ({**each.files, "a.txt": "0" * 64}, {}, {**each.files, "more.txt": "0" * 64}):
            yield (
                "other data was received",
                lambda place=place, each=each, files=files: replace(
                    history, received=_put(history.received, place, replace(each, files=files))
                ),
            )
    for place, each in enumerate(history.readings):
        document = {**each.document, "permission": []}
        yield (
            "an agreement was shown otherwise",
            lambda place=place, each=each, document=document: replace(
                history, readings=_put(history.readings, place, replace(each, document=document))
            ),
        )
    for place, each in enumerate(history.operations):
        lost = replace(each, created="urn:lost")
        yield (
            "what a person was told is missing",
            lambda place=place, lost=lost: replace(history, operations=_put(history.operations, place, lost)),
        )
        more = replace(each, created=history.operations[place - 1].created + "x")
        yield (
            "one key has two answers",
            lambda more=more: replace(history, operations=(*history.operations, more)),
        )
