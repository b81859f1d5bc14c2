"""A history, read once and looked up many times: messages with what they say, and everything by its process.

Whatever cannot be read is kept as far as it can: a checker must not fall over what it is there to find. Each message is
read once, so that the time grows with the number of messages and no faster.
"""

from __future__ import annotations

from collections import defaultdict
from hashlib import sha256
from typing import Any
from urllib.parse import unquote

import msgspec
from msgspec import Struct

from comity import errors, strict_json
from comity.dsp import machine, spelling, terms
from comity.evidence.entry import Entry
from comity.testing import record

Document = dict[str, Any]
Name = tuple[str, str]
"""A process: the participant in whose store it is, and its id there."""
TAKEN = {"in": {"accepted"}, "out": {"acknowledged", "not sent"}}
"""Outcomes of records of the evidence that tell of a change of state."""
UNSENDABLE = {"not sent", "given up"}
TOLD = "state"
"""Stands for a message in a record of the evidence that a state was taken over from the partner, after a restore."""
KINDS = {"negotiations": terms.NEGOTIATION, "transfers": terms.TRANSFER}
FIRST = ("request", "offers")
OK, MULTIPLE_CHOICES = 200, 300


_NAMES = {
    "type": "@type",
    "id": "@id",
    "consumer_pid": "consumerPid",
    "provider_pid": "providerPid",
    "event_type": "eventType",
    "data_address": "dataAddress",
}


class Said(Struct, rename=_NAMES):
    """What the checker reads of a message or an answer; policies and addresses are empty, or read when needed."""

    type: str = ""
    id: str = ""
    consumer_pid: str = ""
    provider_pid: str = ""
    event_type: str = ""
    state: str = ""
    offer: msgspec.Raw = msgspec.Raw()
    agreement: msgspec.Raw = msgspec.Raw()
    data_address: msgspec.Raw = msgspec.Raw()
    reason: Any = None
    code: Any = None


_decoder = msgspec.json.Decoder(Said)
_NOTHING = Said()


def read(body: bytes) -> Said:
    """Read a message or an answer, whatever spelling its names have; what cannot be read says nothing."""
    try:
        said = _decoder.decode(body) if body else _NOTHING
        if not body or (said.type and ":" not in said.type and b"dspace:" not in body):
            return said
    except (msgspec.MsgspecError, RecursionError):
        pass
    try:
        plain = spelling.plain(strict_json.decode_object(body))
        plain["@type"] = spelling.bare(plain.get("@type", ""))
        plain["eventType"] = spelling.bare(plain.get("eventType", ""))
        return _decoder.decode(msgspec.json.encode(plain))
    except (errors.InvalidInputError, msgspec.MsgspecError, RecursionError):
        return _NOTHING


def digest(document: Document) -> str:
    """Return the digest of an offer or agreement as a text, without its context: equal documents have equal ones."""
    return strict_json.digest({name: value for name, value in document.items() if name != "@context"}).hex()


def document_of(raw: msgspec.Raw) -> Document:
    """Return a policy or an address in a message, empty if there is none that is an object."""
    found = msgspec.json.decode(raw) if raw else {}
    return found if isinstance(found, dict) else {}


class Spoken(Struct, kw_only=True):
    """A message with what it says: for which process at the receiver, from which at the sender (empty: not known).

    `first` says that it begins a process; `number` is its place in the history.
    """

    number: int
    message: record.Message
    kind: str
    key: str
    first: bool
    said: Said
    answer: Said
    sha256: str
    receiver_pid: str
    sender_pid: str
    sender_role: str

    @property
    def accepted(self) -> bool:
        """Whether the receiver took it, as far as this view goes."""
        status = self.message.status
        return status is not None and OK <= status < MULTIPLE_CHOICES

    @property
    def received(self) -> bool:
        """Whether this is what the receiver saw and answered."""
        return self.message.leg != record.SENDER

    @property
    def taken(self) -> bool:
        """Whether a message to a process was answered with 2xx by its receiver."""
        return self.received and self.accepted and self.message.method == "POST"

    @property
    def at_receiver(self) -> Name:
        """The process at the receiver."""
        return (self.message.receiver, self.receiver_pid)

    @property
    def at_sender(self) -> Name:
        """The process at the sender."""
        return (self.message.sender, self.sender_pid)

    @property
    def content(self) -> tuple[str, ...]:
        """What makes a repeat of it the same message."""
        if self.first:
            return (self.message.receiver, self.message.sender, self.kind, self.sender_pid)
        return (self.message.receiver, self.receiver_pid, self.message.sender, self.said.id or self.sha256)


_SENDERS = {message: by for table in machine.TABLES.values() for (_, message, by) in table}
_EITHER = {
    message for table in machine.TABLES.values() for (_, message, by) in table if by != _SENDERS[message]
}


