"""The terms of a policy as a sentence that people read: `use by you until 2027-12-31; never distribute`.

A term that has no phrase is shown as it was written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from comity.odrl import edc
from comity.odrl.policy import Constraint, Logical, Policy, Rule, describe


def of(policy: Policy, called: Mapping[str, str]) -> str:
    """Return all its terms; `called` are names for participants by their ids."""
    said = [of_rule(rule, called) for rule in policy.permission] or ["nothing is permitted"]
    sentence = " or ".join(said)
    sentence += "".join(f"; never {of_rule(rule, called)}" for rule in policy.prohibition)
    return sentence + "".join(f"; must {of_rule(rule, called)}" for rule in policy.obligation)


def of_rule(rule: Rule, called: Mapping[str, str]) -> str:
    """Return one rule in words, without saying of which kind it is."""
    action = _ACTIONS.get(rule.action, rule.action)
    if not rule.constraints:
        return f"{action}, no conditions" if rule.path.startswith("$.permission") else action
    said = dict.fromkeys(of_term(rule, each, called) for each in rule.constraints)
    return f"{action} {', '.join(said)}"


def of_term(rule: Rule, constraint: Constraint, called: Mapping[str, str]) -> str:
    """Return a constraint of a rule in words; one that has none as it was written."""
    return _constraint(constraint, called, _PHRASES if rule.action == "use" else {**_PHRASES, **_PASSING_ON})


def _constraint(
    constraint: Constraint, called: Mapping[str, str], phrases: Mapping[tuple[str, str], str]
) -> str:
    if isinstance(constraint, Logical):
        members = [_constraint(each, called, phrases) for each in constraint.members]
        word = {"and": " and ", "andSequence": " and then ", "or": " or "}.get(constraint.operator)
        return f"({word.join(members)})" if word else f"exactly one of ({', '.join(members)})"
    said = phrases.get((constraint.operand, constraint.operator))
    if said is None or constraint.flaw:
        return f"if {describe(constraint)}"
    values = " or ".join(map(edc.words, _values(constraint.right, called)))
    if constraint.operand == "count":
        values += " time" if values == "1" else " times"
    return f"{said} {values}"


_ACTIONS = {
    "comity:keepMarking": "keep the marking",
    "obtainConsent": "obtain consent",
    "inform": "report the use",
}
_PASSING_ON = {
    ("recipient", "eq"): "to",
    ("recipient", "isAnyOf"): "to",
    ("recipient", "neq"): "to anybody but",
    ("recipient", "isNoneOf"): "to anybody but",
}
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
    ("inForceDate", "lteq"): "until",
    ("inForceDate", "lt"): "before",
    ("inForceDate", "gteq"): "from",
    ("inForceDate", "gt"): "after",
    ("purpose", "eq"): "for",
    ("purpose", "isAnyOf"): "for",
    ("purpose", "isNoneOf"): "not for",
    ("spatial", "eq"): "in",
    ("spatial", "isAnyOf"): "in",
    ("spatial", "isNoneOf"): "not in",
    ("comity:distributionClass", "eq"): "of class",
    ("comity:distributionClass", "isAnyOf"): "of class",
    ("comity:personNationality", "eq"): "for persons of",
    ("comity:personNationality", "isAnyOf"): "for persons of",
    ("comity:licence", "eq"): "under licence",
    ("count", "lteq"): "at most",
    ("elapsedTime", "lteq"): "within",
    ("count", "lt"): "fewer than",
    ("comity:revisionStatus", "eq"): "while its revision is",
    ("comity:frameworkAgreement", "eq"): "under",
    ("comity:frameworkAgreement", "isAnyOf"): "under",
}


def _values(right: object, called: Mapping[str, str]) -> Sequence[str]:
    if isinstance(right, list):
        return [each for value in right for each in _values(value, called)]
    if isinstance(right, Mapping):
        right = right.get("@value", right.get("@id", "..."))
    return [called.get(str(right), str(right))]
