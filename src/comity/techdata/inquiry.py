"""Inquiries: what the holder of a revision asks its owner, what may follow from that, and how both travel.

A question is answered; a deviation, permission to build otherwise, is granted within limits or refused, and may be
revoked; a change comes with the next revision. Who decides is the owner: what it says stands, whatever was on its way
to it, and in whatever order it arrives. Both notices are members of the channel between Comities (`dsp.notice`); when
they are sent, and what is kept, is the control plane's.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import Meta, Struct, field

from comity import errors
from comity.techdata import paths
from comity.techdata.effectivity import serial_key

Document = dict[str, Any]
NOTICE: Final = "comity:InquiryNotice"
EVENT_NOTICE: Final = "comity:InquiryEventNotice"

QUESTION, DEVIATION, CHANGE = "question", "deviation", "change"
KINDS: Final = (QUESTION, DEVIATION, CHANGE)

OPEN, ANSWERED, GRANTED, REFUSED = "OPEN", "ANSWERED", "GRANTED", "REFUSED"
REVISED, REVOKED, WITHDRAWN, UNDELIVERED = "REVISED", "REVOKED", "WITHDRAWN", "UNDELIVERED"
STATES: Final = (OPEN, ANSWERED, GRANTED, REFUSED, REVISED, REVOKED, WITHDRAWN, UNDELIVERED)

ASK, SAY, ANSWER, GRANT, REFUSE, REVISE, REVOKE, WITHDRAW = (
    "asked", "said", "answered", "granted", "refused", "revised", "revoked", "withdrawn",
)  # fmt: skip
EVENTS: Final = (SAY, ANSWER, GRANT, REFUSE, REVISE, REVOKE, WITHDRAW)
AFTER: Final = {
    ANSWER: ANSWERED,
    GRANT: GRANTED,
    REFUSE: REFUSED,
    REVISE: REVISED,
    REVOKE: REVOKED,
    WITHDRAW: WITHDRAWN,
}
"""Event -> the state that it leads to; what is only said changes nothing."""
_OF_KINDS: Final = {ANSWER: (QUESTION, CHANGE), GRANT: (DEVIATION, CHANGE), REVOKE: (DEVIATION, CHANGE)}
_LATER: Final = {REVISE: (OPEN, ANSWERED, GRANTED), REVOKE: (GRANTED, REVISED)}
_LAST: Final = (REVISED, REVOKED)
"""States that nothing of before brings back, the last one last."""

MAX_NAME, MAX_TEXT, MAX_FILES, MAX_PEOPLE, MAX_MS = 1024, 10_000, 1000, 50, 2**47
_DAY: Final = 24 * 3600 * 1000

Name = Annotated[str, Meta(min_length=1, max_length=MAX_NAME)]
Number = Annotated[str, Meta(max_length=100)]
Digest = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
S = TypeVar("S", bound=Struct)


class Limits(
    Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, forbid_unknown_fields=True
):
    """To what a deviation is limited: lots, serial numbers, how many pieces, until which day, and its conditions."""

    lot_from: Number = ""
    lot_to: Number = ""
    serial_from: Number = ""
    serial_to: Number = ""
    quantity: Annotated[int, Meta(ge=0, le=2**53)] = 0
    until: Annotated[str, Meta(max_length=10)] = ""
    conditions: Annotated[str, Meta(max_length=MAX_TEXT)] = ""

    def document(self) -> Document:
        """Return them as they are kept and sent."""
        return dict(msgspec.to_builtins(self))

    def words(self) -> str:
        """Return them as a person reads them."""
        said = [
            span("lot", self.lot_from, self.lot_to),
            span("serial number", self.serial_from, self.serial_to),
            f"{self.quantity} pieces" if self.quantity else "",
            f"until {self.until}" if self.until else "",
        ]
        return ", ".join(each for each in said if each)


def span(noun: str, first: str, last: str) -> str:
    """Return a range in words, empty if there is none."""
    if not first:
        return ""
    return f"{noun} {first}" if first == last else f"{noun}s {first} to {last}"


class Proposal(Struct, frozen=True, kw_only=True, rename="camel"):
    """A package of the asker's own that shows what it proposes: an asset that it offers to the owner."""

    asset_id: Name
    manifest_sha256: Digest


