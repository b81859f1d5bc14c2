"""I1 both sides come together, I2 only legal paths, I6 what was acknowledged is there, I14 no end in silence.

Legal paths are the tables of `comity.dsp.machine`. A message of one's own that the partner's next message shows to have
arrived may lead a side two steps at once (`comity.dsp.process`): the evidence must then say so.
"""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from itertools import pairwise

from comity.dsp import machine, terms
from comity.evidence.entry import Entry
from comity.testing import record
from comity.testing.book import TOLD, UNSENDABLE, Book, Name, Spoken
from comity.testing.ruling import Ruling

TERMINATIONS = frozenset(machine.TERMINATIONS.values())


@cache
def edges(kind: str) -> frozenset[tuple[str | None, str | None]]:
    """Return the pairs of states that one message leads from and to."""
    return frozenset((before, after) for (before, _, _), after in machine.TABLES[kind].items())


@cache
def reachable(kind: str, state: str | None) -> frozenset[str | None]:
    """Return the states that can follow on a state sooner or later, itself among them."""
    found, new = {state}, {state}
    while new:
        new = {after for before, after in edges(kind) if before in new} - found
        found |= new
    return frozenset(found)


@cache
def target(kind: str, message: str) -> str:
    """Return the one state that a message leads to."""
    return next((after for (_, key, _), after in machine.TABLES[kind].items() if key == message), "")


def convergence(book: Book, ruling: Ruling) -> None:
    """I1: both sides show the same state, and what has not ended waits for a message or a person."""
    if not book.history.quiet:
        ruling.lacks("the connectors have not come to rest")
        return
    both = False
    for side in book.sides_with("processes", "outbox"):
        for process in side.processes or ():
            name = (side.participant_id, process.id)
            _check_rest(book, ruling, name, process)
            partner = book.sides.get(process.counterparty_id)
            if partner is not None and partner.processes is not None:
                both = True
                ruling.cases += 1
                _check_same(book, ruling, name, process)
    if not both:
        ruling.lacks("no process is known from the stores of both sides")


def _check_rest(book: Book, ruling: Ruling, name: Name, process: record.Process) -> None:
    for row in book.outbox.get(name, ()):
        ruling.breaks(process.id, f"{name[0]} still has to send {row.message}, although all has come to rest")


def _check_same(book: Book, ruling: Ruling, name: Name, process: record.Process) -> None:
    other = book.other(name)
    partner = process.counterparty_id
    if other is None:
        gone = process.state == terms.TERMINATED
        if not gone or (process.counterparty_pid and not _explained(book, name)):
            ruling.breaks(
                process.id,
                f"{name[0]} holds it in {process.state or 'no state yet'}, and {partner} has no such process",
            )
        return
    theirs = book.processes[other]
    if process.state == theirs.state:
        resting = (
            process.state in machine.TERMINAL or (process.kind, process.state or "") in book.history.resting
        )
        waiting = book.outbox.get(name) or book.outbox.get(other)
        if not resting and not waiting:
            ruling.breaks(
                process.id, f"both sides hold it in {process.state}, and nothing is on its way between them"
            )
    elif not _explained(book, name) and not _explained(book, other):
        ruling.breaks(
            process.id, f"{name[0]} holds it in {process.state}, {partner} its counterpart in {theirs.state}"
        )


def _explained(book: Book, name: Name) -> bool:
    """Whether this side ended it and recorded that the other could not be told, or its row was removed since."""
    process = book.processes.get(name)
    ended = process is None or process.state == terms.TERMINATED
    partner = (process.counterparty_id, process.counterparty_pid) if process else ("", "")
    return (ended and book.ended_unsent(name)) or (
        partner not in book.processes and book.was_terminated(partner)
    )


def legal_paths(book: Book, ruling: Ruling) -> None:
    """I2: what each side's events, evidence, store and answers show is a path of the machine that never goes back."""
    for name, process in book.processes.items():
        kind, role = process.kind, process.role
        ruling.cases += bool(book.events.get(name) or book.entries.get(name))
        _check_events(book, ruling, name, kind, role)
        for entry in book.changes(name):
            _check_entry(ruling, name, entry, kind, role)
    observed: dict[Name, list[Spoken]] = defaultdict(list)
    steps = {id(each) for each in book.steps}
    for each in book.spoken:
        if (
            each.received
            and each.accepted
            and each.answer.state
            and (each.message.method == "GET" or (id(each) in steps and not book.is_repeat(each)))
        ):
            observed[each.at_receiver].append(each)
    for name, seen in observed.items():
        ruling.cases += 1
        _check_answers(ruling, name, seen)
    if not ruling.cases:
        ruling.lacks("there are no events, no evidence and no answers with states")


