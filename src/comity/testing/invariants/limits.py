"""I12 bounded, I13 fail closed, I15 no egress, I16 no secret.

These are judged by what the caller brings: figures from before and after, outages, canaries, texts and secrets.
"""

from __future__ import annotations

import base64
import re
from collections import defaultdict

from comity.testing import record
from comity.testing.book import MULTIPLE_CHOICES, OK, Book, Spoken
from comity.testing.ruling import Ruling

WINDOW_MS = 1_000
RETRYABLE = {408, 429, 502, 503, 504}
ERROR = 500


def bounded(book: Book, ruling: Ruling) -> None:
    """I12: figures return to where they were, and nobody sends one message again and again without pausing."""
    if book.history.samples is None:
        ruling.lacks("no figures from before and after are known")
    for each in book.history.samples or ():
        ruling.cases += 1
        if each.after - each.before > each.allowed:
            ruling.breaks(
                each.name,
                f"{each.participant_id} had {each.before:g} before and {each.after:g} after;"
                f" {each.allowed:g} more is allowed",
            )
    sent: dict[tuple[str, str, str, str], list[int]] = defaultdict(list)
    for spoken in book.spoken:
        message = spoken.message
        judged = message.sender in book.sides or not book.sides  # who is not under test may do as it likes
        if judged and message.leg != record.RECEIVER and message.method == "POST":
            sent[message.sender, message.receiver, message.path, spoken.sha256].append(message.at)
    for (sender, receiver, path, _), times in sent.items():
        ruling.cases += 1
        most = _most_within(sorted(times))
        if most > book.history.resends:
            ruling.breaks(path, f"{sender} sent one message to {receiver} {most} times within a second")


def _most_within(times: list[int]) -> int:
    first = most = 0
    for last, at in enumerate(times):
        while at - times[first] > WINDOW_MS:
            first += 1
        most = max(most, last - first + 1)
    return most


def fail_closed(book: Book, ruling: Ruling) -> None:
    """I13: who cannot decide refuses, so that one can come again; it never takes or serves anything."""
    if book.history.outages is None:
        ruling.lacks("no outage is known")
        return
    outages: dict[str, list[record.Outage]] = defaultdict(list)
    for each in book.history.outages:
        outages[each.participant_id].append(each)
    for spoken in book.spoken:
        message = spoken.message
        outage = _within(outages[message.receiver], message.at, message.answered_at)
        if outage is not None and spoken.received:
            _check_answer(ruling, spoken, outage)
    for served in book.history.served or ():
        outage = _within(outages[served.provider], served.at, served.until)
        if outage is not None and served.status:
            ruling.cases += 1
            if served.size and OK <= served.status < MULTIPLE_CHOICES:
                ruling.breaks(
                    served.transfer_id, f"{served.provider} served {served.size} bytes while {outage.what}"
                )
    for operation in book.history.operations or ():
        outage = _within(outages[operation.participant_id], operation.at, operation.at)
        if outage is not None:
            _check_operation(ruling, operation, outage)


def _check_operation(ruling: Ruling, operation: record.Operation, outage: record.Outage) -> None:
    ruling.cases += 1
    if operation.outcome == record.OK:
        ruling.breaks(
            operation.created or operation.process_id,
            f"{operation.participant_id} told a person yes while {outage.what}",
        )


def _check_answer(ruling: Ruling, spoken: Spoken, outage: record.Outage) -> None:
    receiver, status = spoken.message.receiver, spoken.message.status
    if status is None:
        return
    ruling.cases += 1
    if OK <= status < MULTIPLE_CHOICES:
        ruling.breaks(
            spoken.receiver_pid, f"{receiver} took {spoken.key or 'a question'} while {outage.what}"
        )
    elif status >= ERROR and status not in RETRYABLE:
        ruling.breaks(
            spoken.receiver_pid,
            f"{receiver} answered {status} while {outage.what}: that does not say to come again",
        )


def _within(outages: list[record.Outage], at: int, until: int | None) -> record.Outage | None:
    return next(
        (each for each in outages if each.at <= at and until is not None and until <= each.until), None
    )


def no_egress(book: Book, ruling: Ruling) -> None:
    """I15: no connection goes to an address that is not allowed."""
    if book.history.contacts is None:
        ruling.lacks("nobody listened where no connection may go")
        return
    ruling.cases += 1  # somebody listened
    for each in book.history.contacts:
        ruling.cases += 1
        if not each.allowed:
            ruling.breaks(each.address, f"{each.participant_id} connected to it, which is not allowed")


def no_secret(book: Book, ruling: Ruling) -> None:
    """I16: no secret stands in a log, an error, an answer, a dump, or in any message between the connectors."""
    if book.history.texts is None or not book.history.secrets:
        ruling.lacks("no secrets, or no texts that they might stand in, are known")
        return
    pattern = _pattern(book.history.secrets)
    for text in book.history.texts:
        ruling.cases += 1
        if pattern.search(text.content):
            ruling.breaks(text.where, "a secret stands in it")
    for message in book.history.messages or ():
        for where, body in (("message", message.body), ("answer", message.answer)):
            if pattern.search(body):
                ruling.breaks(
                    message.path,
                    f"a secret stands in the {where} between {message.sender} and {message.receiver}",
                )


def _pattern(secrets: tuple[bytes, ...]) -> re.Pattern[bytes]:
    """Return what finds a secret as it is, or in base64."""
    spellings = {
        form for each in secrets for form in (each, base64.b64encode(each), base64.urlsafe_b64encode(each))
    }
    return re.compile(
        b"|".join(re.escape(each.rstrip(b"=")) for each in sorted(spellings, key=len, reverse=True))
    )
