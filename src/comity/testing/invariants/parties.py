"""I9 only the parties: nobody else changes or learns anything, and "missing" cannot be told from "not yours".

Answers are compared without the ids that the request itself named. How long they took is not looked at.
"""

from __future__ import annotations

from collections import defaultdict

from comity.testing.book import Book, Spoken
from comity.testing.ruling import Ruling

TELLING = range(400, 500)
BUSY = {401, 408, 413, 415, 429}
"""Refusals that are about the request, whatever process it names."""


def only_parties(book: Book, ruling: Ruling) -> None:
    """I9: a third party's message changes nothing, and its answers do not tell which processes there are."""
    _check_recorded(book, ruling)
    if book.history.messages is None:
        ruling.lacks("the messages are not known")
        return
    yours: dict[tuple[str, ...], list[Spoken]] = defaultdict(list)
    missing: dict[tuple[str, ...], set[tuple[int | None, bytes]]] = defaultdict(set)
    for each in book.spoken:
        store = book.sides.get(each.message.receiver)
        if each.received and each.message.sender and store is not None and store.processes is not None:
            _sort(book, ruling, each, yours, missing)
    for place, asked in yours.items():
        if place not in missing:
            ruling.lacks(
                f"{place[1]} did not ask {place[0]} for a process that is missing, as for one of others"
            )
        for each in asked if place in missing else ():
            if _shape(each) not in missing[place]:
                ruling.breaks(
                    each.receiver_pid,
                    f"{place[0]} answers {place[1]} otherwise than for a process that is missing",
                )


def _check_recorded(book: Book, ruling: Ruling) -> None:
    for name, process in book.processes.items():
        for entry in book.entries.get(name, ()):
            if entry.outcome == "accepted" and entry.sender != process.counterparty_id:
                ruling.breaks(
                    name[1], f"{name[0]} applied {entry.message} of {entry.sender}, which is no party to it"
                )


def _sort(
    book: Book,
    ruling: Ruling,
    each: Spoken,
    yours: dict[tuple[str, ...], list[Spoken]],
    missing: dict[tuple[str, ...], set[tuple[int | None, bytes]]],
) -> None:
    """Note what a request by a third party, or for a process that is missing, was answered."""
    process = book.processes.get(each.at_receiver)
    refused = each.message.status in TELLING and each.message.status not in BUSY
    if process is None:
        known = book.entries.get(each.at_receiver) or book.events.get(each.at_receiver)
        if refused and not each.first and not known:
            missing[_place(each)].add(_shape(each))
    elif each.message.sender != process.counterparty_id and (each.accepted or not each.first):
        ruling.cases += 1
        if each.accepted:
            ruling.breaks(
                process.id,
                f"{each.message.receiver} took {each.key or 'a question'} from {each.message.sender},"
                " which is no party to it",
            )
        elif refused:
            yours[_place(each)].append(each)


def _place(each: Spoken) -> tuple[str, ...]:
    """What must be equal of two requests for their answers to be compared: who asked whom for what."""
    action = each.message.path.strip("/").partition("/")[2].partition("/")[2]
    return (each.message.receiver, each.message.sender, each.message.method, each.kind, action, each.key)


def _shape(each: Spoken) -> tuple[int | None, bytes]:
    """Return an answer without the ids that the request named."""
    answer = each.message.answer
    for pid in sorted(
        {each.receiver_pid, each.said.consumer_pid, each.said.provider_pid} - {""}, key=len, reverse=True
    ):
        answer = answer.replace(pid.encode(), b"{pid}")
    return each.message.status, answer
