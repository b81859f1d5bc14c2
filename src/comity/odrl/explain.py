"""Why a policy says yes or no: rule by rule, term by term, with the fact that each was compared with.

For our own people only: a partner is told which term failed (`evaluate`), and never a fact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final

import msgspec

from comity.odrl import duties, enforcement, evaluate, read, vocabulary
from comity.odrl.operand import OBLIGATION, PERMISSION
from comity.odrl.operators import ELSEWHERE, Verdict
from comity.odrl.policy import Constraint, Logical, Policy, Rule, describe, describe_rule
from comity.odrl.vocabulary import printable

HOLDS, FAILS, UNTOLD, LEFT = "holds", "fails", "cannot be told", "not decided here"
DUTY: Final = "says when"
_FEW: Final = 10


class Finding(msgspec.Struct, frozen=True):
    """A term, whether it holds, and the fact that says so; `why` is what makes it useless, if something does."""

    path: str
    words: str
    verdict: str
    fact: str
    source: str
    enforced: str
    why: str


class RuleFinding(msgspec.Struct, frozen=True):
    """A rule, what it does to what is asked, and its terms."""

    path: str
    kind: str
    words: str
    effect: str
    terms: tuple[Finding, ...]


class Explanation(msgspec.Struct, frozen=True):
    """A decision; `because` names in a sentence the rule that decides it."""

    allowed: bool
    because: str
    reasons: tuple[str, ...]
    rules: tuple[RuleFinding, ...]


def explain(
    policy: Policy | Mapping[str, object],
    facts: Mapping[str, object],
    *,
    action: str = "use",
    everywhere: bool = False,
) -> Explanation:
    """Decide as `evaluate` does, and say why.

    Raises:
        InvalidInputError: `policy` is JSON that cannot be read.
    """
    parsed = policy if isinstance(policy, Policy) else read.parse(policy)
    asked = vocabulary.term(action)
    decision = evaluate.evaluate(parsed, facts, action=asked, everywhere=everywhere)
    known = evaluate.complete(facts, asked, everywhere=everywhere)
    rules = tuple(
        RuleFinding(
            rule.path,
            rule.kind,
            describe_rule(rule),
            _effect(rule, asked, known),
            tuple(each for constraint in rule.constraints for each in _findings(rule, constraint, known)),
        )
        for rule in (*parsed.permission, *parsed.prohibition, *parsed.obligation)
    )
    return Explanation(decision.allowed, _because(decision, rules), decision.reasons, rules)


def replace(found: Explanation, told: Callable[[str], str]) -> Explanation:
    """Return an explanation with what `told` makes of the words of its reasons, which may know more of a term."""
    because = found.because
    for each in found.reasons:
        because = because.replace(each, told(each))
    rules = tuple(
        msgspec.structs.replace(
            rule,
            terms=tuple(_with_reason(term, told(term.words), rule.kind) for term in rule.terms),
        )
        for rule in found.rules
    )
    return Explanation(found.allowed, because, tuple(map(told, found.reasons)), rules)


def _with_reason(term: Finding, reason: str, kind: str) -> Finding:
    if term.verdict not in (FAILS, UNTOLD) or reason == term.words:
        return term
    return msgspec.structs.replace(term, why=reason, verdict=FAILS if kind == PERMISSION else term.verdict)


APPLIES, FORBIDS = "applies", "forbids it"
_NOT_ABOUT: Final = "is not about this"


def _effect(rule: Rule, asked: str, known: Mapping[str, object]) -> str:
    if rule.kind == OBLIGATION:
        flaw = duties.flaw(rule)
        return f"says no: {flaw}" if flaw else "follows from having agreed"
    if rule.action in vocabulary.ACTIONS and not vocabulary.covers(rule.action, asked):
        return _NOT_ABOUT
    if rule.kind == PERMISSION:
        covered = vocabulary.covers(rule.action, asked)
        return APPLIES if covered and evaluate.applies(rule, known, [], []) else "does not apply"
    return FORBIDS if evaluate.forbids(rule, asked, known, []) else "does not forbid it"


def _because(decision: evaluate.Decision, rules: tuple[RuleFinding, ...]) -> str:
    if decision.allowed:
        rule = next(each for each in rules if each.kind == PERMISSION and each.effect == APPLIES)
        left = f"; not decided here: {', '.join(decision.elsewhere)}" if decision.elsewhere else ""
        return f"{rule.path[2:]} applies{left}"
    forbidding = [each.path[2:] for each in rules if each.effect == FORBIDS]
    said = "; ".join(decision.reasons[:_FEW])
    return f"{forbidding[0]} forbids it: {said}" if forbidding else f"no permission applies: {said}"


def _findings(rule: Rule, constraint: Constraint, known: Mapping[str, object]) -> Iterator[Finding]:
    is_duty = rule.kind == OBLIGATION
    verdict = DUTY if is_duty else _VERDICTS[evaluate.judge(constraint, known)]
    if isinstance(constraint, Logical):
        yield Finding(constraint.path, describe(constraint), verdict, "", "", "", constraint.flaw)
        for member in constraint.members:
            yield from _findings(rule, member, known)
        return
    operand = constraint.known
    stated = known.get(operand.known_as) if operand is not None and operand.decides else None
    fact = "" if is_duty or stated is ELSEWHERE else show(stated)
    missing = verdict == UNTOLD and not fact and not constraint.flaw
    yield Finding(
        constraint.path,
        describe(constraint),
        verdict,
        fact,
        operand.source if operand is not None else "",
        enforcement.term(rule, constraint).enforced,
        constraint.flaw or ("not stated" if missing else ""),
    )


_VERDICTS: Final[Mapping[Verdict, str]] = {True: HOLDS, False: FAILS, None: UNTOLD, ELSEWHERE: LEFT}


def show(fact: object) -> str:
    """Return a fact as a person reads it; empty if there is none."""
    if fact is None:
        return ""
    if isinstance(fact, datetime):
        return fact.isoformat().replace("+00:00", "Z")
    if isinstance(fact, timedelta):
        days = f"{fact.days} d " if fact.days else ""
        return f"{days}{fact.seconds} s"
    if isinstance(fact, tuple | list | set | frozenset):
        return printable(", ".join(sorted(map(str, fact))))
    return printable(str(fact))
