"""Which revision applies to a serial number at a plant: one answer, for every question. Pure.

An effectivity says for what a revision is meant: a part, serial numbers from and to, plants; what it does not name it
does not limit. Of the released revisions that are meant for what is asked about, the newest applies. Deviations from it
that were granted for that unit are named with it.

The natural order of serial numbers and lots: runs of digits count as numbers, all else as text, so that SN-9 comes
before SN-10, and that before SN-10A. Zeros before a number do not count (SN-09 is SN-9); upper and lower case do.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from typing import Final, TypeAlias

import msgspec
from msgspec import Struct

from comity.errors import InvalidInputError

RELEASED, SUPERSEDED, RECALLED = "released", "superseded", "recalled"
MOST: Final = 1000
MAX_CHARACTERS: Final = 64 * 1024
"""How many effectivities a revision may have, and how many characters all of them: partners are told them."""
MAX_NAME: Final = 200
_SHOWN: Final = 3
_NUMBER = re.compile(r"([0-9]+)")

SerialKey: TypeAlias = tuple[str | tuple[int, str], ...]


class Effectivity(
    Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, forbid_unknown_fields=True
):
    """For what something is meant: empty members do not limit it. Both ends of a range belong to it."""

    part: str = ""
    serial_from: str = ""
    serial_to: str = ""
    plants: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Say it in a few words."""
        ends = f"{self.serial_from or 'the first'} to {self.serial_to or 'the last'}"
        one = self.serial_from == self.serial_to
        said = (
            ("part", self.part),
            ("serial number", self.serial_from if one else ""),
            ("serial numbers", ends if not one else ""),
            ("plants", ", ".join(self.plants)),
        )
        return "; ".join(f"{name} {words}" for name, words in said if words) or "everything"


class Anew(Struct, frozen=True):
    """What is said anew of the one effectivity that something has: only these members of it are others."""

    said: Effectivity
    members: frozenset[str]

    def upon(self, before: tuple[Effectivity, ...]) -> tuple[Effectivity, ...]:
        """Return for what it is meant then.

        Raises:
            InvalidInputError: it is meant for several things: which of them is to be another cannot be told.
        """
        if len(before) > 1:
            shown = " or ".join(map(str, before[:_SHOWN])) + (" or ..." if len(before) > _SHOWN else "")
            raise InvalidInputError(
                f"it is meant for {shown}: which of these {len(before)} is to be another cannot be told",
                path="$.effectivity",
                hint="say all of them in comity-package.toml",
            )
        known = before[0] if before else Effectivity()
        made = msgspec.structs.replace(known, **{name: getattr(self.said, name) for name in self.members})
        check((made,))
        return (made,) if made != Effectivity() else ()


class Question(Struct, frozen=True, kw_only=True):
    """What is asked about; an empty member is not known, and then only what is not limited by it applies."""

    part: str = ""
    serial: str = ""
    plant: str = ""


class Revision(Struct, frozen=True, kw_only=True):
    """A revision as the question sees it; without effectivities it is meant for everything."""

    number: int
    state: str = RELEASED
    effectivity: tuple[Effectivity, ...] = ()


class Answer(Struct, frozen=True):
    """The number of the revision that applies, None for none; the ids of deviations from it; the reason in words."""

    revision: int | None
    deviations: tuple[str, ...]
    why: str


def serial_key(text: str) -> SerialKey:
    """Return what serial numbers are ordered by: texts and numbers (length, digits) in turn."""
    parts = _NUMBER.split(unicodedata.normalize("NFC", text.strip()))
    return tuple(_number(part) if place % 2 else part for place, part in enumerate(parts))


def _number(digits: str) -> tuple[int, str]:
    plain = digits.lstrip("0")
    return len(plain), plain


def applies(
    revisions: Iterable[Revision], question: Question, deviations: Mapping[int, Collection[str]] | None = None
) -> Answer:
    """Return the one revision that applies to what is asked about, and why it is that one.

    `deviations` are the ids of those that were granted for what is asked about, by the number of the revision.
    """
    known = sorted(revisions, key=lambda each: -each.number)
    meant = [each for each in known if is_meant(each.effectivity, question)]
    released = [each for each in meant if each.state == RELEASED]
    if not released:
        return Answer(None, (), _why_none(known, meant, question))
    number = released[0].number
    granted = tuple(sorted(set((deviations or {}).get(number, ()))))
    if len(released) == 1:
        return Answer(number, granted, "the released revision that is meant for it")
    return Answer(number, granted, f"the newest of {len(released)} released revisions that are meant for it")


def unknown(numbers: Collection[int], answer: int | None, most: int) -> tuple[list[int], int]:
    """Return the first revisions that are not known and might apply where `answer` (None: none) does; and how many.

    Numbers begin with 1 and leave none out, and of two that apply the newer one does.
    """
    open_ = range((answer or 0) + 1, max(numbers, default=0))
    first = list(itertools.islice((each for each in open_ if each not in numbers), most))
    return first, len(open_) - sum(each in open_ for each in set(numbers))


def _why_none(known: list[Revision], meant: list[Revision], question: Question) -> str:
    if not known:
        return "there is no revision"
    if not meant:
        unsaid = _unsaid(known, question)
        more = (
            f"; say which {' and which '.join(unsaid)}: some revisions are meant for one only"
            if unsaid
            else ""
        )
        return f"no revision is meant for it{more}"
    return f"revision {meant[0].number}, the newest that is meant for it, was {meant[0].state}"


