"""How each term of a policy is enforced, and what that means: one table for offers, agreements and receipts.

A term is a constraint of a rule, a prohibition without constraints, or a duty. Its class follows from the kind of the
rule, the action and the left operand. What is agreed and never checked is shown as openly as what is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from comity.odrl import catenax, duties, operand, operands, read, vocabulary
from comity.odrl.operand import OBLIGATION, PERMISSION
from comity.odrl.policy import Atomic, Policy, Rule, atoms, describe

PROVIDER: Final = operand.PROVIDER
NODE: Final = operand.NODE
ATTESTED: Final = operand.ATTESTED
CONTRACT: Final = operand.CONTRACT
CLASSES: Final[Mapping[str, str]] = {
    PROVIDER: "The provider's connector checks it before it hands anything out.",
    NODE: "The receiver's own Comity keeps it with what it received; another connector is bound by the contract alone.",
    ATTESTED: "A named person or organisation states it, and its word is kept as evidence; no software can see it.",
    CONTRACT: "It is agreed, both sides are bound by it, and no software sees to it.",
}
#: What the documents that show terms call the list of them.
MEMBER: Final = "comity:enforcement"
#: Passing data on: what the receiver's own Comity can refuse.
_PASSING_ON: Final = ("distribute", "transfer", "grantUse")
_UNKNOWN: Final = "Nothing is known of it, so it always says no."


class Term(msgspec.Struct, frozen=True):
    """A term of a policy: where it stands, in words, and how it is enforced."""

    path: str
    kind: str
    action: str
    operand: str
    words: str
    enforced: str  # empty for what is unknown and always says no
    meaning: str


def of(kind: str, action: str, name: str = "") -> str:
    """Return how a term is enforced: the kind of its rule, the action, its left operand (none: the bare rule).

    Empty if nothing is known of it.
    """
    return _class(kind, action, name)[0]


def _class(kind: str, action: str, name: str) -> tuple[str, str]:
    known = operands.find(name)
    is_duty = kind == OBLIGATION and action != duties.USE
    if (name and known is None) or action not in (duties.KNOWN if is_duty else vocabulary.ACTIONS):
        return "", _UNKNOWN
    if is_duty:
        return duties.KNOWN[action].enforced, duties.KNOWN[action].meaning
    if known is not None and (not known.decides or vocabulary.covers(action, catenax.ACCESS)):
        return known.enforced, known.meaning
    return _of_action(kind, action)


def _of_action(kind: str, action: str) -> tuple[str, str]:
    """Return how a rule is enforced by what it is about alone."""
    if vocabulary.covers(action, catenax.ACCESS):
        return PROVIDER, CLASSES[PROVIDER]
    if kind != PERMISSION and any(vocabulary.covers(each, action) for each in _PASSING_ON):
        return (
            NODE,
            "The receiver's own Comity does not pass on the data, or what is made of them, against it.",
        )
    return CONTRACT, f"Nothing here sees whether somebody does {action}. {CLASSES[CONTRACT]}"


def terms(policy: Policy | Mapping[str, object]) -> tuple[Term, ...]:
    """Return every term of a policy.

    Raises:
        InvalidInputError: `policy` is JSON that cannot be read.
    """
    parsed = policy if isinstance(policy, Policy) else read.parse(policy)
    rules = (*parsed.permission, *parsed.prohibition, *parsed.obligation)
    return tuple(term for rule in rules for term in _terms(rule))


def _terms(rule: Rule) -> Iterator[Term]:
    if rule.kind != PERMISSION and not rule.constraints:
        enforced, meaning = _class(rule.kind, rule.action, "")
        yield Term(rule.path, rule.kind, rule.action, "", rule.action, enforced, meaning)
    for each in atoms(rule.constraints):
        yield term(rule, each)


def term(rule: Rule, atom: Atomic) -> Term:
    """Return the term that a comparison in a rule is."""
    enforced, meaning = _class(rule.kind, rule.action, atom.operand)
    enforced, meaning = ("", _UNKNOWN) if atom.flaw else _of_values(atom, enforced, meaning)
    return Term(atom.path, rule.kind, rule.action, atom.operand, describe(atom), enforced, meaning)


def _of_values(atom: Atomic, enforced: str, meaning: str) -> tuple[str, str]:
    """Return the class of a term of Catena-X that says less than its operand can: the weakest part of it counts."""
    if atom.operand == "UsageRestriction" and isinstance(atom.values, frozenset):
        unseen = atom.values - {catenax.THIRD_PARTY}
        return (CONTRACT, meaning) if unseen else (enforced, meaning)
    if atom.operand == "ContractTermination" and atom.values == frozenset({catenax.KEEPING}):
        return CONTRACT, "The receiver may keep the data when the agreement ends: there is nothing to see to."
    return enforced, meaning


def document(policy: Policy | Mapping[str, object]) -> list[dict[str, Any]]:
    """Return the terms of a policy as JSON, for the member `comity:enforcement` of whatever shows them.

    Raises:
        InvalidInputError: `policy` is JSON that cannot be read.
    """
    return [
        {
            "comity:rule": each.kind,
            "comity:action": each.action,
            "comity:term": each.words,
            "comity:enforced": each.enforced or "unknown",
            "comity:meaning": each.meaning,
        }
        for each in terms(policy)
    ]
