"""The purposes of a policy: which of them somebody has to state, where nothing is allowed to who states none.

Pure: whoever hands data out of what enforces its terms asks this before anything is fetched.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from comity.odrl import evaluate, operators, read
from comity.odrl.policy import Atomic, Policy, atoms, describe

PURPOSE: Final = "purpose"
NAMING: Final = frozenset({"eq", "isAnyOf", "isAllOf", "isA", "isPartOf", "hasPart"})
"""Operators that ask for one of what stands on their right, or for all of it."""


def wanted(policy: Policy | Mapping[str, object]) -> tuple[str, ...]:
    """Return the purposes of which one has to be stated, empty if none has to; where none is named, the terms in words.

    Raises:
        InvalidInputError: `policy` is JSON that cannot be read.
    """
    parsed = policy if isinstance(policy, Policy) else read.parse(policy)
    asked = [each for each in _atoms(parsed) if _name(each) == PURPOSE]
    others: dict[str, object] = {_name(each): operators.ELSEWHERE for each in _atoms(parsed)}
    if not asked or not evaluate.evaluate(parsed, others, everywhere=True).allowed:
        return ()
    del others[PURPOSE]
    if evaluate.evaluate(parsed, others, everywhere=True).allowed:
        return ()
    named = {
        text
        for each in asked
        if each.operator in NAMING and isinstance(each.values, frozenset)
        for text in each.values
    }
    return tuple(sorted(named)) or tuple(dict.fromkeys(map(describe, asked)))


def _name(atom: Atomic) -> str:
    return atom.known.known_as if atom.known else atom.operand


def _atoms(policy: Policy) -> Iterator[Atomic]:
    for rule in (*policy.permission, *policy.prohibition):
        yield from atoms(rule.constraints)
