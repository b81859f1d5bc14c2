"""Of terms on one operand: which is the stricter, and whether one value is left that keeps all of them.

All constraints of a rule must hold, so the stricter wins by itself. What needs telling is which adds nothing, because
a stricter one is there, and which contradict each other, so that nobody could ever use it and neither is the stricter.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from comity.odrl import operands, values
from comity.odrl.policy import Atomic, Constraint

ONE_OF: Final = frozenset({"eq", "isAnyOf"})
_NONE_OF: Final = frozenset({"neq", "isNoneOf"})
_CLASS: Final = "comity:distributionClass"
#: A bound: its value, and whether that value itself is out: -1 for an upper bound, 1 for a lower one; else 0.
_Bound: TypeAlias = tuple[values.Number, int]


def implied(new: Constraint, there: Iterable[Constraint]) -> bool:
    """Return whether a constraint adds nothing to those that are there: a stricter one is among them."""
    return any(_is_stricter(each, new) for each in there)


def _is_stricter(one: Constraint, other: Constraint) -> bool:
    if not (isinstance(one, Atomic) and isinstance(other, Atomic) and one.operand == other.operand):
        return False
    upper, lower = _upper(one), _lower(one)
    wanted_upper, wanted_lower = _upper(other), _lower(other)
    if other.operator in {"lt", "lteq"} and wanted_upper is not None:
        return upper is not None and upper <= wanted_upper
    if other.operator in {"gt", "gteq"} and wanted_lower is not None:
        return lower is not None and lower >= wanted_lower
    return False


def contradiction(constraints: Sequence[Constraint]) -> tuple[Atomic, ...]:
    """Return constraints that no value keeps all of, empty if there may be one."""
    atoms = [each for each in constraints if isinstance(each, Atomic)]
    for operand in dict.fromkeys(each.operand for each in atoms):
        same = [each for each in atoms if each.operand == operand]
        found = _of_texts(same) or _of_bounds(same)
        if found:
            return found
    return ()


def _of_texts(same: list[Atomic]) -> tuple[Atomic, ...]:
    """Look at sets of texts; a partner may have several attributes and classes at once, so those go together."""
    if same[0].operand == _CLASS or same[0].operand in operands.attributes():
        return ()
    allowed = [(each, set(texts(each))) for each in same if each.operator in ONE_OF and texts(each)]
    if not allowed:
        return ()
    left = set.intersection(*(found for _, found in allowed))
    forbidden = [each for each in same if each.operator in _NONE_OF and left & texts(each)]
    if left.difference(*map(texts, forbidden)):
        return ()
    pair = next(((a, b) for a, first in allowed for b, second in allowed if not first & second), None)
    return pair or (*(each for each, _ in allowed), *forbidden)


def _of_bounds(same: list[Atomic]) -> tuple[Atomic, ...]:
    uppers = [(bound, each) for each in same if (bound := _upper(each)) is not None]
    lowers = [(bound, each) for each in same if (bound := _lower(each)) is not None]
    if not uppers or not lowers:
        return ()
    upper, first = min(uppers, key=lambda pair: pair[0])
    lower, second = max(lowers, key=lambda pair: pair[0])
    empty = lower[0] > upper[0] or (lower[0] == upper[0] and (lower[1], upper[1]) != (0, 0))
    return (second, first) if empty and first is not second else ()


def texts(constraint: Constraint) -> frozenset[str]:
    """Return the values of a constraint on texts, none if it is on something else."""
    found = constraint.values if isinstance(constraint, Atomic) else None
    return found if isinstance(found, frozenset) else frozenset()


def _interval(each: Atomic) -> values.Interval | None:
    found = each.values
    return found[0] if isinstance(found, tuple) and len(found) == 1 else None


def _step(each: Atomic) -> int:
    """Return how far apart two values are at least: times and durations are whole microseconds, numbers are not."""
    return 1 if each.known is not None and each.known.kind in {"time", "duration"} else 0


def _upper(each: Atomic) -> _Bound | None:
    """Return the highest value that keeps a constraint; the lower, the stricter."""
    found = _interval(each)
    if found is None or each.operator not in {"lt", "lteq", "eq"}:
        return None
    if each.operator != "lt":
        return found[1], 0
    return (found[0] - _step(each), 0) if _step(each) else (found[0], -1)


def _lower(each: Atomic) -> _Bound | None:
    """Return the lowest value that keeps a constraint; the higher, the stricter."""
    found = _interval(each)
    if found is None or each.operator not in {"gt", "gteq", "eq"}:
        return None
    if each.operator != "gt":
        return found[0], 0
    return (found[1] + _step(each), 0) if _step(each) else (found[1], 1)