def _check_events(book: Book, ruling: Ruling, name: Name, kind: str, role: str) -> None:
    states = book.states(name)
    shown = {(each.before or None, each.after) for each in book.changes(name)}
    side = book.sides[name[0]]
    for before, after in pairwise(states):
        legal = (before, after) in edges(kind) or (
            after == terms.TERMINATED and before not in machine.TERMINAL
        )
        if not legal and not any(
            side.evidence is None or (middle, after) in shown
            for middle in _between(kind, before, after, role)
        ):
            ruling.breaks(
                name[1], f"the events of {name[0]} go from {before} to {after}: no message leads there"
            )
    process = book.processes.get(name)
    if states and process is not None and process.state != states[-1]:
        ruling.breaks(
            name[1], f"the store of {name[0]} says {process.state}, its last event says {states[-1]}"
        )
    for first in states[:1]:
        if book.events[name][0].number == 1 and first is not None and (None, first) not in edges(kind):
            ruling.breaks(name[1], f"the events of {name[0]} begin with {first}: nothing begins so")


def _between(kind: str, before: str | None, after: str | None, role: str) -> list[str]:
    """Return the states that lie between two when our own message and the partner's next one count as one step."""
    table = machine.TABLES[kind]
    middles = {to for (at, _, by), to in table.items() if at == before and by == role}
    other = terms.other(role)
    return [to for to in middles if any(table.get((to, key, other)) == after for _, key, _ in table)]


def _check_entry(ruling: Ruling, name: Name, entry: Entry, kind: str, role: str) -> None:
    by = role if entry.sender == name[0] else terms.other(role)
    if machine.TABLES[kind].get((entry.before or None, entry.message, by)) == entry.after:
        return
    if entry.message == TOLD and entry.after in reachable(kind, entry.before or None):
        return
    unsent = entry.message in TERMINATIONS and entry.after == terms.TERMINATED
    if unsent and (entry.outcome in UNSENDABLE or entry.before == terms.TERMINATED) and by == role:
        return  # our own end, before anything was sent or told afterwards
    ruling.breaks(
        name[1],
        f"the evidence of {name[0]} has {entry.message} from the {by} lead from"
        f" {entry.before or 'nothing'} to {entry.after}: the machine does not",
    )


def _check_answers(ruling: Ruling, name: Name, seen: list[Spoken]) -> None:
    """Require that no request that came after an answer is told a state from before that answer's."""
    answered = sorted(seen, key=_answered_at)
    floor: str | None = None
    done = 0
    for each in sorted(seen, key=lambda each: each.message.at):
        while done < len(answered) and _answered_at(answered[done]) < each.message.at:
            told = answered[done].answer.state
            if told in reachable(each.kind, floor):
                floor = told
            done += 1
        if each.answer.state not in reachable(each.kind, floor):
            ruling.breaks(
                name[1],
                f"{name[0]} said {floor}, and to a later request {each.answer.state}: its state went back",
            )


def _answered_at(each: Spoken) -> int:
    return each.message.answered_at if each.message.answered_at is not None else each.message.at


def durable(book: Book, ruling: Ruling) -> None:
    """I6: whatever was answered with 2xx, on the wire or to a person, is in the store that answered."""
    for step in book.steps:
        side = book.sides.get(step.message.receiver)
        if not step.sender_role:
            ruling.lacks(f"a message to {step.message.path} was taken, and it cannot be read")
        elif side is not None and side.processes is not None:
            ruling.cases += 1
            want = step.answer.state or target(step.kind, step.key)
            _check_there(book, ruling, step.at_receiver, want, f"it answered {step.key} with 2xx")
    for side in book.sides_with("processes", "evidence"):
        for process in side.processes or ():
            _check_recorded(book, ruling, (side.participant_id, process.id), process)
    _check_operations(book, ruling)
    if not ruling.cases:
        ruling.lacks("no answer is known together with the store that gave it")


