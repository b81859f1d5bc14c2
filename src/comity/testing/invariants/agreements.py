"""I3 no agreement is lost, I4 nothing is done twice, I5 no agreement is altered.

What was agreed is compared with what was sent, what was offered, and what the other side holds; terms as ODRL means
them (`odrl.compare`), everything else as it is written.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict

from comity import errors
from comity.dsp import machine, spelling, terms
from comity.odrl import compare
from comity.testing import record
from comity.testing.book import Book, Document, Name, Spoken, digest, document_of
from comity.testing.ruling import Ruling


def none_lost(book: Book, ruling: Ruling) -> None:
    """I3: once either side said FINALIZED, both hold the agreement, in force."""
    both = False
    for name, why in _finalized(book).items():
        places = {name, book.other(name) or name}
        known = [
            each for each in places if each[0] in book.sides and book.sides[each[0]].agreements is not None
        ]
        both = both or len(known) > 1
        for each in known:
            ruling.cases += 1
            held = book.agreements.get(each, [])
            if not held:
                ruling.breaks(each[1], f"{why}, and {each[0]} holds no agreement of it")
            elif not any(agreement.finalized for agreement in held) and (each == name or book.history.quiet):
                ruling.breaks(each[1], f"{why}, and {each[0]} holds its agreement as not in force")
    if ruling.cases and not both:
        ruling.lacks("the agreements of only one side are known")


def _finalized(book: Book) -> dict[Name, str]:
    """Return the negotiations that a side said or saw to be final, and how that is known."""
    found: dict[Name, str] = {}
    for each in book.taken:
        if each.key == machine.FINALIZE or each.answer.state == terms.FINALIZED:
            found.setdefault(each.at_receiver, f"{each.message.receiver} acknowledged FINALIZED")
    for name, process in book.processes.items():
        if process.kind != terms.NEGOTIATION:
            continue
        if process.state == terms.FINALIZED or terms.FINALIZED in book.states(name):
            found.setdefault(name, f"{name[0]} holds it as FINALIZED")
        if any(each.after == terms.FINALIZED for each in book.changes(name)):
            found.setdefault(name, f"the evidence of {name[0]} has FINALIZED")
    return found


def none_twice(book: Book, ruling: Ruling) -> None:
    """I4: one negotiation has one agreement; one request, key or pid makes one process; one message counts once."""
    if not book.sides_with("processes", "agreements"):
        ruling.lacks("no store is known")
    for name, held in book.agreements.items():
        ruling.cases += 1
        if len(held) > 1:
            ruling.breaks(name[1], f"{name[0]} holds {len(held)} agreements of one negotiation")
    _check_agreement_ids(book, ruling)
    _check_pids(book, ruling)
    _check_applied(book, ruling)
    _check_keys(book, ruling)


def _check_agreement_ids(book: Book, ruling: Ruling) -> None:
    sent: dict[Name, set[str]] = defaultdict(set)
    for each in book.taken:
        if each.key == machine.AGREEMENT and each.said.agreement:
            sent[each.at_receiver].add(str(document_of(each.said.agreement).get("@id")))
    for name, ids in sent.items():
        ruling.cases += 1
        if len(ids) > 1:
            ruling.breaks(name[1], f"{name[0]} took {len(ids)} different agreements in one negotiation")


def _check_pids(book: Book, ruling: Ruling) -> None:
    by_pid: dict[tuple[str, str, str, str, str], list[str]] = defaultdict(list)
    for (participant, _), process in book.processes.items():
        if process.counterparty_pid:
            key = (participant, process.kind, process.role, process.counterparty_id, process.counterparty_pid)
            by_pid[key].append(process.id)
    for key, ids in by_pid.items():
        ruling.cases += 1
        if len(ids) > 1:
            ruling.breaks(
                ids[-1], f"{key[0]} holds {len(ids)} processes for the one that {key[3]} calls {key[4]}"
            )
    answered: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for each in book.taken:
        if each.first and each.sender_pid:
            answered[each.content].add(each.receiver_pid)
    for content, pids in answered.items():
        ruling.cases += 1
        if len(pids) > 1:
            ruling.breaks(
                min(pids), f"{content[0]} answered one request of {content[1]} with {len(pids)} processes"
            )


def _check_applied(book: Book, ruling: Ruling) -> None:
    for name in book.processes:
        seen: set[tuple[str, str, str]] = set()
        for entry in book.changes(name):
            key = (entry.direction, entry.message_id, entry.sha256)
            if key in seen and entry.outcome == "accepted" and entry.message_id:
                ruling.breaks(name[1], f"{name[0]} applied one {entry.message} twice")
            seen.add(key)


def _check_keys(book: Book, ruling: Ruling) -> None:
    by_key: dict[tuple[str, str], set[str]] = defaultdict(set)
    asked: dict[tuple[str, str], set[str]] = defaultdict(set)
    for number, each in enumerate(book.history.operations or ()):
        if each.key and each.outcome == record.OK and each.created:
            by_key[each.participant_id, each.key].add(each.created)
        if each.creates and each.outcome != record.FAIL:
            asked[each.participant_id, each.creates].add(each.key or f"request {number}")
    for (participant, key), created in by_key.items():
        ruling.cases += 1
        if len(created) > 1:
            ruling.breaks(
                min(created), f"{participant} answered the key {key} with {len(created)} different processes"
            )
    if not book.history.every_operation:
        return
    for (participant, kind), keys in asked.items():
        ruling.cases += 1
        begun = [
            name
            for name, each in book.processes.items()
            if name[0] == participant and _begun(book, name, each, kind)
        ]
        if len(begun) > len(keys):
            ruling.breaks(
                begun[-1][1], f"{participant} began {len(begun)} of {kind} for {len(keys)} requests"
            )


def _begun(book: Book, name: Name, process: record.Process, kind: str) -> bool:
    """Whether a side began a process of a kind itself."""
    if process.kind != kind:
        return False
    states = book.states(name)
    return states[0] is None if states else process.role == terms.CONSUMER


def none_altered(book: Book, ruling: Ruling) -> None:
    """I5: an agreement is the same on both sides, as it was sent, as it was offered, and at every later reading."""
    sent, offered = _last(book, machine.AGREEMENT), _offers(book)
    digests: dict[tuple[str, str], str] = {}
    compared = False
    for name, held in book.agreements.items():
        for agreement in held[:1]:
            ruling.cases += 1
            ours = digests[name[0], agreement.id] = digest(agreement.document)
            other = book.other(name)
            theirs = book.agreements.get(other, []) if other else []
            if theirs:
                compared = True
                if digest(theirs[0].document) != ours:
                    ruling.breaks(
                        name[1], f"{name[0]} and {theirs and other and other[0]} hold different agreements"
                    )
            message = sent.get(name) or (sent.get(other) if other else None)
            if message is not None:
                compared = True
                _check_sent(ruling, name, agreement, ours, message)
            process = book.processes.get(name)
            if process is not None:
                heard = offered.get(name) or (offered.get(other) if other else None)
                # what went to a partner that nobody listened at is in the store only
                offer = heard if heard and process.counterparty_id in book.sides else process.offer or heard
                _check_offered(ruling, name, process, agreement, offer)
    _check_readings(book, ruling, digests)
    if not compared:
        ruling.lacks("no agreement is known from both sides, nor from the message that carried it")


def _last(book: Book, *keys: str) -> dict[Name, Spoken]:
    """Return the last message of a kind that was taken in each process, by its receiver's process."""
    return {each.at_receiver: each for each in book.steps if each.key in keys}


