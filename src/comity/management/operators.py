"""The operators of criteria, on the values that a property has (one, or those of a list) and the wanted one.

Two values are equal when their JSON is: the text "5" equals the number 5, since clients write both. The denying
operators hold only if no value contradicts them. Nothing here may take longer than its input is long: partners send
criteria, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

Test = Callable[[list[Any], Any], bool]


def plain(value: Any) -> Any:
    """Return what an object in JSON-LD stands for: its id or its value; everything else is itself."""
    return value.get("@id", value.get("@value", value)) if isinstance(value, dict) else value


def text(value: Any) -> str:
    """Return a value as JSON writes it, texts without quotes."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def equal(value: Any, wanted: Any) -> bool:
    """Return whether two values are equal, or are the same text."""
    value, wanted = plain(value), plain(wanted)
    if isinstance(value, bool) or isinstance(wanted, bool):
        return text(value) == text(wanted)
    return bool(value == wanted) or text(value) == text(wanted)


def _any_equal(values: list[Any], wanted: Any) -> bool:
    return any(equal(each, wanted) for each in values)


def _is_in(values: list[Any], wanted: Any) -> bool:
    listed = wanted if isinstance(wanted, list) else [wanted]
    return any(_any_equal(values, each) for each in listed)


def _contains(values: list[Any], wanted: Any) -> bool:
    """A list has the member; a single text has the part."""
    return _any_equal(values, wanted) or (len(values) == 1 and text(plain(wanted)) in text(plain(values[0])))


def _not(test: Test) -> Test:
    return lambda values, wanted: not test(values, wanted)


def _compared(test: Callable[[Any, Any], bool]) -> Test:
    def compare(value: Any, wanted: Any) -> bool:
        try:
            return test(float(value), float(wanted))
        except (
            TypeError,
            ValueError,
            OverflowError,
        ):  # no numbers, or one beyond a float: dates compare as texts
            return test(text(value), text(wanted))

    return lambda values, wanted: any(compare(plain(each), plain(wanted)) for each in values)


@lru_cache(maxsize=256)
def _parts(pattern: str, flags: int) -> tuple[re.Pattern[str], ...]:
    return tuple(
        re.compile(re.escape(part).replace("_", "."), flags | re.DOTALL) for part in pattern.split("%")
    )


def _is_like(value: str, pattern: str, flags: int) -> bool:
    """Find the parts between the % one after the other: no way of backtracking, whatever the pattern."""
    first, *others = _parts(pattern, flags)
    if not others:
        return first.fullmatch(value) is not None
    found = first.match(value)
    for part in others[:-1]:
        found = part.search(value, found.end()) if found else None
    end = len(value) - len(pattern.rpartition("%")[2])
    return found is not None and found.end() <= end and others[-1].match(value, end) is not None


def _like(values: list[Any], wanted: Any, *, flags: int = 0) -> bool:
    return any(_is_like(text(plain(each)), text(plain(wanted)), flags) for each in values)


OPERATORS: dict[str, Test] = {
    "=": _any_equal,
    "!=": _not(_any_equal),
    "like": _like,
    "ilike": partial(_like, flags=int(re.IGNORECASE)),
    "in": _is_in,
    "not in": _not(_is_in),
    "contains": _contains,
    "<": _compared(lambda value, wanted: value < wanted),
    "<=": _compared(lambda value, wanted: value <= wanted),
    ">": _compared(lambda value, wanted: value > wanted),
    ">=": _compared(lambda value, wanted: value >= wanted),
}
"""Name -> test. Callers ask only about properties that are there: an absent one matches nothing, `!=` included."""
