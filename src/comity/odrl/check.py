"""May this policy be published: is every word of it one that this connector can hold to.

A policy that says something unknown would be promised and never kept, or would refuse everybody without
telling why. Both are said at publishing, to the person who can mend it.
"""

from __future__ import annotations

from collections.abc import Mapping

from comity import errors
from comity.odrl import read, vocabulary
from comity.odrl.policy import Constraint, Logical, Policy, Rule, describe, printable


def check(policy: Policy | Mapping[str, object]) -> None:
    """Refuse a policy that could not be enforced as it is written.

    Raises:
        InvalidInputError: a word is unknown, a value cannot be read, there is an obligation, or nothing is
            permitted.
    """
    parsed = policy if isinstance(policy, Policy) else read.parse(policy)
    for name in parsed.unknown:
        raise errors.InvalidInputError(
            f"Nothing is known of {printable(name)}.", path=f"$.{name}", hint=_MEMBERS
        )
    if parsed.obligation:
        raise errors.InvalidInputError(
            "An obligation cannot be enforced yet, so it cannot be promised.",
            path="$.obligation",
            hint="Leave it out of the policy and agree on it in writing.",
        )
    for rule in (*parsed.permission, *parsed.prohibition):
        _check_rule(rule)
    if not any(rule.action == "use" for rule in parsed.permission):
        raise errors.InvalidInputError(
            "Nothing is permitted: without a permission to use, nobody can ever get it.",
            path="$.permission",
            hint='To let every partner use it, write {"action": "use"} as the permission.',
        )


_MEMBERS = (
    "A misspelled member would be a limit that nobody keeps; descriptions go under dct: or rdfs: names."
)
_WORDS = {
    "unknown operand": f"Known left operands: {', '.join(vocabulary.OPERANDS)}.",
    "unknown operator": f"Known operators: {', '.join(sorted(vocabulary.OPERATORS))}.",
    "a value that cannot be read": "dateTime needs 2027-12-31 or 2027-12-31T12:00:00Z, count a number.",
}
_RULE_MEMBERS = {
    "target": "The asset comes from the contract definition, not from a rule.",
    "assignee": "Name the partner in a constraint instead: recipient eq its DID.",
    "duty": "A duty cannot be enforced yet: leave it out and agree on it in writing.",
}


def _check_rule(rule: Rule) -> None:
    for name in rule.unknown:
        hint = _RULE_MEMBERS.get(name, _MEMBERS)
        raise errors.InvalidInputError(
            f"A rule cannot say {printable(name)} here.", path=f"{rule.path}.{name}", hint=hint
        )
    if rule.action not in vocabulary.ACTIONS:
        raise errors.InvalidInputError(
            f"Unknown action {printable(rule.action)}.",
            path=f"{rule.path}.action",
            hint="The usual one is use.",
        )
    for constraint in rule.constraints:
        _check_constraint(constraint)


def _check_constraint(constraint: Constraint) -> None:
    if constraint.flaw:
        raise errors.InvalidInputError(
            f"This constraint could never be kept: {describe(constraint)}: {constraint.flaw}.",
            path=constraint.path,
            hint=_WORDS.get(constraint.flaw, ""),
        )
    if isinstance(constraint, Logical):
        for member in constraint.members:
            _check_constraint(member)
