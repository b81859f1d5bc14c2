"""I10 events once and in order, I11 the evidence is complete and its chain holds.

The evidence is that of `comity.evidence`; each side's is compared with its events, the messages, and the other side's.
"""

from __future__ import annotations

from collections import Counter, defaultdict

from comity.evidence import entry as entries
from comity.testing import record
from comity.testing.book import Book, Name, Spoken
from comity.testing.ruling import Ruling


def effects_once(book: Book, ruling: Ruling) -> None:
    """I10: the events of a process are numbered without gap or repeat; what is delivered keeps order and id."""
    sides = book.sides_with("events")
    if not sides:
        ruling.lacks("no log of events is known")
    for side in sides:
        _check_log(book, ruling, side)
    for place, got in _delivered(book).items():
        ruling.cases += 1
        _check_delivered(book, ruling, place, got)


def _check_log(book: Book, ruling: Ruling, side: record.Side) -> None:
    me, log = side.participant_id, side.events or ()
    names = Counter(each.id for each in log)
    for each in log:
        if names[each.id] > 1:
            ruling.breaks(each.subject, f"{me} gave the id {each.id} to {names[each.id]} events")
            names[each.id] = 1
    purged = side.oldest_event > 1
    subjects = {each.subject for each in log}
    for subject in subjects:
        ruling.cases += 1
        numbers = [each.number for each in book.events[me, subject]]
        first = numbers[0] if purged else 1
        if numbers != list(range(first, first + len(numbers))):
            ruling.breaks(
                subject, f"{me} numbered its events {_short(numbers)}: a gap, a repeat or another order"
            )
    for process in side.processes or ():
        numbered = book.events.get((me, process.id), [])
        last = numbered[-1].number if numbered else 0
        if process.number is not None and process.number != last and not (purged and not numbered):
            ruling.breaks(process.id, f"{me} counts {process.number} events of it, the log has {last}")


def _short(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:12]))
    return shown + (" ..." if len(numbers) > 12 else "")  # noqa: PLR2004  enough to see it


def _delivered(book: Book) -> dict[tuple[str, str, str], list[record.Delivery]]:
    found: dict[tuple[str, str, str], list[record.Delivery]] = defaultdict(list)
    for each in sorted(book.history.deliveries or (), key=lambda each: each.at):
        found[each.participant_id, each.receiver, each.subject].append(each)
    return found


def _check_delivered(
    book: Book, ruling: Ruling, place: tuple[str, str, str], got: list[record.Delivery]
) -> None:
    me, receiver, subject = place
    names: dict[int, str] = {each.number: each.id for each in book.events.get((me, subject), ())}
    last: int | None = None
    for each in got:
        if names.setdefault(each.number, each.event_id) != each.event_id:
            ruling.breaks(subject, f"{receiver} got event {each.number} of {me} under two ids")
        if last is not None and each.number > last + 1:
            ruling.breaks(subject, f"{receiver} got event {each.number} of {me} after {last}: one is missing")
        last = each.number if last is None else max(last, each.number)


def evidence_complete(book: Book, ruling: Ruling) -> None:
    """I11: each message that changed a state has one record, each change of state has its message; the chain holds."""
    sides = book.sides_with("evidence")
    if not sides:
        ruling.lacks("no evidence is known")
        return
    taken: dict[Name, list[Spoken]] = defaultdict(list)
    for each in book.steps:
        if each.key:
            taken[each.at_receiver].append(each)
    for side in sides:
        _check_chain(ruling, side)
        me = side.participant_id
        for process in side.processes or ():
            _check_parties(book, ruling, (me, process.id), process)
            _check_states(book, ruling, (me, process.id))
            _check_sent(book, ruling, (me, process.id), process)
        for name, steps in taken.items():
            if name[0] == me:
                _check_messages(book, ruling, name, steps)


def _check_chain(ruling: Ruling, side: record.Side) -> None:
    chains: dict[int, list[record.Evidence]] = defaultdict(list)
    for row in side.evidence or ():
        chains[row.chain].append(row)
    for rows in chains.values():
        ruling.cases += 1
        try:
            entries.verify((each.seq, each.record, each.hash) for each in rows)
        except entries.BrokenChainError as error:
            ruling.breaks(side.participant_id, f"its chain is broken: {error.message}")
    for head in side.heads:
        rows = chains[head.chain]
        if head.size and (len(rows) < head.size or rows[head.size - 1].hash != head.hash):
            ruling.breaks(side.participant_id, f"the row {head.size} of its evidence was another one earlier")


def _check_messages(book: Book, ruling: Ruling, name: Name, steps: list[Spoken]) -> None:
    recorded = Counter(each.sha256 for each in book.changes(name) if each.direction == "in")
    for step in steps:
        ruling.cases += 1
        if not recorded[step.sha256]:
            ruling.breaks(
                name[1], f"{name[0]} answered {step.key} with 2xx, and its evidence does not have it"
            )
    for each in book.changes(name):
        if each.direction == "in" and each.message_id and recorded[each.sha256] > 1:
            ruling.breaks(
                name[1], f"the evidence of {name[0]} has one {each.message} {recorded[each.sha256]} times"
            )
            recorded[each.sha256] = 1


def _check_parties(book: Book, ruling: Ruling, name: Name, process: record.Process) -> None:
    """Require that every record names the two sides, each in its place."""
    for each in book.changes(name):
        sent = each.direction == "out"
        sender, receiver = (name[0], process.counterparty_id) if sent else (process.counterparty_id, name[0])
        if (each.sender, each.receiver) != (sender, receiver):
            ruling.breaks(
                name[1], f"the evidence of {name[0]} has {each.message} from {each.sender} to {each.receiver}"
            )


def _check_states(book: Book, ruling: Ruling, name: Name) -> None:
    """Require that each change of state of the events has a record that leads there."""
    shown = Counter(each.after for each in book.changes(name))
    implied = {row.leads_to for row in book.outbox.get(name, ()) if row.implied}
    events = book.events.get(name)
    process = book.processes[name]
    reached = Counter(state for state in book.states(name) if state) if events else Counter([process.state])
    for state, count in reached.items():
        if not state:
            continue
        ruling.cases += 1
        if shown[state] < count and state not in implied:
            ruling.breaks(
                name[1], f"{name[0]} reached {state} {count} times, its evidence shows {shown[state]}"
            )
    left = Counter(
        each.before
        for each in book.changes(name)
        if each.direction == "in" and each.before not in {"", each.after}
    )
    for state, count in left.items():
        if shown[state] < count and state not in implied:
            ruling.breaks(
                name[1], f"{name[0]} left {state} {count} times, its evidence leads there {shown[state]}"
            )


def _check_sent(book: Book, ruling: Ruling, name: Name, process: record.Process) -> None:
    """Require that what one side's evidence says was acknowledged is in the other's."""
    partner = book.sides.get(process.counterparty_id)
    other = book.other(name)
    if partner is None or partner.evidence is None or other is None:
        return
    theirs = {each.sha256 for each in book.entries.get(other, ()) if each.direction == "in"}
    sent = Counter(
        (each.message, each.sha256) for each in book.changes(name) if each.outcome == "acknowledged"
    )
    for (message, sha256), count in sent.items():
        ruling.cases += 1
        if count > 1:
            ruling.breaks(name[1], f"the evidence of {name[0]} has its {message} {count} times")
        if sha256 not in theirs:
            ruling.breaks(
                name[1],
                f"{name[0]} has the acknowledgement of {message}, and the evidence of {other[0]} lacks it",
            )
