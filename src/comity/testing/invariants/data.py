"""I7 no data without right, I8 data exact.

The right to data begins when a start is seen on its way and ends when its end is: the provider's own message was sent
after its step, the consumer's was answered after it. Without messages the events tell, a little later.
"""

from __future__ import annotations

import contextlib
import hashlib
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import zip_longest
from typing import Any

import msgspec

from comity.dsp import machine, terms, transfer
from comity.odrl import edc
from comity.testing import record
from comity.testing.book import MULTIPLE_CHOICES, OK, Book, Name, Spoken, document_of
from comity.testing.ruling import Ruling

CUT_MS = 5_000
"""How long a stream that is open may go on after the right has ended."""
SETTLE_MS = 1_000
"""What may lie between the time of an event and its commit, where no message tells better."""
FILES = "files/"
ENDS = {machine.SUSPENSION, machine.COMPLETION, machine.TRANSFER_TERMINATION}


class _Rights:
    """When data could be had in each transfer, and by which token, by the provider's process."""

    def __init__(self, book: Book) -> None:
        self._changes: dict[Name, list[tuple[int, bool]]] = defaultdict(list)
        self.tokens: dict[Name, list[tuple[int, str]]] = defaultdict(list)
        self._heard: set[Name] = set()
        seen: set[tuple[str, ...]] = set()
        for each in sorted(book.spoken, key=lambda each: each.message.at):
            if each.kind == terms.TRANSFER and each.message.method == "POST":
                self._add(each, again=each.content in seen)
                seen.add(each.content)
        for (participant, subject), events in book.events.items():
            process = book.processes.get((participant, subject))
            if process is not None and process.kind == terms.TRANSFER and process.role == terms.PROVIDER:
                self._add_events((participant, subject), events)
        for changes in self._changes.values():
            changes.sort()
        self.owners = {token: name for name, given in self.tokens.items() for _, token in given}

    def _add(self, each: Spoken, *, again: bool) -> None:
        from_provider = each.sender_role == terms.PROVIDER
        name = each.at_sender if from_provider else each.at_receiver
        if each.key == machine.START and not again and (from_provider or each.taken):
            self._changes[name].append((each.message.at, True))
            if from_provider:
                self._heard.add(name)
            if each.said.data_address:
                self.tokens[name].append((each.message.at, _token(each.said.data_address)))
        elif each.key in ENDS and from_provider and not again:
            self._changes[name].append((each.message.at, False))
        elif each.key in ENDS and each.taken:
            self._changes[name].append((each.message.answered_at or each.message.at, False))

    def _add_events(self, name: Name, events: list[record.Event]) -> None:
        """Add what the events tell: of a provider whose starts nobody heard, also when the right may have begun.

        Such a start may have been sent as soon as the state before it was reached.
        """
        heard = name in self._heard
        for event, following in zip_longest(events, events[1:]):
            restarted = following is not None and following.state == terms.STARTED
            if restarted and not heard:
                self._changes[name].append((event.at, True))
            elif event.state in {terms.SUSPENDED, *machine.TERMINAL}:
                reopened = any(
                    opened and event.at < at < event.at + SETTLE_MS for at, opened in self._changes[name]
                )
                if not reopened:
                    self._changes[name].append((event.at + SETTLE_MS, False))

    def open_at(self, name: Name, at: int) -> bool:
        changes = self._changes[name]
        place = bisect_right(changes, (at, True))
        return place > 0 and changes[place - 1][1]

    def ends_after(self, name: Name, at: int) -> int | None:
        return next((when for when, opened in self._changes[name] if when > at and not opened), None)


def _token(raw: msgspec.Raw) -> str:
    token = transfer.endpoint_properties(document_of(raw)).get("authorization", "")
    return hashlib.sha256(token.encode()).hexdigest()


def only_by_right(book: Book, ruling: Ruling) -> None:
    """I7: each byte belongs to a transfer that ran then, under an agreement in force, of that participant and asset."""
    if book.history.served is None:
        ruling.lacks("what was served is not known")
        return
    if book.history.messages is None and not book.sides_with("events"):
        ruling.lacks("neither the messages nor the events are known")
        return
    rights, published = _Rights(book), _published(book)
    if not published:
        ruling.lacks("what was published is not known")
    for served in book.history.served:
        if not served.size or not OK <= served.status < MULTIPLE_CHOICES:
            continue
        provider = _provider_of(book, served)
        if provider is None:
            _check_known(book, ruling, served)
            continue
        ruling.cases += 1
        _check_state(ruling, rights, provider, served)
        _check_holder(book, ruling, rights, provider, served)
        _check_agreement(book, ruling, provider, served)
        _check_asset(book, ruling, published, provider, served)


