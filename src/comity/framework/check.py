"""Does a framework agreement make sense by itself: names, dates, parties, promises, release rules, texts.

Whether it agrees with its parent and with what it replaces is `relation`'s part.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation

from comity import errors
from comity.framework.document import ANYONE, PREFIX, Document, Framework, Promise, is_urn
from comity.odrl import model

MAX_TEXT = 2_000
_ID = re.compile(re.escape(PREFIX) + r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,100}/[A-Za-z0-9!#$&^_.+-]{1,100}")
FILE = "framework.json"
"""The document's own file, beside which the texts lie."""


def check(framework: Framework) -> None:
    """Refuse a document that contradicts itself.

    Raises:
        InvalidInputError: with the exact place of the first thing that is wrong.
    """
    _check_names(framework)
    _check_languages(framework)
    _check_parties(framework)
    begin, end = moments(framework)
    if begin >= end:
        _refuse(
            "$.validity.until",
            f"it would end ({framework.validity.until}) before it begins ({framework.validity.from_})",
        )
    for name, promises in (("needs", framework.needs), ("commitments", framework.commitments)):
        _check_promises(framework, f"$.{name}", promises)
    if framework.release_rules:
        check_rules(framework.release_rules)


def _refuse(path: str, message: str, hint: str = "") -> None:
    raise errors.InvalidInputError(message, path=path, hint=hint)


def _check_names(framework: Framework) -> None:
    if not _ID.fullmatch(framework.id):
        _refuse("$.id", f"the id is {PREFIX} and a UUID in lower case")
    _check_text(framework.title, "$.title")
    for name in ("purpose", "territory", "programmes"):
        for at, each in enumerate(getattr(framework, name)):
            _check_text(each, f"$.{name}[{at}]")
    if framework.version < 1:
        _refuse("$.version", "versions are counted from 1")
    if (framework.version > 1) != bool(framework.replaces):
        _refuse(
            "$.replaces",
            "a first version replaces nothing"
            if framework.replaces
            else "an amendment must name the version that it replaces",
        )
    if framework.replaces and not (
        is_urn(framework.replaces) and framework.replaces.startswith(f"{framework.id}#")
    ):
        _refuse("$.replaces", "an amendment names an earlier version of the same agreement, with its hash")
    if framework.parent and not is_urn(framework.parent):
        _refuse("$.parent", "a parent is named by its URN with the hash")


def _check_text(text: str, path: str) -> None:
    if not 0 < len(text) <= MAX_TEXT or not text.isprintable():
        _refuse(path, f"a text here has 1 to {MAX_TEXT} printable characters")


def _check_languages(framework: Framework) -> None:
    if not framework.language_versions:
        _refuse("$.languageVersions", "there must be a text in one language at least")
    for at, each in enumerate(framework.language_versions):
        path, before = f"$.languageVersions[{at}]", framework.language_versions[:at]
        if not _LANGUAGE.fullmatch(each.language):
            _refuse(f"{path}.language", "a language is named as in BCP 47, such as en")
        if each.language.lower() in {other.language.lower() for other in before}:
            _refuse(f"{path}.language", f"there are two texts in {each.language}")
        plain = each.file.isprintable() and not set(each.file) & set("/\\") and not each.file.startswith(".")
        if not each.file or not plain or each.file == FILE:
            _refuse(f"{path}.file", "a text is a file beside the document, named without a folder")
        if each.file in {other.file for other in before}:
            _refuse(f"{path}.file", f"{each.file} stands for two languages")
        if not _MEDIA_TYPE.fullmatch(each.media_type):
            _refuse(f"{path}.mediaType", "this is no media type, such as text/markdown")
        if not _SHA256.fullmatch(each.sha256):
            _refuse(f"{path}.sha256", "a digest has 64 digits from 0 to f")


def check_texts(framework: Framework, digests: Mapping[str, str]) -> None:
    """Compare each language version with the file that holds it; `digests` are the SHA-256 of files by name.

    Raises:
        InvalidInputError: one is missing, or another text than the document says.
    """
    for at, each in enumerate(framework.language_versions):
        path = f"$.languageVersions[{at}]"
        if each.file not in digests:
            _refuse(f"{path}.file", f"there is no file {each.file}, the text in {each.language}")
        if digests[each.file] != each.sha256:
            _refuse(
                f"{path}.sha256",
                f"{each.file} is not the text that the document binds: its SHA-256 is {digests[each.file]}",
            )


