"""Which terms of a policy fall away when another takes its place: by what they are about, whatever their values.

A term that is there again with another value was said on purpose; one that is not there may have been forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, TypeAlias

from comity.odrl import read, sentence, vocabulary
from comity.odrl.marking import LABEL, PUBLIC, names
from comity.odrl.policy import Constraint, Logical, Policy, Rule

Kind: TypeAlias = tuple[str, object]

_SIDES: Final = {"lt": "<", "lteq": "<", "gt": ">", "gteq": ">", "neq": "not", "isNoneOf": "not"}
_RECIPIENTS: Final[frozenset[Kind]] = frozenset({("recipient", "is"), ("recipient", "not")})
"""To whom it goes does not tell two prohibitions apart: it is the permission that names the recipients."""


def terms(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return in words what held under the policy `before` and has nothing of its kind in the one `after`.

    Raises:
        InvalidInputError: one of both cannot be read.
    """
    old, new = read.parse(before), read.parse(after)
    kept = names(new.extra.get(LABEL))
    found = [
        *(said for rule in new.permission for said in _narrower(old, rule)),
        *(f"never {sentence.of_rule(rule, {})}" for rule in old.prohibition if not _forbidden(rule, new)),
        *(f"must {sentence.of_rule(rule, {})}" for rule in old.obligation if not _due(rule, new)),
        *(f"the profile {each}" for each in old.profile if each not in new.profile),
        *(f"the marking {each}" for each in names(old.extra.get(LABEL)) if each not in {*kept, PUBLIC}),
    ]
    return list(dict.fromkeys(found))


def _narrower(old: Policy, rule: Rule) -> list[str]:
    """Return what the permission nearest to a new one asked for, and that one does not."""
    ways = [list(_missing(each, rule)) for each in old.permission]
    return min(ways, key=len, default=["nothing is permitted"])


def _missing(old: Rule, new: Rule) -> Iterator[str]:
    there = set(_kinds(new.constraints))
    for kind, constraint in _kinds(old.constraints).items():
        if kind not in there:
            yield sentence.of_term(old, constraint, {})
    if not vocabulary.covers(old.action, new.action):
        yield f"only {old.action}"


def _forbidden(old: Rule, new: Policy) -> bool:
    """Return whether what was forbidden is forbidden under no more conditions."""
    asked = set(_kinds(old.constraints))
    return any(
        vocabulary.covers(each.action, old.action) and set(_kinds(each.constraints)) <= asked | _RECIPIENTS
        for each in new.prohibition
    )


def _due(old: Rule, new: Policy) -> bool:
    asked = set(_kinds(old.constraints))
    return any(
        each.action == old.action and asked <= set(_kinds(each.constraints)) for each in new.obligation
    )


def _kinds(constraints: Iterable[Constraint]) -> dict[Kind, Constraint]:
    """Return constraints that must hold all, by what each is about; a choice is about all that is in it."""
    found: dict[Kind, Constraint] = {}
    for each in constraints:
        if not isinstance(each, Logical):
            found[each.operand, _SIDES.get(each.operator, "is")] = each
        elif each.operator in ("and", "andSequence"):
            found |= _kinds(each.members)
        else:
            found[each.operator, frozenset(_kinds(each.members))] = each
    return found