def _offers(book: Book) -> dict[Name, Document]:
    """Return what was on the table last in each negotiation, by the processes of both sides."""
    found: dict[Name, Document] = {}
    for each in book.steps:
        if each.key in {machine.REQUEST, machine.OFFER} and each.said.offer:
            found[each.at_receiver] = found[each.at_sender] = document_of(each.said.offer)
    return found


def _check_sent(ruling: Ruling, name: Name, agreement: record.Agreement, ours: str, message: Spoken) -> None:
    if ours not in _spellings(document_of(message.said.agreement)):
        ruling.breaks(name[1], f"{name[0]} holds another agreement than {message.message.receiver} was sent")
    if agreement.message_sha256 and agreement.message_sha256 != message.sha256:
        ruling.breaks(
            name[1], f"{name[0]} keeps the digest of another message than the one with the agreement"
        )


def _spellings(sent: Document) -> set[str]:
    """Return the digests of an agreement as it was sent, and with the protocol's own names, which a side may keep."""
    found = {digest(sent)}
    with contextlib.suppress(
        errors.InvalidInputError
    ):  # a name in two spellings: then there is one reading only
        found.add(digest(spelling.plain_policy(sent)))
    return found


def _check_offered(
    ruling: Ruling, name: Name, process: record.Process, agreement: record.Agreement, offer: Document | None
) -> None:
    mine, partner = name[0], process.counterparty_id
    provider, consumer = (mine, partner) if process.role == terms.PROVIDER else (partner, mine)
    parties = {"assigner": provider, "assignee": consumer}
    wanted = {**parties, **({"target": offer.get("target")} if offer else {})}
    for member, value in wanted.items():
        found = agreement.document.get(member)
        if found != value:
            ruling.breaks(
                name[1], f"the agreement that {mine} holds names {found!r} as {member}, not {value!r}"
            )
    if offer is None:
        return
    try:
        differing = [each.path for each in compare.differences(offer, agreement.document)]
    except errors.InvalidInputError as error:
        differing = [str(error)]
    if differing:
        ruling.breaks(
            name[1], f"the agreement that {mine} holds is not what was offered: {', '.join(differing)}"
        )


def _check_readings(book: Book, ruling: Ruling, digests: dict[tuple[str, str], str]) -> None:
    for each in sorted(book.history.readings, key=lambda each: each.at):
        ruling.cases += 1
        place = (each.participant_id, each.agreement_id)
        read = digest(each.document)
        if digests.setdefault(place, read) != read:
            ruling.breaks(
                each.agreement_id,
                f"{each.participant_id} showed another agreement at {each.at} than it holds",
            )
