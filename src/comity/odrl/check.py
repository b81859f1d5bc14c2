"""May this policy be published: is every word of it one that this connector can hold to.

A policy that says something unknown would be promised and never kept, or would refuse everybody without
telling why. Both are said at publishing, to the person who can mend it.
"""

from __future__ import annotations

from collections.abc import Mapping

from comity import errors
from comity.odrl import catenax, duties, operands, read, vocabulary
from comity.odrl.operand import OBLIGATION
from comity.odrl.policy import Constraint, Logical, Policy, Rule, describe
from comity.odrl.vocabulary import printable


def check(policy: Policy | Mapping[str, object]) -> None:
    """Refuse a policy that could not be enforced as it is written.

    Raises:
        InvalidInputError: a word or a duty is unknown, a value cannot be read, or nothing is permitted.
    """
    parsed = policy if isinstance(policy, Policy) else read.parse(policy)
    for name in parsed.unknown:
        raise errors.InvalidInputError(
            f"Nothing is known of {printable(name)}.", path=f"$.{name}", hint=_MEMBERS
        )
    for rule in (*parsed.permission, *parsed.prohibition):
        _check_rule(rule)
    for rule in parsed.obligation:
        _check_duty(rule)
    if not any(rule.action in _ROOTS for rule in parsed.permission):
        raise errors.InvalidInputError(
            "Nothing is permitted: without a permission to use, nobody can ever get it.",
            path="$.permission",
            hint='To let every partner use it, write {"action": "use"} as the permission.',
        )


_ROOTS = ("use", catenax.ACCESS)
_MEMBERS = (
    "A misspelled member would be a limit that nobody keeps; descriptions go under dct: or rdfs: names."
)
_VALUES = {
    "time": "a date or a time: 2027-12-31 or 2027-12-31T12:00:00Z",
    "number": "a number",
    "duration": "a duration: P30D or PT12H",
    "text": "a text or several",
}
_RULE_MEMBERS = {
    "target": "The asset comes from the contract definition, not from a rule.",
    "assignee": "Name the partner in a constraint instead: recipient eq its DID.",
    "duty": "DSP has no place for it here: write it as an obligation of the policy.",
}


def _check_rule(rule: Rule) -> None:
    for name in rule.unknown:
        hint = _RULE_MEMBERS.get(name, _MEMBERS)
        raise errors.InvalidInputError(
            f"A rule cannot say {printable(name)} here.", path=f"{rule.path}.{name}", hint=hint
        )
    if rule.kind != OBLIGATION and rule.action not in vocabulary.ACTIONS:
        raise errors.InvalidInputError(
            f"Unknown action {printable(rule.action)}.",
            path=f"{rule.path}.action",
            hint="The usual one is use.",
        )
    for constraint in rule.constraints:
        _check_constraint(constraint, rule)


def _check_duty(rule: Rule) -> None:
    _check_rule(rule)
    flaw = duties.flaw(rule)
    if flaw:
        raise errors.InvalidInputError(
            f"This duty could never be kept: {printable(rule.action)}: {flaw}.",
            path=f"{rule.path}.action" if flaw == duties.UNKNOWN else rule.path,
            hint=f"Known duties: {', '.join(duties.KNOWN)}.",
        )


def _check_constraint(constraint: Constraint, rule: Rule) -> None:
    if constraint.flaw:
        raise errors.InvalidInputError(
            f"This constraint could never be kept: {describe(constraint)}: {constraint.flaw}.",
            path=constraint.path,
            hint=_hint(constraint),
        )
    if isinstance(constraint, Logical):
        for member in constraint.members:
            _check_constraint(member, rule)
    elif constraint.known is not None and rule.kind not in constraint.known.rules:
        raise errors.InvalidInputError(
            f"{constraint.operand} says nothing in a {rule.kind}.",
            path=constraint.path,
            hint=f"It belongs into: {', '.join(constraint.known.rules)}.",
        )


def _hint(constraint: Constraint) -> str:
    """Return what is known in the place of what is not."""
    if isinstance(constraint, Logical):
        return ""
    if constraint.flaw == read.UNKNOWN_OPERAND:
        bare = [name for name in operands.names() if name not in catenax.NAMES]
        return f"Known left operands: {', '.join(bare)}, and those of Catena-X (CX-0152)."
    if constraint.flaw == read.UNKNOWN_OPERATOR:
        return f"Known operators: {', '.join(sorted(vocabulary.OPERATORS))}."
    if constraint.flaw != read.UNREADABLE or constraint.known is None:
        return ""
    known = constraint.known
    return (
        f"{constraint.operand} takes {', '.join(sorted(known.codes)) or known.takes or _VALUES[known.kind]}."
    )
