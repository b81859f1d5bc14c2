"""Eclipse EDC's term `inForceDate`: from when and until when an agreement is in force (`ContractExpiryCheckFunction`).

Its right operand is an instant with its zone, or counts from the second in which the provider signed, as the
agreement's `timestamp` says: `contractAgreement+30d`, `contractAgreement+-5m` for before it. As in EDC it says nothing
before there is an agreement: EDC leaves it out where catalogs and negotiations are decided (`ScopeFilter`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from comity.odrl import operators, values
from comity.odrl.operand import PERMISSION, PROVIDER, Operand

NAME: Final = "inForceDate"
NAMESPACE: Final = "https://w3id.org/edc/v0.0.1/ns/"
_SPELLINGS: Final = (NAMESPACE, "edc:")
_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)
_FROM_SIGNING: Final = re.compile(r"contract[Aa]greement\+(-?[0-9]{1,20})([smhd])")
_UNITS_S: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_WORDS: Final = {"s": "second", "m": "minute", "h": "hour", "d": "day"}
_MOST: Final = 2**31
_SECOND_US: Final = 1_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_US: Final = values.microseconds(datetime(1, 1, 1, tzinfo=UTC))
_LAST_US: Final = values.microseconds(datetime(9999, 12, 31, tzinfo=UTC))


def _not_yet(now: Any, right: Any) -> operators.Verdict:
    del now, right
    return operators.ELSEWHERE


def _told(test: operators.Test) -> operators.Test:
    """Return a test that cannot tell where nobody knows when the agreement was signed."""
    return lambda now, right: test(now, right) if right else None


_OPERATORS: Final = ("eq", "neq", "lt", "lteq", "gt", "gteq")

#: Under an agreement.
IN_FORCE: Final = Operand(
    name=NAME,
    kind="time",
    asks="dateTime",
    enforced=PROVIDER,
    meaning="This provider checks it before each transfer and each request for data, not before it agrees, and ends a "
    "transfer that runs; the receiver's own Comity locks what it holds.",
    source="the time at this connector",
    rules=(PERMISSION,),
    tests={name: _told(operators.INTERVAL[name]) for name in _OPERATORS},
    takes="a time with seconds and zone, or what counts from the agreement, in s, m, h or d: 2027-12-31T12:00:00Z or "
    "contractAgreement+30d",
    written=NAMESPACE + NAME,
)
#: Before there is one.
NOT_YET: Final = msgspec.structs.replace(IN_FORCE, tests=dict.fromkeys(_OPERATORS, _not_yet))


def operand(name: str) -> str:
    """Return EDC's left operand in any spelling as its bare name; other names come back unchanged."""
    return NAME if name in {each + NAME for each in _SPELLINGS} else name


def signed(timestamp: str) -> int | None:
    """Return the second in which an agreement was signed, in microseconds since 1970; None if that cannot be read."""
    found = values.read_time(timestamp)
    return found[0] // _SECOND_US * _SECOND_US if found and isinstance(found[0], int) else None


def read(right: object, signed_us: int | None) -> values.Values | None:
    """Read a right operand, whatever its datatype is said to be; one that counts from an unknown time has no values."""
    text = _text(right)
    if _INSTANT.fullmatch(text.upper()):
        found = values.read_time(text.upper())
        return None if found is None else (found,)
    after_s = _after_s(text)
    if after_s is None or signed_us is None:
        return None if after_s is None else ()
    when = min(max(signed_us + after_s * _SECOND_US, _FIRST_US), _LAST_US)
    return ((when, when),)


def instant(operand: str, right: object, found: values.Values | None) -> str:
    """Return the instant that a right operand comes to which counts from the agreement; empty for any other."""
    if operand != NAME or not isinstance(found, tuple) or not found or _after_s(_text(right)) is None:
        return ""
    return (_EPOCH + timedelta(microseconds=int(found[0][0]))).isoformat().replace("+00:00", "Z")


def words(text: str) -> str:
    """Return a right operand in plain words: `contractAgreement+30d` is 30 days after the agreement."""
    match = _FROM_SIGNING.fullmatch(text)
    if match is None:
        return text
    number, unit = int(match[1]), _WORDS[match[2]]
    plural = "" if abs(number) == 1 else "s"
    return f"{abs(number)} {unit}{plural} {'before' if number < 0 else 'after'} the agreement"


def _after_s(text: str) -> int | None:
    match = _FROM_SIGNING.fullmatch(text)
    number = int(match[1]) if match else _MOST
    return number * _UNITS_S[match[2]] if match and -_MOST <= number < _MOST else None


def _text(right: object) -> str:
    inner = right[0] if isinstance(right, list) and len(right) == 1 else right
    inner = inner.get("@value") if isinstance(inner, Mapping) else inner
    return inner if isinstance(inner, str) else ""
