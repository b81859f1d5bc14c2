"""Values as people read them: sizes, times, and the terms of a policy (ODRL) as a sentence.

Pure functions on values of the management API. A term that has no phrase is shown as it was written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from comity import errors

if TYPE_CHECKING:
    from comity.odrl import model

_KILO = 1000
_EXACT_BELOW = 10


def size(size_bytes: object) -> str:
    """Return a number of bytes in the unit that fits, such as `23.1 MB`; empty when it is not a number."""
    try:
        amount = float(str(size_bytes))
    except ValueError:
        return ""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if amount < _KILO or unit == "TB":
            break
        amount /= _KILO
    return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 * _EXACT_BELOW else f"{amount:.1f} {unit}"


def count(number: int, noun: str) -> str:
    """Return `1 file` or `12 files`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def moment(at_ms: object) -> str:
    """Return a time in ms since 1970 as local date and time; empty when it is not one."""
    try:
        return datetime.fromtimestamp(float(str(at_ms)) / 1000, UTC).astimezone().strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):
        return ""


def duration(seconds: float) -> str:
    """Return `0.4 s`, `12 s` or `3 min 5 s`."""
    if seconds < _EXACT_BELOW:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def terms(policy: Any, *, us: str = "", names: Mapping[str, str] | None = None) -> str:
    """Return a policy as a sentence such as `use by you until 2027-12-31`.

    `us` is our participant id, `names` what we call others.
    """
    from comity.odrl import model  # noqa: PLC0415  start-up time

    if not isinstance(policy, Mapping):
        return "no terms"
    try:
        parsed = model.parse(policy)
    except errors.InvalidInputError as error:
        return f"terms that cannot be read: {error.message}"
    called = {**(names or {}), us: "you"} if us else names or {}
    said = [_rule(rule, called) for rule in parsed.permission] or ["nothing is permitted"]
    sentence = " or ".join(said)
    sentence += "".join(f"; never {_rule(rule, called)}" for rule in parsed.prohibition)
    return sentence + "".join(f"; must {_rule(rule, called)}" for rule in parsed.obligation)


def offers(dataset: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the offers of a dataset, one or many in either spelling."""
    listed = dataset.get("hasPolicy") or dataset.get("odrl:hasPolicy") or []
    return [each for each in (listed if isinstance(listed, list) else [listed]) if isinstance(each, dict)]


def datasets(catalog: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the datasets of a catalog, one or many in either spelling."""
    listed = catalog.get("dataset") or catalog.get("dcat:dataset") or []
    return [each for each in (listed if isinstance(listed, list) else [listed]) if isinstance(each, dict)]


def title(described: Mapping[str, Any]) -> str:
    """Return the title of a dataset or asset, or its name, or nothing."""
    for name in ("dct:title", "title", "dcterms:title", "http://purl.org/dc/terms/title", "name", "edc:name"):
        value = described.get(name)
        value = value.get("@value") if isinstance(value, Mapping) else value
        if isinstance(value, str) and value:
            return value
    return ""


def _rule(rule: model.Rule, called: Mapping[str, str]) -> str:
    if not rule.constraints:
        return f"{rule.action}, no conditions" if rule.path.startswith("$.permission") else rule.action
    return f"{rule.action} {', '.join(_constraint(each, called) for each in rule.constraints)}"


def _constraint(constraint: model.Constraint, called: Mapping[str, str]) -> str:
    from comity.odrl import model, policy  # noqa: PLC0415  start-up time

    if isinstance(constraint, model.Logical):
        members = [_constraint(each, called) for each in constraint.members]
        word = {"and": " and ", "andSequence": " and then ", "or": " or "}.get(constraint.operator)
        return f"({word.join(members)})" if word else f"exactly one of ({', '.join(members)})"
    said = _PHRASES.get((constraint.operand, constraint.operator))
    if said is None or constraint.flaw:
        return f"if {policy.describe(constraint)}"
    values = " or ".join(_values(constraint.right, called))
    if constraint.operand == "count":
        values += " time" if values == "1" else " times"
    return f"{said} {values}"


_PHRASES = {
    ("recipient", "eq"): "by",
    ("recipient", "isAnyOf"): "by",
    ("recipient", "neq"): "not by",
    ("recipient", "isNoneOf"): "not by",
    ("dateTime", "lteq"): "until",
    ("dateTime", "lt"): "before",
    ("dateTime", "gteq"): "from",
    ("dateTime", "gt"): "after",
    ("dateTime", "eq"): "on",
    ("purpose", "eq"): "for",
    ("purpose", "isAnyOf"): "for",
    ("purpose", "isNoneOf"): "not for",
    ("spatial", "eq"): "in",
    ("spatial", "isAnyOf"): "in",
    ("spatial", "isNoneOf"): "not in",
    ("count", "lteq"): "at most",
    ("count", "lt"): "fewer than",
}


def _values(right: object, called: Mapping[str, str]) -> Sequence[str]:
    if isinstance(right, list):
        return [each for value in right for each in _values(value, called)]
    if isinstance(right, Mapping):
        right = right.get("@value", right.get("@id", "..."))
    return [called.get(str(right), str(right))]
