"""Lists of codes: which value of an operand is part of which, for `isA`, `isPartOf` and `hasPart`.

None is built in: whether DE is part of EU is for whoever starts the connector to say. Without a list a value is part of
itself, and of everything else that cannot be told.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from comity import errors
from comity.odrl.operators import TEXT, Test, Verdict


class CodeList(msgspec.Struct, frozen=True):
    """The codes of an operand: each code -> the wider ones that it is directly part of. `{"DE": ("EU",)}`."""

    operand: str
    broader: Mapping[str, tuple[str, ...]]


_WIDER: Final[dict[str, dict[str, frozenset[str]]]] = {}


def register(codes: CodeList) -> None:
    """Add a list; several of one operand are one list.

    Raises:
        InvalidInputError: a code is part of itself, by way of others or not.
    """
    known = {code: set(wider) for code, wider in _WIDER.get(codes.operand, {}).items()}
    for code, wider in codes.broader.items():
        known.setdefault(code, set()).update(wider)
        for each in wider:
            known.setdefault(each, set())
    _WIDER[codes.operand] = {code: _closure(code, known) for code in known}


def forget(operand: str) -> None:
    """Take the lists of an operand away; policies that were read before keep them."""
    _WIDER.pop(operand, None)


def _closure(code: str, known: Mapping[str, set[str]]) -> frozenset[str]:
    found: set[str] = set()
    open_ = list(known[code])
    while open_:
        each = open_.pop()
        if each == code:
            raise errors.InvalidInputError(f"the code {code} is part of itself")
        if each not in found:
            found.add(each)
            open_ += known[each]
    return frozenset(found)


def test(operand: str, operator: str) -> Test | None:
    """Return the test of an operator that knows the codes of an operand, or None if codes do not matter to it."""
    wider = _WIDER.get(operand)
    if wider is None or operator not in ("isA", "isPartOf", "hasPart"):
        return None
    if operator == "hasPart":
        return lambda left, right: _has(left, right, wider)
    return lambda left, right: _part(left, right, wider)


def _part(left: frozenset[str], right: frozenset[str], wider: Mapping[str, frozenset[str]]) -> Verdict:
    """Tell whether all of what is stated is part of one of the codes; no, if all of them are listed and none is."""
    inside = {each for each in left if each in right or not right.isdisjoint(wider.get(each, ()))}
    if len(inside) == len(left):
        return True
    return False if not inside and left | right <= wider.keys() else TEXT["isPartOf"](left, right)


def _has(left: frozenset[str], right: frozenset[str], wider: Mapping[str, frozenset[str]]) -> Verdict:
    """Tell whether each of the codes is part of what is stated."""
    return True if all({each, *wider.get(each, ())} & left for each in right) else None