def _unsaid(known: list[Revision], question: Question) -> list[str]:
    """Return what the question leaves open and released revisions ask for."""
    asked = [each for one in known if one.state == RELEASED for each in one.effectivity]
    wanted = {
        "part": not question.part and any(each.part for each in asked),
        "serial number": not question.serial and any(each.serial_from or each.serial_to for each in asked),
        "plant": not question.plant and any(each.plants for each in asked),
    }
    return [name for name, open_ in wanted.items() if open_]


def is_meant(effectivity: tuple[Effectivity, ...], question: Question) -> bool:
    """Return whether something is meant for what is asked about; without effectivities it is."""
    return not effectivity or any(_holds(each, question) for each in effectivity)


def _holds(each: Effectivity, question: Question) -> bool:
    return (
        each.part in {"", question.part}
        and (not each.plants or question.plant in each.plants)
        and _within(each, question.serial)
    )


def _within(each: Effectivity, serial: str) -> bool:
    if not each.serial_from and not each.serial_to:
        return True
    if not serial:
        return False
    key = serial_key(serial)
    above = not each.serial_from or serial_key(each.serial_from) <= key
    return above and (not each.serial_to or key <= serial_key(each.serial_to))


def covers(newer: tuple[Effectivity, ...], older: tuple[Effectivity, ...]) -> bool:
    """Return whether all that the older one is meant for is meant by one of the newer: it is superseded then."""
    everything = (Effectivity(),)
    return all(any(_covers(a, b) for a in newer or everything) for b in older or everything)


def _covers(newer: Effectivity, older: Effectivity) -> bool:
    return (
        newer.part in {"", older.part}
        and _includes(newer.plants, older.plants)
        and (not newer.serial_from or _begins(newer.serial_from, older.serial_from))
        and (not newer.serial_to or _begins(older.serial_to, newer.serial_to))
    )


def _includes(newer: tuple[str, ...], older: tuple[str, ...]) -> bool:
    return not newer or (bool(older) and set(older) <= set(newer))


def _begins(first: str, second: str) -> bool:
    return bool(first and second) and serial_key(first) <= serial_key(second)


def overlap(one: tuple[Effectivity, ...], other: tuple[Effectivity, ...]) -> bool:
    """Return whether some unit may be meant by both."""
    everything = (Effectivity(),)
    return any(_overlap(a, b) for a in one or everything for b in other or everything)


def _overlap(one: Effectivity, other: Effectivity) -> bool:
    starts = [serial_key(each.serial_from) for each in (one, other) if each.serial_from]
    ends = [serial_key(each.serial_to) for each in (one, other) if each.serial_to]
    return (
        (not one.part or not other.part or one.part == other.part)
        and _meet(one.plants, other.plants)
        and (not starts or not ends or max(starts) <= min(ends))
    )


def _meet(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    return not one or not other or bool(set(one) & set(other))


def check(effectivity: tuple[Effectivity, ...], place: str = "$.effectivity") -> None:
    """Refuse what cannot be meant: too much of it, a range that ends before it begins, a name that is none.

    Raises:
        InvalidInputError: with the place below `place`.
    """
    if len(effectivity) > MOST:
        raise InvalidInputError(f"{len(effectivity)} effectivities; at most {MOST}", path=place)
    if (length := sum(len(str(each)) for each in effectivity)) > MAX_CHARACTERS:
        raise InvalidInputError(f"{length} characters of effectivities; at most {MAX_CHARACTERS}", path=place)
    for index, each in enumerate(effectivity):
        _check_names(each, f"{place}[{index}]")
        both = each.serial_from and each.serial_to
        if both and serial_key(each.serial_from) > serial_key(each.serial_to):
            raise InvalidInputError(
                f"the serial numbers end ({each.serial_to}) before they begin ({each.serial_from})",
                path=f"{place}[{index}]",
                hint="runs of digits are compared as numbers: SN-9 comes before SN-10",
            )


def _check_names(each: Effectivity, place: str) -> None:
    said = [("part", each.part), ("serialFrom", each.serial_from), ("serialTo", each.serial_to)]
    for member, name in [pair for pair in said if pair[1]] + [("plants", plant) for plant in each.plants]:
        if not 0 < len(name) <= MAX_NAME or not name.isprintable() or name != name.strip():
            raise InvalidInputError(
                f"a name has 1 to {MAX_NAME} printable characters and no blanks around it",
                path=f"{place}.{member}",
            )


def read(document: object, place: str = "$.effectivity") -> tuple[Effectivity, ...]:
    """Return effectivities that somebody sent.

    Raises:
        InvalidInputError: they are none, with the place.
    """
    try:
        found = msgspec.convert(document, tuple[Effectivity, ...])
    except msgspec.ValidationError as error:
        raise InvalidInputError(f"this is no list of effectivities: {error}", path=place) from None
    check(found, place)
    return found


def read_anew(document: object, place: str = "$.effectivity") -> Anew:
    """Return what somebody says anew of one effectivity: the members that are there, be they empty.

    Raises:
        InvalidInputError: it is not one, with the place.
    """
    found = read(document, place)
    if not isinstance(document, list) or len(found) != 1:
        raise InvalidInputError("one effectivity can be said anew", path=place)
    names = {each.encode_name: each.name for each in msgspec.structs.fields(Effectivity)}
    return Anew(found[0], frozenset(names[each] for each in document[0]))
