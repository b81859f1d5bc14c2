"""May an action be done under a policy, given the facts (ODRL information model 2.2, sections 2.6 and 2.7).

Default is no. A permission must apply and no prohibition; whatever is unknown, missing or unreadable means
no: the permission does not apply, the prohibition does. `xone`, `or` and `and` reckon with what cannot be
told, so that an unknown term cannot turn into a yes. A term that is decided elsewhere (`ELSEWHERE` is stated for it,
or no software ever checks it) neither stops a permission nor lets a prohibition apply, and the decision names it. A
duty that nothing is known of means no. Parties of the policy (assigner, assignee) are compared by the control plane,
which knows who signed the message.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from comity.odrl import duties, operands, operators, read, vocabulary
from comity.odrl.policy import Constraint, Logical, Policy, Rule, atoms, describe
from comity.odrl.vocabulary import printable

MAX_REASONS: Final = 20
#: Stated as a fact for what is not decided here.
ELSEWHERE: Final = operators.ELSEWHERE
#: The name under which what is asked about is a fact itself, for terms that are about one thing to do.
ACTION: Final = "action"


class Decision(msgspec.Struct, frozen=True):
    """The answer; `reasons` name the terms that said no, and are empty for a yes.

    `elsewhere` names the terms that a yes leaves to others: the receiver's own connector, or the contract alone.
    """

    allowed: bool
    reasons: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()


_YES = Decision(allowed=True)


def evaluate(
    policy: Policy | Mapping[str, object],
    facts: Mapping[str, object],
    *,
    action: str = "use",
    everywhere: bool = False,
) -> Decision:
    """Decide whether `action` is allowed; where this is called often, parse once and pass the `Policy`.

    Facts are stated by the names of operands (`operands`): text as a string or a collection of strings, `dateTime`
    a datetime, `elapsedTime` a timedelta, `count` an int; `ELSEWHERE` for what is not decided here. A reason is a
    term of the policy, such as `dateTime lteq 2027-12-31`, never a fact's value. A provider leaves to the receiver
    what only that can tell, unless the fact is stated; a receiver asks for a decision `everywhere`.

    Raises:
        InvalidInputError: `policy` is JSON that cannot be read.
    """
    parsed = policy if isinstance(policy, Policy) else read.parse(policy)
    asked = vocabulary.term(action)
    known = complete(facts, asked, everywhere=everywhere)
    left: list[Constraint] = []
    reasons = _obstacles(parsed, asked, known, left)
    if reasons:
        return _no(reasons)
    for rule in parsed.permission:
        if vocabulary.covers(rule.action, asked):
            mine = [*left]
            if applies(rule, known, reasons, mine):
                return _yes(mine) if mine else _YES
        elif rule.action not in vocabulary.ACTIONS:
            reasons.append(f"{rule.path[2:]}: unknown action {printable(rule.action)}")
    return _no(reasons or [f"no permission for {asked}"])


def complete(facts: Mapping[str, object], asked: str, *, everywhere: bool) -> dict[str, object]:
    """Return facts with what is asked about, and what is left to the receiver's own connector if it is."""
    return {**({} if everywhere else operands.left_to_the_receiver()), **facts, ACTION: asked}


def _no(reasons: Sequence[str]) -> Decision:
    return Decision(allowed=False, reasons=tuple(dict.fromkeys(reasons))[:MAX_REASONS])


def _yes(left: Sequence[Constraint]) -> Decision:
    return Decision(allowed=True, elsewhere=tuple(dict.fromkeys(map(describe, left)))[:MAX_REASONS])


def _obstacles(policy: Policy, asked: str, facts: Mapping[str, object], left: list[Constraint]) -> list[str]:
    reasons = [f"unknown member {printable(name)}" for name in policy.unknown]
    if asked not in vocabulary.ACTIONS:
        reasons.append(f"unknown action {asked}")
    reasons.extend(
        f"obligation: {printable(rule.action)}: {flaw}"
        for rule in policy.obligation
        if (flaw := duties.flaw(rule))
    )
    reasons.extend(
        f"prohibited: {_describe(rule)}" for rule in policy.prohibition if forbids(rule, asked, facts, left)
    )
    return reasons


def _describe(rule: Rule) -> str:
    return "; ".join(describe(constraint) for constraint in rule.constraints[:MAX_REASONS]) or printable(
        rule.action
    )


def forbids(rule: Rule, asked: str, facts: Mapping[str, object], left: list[Constraint]) -> bool:
    """Tell whether a prohibition forbids what is asked; what of it is decided elsewhere is added to `left`."""
    if rule.action in vocabulary.ACTIONS and not vocabulary.covers(rule.action, asked):
        return False
    verdicts = [judge(constraint, facts) for constraint in rule.constraints]
    verdict = operators.join("and", verdicts)
    if verdict is ELSEWHERE:
        left.extend(_left(rule.constraints, facts))
    return verdict is True or verdict is None


def applies(rule: Rule, facts: Mapping[str, object], reasons: list[str], left: list[Constraint]) -> bool:
    """Tell whether a permission applies; why not is added to `reasons`, what is decided elsewhere to `left`."""
    if rule.unknown:
        reasons.extend(f"{rule.path[2:]}: unknown member {printable(name)}" for name in rule.unknown)
        return False
    held = True
    for constraint in rule.constraints:
        verdict = judge(constraint, facts)
        if verdict is ELSEWHERE:
            left.extend(_left((constraint,), facts))
        elif verdict is not True:
            held = False
            _explain(constraint, facts, reasons)
    return held


def judge(constraint: Constraint, facts: Mapping[str, object]) -> operators.Verdict:
    """Return whether a constraint holds, whether that cannot be told, or whether it is decided elsewhere."""
    if isinstance(constraint, Logical):
        verdicts = [judge(member, facts) for member in constraint.members]
        return None if constraint.flaw else operators.join(constraint.operator, verdicts)
    known = constraint.known
    if constraint.flaw or known is None or constraint.test is None:
        return None
    stated = facts.get(known.known_as)
    if stated is ELSEWHERE or not known.decides:
        return ELSEWHERE
    fact = operators.fact(stated, known.kind)
    return None if fact is None else constraint.test(fact, constraint.values)


def _left(constraints: Sequence[Constraint], facts: Mapping[str, object]) -> list[Constraint]:
    return [each for each in atoms(constraints) if judge(each, facts) is ELSEWHERE]


def _explain(constraint: Constraint, facts: Mapping[str, object], reasons: list[str]) -> None:
    if constraint.flaw:
        reasons.append(f"{describe(constraint)}: {constraint.flaw}")
    elif isinstance(constraint, Logical):
        if constraint.operator in ("or", "xone"):
            reasons.append(describe(constraint))
            return
        for member in constraint.members:
            if judge(member, facts) not in (True, ELSEWHERE):
                _explain(member, facts, reasons)
    else:
        stated = constraint.known is not None and facts.get(constraint.known.known_as) is not None
        reasons.append(describe(constraint) if stated else f"{describe(constraint)}: not stated")
