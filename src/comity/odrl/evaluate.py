"""May an action be done under a policy, given the facts (ODRL information model 2.2, sections 2.6 and 2.7).

Default is no. A permission must apply and no prohibition; whatever is unknown, missing or unreadable means
no: the permission does not apply, the prohibition does. `xone`, `or` and `and` reckon with what cannot be
told, so that an unknown term cannot turn into a yes. An obligation means no too: nothing here can see to it
that it is kept. Parties of the policy (assigner, assignee) are compared by the control plane, which knows
who signed the message.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from comity.odrl import operators, read, vocabulary
from comity.odrl.policy import Constraint, Logical, Policy, Rule, describe, printable

MAX_REASONS: Final = 20


class Decision(msgspec.Struct, frozen=True):
    """The answer; `reasons` name the terms that said no, and are empty for a yes."""

    allowed: bool
    reasons: tuple[str, ...] = ()


_YES = Decision(allowed=True)


def evaluate(
    policy: Policy | Mapping[str, object], facts: Mapping[str, object], *, action: str = "use"
) -> Decision:
    """Decide whether `action` is allowed; where this is called often, parse once and pass the `Policy`.

    Facts: `recipient` a DID, `dateTime` a datetime, `purpose` and `spatial` a string or a collection of
    strings, `count` an int. A reason is a term of the policy, such as `dateTime lteq 2027-12-31`, never a
    fact's value.

    Raises:
        InvalidInputError: `policy` is JSON that cannot be read.
    """
    parsed = policy if isinstance(policy, Policy) else read.parse(policy)
    asked = vocabulary.term(action)
    reasons = _obstacles(parsed, asked, facts)
    if reasons:
        return _no(reasons)
    for rule in parsed.permission:
        if vocabulary.covers(rule.action, asked):
            if _applies(rule, facts, reasons):
                return _YES
        elif rule.action not in vocabulary.ACTIONS:
            reasons.append(f"{rule.path[2:]}: unknown action {printable(rule.action)}")
    return _no(reasons or [f"no permission for {asked}"])


def _no(reasons: Sequence[str]) -> Decision:
    return Decision(allowed=False, reasons=tuple(dict.fromkeys(reasons))[:MAX_REASONS])


def _obstacles(policy: Policy, asked: str, facts: Mapping[str, object]) -> list[str]:
    reasons = [f"unknown member {printable(name)}" for name in policy.unknown]
    if asked not in vocabulary.ACTIONS:
        reasons.append(f"unknown action {asked}")
    if policy.obligation:
        reasons.append("obligation: cannot be enforced")
    reasons.extend(
        f"prohibited: {_describe(rule)}" for rule in policy.prohibition if _forbids(rule, asked, facts)
    )
    return reasons


def _describe(rule: Rule) -> str:
    return "; ".join(describe(constraint) for constraint in rule.constraints[:MAX_REASONS]) or printable(
        rule.action
    )


def _forbids(rule: Rule, asked: str, facts: Mapping[str, object]) -> bool:
    if rule.action in vocabulary.ACTIONS and not vocabulary.covers(rule.action, asked):
        return False
    return all(_judge(constraint, facts) is not False for constraint in rule.constraints)


def _applies(rule: Rule, facts: Mapping[str, object], reasons: list[str]) -> bool:
    if rule.unknown:
        reasons.extend(f"{rule.path[2:]}: unknown member {printable(name)}" for name in rule.unknown)
        return False
    applies = True
    for constraint in rule.constraints:
        if _judge(constraint, facts) is not True:
            applies = False
            _explain(constraint, facts, reasons)
    return applies


def _judge(constraint: Constraint, facts: Mapping[str, object]) -> operators.Verdict:
    if constraint.flaw:
        return None
    if isinstance(constraint, Logical):
        return _join(constraint.operator, [_judge(member, facts) for member in constraint.members])
    known = operators.fact(facts.get(constraint.operand), constraint.kind)
    if known is None or constraint.test is None:
        return None
    return constraint.test(known, constraint.values)


def _join(operator: str, verdicts: list[operators.Verdict]) -> operators.Verdict:
    if operator == "or":
        return True if True in verdicts else None if None in verdicts else False
    if operator == "xone":
        yes = verdicts.count(True)
        return False if yes > 1 else None if None in verdicts else yes == 1
    return False if False in verdicts else None if None in verdicts else True


def _explain(constraint: Constraint, facts: Mapping[str, object], reasons: list[str]) -> None:
    if constraint.flaw:
        reasons.append(f"{describe(constraint)}: {constraint.flaw}")
    elif isinstance(constraint, Logical):
        if constraint.operator in ("or", "xone"):
            reasons.append(describe(constraint))
            return
        for member in constraint.members:
            if _judge(member, facts) is not True:
                _explain(member, facts, reasons)
    else:
        stated = facts.get(constraint.operand) is not None
        reasons.append(describe(constraint) if stated else f"{describe(constraint)}: not stated")