def _check_parties(framework: Framework) -> None:
    if len(framework.parties) < 2:  # noqa: PLR2004  it takes two
        _refuse("$.parties", "an agreement has two parties at least")
    seen: set[str] = set()
    for at, each in enumerate(framework.parties):
        path = f"$.parties[{at}]"
        _check_text(each.participant_id, f"{path}.participantId")
        _check_text(each.name, f"{path}.name")
        _check_text(each.signing_role, f"{path}.signingRole")
        if each.participant_id in seen:
            _refuse(f"{path}.participantId", f"{each.participant_id} is named twice")
        seen.add(each.participant_id)
        for place, person in enumerate(each.signatories):
            _check_text(person.name, f"{path}.signatories[{place}].name")
            _check_text(person.role or "-", f"{path}.signatories[{place}].role")
    opened = framework.accession.open_to if framework.accession else ()
    for at, name in enumerate(opened):
        _check_text(name, f"$.accession.openTo[{at}]")
    if ANYONE in opened and len(opened) > 1:
        _refuse("$.accession.openTo", f"{ANYONE} is everybody: name no others beside it")


def check_party(framework: Framework, participant_id: str) -> None:
    """Refuse a document in which a participant is no party.

    Raises:
        InvalidInputError: it is not.
    """
    if participant_id not in framework.party_ids:
        _refuse(
            "$.parties",
            f"{participant_id} is not among the parties",
            "to join one that is open: comity framework accede",
        )


def _check_promises(framework: Framework, path: str, promises: tuple[Promise, ...]) -> None:
    begin, end = moments(framework)
    for at, each in enumerate(promises):
        place = f"{path}[{at}]"
        _check_text(each.id, f"{place}.id")
        if each.id in {other.id for other in promises[:at]}:
            _refuse(f"{place}.id", f"{each.id} stands twice")
        if each.party not in framework.party_ids:
            _refuse(f"{place}.party", f"{each.party} is not among the parties")
        _check_text(each.what, f"{place}.what")
        _check_text(each.unit, f"{place}.unit")
        quantity(each.quantity, f"{place}.quantity")
        if not begin < moment(each.by, f"{place}.by", last=True) <= end:
            _refuse(
                f"{place}.by",
                f"{each.by} is not from {framework.validity.from_} to {framework.validity.until}",
            )


def quantity(text: str, path: str = "$.quantity") -> Decimal:
    """Return a quantity: a decimal number above nought.

    Raises:
        InvalidInputError: it is none.
    """
    try:
        number = Decimal(text) if re.fullmatch(r"[0-9]{1,18}(\.[0-9]{1,9})?", text) else Decimal(0)
    except InvalidOperation:
        number = Decimal(0)
    if number <= 0:
        _refuse(path, "a quantity is a decimal number above 0, written as a text")
    return number


def check_rules(rules: Document) -> None:
    """Refuse release rules that could not be enforced as they are written.

    Raises:
        InvalidInputError: with the place below `$.releaseRules`.
    """
    try:
        model.check(model.parse(rules))
    except errors.InvalidInputError as error:
        _refuse("$.releaseRules" + error.path.removeprefix("$"), error.message, error.hint)


def moments(framework: Framework) -> tuple[int, int]:
    """Return when it begins and when it ends, in ms since 1970; a last day counts to its end.

    Raises:
        InvalidInputError: one of the two is no date.
    """
    return (
        moment(framework.validity.from_, "$.validity.from"),
        moment(framework.validity.until, "$.validity.until", last=True),
    )


def moment(text: str, path: str, *, last: bool = False) -> int:
    """Return a day's first or last moment, or a moment with its time zone, in ms since 1970.

    Raises:
        InvalidInputError: it is neither.
    """
    try:
        if len(text) == len("2027-12-31"):
            day = datetime.combine(date.fromisoformat(text), time(0), UTC)
            return _ms(day + timedelta(days=1)) - 1 if last else _ms(day)
        found = datetime.fromisoformat(text)
        if found.tzinfo is not None:
            return _ms(found)
    except (ValueError, OverflowError):
        pass
    raise errors.InvalidInputError(
        f"{text[:40]} is no date: write 2027-12-31 or 2027-12-31T12:00:00Z", path=path
    )


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)