def _provider_of(book: Book, served: record.Served) -> Name | None:
    if not served.pushed:
        name = (served.provider, served.transfer_id)
        return name if name in book.processes else None
    return book.other((served.receiver, served.transfer_id))


def _check_known(book: Book, ruling: Ruling, served: record.Served) -> None:
    """Require that the transfer of a request for data is known where it was served, or received if it was pushed."""
    place = (served.receiver if served.pushed else served.provider, served.transfer_id)
    if place[0] not in book.sides:
        ruling.lacks(f"the store of {place[0]} is not known")
    elif place not in book.processes:
        ruling.breaks(
            place[1], f"{served.size} bytes were moved under it at {place[0]}, and there is no such transfer"
        )
    else:
        ruling.lacks("the store of a provider that pushed is not known")


def _check_state(ruling: Ruling, rights: _Rights, name: Name, served: record.Served) -> None:
    if not rights.open_at(name, served.at):
        ruling.breaks(
            name[1], f"{name[0]} served {served.size} bytes at {served.at}, when the transfer did not run"
        )
        return
    ends = rights.ends_after(name, served.at)
    if ends is not None and served.until > ends + CUT_MS:
        ruling.breaks(
            name[1], f"a stream went on for {served.until - ends} ms after the transfer had stopped"
        )


def _check_holder(book: Book, ruling: Ruling, rights: _Rights, name: Name, served: record.Served) -> None:
    partner = book.processes[name].counterparty_id
    if served.receiver and not served.pushed and served.receiver != partner:
        ruling.breaks(name[1], f"{name[0]} served {served.receiver} what is agreed with {partner}")
    if served.pushed or not rights.tokens.get(name):
        return
    given = [token for at, token in rights.tokens[name] if at <= served.at]
    if served.token_sha256 in given[-1:]:
        return
    if served.token_sha256 in given:
        ruling.breaks(name[1], f"{name[0]} served for a token that a later start had replaced")
    elif served.token_sha256 in rights.owners:
        ruling.breaks(
            name[1], f"{name[0]} served for the token of transfer {rights.owners[served.token_sha256][1]}"
        )
    else:
        ruling.breaks(name[1], f"{name[0]} served for a token that was in no start of this transfer")


def _check_agreement(book: Book, ruling: Ruling, name: Name, served: record.Served) -> None:
    process = book.processes[name]
    found = next(
        (
            each
            for each in book.agreements_by_id.get((name[0], process.agreement_id), ())
            if each.counterparty_id == process.counterparty_id
        ),
        None,
    )
    if found is None:
        ruling.breaks(
            name[1], f"{name[0]} served data, and holds no agreement {process.agreement_id} with its partner"
        )
        return
    if not found.finalized:
        ruling.breaks(name[1], f"{name[0]} served data under an agreement that is not in force")
    if found.document.get("target") != process.asset_id:
        ruling.breaks(
            name[1], f"{name[0]} served {process.asset_id}, agreed is {found.document.get('target')}"
        )
    if found.retired_at is not None and served.at > found.retired_at + SETTLE_MS:
        ruling.breaks(
            name[1], f"{name[0]} served data under an agreement that was retired at {found.retired_at}"
        )
    if not _in_time(found.document, served.at):
        ruling.breaks(
            name[1], f"{name[0]} served data at {served.at}, which the dates of the agreement do not allow"
        )
    elif not _in_time(found.document, served.until - CUT_MS) and served.until - CUT_MS > served.at:
        ruling.breaks(name[1], f"a stream went on at {served.until}, after the agreement had expired")


def _check_asset(
    book: Book,
    ruling: Ruling,
    published: dict[tuple[str, str], list[dict[str, str]]],
    name: Name,
    served: record.Served,
) -> None:
    asset = book.processes[name].asset_id
    path = served.path.removeprefix(FILES)
    if not served.whole or served.pushed or _is_of(published.get((name[0], asset), []), path, served.sha256):
        return
    for (provider, other), versions in published.items():
        if (
            provider == name[0]
            and other != asset
            and any(served.sha256 in each.values() for each in versions)
        ):
            ruling.breaks(name[1], f"{name[0]} served a file of {other} under an agreement about {asset}")
            return


def _is_of(versions: list[dict[str, str]], path: str, sha256: str) -> bool:
    return any(each.get(path) == sha256 for each in versions)


def _in_time(document: record.Document, at: int) -> bool:
    """Whether some permission's dates allow a time; what is no date is for others to judge."""
    now = datetime.fromtimestamp(at / 1000, UTC)
    rules = document.get("permission")
    listed = rules if isinstance(rules, list) else [rules] if rules else []
    signed_us = edc.signed(str(document.get("timestamp")))
    return not listed or any(all(_holds(each, now) for each in _dates(rule, signed_us)) for rule in listed)