def spoken(number: int, message: record.Message) -> Spoken | None:
    """Return a message with what it says, None if it is none of the protocol's about a process."""
    collection, _, rest = message.path.strip("/").partition("/")
    kind = KINDS.get(collection)
    if kind is None or not rest:
        return None
    pid, _, action = rest.partition("/")
    first = not action and message.method == "POST" and pid in FIRST
    said, answer = read(message.body), read(message.answer)
    key = f"{said.type}:{said.event_type}" if said.event_type else said.type
    receiver_pid = "" if first else unquote(pid)
    role = _SENDERS.get(key, "")
    if key in _EITHER:
        role = terms.CONSUMER if receiver_pid == said.provider_pid else terms.PROVIDER
    ours, theirs = (
        (said.consumer_pid, said.provider_pid)
        if role == terms.CONSUMER
        else (said.provider_pid, said.consumer_pid)
    )
    if first:
        receiver_pid = answer.provider_pid if role == terms.CONSUMER else answer.consumer_pid
    return Spoken(
        number=number,
        message=message,
        kind=kind,
        key=key,
        first=first,
        said=said,
        answer=answer,
        sha256=sha256(message.body).hexdigest(),
        receiver_pid=receiver_pid or theirs,
        sender_pid=ours,
        sender_role=role,
    )


class Book:
    """The indices that the invariants share."""

    def __init__(self, history: record.History) -> None:
        self.history = history
        self.sides = {side.participant_id: side for side in history.sides}
        self.processes: dict[Name, record.Process] = {}
        self.counterparts: dict[Name, Name] = {}
        """A process as the other side names it: (its participant, its id) by (participant, the partner's id)."""
        self.agreements: dict[Name, list[record.Agreement]] = defaultdict(list)
        """Of a negotiation."""
        self.agreements_by_id: dict[Name, list[record.Agreement]] = defaultdict(list)
        """By participant and their own id, which two partners may use."""
        self.outbox: dict[Name, list[record.Outgoing]] = defaultdict(list)
        self.events: dict[Name, list[record.Event]] = defaultdict(list)
        self.entries: dict[Name, list[Entry]] = defaultdict(list)
        for side in history.sides:
            self._add(side)
        self.spoken = [
            found
            for number, message in enumerate(history.messages or ())
            if (found := spoken(number, message)) is not None
        ]
        self.taken = sorted(
            (each for each in self.spoken if each.taken),
            key=lambda each: each.message.answered_at or each.message.at,
        )
        self._first_copy: dict[tuple[str, ...], int] = {}
        for each in self.spoken:
            if each.received and each.message.method == "POST":
                earliest = min(self._first_copy.get(each.content, each.message.at), each.message.at)
                self._first_copy[each.content] = earliest
        self.steps = self._steps()
        """Messages that were taken, without the repeats of those before, in the order of their effects."""

    def _add(self, side: record.Side) -> None:
        me = side.participant_id
        for process in side.processes or ():
            self.processes[me, process.id] = process
            if process.counterparty_pid:
                self.counterparts.setdefault(
                    (process.counterparty_id, process.counterparty_pid), (me, process.id)
                )
        for agreement in side.agreements or ():
            self.agreements[me, agreement.negotiation_id].append(agreement)
            self.agreements_by_id[me, agreement.id].append(agreement)
        for outgoing in side.outbox or ():
            self.outbox[me, outgoing.process_id].append(outgoing)
        for event in side.events or ():
            self.events[me, event.subject].append(event)
        for row in side.evidence or ():
            entry = _entry(row.record)
            if entry is not None and entry.process_id:
                self.entries[me, entry.process_id].append(entry)

    def _steps(self) -> list[Spoken]:
        seen: set[tuple[str, ...]] = set()
        found = []
        for each in self.taken:
            if each.content not in seen:
                seen.add(each.content)
                found.append(each)
        return sorted(found, key=self._taken_at)

    def _taken_at(self, step: Spoken) -> int:
        """Return when a message had its effect: a copy whose answer nobody saw may have had it already."""
        if self.is_repeat(step):
            return self._first_copy[step.content]
        return step.message.answered_at or step.message.at

    def is_repeat(self, step: Spoken) -> bool:
        """Whether the same message came before, answered or not: the answer may be the one that was given then."""
        return self._first_copy[step.content] < step.message.at

    def other(self, name: Name) -> Name | None:
        """Return the process on the other side, None if that side is not in the history or has none."""
        process = self.processes.get(name)
        if process is None:
            return self.counterparts.get(name)
        if (found := (process.counterparty_id, process.counterparty_pid)) in self.processes:
            return found
        return self.counterparts.get(name)

    def changes(self, name: Name) -> list[Entry]:
        """Return the records of the evidence that tell of a change of a process's state."""
        return [each for each in self.entries.get(name, ()) if each.outcome in TAKEN.get(each.direction, ())]

    def states(self, name: Name) -> list[str | None]:
        """Return the states of a process in the order of its events."""
        return [each.state for each in self.events.get(name, ())]

    def ended_unsent(self, name: Name) -> bool:
        """Whether a side recorded that it ended a process without being able to tell the other."""
        return any(each.outcome in UNSENDABLE for each in self.entries.get(name, ()))

    def was_terminated(self, name: Name) -> bool:
        """Whether a process ended for nothing: its row may have been removed since."""
        return terms.TERMINATED in self.states(name) or any(
            each.after == terms.TERMINATED for each in self.changes(name)
        )

    def sides_with(self, *fields: str) -> list[record.Side]:
        """Return the sides of which all these are known."""
        return [
            side for side in self.history.sides if all(getattr(side, each) is not None for each in fields)
        ]


_entry_decoder = msgspec.json.Decoder(Entry)


def _entry(row: bytes) -> Entry | None:
    try:
        return _entry_decoder.decode(row)
    except msgspec.MsgspecError:
        return None