def _check_recorded(book: Book, ruling: Ruling, name: Name, process: record.Process) -> None:
    """Require that what a side's evidence says is in its store, and what it saw acknowledged in the other's."""
    partner = book.sides.get(process.counterparty_id)
    other = book.other(name) or (process.counterparty_id, process.counterparty_pid)
    for entry in book.changes(name):
        ruling.cases += 1
        if entry.after not in book.states(name) and process.state not in reachable(process.kind, entry.after):
            ruling.breaks(
                name[1], f"the evidence of {name[0]} has {entry.after}, its store says {process.state}"
            )
        if entry.outcome == "acknowledged" and partner is not None and partner.processes is not None:
            what = f"{name[0]} has its acknowledgement of {entry.message}"
            _check_there(book, ruling, other, entry.after, what)


def _check_there(book: Book, ruling: Ruling, name: Name, want: str, why: str) -> None:
    process = book.processes.get(name)
    states = book.states(name)
    if process is None:
        if not book.was_terminated(name):
            ruling.breaks(name[1], f"{why}, and {name[0]} does not have the process")
    elif states and book.events[name][0].number == 1:
        if want and want not in states:
            ruling.breaks(name[1], f"{why}, and the events of {name[0]} never reached {want}")
    elif want and process.state not in reachable(process.kind, want):
        ruling.breaks(
            name[1], f"{why}, and {name[0]} holds it in {process.state}, which does not follow on {want}"
        )


def _check_operations(book: Book, ruling: Ruling) -> None:
    for each in book.history.operations or ():
        side = book.sides.get(each.participant_id)
        if each.outcome != record.OK or side is None or side.processes is None:
            continue
        if each.creates:
            ruling.cases += 1
            name = (each.participant_id, each.created)
            if name not in book.processes and not book.was_terminated(name):
                ruling.breaks(
                    each.created, f"{name[0]} told a person that it was begun, and does not have it"
                )
        elif each.leads_to and book.history.quiet:
            ruling.cases += 1
            name = (each.participant_id, each.process_id)
            process = book.processes.get(name)
            if (
                process is not None
                and each.leads_to != process.state
                and each.leads_to not in book.states(name)
            ):
                if process.state in machine.TERMINAL:
                    continue  # another end came first, and both were told
                ruling.breaks(
                    each.process_id,
                    f"{name[0]} took {each.leads_to} from a person, and holds it in {process.state}",
                )


def no_silent_end(book: Book, ruling: Ruling) -> None:
    """I14: every end for nothing has a reason, and was told to the other side or recorded as not tellable."""
    known = book.history.messages is not None
    told = {
        name
        for each in book.spoken
        if each.key in TERMINATIONS
        for name in (each.at_sender, each.at_receiver)
    }
    for side in book.sides_with("processes"):
        if side.evidence is None and not known:
            ruling.lacks(f"neither the evidence of {side.participant_id} nor the messages are known")
            continue
        for process in side.processes or ():
            if process.state != terms.TERMINATED:
                continue
            ruling.cases += 1
            name = (side.participant_id, process.id)
            if not process.error.strip():
                ruling.breaks(process.id, f"{name[0]} holds it as TERMINATED without a reason")
            if name not in told and not _tells(book, name):
                ruling.breaks(
                    process.id, f"{name[0]} ended it, and neither told its partner nor recorded why not"
                )
    for each in book.spoken:
        if each.key in TERMINATIONS and each.message.sender in book.sides:
            ruling.cases += 1
            if not _says_why(each):
                ruling.breaks(each.sender_pid, f"{each.message.sender} sent {each.key} without a reason")


def _tells(book: Book, name: Name) -> bool:
    recorded = any(
        each.message in TERMINATIONS for each in book.entries.get(name, ()) if each.outcome != "refused"
    )
    return recorded or any(row.message in TERMINATIONS for row in book.outbox.get(name, ()))


def _says_why(each: Spoken) -> bool:
    reasons = each.said.reason if isinstance(each.said.reason, list) else [each.said.reason]
    return any(str(reason).strip() for reason in reasons if reason) or bool(each.said.code)