class Asked(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The notice that asks: about which revision, by its manifest's digest, and which of its files."""

    type: str = field(name="@type", default=NOTICE)
    id: Name = field(name="@id")
    agreement_id: Name
    kind: str
    asset_id: Name
    manifest_sha256: Digest
    files: Annotated[list[str], Meta(max_length=MAX_FILES)] = []
    text: Annotated[str, Meta(min_length=1, max_length=MAX_TEXT)]
    limits: Limits | None = None
    proposal: Proposal | None = None
    answer_by: Annotated[str, Meta(max_length=10)] = ""
    by: Annotated[str, Meta(max_length=MAX_NAME)] = ""

    def document(self) -> Document:
        """Return it as a notice."""
        return {"@type": self.type, **msgspec.to_builtins(self)}


class Event(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The notice that something happened to an inquiry; `by` are the people who decided it on the sender's side.

    `at` is when a deviation was revoked, in ms by the owner's clock.
    """

    type: str = field(name="@type", default=EVENT_NOTICE)
    agreement_id: Name
    inquiry_id: Name
    event: str
    text: Annotated[str, Meta(max_length=MAX_TEXT)] = ""
    by: Annotated[list[Name], Meta(max_length=MAX_PEOPLE)] = []
    limits: Limits | None = None
    revision: Annotated[int, Meta(ge=0, le=2**53)] = 0
    manifest_sha256: Annotated[str, Meta(pattern="^([0-9a-f]{64})?$")] = ""
    at: Annotated[int, Meta(ge=0, le=MAX_MS)] = 0

    def document(self) -> Document:
        """Return it as a notice."""
        return {"@type": self.type, **msgspec.to_builtins(self)}


def read_asked(notice: Document) -> Asked:
    """Return the notice of a partner that asks.

    Raises:
        InvalidInputError: it is none, with the place.
    """
    said = _convert(notice, Asked)
    check(said)
    return said


def check(said: Asked) -> None:
    """Refuse an inquiry that says what none may.

    Raises:
        InvalidInputError: with the place.
    """
    for path, name in (("$.@id", said.id), ("$.agreementId", said.agreement_id), ("$.by", said.by)):
        _check_printable(name, path)
    _check_printable(said.asset_id, "$.assetId")
    if said.kind not in KINDS:
        raise errors.InvalidInputError(f"an inquiry is one of {', '.join(KINDS)}", path="$.kind")
    check_text(said.text)
    for at, each in enumerate(said.files):
        paths.check_path(each, f"$.files[{at}]")
    if said.answer_by:
        day(said.answer_by, "$.answerBy")
    if said.proposal is not None:
        _check_printable(said.proposal.asset_id, "$.proposal.assetId")
    if said.limits is not None and said.kind != DEVIATION:
        raise errors.InvalidInputError("only a deviation has limits", path="$.limits")
    if said.kind == DEVIATION:
        check_limits(said.limits)


def read_event(notice: Document) -> Event:
    """Return the notice of a partner about an inquiry that is known.

    Raises:
        InvalidInputError: it is none, with the place.
    """
    said = _convert(notice, Event)
    if said.event not in EVENTS:
        raise errors.InvalidInputError(f"the event is one of {', '.join(EVENTS)}", path="$.event")
    check_event(said)
    return said


def check_event(said: Event) -> None:
    """Refuse an event that lacks what it is about.

    Raises:
        InvalidInputError: with the place.
    """
    if said.text:
        check_text(said.text)
    elif said.event in {SAY, ANSWER, REFUSE, REVOKE}:
        raise errors.InvalidInputError("it says nothing", path="$.text")
    for at, each in enumerate(said.by):
        _check_printable(each, f"$.by[{at}]")
    if said.event == GRANT:
        check_limits(said.limits)
    elif said.limits is not None:
        raise errors.InvalidInputError("only what is granted has limits", path="$.limits")
    if said.event == REVISE and not said.manifest_sha256:
        raise errors.InvalidInputError("a revision has the digest of its manifest", path="$.manifestSha256")
    if said.event == REVOKE and not said.at:
        raise errors.InvalidInputError("it is not said when it was revoked", path="$.at")


def why_not(kind: str, state: str, event: str, *, of_owner: bool, granted: bool = False) -> str:
    """Return why an event may not happen to an inquiry of a kind in a state, empty if it may.

    `of_owner` says that it is the owner of the revision that does it, `granted` that a deviation was.
    """
    if event == WITHDRAW and of_owner:
        return "only who asked may withdraw it"
    if event not in {SAY, WITHDRAW} and not of_owner:
        return "only the owner of the revision may decide it"
    if kind not in _OF_KINDS.get(event, KINDS):
        return f"a {kind} is not {event}: {_INSTEAD[kind]}"
    if event == REVOKE and not granted:
        return "no deviation was granted by it"
    if event != SAY and state not in _LATER.get(event, (OPEN,)):
        return f"it is over: it was {state.lower()}"
    return ""


_INSTEAD: Final = {
    QUESTION: "it is answered or refused",
    DEVIATION: "it is granted or refused",
    CHANGE: "it is answered, granted or refused, or a revision answers it",
}


def heard(state: str, event: str, *, granted: bool, revised: bool) -> str:
    """Return as what who asked takes a state when its owner tells of an event: notices may overtake each other.

    An owner who decides had not heard of a withdrawal; what it granted or revised it did before it went on.
    """
    if state == WITHDRAWN or (state == REVISED and event == GRANT and not granted):
        return OPEN
    return GRANTED if state == REVOKED and event == REVISE and not revised else state


def is_early(kind: str, state: str, event: str, *, granted: bool) -> bool:
    """Return whether an owner revokes what who asked has not heard to be granted: it is to be told again."""
    return event == REVOKE and kind in _OF_KINDS[REVOKE] and state in {OPEN, REVISED} and not granted


def after(state: str, event: str) -> str:
    """Return the state after an event; one that comes late takes nothing of what followed on it back."""
    following = AFTER.get(event, state)
    return state if state in _LAST and following not in _LAST[_LAST.index(state) :] else following


def read_limits(said: Document) -> Limits | None:
    """Return limits that somebody named, None for none.

    Raises:
        InvalidInputError: with the place of what is wrong.
    """
    try:
        return _convert(said, Limits) if said else None
    except errors.InvalidInputError as error:
        raise errors.InvalidInputError(error.message, path=f"$.limits{error.path[1:]}") from None


def check_limits(limits: Limits | None, path: str = "$.limits") -> None:
    """Refuse a deviation that is not limited, or by limits that hold nothing.

    Raises:
        InvalidInputError: with the place.
    """
    if limits is None or not limits.words():
        raise errors.InvalidInputError(
            "a deviation is limited: to lots, serial numbers, a quantity or a last day", path=path
        )
    for name, first, last in (
        ("lot", limits.lot_from, limits.lot_to),
        ("serial", limits.serial_from, limits.serial_to),
    ):
        _check_range(first, last, f"{path}.{name}From")
    if limits.until:
        day(limits.until, f"{path}.until")
    if limits.conditions:
        check_text(limits.conditions, f"{path}.conditions")


def _check_range(first: str, last: str, path: str) -> None:
    _check_printable(first, path)
    _check_printable(last, path)
    if bool(first) != bool(last):
        raise errors.InvalidInputError("a range has a first and a last number", path=path)
    if serial_key(first) > serial_key(last):
        raise errors.InvalidInputError(f"{first} comes after {last}", path=path)


def within(asked: Limits | None, said: Limits | None) -> Limits | None:
    """Return the limits that somebody says, and where nothing is said those that were asked for."""
    if asked is None or said is None:
        return said or asked
    own = {name for names in _TOGETHER for name in names if any(getattr(said, each) for each in names)}
    return msgspec.structs.replace(asked, **{name: getattr(said, name) for name in own})


_TOGETHER: Final = (
    ("lot_from", "lot_to"), ("serial_from", "serial_to"), ("quantity",), ("until",), ("conditions",),
)  # fmt: skip
"""Limits that are said together."""


def beyond(asked: Limits | None, granted: Limits) -> str:
    """Return in words what is granted beyond what was asked for, empty if nothing is."""
    if asked is None:
        return ""
    found = []
    for noun, wanted, given in (
        ("lot", (asked.lot_from, asked.lot_to), (granted.lot_from, granted.lot_to)),
        ("serial number", (asked.serial_from, asked.serial_to), (granted.serial_from, granted.serial_to)),
    ):
        if wanted[0] and not (given[0] and _is_in(given, wanted)):
            found.append(f"{span(noun, *given) or f'any {noun}'}, asked for: {span(noun, *wanted)}")
    if asked.quantity and not 0 < granted.quantity <= asked.quantity:
        found.append(f"{granted.quantity or 'any number of'} pieces, asked for: {asked.quantity}")
    if asked.until and not (granted.until and day(granted.until) <= day(asked.until)):
        found.append(
            f"{'until ' if granted.until else ''}{granted.until or 'for ever'}, asked for: {asked.until}"
        )
    if asked.conditions and granted.conditions != asked.conditions:
        found.append("other conditions than those asked for")
    return "; ".join(found)


def _is_in(inner: tuple[str, str], outer: tuple[str, str]) -> bool:
    first, last = (serial_key(each) for each in inner)
    return serial_key(outer[0]) <= first and last <= serial_key(outer[1])


def covers(limits: Limits, *, at_ms: int, lot: str = "", serial: str = "") -> bool:
    """Return whether a deviation within these limits holds for a lot and a serial number at a time.

    What is limited and not told is not covered. How many pieces were built nobody here counts.
    """
    if limits.until and at_ms >= day(limits.until) + _DAY:
        return False
    for first, last, told in (
        (limits.lot_from, limits.lot_to, lot),
        (limits.serial_from, limits.serial_to, serial),
    ):
        if first and not (told and serial_key(first) <= serial_key(told) <= serial_key(last)):
            return False
    return True


def day(text: str, path: str = "$") -> int:
    """Return when a day begins (UTC), in ms since 1970.

    Raises:
        InvalidInputError: it is none.
    """
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise errors.InvalidInputError("a day is written as 2027-12-31", path=path) from None
    return round(datetime(found.year, found.month, found.day, tzinfo=UTC).timestamp() * 1000)


def check_ahead(text: str, now_ms: int, path: str) -> None:
    """Refuse a last day that is over.

    Raises:
        InvalidInputError: it is, or is no day.
    """
    if text and now_ms >= day(text, path) + _DAY:
        raise errors.InvalidInputError(f"{text} is over", path=path, hint="name a day that is still to come")


def is_overdue(state: str, answer_by: str, now_ms: int) -> bool:
    """Return whether an inquiry is open although it was to be answered by now."""
    return state == OPEN and bool(answer_by) and now_ms >= day(answer_by) + _DAY


def check_text(text: str, path: str = "$.text") -> None:
    """Refuse a text that a terminal or a file would not show as it is.

    Raises:
        InvalidInputError: it is too long, empty, or has control characters other than line breaks and tabs.
    """
    if not text.strip() or len(text) > MAX_TEXT:
        raise errors.InvalidInputError(f"a text has 1 to {MAX_TEXT} characters", path=path)
    if paths.has_control(text.translate({ord("\n"): " ", ord("\t"): " "})):
        raise errors.InvalidInputError("a text has no control characters but line breaks and tabs", path=path)


def _check_printable(name: str, path: str) -> None:
    if not name.isprintable():
        raise errors.InvalidInputError("a name has no control characters", path=path)


def _convert(document: Document, kind: type[S]) -> S:
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `")
        raise errors.InvalidInputError(
            message[:1].lower() + message[1:], path=path.rstrip("`") or "$"
        ) from None
