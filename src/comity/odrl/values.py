"""Right operands: from JSON to something that can be compared, and to one spelling.

Dates follow XML Schema part 2 (3.2.7, 3.2.9) plus the form without seconds that partners send; a time
without a zone is UTC. A date is its whole day: `dateTime lteq 2027-12-31` holds until that day ends.
Whatever cannot be read is None, and None never allows anything.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final, TypeAlias

from comity.odrl import vocabulary

Number: TypeAlias = int | Decimal
#: Lowest and highest value that counts as equal: the same for a number or instant, a day's ends for a date.
Interval: TypeAlias = tuple[Number, Number]
Values: TypeAlias = frozenset[str] | tuple[Interval, ...]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
MICROSECOND = timedelta(microseconds=1)
_EXACT: Final = 1e15
_MAX_BITS: Final = 4_096
_DAY_US: Final = 86_400_000_000
_MAX_ZONE_MIN: Final = 14 * 60
_LAST: Final = (23, 59)
_MIDNIGHT: Final = (24, 0, 0, 0)
_DATE = r"(\d{4})-(\d\d)-(\d\d)"
_ZONE = r"(?:Z|([+-])(\d\d):(\d\d))?"
_WHEN = re.compile(_DATE + r"(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,40}))?)?)?" + _ZONE, re.ASCII)
_DURATION = re.compile(
    r"P(?=[\dT])(?:(\d{1,6})Y)?(?:(\d{1,6})M)?(?:(\d{1,6})W)?(?:(\d{1,6})D)?"
    r"(?:T(?=\d)(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9})(?:\.(\d{1,6}))?S)?)?",
    re.ASCII,
)
_YEAR_D: Final = (365, 366)
_MONTH_D: Final = (28, 31)
_NUMBER = re.compile(r"[+-]?\d{1,40}(\.\d{1,40})?", re.ASCII)

_TEXT_TYPES = frozenset({"", "@id", "xsd:string", "xsd:anyURI"})
_DATE_TYPES = frozenset({"", "xsd:date"})
_INSTANT_TYPES = frozenset({"", "xsd:dateTime", "xsd:dateTimeStamp"})
_DURATION_TYPES = frozenset({"", "xsd:duration", "xsd:dayTimeDuration", "xsd:yearMonthDuration"})
_NUMBER_TYPES = frozenset(
    ["", "xsd:decimal", "xsd:double", "xsd:float"]
    + [f"xsd:{name}" for name in ("integer", "int", "long", "short", "nonNegativeInteger", "positiveInteger")]
    + [f"xsd:unsigned{name}" for name in ("Int", "Long", "Short")]
)


def microseconds(when: datetime) -> int:
    """Return an instant as microseconds since 1970 UTC; one without a zone is UTC."""
    aware = when if when.tzinfo is not None else when.replace(tzinfo=UTC)
    return (aware - _EPOCH) // MICROSECOND


def read_time(text: str, kind: str = "") -> Interval | None:
    """Read a date or an instant, in microseconds since 1970 UTC; `kind` is its `xsd:` datatype or empty."""
    match = _WHEN.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, sign, zone_hour, zone_minute = match.groups()
    if kind not in (_DATE_TYPES if hour is None else _INSTANT_TYPES):
        return None
    zone_min = int(zone_hour or 0) * 60 + int(zone_minute or 0)
    clock = (int(hour or 0), int(minute or 0), int(second or 0), int((fraction or "0").ljust(6, "0")[:6]))
    if zone_min > _MAX_ZONE_MIN or (zone_minute or "") > "59" or not _is_clock(clock):
        return None
    try:
        days = date(int(year), int(month), int(day)).toordinal() - _EPOCH_DAY
    except ValueError:
        return None
    start = days * _DAY_US + (clock[0] * 3600 + clock[1] * 60 + clock[2]) * 1_000_000 + clock[3]
    start += zone_min * 60_000_000 * (1 if sign == "-" else -1)
    return (start, start + _DAY_US - 1) if hour is None else (start, start)


def _is_clock(clock: tuple[int, int, int, int]) -> bool:
    hour, minute, second, _ = clock
    return clock == _MIDNIGHT or (hour <= _LAST[0] and minute <= _LAST[1] and second <= _LAST[1])


def read_number(text: str, kind: str = "") -> Interval | None:
    """Read a decimal number exactly; no exponent, no infinity."""
    match = _NUMBER.fullmatch(text)
    if match is None or kind not in _NUMBER_TYPES:
        return None
    number = int(text) if match[1] is None else Decimal(text)
    return number, number


def read_duration(text: str, kind: str = "") -> Interval | None:
    """Read an ISO 8601 duration in microseconds; a month is 28 to 31 days, a year 365 or 366: each of them counts."""
    match = _DURATION.fullmatch(text)
    if match is None or kind not in _DURATION_TYPES:
        return None
    years, months, weeks, days, hours, minutes, seconds = (int(each or 0) for each in match.groups()[:7])
    fixed = (weeks * 7 + days) * _DAY_US + (hours * 3600 + minutes * 60 + seconds) * 1_000_000
    fixed += int((match[8] or "0").ljust(6, "0"))
    low, high = (
        fixed + (years * year + months * month) * _DAY_US
        for year, month in zip(_YEAR_D, _MONTH_D, strict=True)
    )
    return low, high


def read_days(right: object) -> Values | None:
    """Read numbers of whole days as durations; a duration in ISO 8601 is read as well."""
    items = right if isinstance(right, list) else [right]
    found = [_days(*pair) for item in items if (pair := _literal(item)) is not None]
    intervals = tuple(each for each in found if each is not None)
    return intervals if intervals and len(intervals) == len(items) else None


def _days(text: str, kind: str) -> Interval | None:
    number = read_number(text, kind)
    if number is None:
        return read_duration(text, kind)
    days = number[0]
    return (days * _DAY_US, days * _DAY_US) if days >= 0 else None


def read(right: object, kind: vocabulary.Kind) -> Values | None:
    """Read a right operand, as `wire` returns it, as values of a kind; None if any part cannot be read."""
    items = right if isinstance(right, list) else [right]
    pairs = [_literal(item) for item in items]
    if kind == "text":
        texts = [pair[0] for pair in pairs if pair is not None and pair[1] in _TEXT_TYPES]
        return frozenset(texts) if texts and len(texts) == len(items) else None
    reader = _READERS[kind]
    intervals = [reader(*pair) for pair in pairs if pair is not None]
    found = tuple(interval for interval in intervals if interval is not None)
    return found if found and len(found) == len(items) else None


_READERS: Final[Mapping[str, Callable[[str, str], Interval | None]]] = {
    "time": read_time,
    "number": read_number,
    "duration": read_duration,
}


def _literal(item: object) -> tuple[str, str] | None:
    if isinstance(item, str):
        return item, ""
    known = canonical(item)
    if isinstance(known, str):
        return known, ""
    if isinstance(known, dict) and isinstance(known.get("@id"), str) and len(known) == 1:
        return known["@id"], "@id"
    if isinstance(known, dict) and known.keys() == {"@value", "@type"}:
        value, kind = known["@value"], known["@type"]
        return (value, kind) if isinstance(value, str) and isinstance(kind, str) else None
    return None


def canonical(right: object) -> object:
    """Return a right operand, as `wire` returns it, in one spelling; an array keeps its order."""
    if isinstance(right, list):
        return canonical(right[0]) if len(right) == 1 else [canonical(item) for item in right]
    if not isinstance(right, Mapping) or "@value" not in right or not right.keys() <= {"@value", "@type"}:
        return right
    value, kind = scalar(right["@value"]), right.get("@type", "xsd:string")
    if value is None or not isinstance(kind, str):
        return right
    kind = vocabulary.datatype(kind)
    return value if kind == "xsd:string" else {"@value": value, "@type": kind}


def wire(right: object) -> object:
    """Return a right operand as the schema wants it: a string, object or array; None if it cannot be.

    Numbers and truth values become strings, since the schema has no place for them.
    """
    if not isinstance(right, list):
        return _wire_item(right)
    items = [_wire_item(item) for item in right]
    return None if None in items else items


def _wire_item(item: object) -> object:
    if not isinstance(item, dict):
        return scalar(item)
    plain = scalar(item["@value"]) if item.keys() == {"@value"} else None
    return item if plain is None else plain


def scalar(value: object) -> str | None:
    """Return a string, a number or a truth value as the string that stands for it; None for anything else."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if value.bit_length() <= _MAX_BITS else None
    if isinstance(value, float) and math.isfinite(value):
        return str(int(value)) if value.is_integer() and abs(value) < _EXACT else repr(value)
    return None
