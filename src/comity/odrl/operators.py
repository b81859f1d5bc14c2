"""What each ODRL operator says about facts and right operands (ODRL vocabulary 2.2, section 4.7).

A verdict is True, False or None, and None means that it cannot be told: a permission then does not apply
and a prohibition does. Text facts may be several values at once: what a party may do or where it may be, of
which it takes one. `purpose eq research` is then True when research is among them, and `purpose neq research`
None when something else is too. No hierarchy of places or classes is known here, so `isA`, `isPartOf` and
`hasPart` on text are True for the same name and None otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import Enum
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from comity.odrl import values, vocabulary


class Elsewhere(Enum):
    """The verdict about a term that is not decided here: by the receiver's own connector, or by the contract alone."""

    ELSEWHERE = "elsewhere"


ELSEWHERE: Final = Elsewhere.ELSEWHERE
Verdict: TypeAlias = bool | Elsewhere | None
Test: TypeAlias = Callable[[Any, Any], Verdict]
_Texts: TypeAlias = frozenset[str]
_Intervals: TypeAlias = tuple[values.Interval, ...]


def negate(verdict: Verdict) -> Verdict:
    """Return the opposite; what cannot be told stays so, and what is not decided here."""
    return not verdict if isinstance(verdict, bool) else verdict


def join(operator: str, verdicts: Sequence[Verdict]) -> Verdict:
    """Return what `and`, `andSequence`, `or` or `xone` says; doubt outweighs what is decided elsewhere."""
    if operator == "or":
        return True if True in verdicts else _doubt(verdicts, otherwise=False)
    if operator == "xone":
        yes = verdicts.count(True)
        return False if yes > 1 else _doubt(verdicts, otherwise=yes == 1)
    return False if False in verdicts else _doubt(verdicts, otherwise=True)


def _doubt(verdicts: Sequence[Verdict], *, otherwise: bool) -> Verdict:
    return None if None in verdicts else ELSEWHERE if ELSEWHERE in verdicts else otherwise


def fact(value: object, kind: vocabulary.Kind) -> frozenset[str] | int | None:
    """Return a fact ready for a test of its kind; None if there is none or it is of another kind.

    Text is a string or a collection of strings, time a `datetime`, duration a `timedelta`, number an `int`.
    """
    if kind == "text":
        if isinstance(value, str):
            return frozenset((value,))
        if isinstance(value, set | frozenset | list | tuple) and all(isinstance(item, str) for item in value):
            return frozenset(value) or None
        return None
    if kind == "time":
        return values.microseconds(value) if isinstance(value, datetime) else None
    if kind == "duration":
        return value // values.MICROSECOND if isinstance(value, timedelta) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def test(operator: str, kind: vocabulary.Kind) -> Test | None:
    """Return the test of an operator for a kind of value; None if it has no meaning there."""
    return (TEXT if kind == "text" else INTERVAL).get(operator)


def _text_eq(left: _Texts, right: _Texts) -> Verdict:
    if right <= left:
        return True
    return False if left.isdisjoint(right) else None


def _text_none(left: _Texts, right: _Texts) -> Verdict:
    if left.isdisjoint(right):
        return True
    return False if left <= right else None


def _text_part(left: _Texts, right: _Texts) -> Verdict:
    return True if left <= right else None


def _text_has(left: _Texts, right: _Texts) -> Verdict:
    return True if left >= right else None


TEXT: Final[Mapping[str, Test]] = MappingProxyType(
    {
        "eq": _text_eq,
        "neq": _text_none,
        "isAnyOf": lambda left, right: not left.isdisjoint(right),
        "isNoneOf": _text_none,
        "isAllOf": lambda left, right: bool(left >= right),
        "isA": _text_part,
        "isPartOf": _text_part,
        "hasPart": _text_has,
    }
)


def _any(left: values.Number, right: _Intervals) -> bool:
    return any(low <= left <= high for low, high in right)


def _all(left: values.Number, right: _Intervals) -> bool:
    return all(low <= left <= high for low, high in right)


def _eq(left: values.Number, right: _Intervals) -> Verdict:
    if _all(left, right):
        return True
    return None if _any(left, right) else False


INTERVAL: Final[Mapping[str, Test]] = MappingProxyType(
    {
        "eq": _eq,
        "neq": lambda left, right: negate(_eq(left, right)),
        "lt": lambda left, right: bool(left < right[0][0]),
        "lteq": lambda left, right: bool(left <= right[0][1]),
        "gt": lambda left, right: bool(left > right[0][1]),
        "gteq": lambda left, right: bool(left >= right[0][0]),
        "isAnyOf": _any,
        "isNoneOf": lambda left, right: not _any(left, right),
        "isAllOf": _all,
        "isA": _any,
        "isPartOf": _any,
        "hasPart": _all,
    }
)