def _dates(rule: Any, signed_us: int | None) -> Iterator[tuple[str, datetime]]:
    constraints = rule.get("constraint") if isinstance(rule, dict) else None
    for each in constraints if isinstance(constraints, list) else [constraints]:
        if isinstance(each, dict) and (bound := _bound(each, signed_us)) is not None:
            operator = str(each.get("operator", "")).rsplit(":", 1)[-1].rsplit("/", 1)[-1]
            yield operator, bound if bound.tzinfo else bound.replace(tzinfo=UTC)


def _bound(constraint: record.Document, signed_us: int | None) -> datetime | None:
    """Return the time that a constraint is about; EDC's may count from the signing of its agreement."""
    operand, right = str(constraint.get("leftOperand", "")), constraint.get("rightOperand")
    if operand.endswith(edc.NAME):
        found = edc.read(right, signed_us)
        return (
            datetime.fromtimestamp(int(found[0][0]) / 1e6, UTC)
            if isinstance(found, tuple) and found
            else None
        )
    if not operand.endswith("dateTime"):
        return None
    text = right.get("@value") if isinstance(right, dict) else right
    with contextlib.suppress(ValueError):
        return datetime.fromisoformat(str(text))
    return None


def _holds(date: tuple[str, datetime], now: datetime) -> bool:
    operator, bound = date
    later = {"lt": now >= bound, "lteq": now > bound, "gt": now <= bound, "gteq": now < bound}
    return not later.get(operator, False)


def exact(book: Book, ruling: Ruling) -> None:
    """I8: what a consumer holds for complete, and what was served whole, is what was published, all of one version."""
    published = _published(book)
    if book.history.contents is None:
        ruling.lacks("what was published is not known")
        return
    if book.history.received is None:
        ruling.lacks("what was received is not known")
    for each in book.history.received or ():
        process = book.processes.get((each.consumer, each.transfer_id))
        if process is None:
            ruling.lacks(f"the transfer {each.transfer_id} of {each.consumer} is not known")
            continue
        versions = published.get((process.counterparty_id, process.asset_id))
        if versions is None:
            ruling.lacks(f"what {process.counterparty_id} published as {process.asset_id} is not known")
            continue
        ruling.cases += 1
        _check_received(ruling, each, process.asset_id, versions)
    for served in book.history.served or ():
        _check_served(book, ruling, published, served)


def _check_received(
    ruling: Ruling, each: record.Received, asset: str, versions: list[dict[str, str]]
) -> None:
    if any(_equal(each.files, version) for version in versions):
        return
    found = set(each.files.items())
    every = set().union(*(set(version.items()) for version in versions))
    what = f"{each.consumer} holds {asset} for complete"
    if found <= every and len(found) >= min(len(version) for version in versions):
        ruling.breaks(each.transfer_id, f"{what}, and its files are of different versions")
    elif found < every:
        missing = sorted({path for path, _ in every} - each.files.keys())
        ruling.breaks(each.transfer_id, f"{what}, and {', '.join(missing[:3])} is missing")
    else:
        wrong = sorted(path for path, sha256 in found if (path, sha256) not in every)
        ruling.breaks(each.transfer_id, f"{what}, and {', '.join(wrong[:3])} is not what was published")


def _equal(files: dict[str, str], version: dict[str, str]) -> bool:
    single = set(version) == {""} and len(files) == 1
    return list(files.values()) == list(version.values()) if single else files == version


def _check_served(
    book: Book, ruling: Ruling, published: dict[tuple[str, str], list[dict[str, str]]], served: record.Served
) -> None:
    """Judge a file that was served whole; a manifest, and what is of another asset, are not for this invariant."""
    process = book.processes.get((served.provider, served.transfer_id))
    if process is None or not served.whole or not served.size or served.pushed:
        return
    versions = published.get((served.provider, process.asset_id), [])
    path = served.path.removeprefix(FILES)
    if not any(path in version for version in versions):
        return
    ruling.cases += 1
    known = {sha256 for each in published.values() for version in each for sha256 in version.values()}
    if served.sha256 not in known:
        ruling.breaks(
            served.transfer_id,
            f"{served.provider} served {path or process.asset_id} whole, and it is not what was published",
        )


def _published(book: Book) -> dict[tuple[str, str], list[dict[str, str]]]:
    found: dict[tuple[str, str], list[dict[str, str]]] = defaultdict(list)
    for each in book.history.contents or ():
        found[each.provider, each.asset_id].append(each.files)
    return dict(found)
