"""Release rules: what a framework agreement asks of everything that is offered under it.

An offer inherits them, and may be stricter. Where it says the contrary, or what could never hold together with them,
that is refused and named; so is a document that says the contrary of its parent's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from comity import errors
from comity.framework import check
from comity.framework.document import ANYONE, Document, Framework
from comity.odrl import model

OPERAND: Final = "comity:frameworkAgreement"
_RULES = ("permission", "prohibition", "obligation")
_ONE_OF = frozenset({"eq", "isAnyOf"})


def inherit(policy: Mapping[str, Any], urn: str, *frameworks: Framework) -> Document:
    """Return a policy with the release rules of a framework agreement and those above it, and that it is in force.

    Raises:
        InvalidInputError: the policy contradicts one of them; each contradiction is named.
    """
    for each in frameworks:
        policy = _with_rules(policy, urn, each)
    named = {"leftOperand": OPERAND, "operator": "eq", "rightOperand": urn}
    permissions = [
        {**rule, "constraint": _joined(_list(rule.get("constraint")), [named])}
        for rule in _list(policy.get("permission"))
    ]
    return {**policy, "permission": permissions}


def without(policy: Mapping[str, Any]) -> Document:
    """Return a policy that is under no framework agreement any more; the release rules of one stay."""
    permissions = [
        {**rule, "constraint": [each for each in _list(rule.get("constraint")) if not _names(each)]}
        for rule in _list(policy.get("permission"))
    ]
    return {**policy, "permission": permissions}


def _names(constraint: Mapping[str, Any]) -> bool:
    return constraint.get("leftOperand") == OPERAND


def _with_rules(policy: Mapping[str, Any], urn: str, framework: Framework) -> Document:
    found = [*contradictions(policy, framework.release_rules), *_beyond(policy, urn, framework)]
    if found:
        raise errors.InvalidInputError(
            f"this contradicts the framework agreement {framework.title!r}: {'; '.join(found)}",
            path="$.policy",
        )
    made = {name: value for name, value in policy.items() if name not in _RULES}
    made["permission"] = [
        {**rule, "constraint": _joined(_list(rule.get("constraint")), _of(framework, rule))}
        for rule in _list(policy.get("permission"))
    ]
    for kind in ("prohibition", "obligation"):
        if rules := _joined(_list(policy.get(kind)), _list(framework.release_rules.get(kind))):
            made[kind] = rules
    return made


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _joined(*parts: list[Any]) -> list[Any]:
    made: list[Any] = []
    for each in (each for part in parts for each in part):
        if each not in made:
            made.append(each)
    return made


def _of(framework: Framework, rule: Mapping[str, Any]) -> list[Any]:
    """Return the constraints that one permission of an offer inherits: of several ways, any one must hold."""
    action = _action(rule)
    ways = [
        _list(each.get("constraint"))
        for each in _list(framework.release_rules.get("permission"))
        if _action(each) == action
    ]
    if len(ways) > 1 and all(ways):
        return [{"or": [{"and": way} for way in ways]}]
    return ways[0] if len(ways) == 1 else []


def _action(rule: Mapping[str, Any]) -> str:
    parsed = model.parse({"permission": [{"action": rule.get("action")}]})
    return parsed.permission[0].action


def contradictions(policy: Mapping[str, Any], above: Mapping[str, Any]) -> list[str]:
    """Return each way in which a policy cannot stand under release rules, in words."""
    below, rules = model.parse(policy), model.parse(above)
    released = {each.action for each in rules.permission}
    barred = {each.action for each in rules.prohibition if not each.constraints}
    found = []
    for rule in below.permission:
        if rule.action in barred:
            found.append(f"{rule.path} permits {rule.action}, which is prohibited")
        elif released and rule.action not in released:
            found.append(f"{rule.path} permits {rule.action}, which is not released")
        ways = [each for each in rules.permission if each.action == rule.action]
        clashes = [_clash(_atoms(rule.constraints), _atoms(way.constraints)) for way in ways]
        if clashes and all(clashes):
            found.append(clashes[0])
    return found


def _atoms(constraints: Iterable[model.Constraint]) -> Iterator[model.Atomic]:
    """Yield the comparisons that must all hold."""
    for each in constraints:
        if isinstance(each, model.Atomic):
            yield each
        elif each.operator in {"and", "andSequence"}:
            yield from _atoms(each.members)


def _clash(below: Iterable[model.Atomic], above: Iterable[model.Atomic]) -> str:
    """Return in words the first two comparisons that can never hold together, or nothing."""
    rules = list(above)
    for each in below:
        for rule in rules:
            if each.operand == rule.operand and _never_both(each, rule):
                return f"{each.path} ({_words(each)}) can never hold together with {_words(rule)}"
    return ""


def _words(each: model.Atomic) -> str:
    return f"{each.operand} {each.operator} {', '.join(texts(each.right))}"


def texts(right: Any) -> list[str]:
    """Return the values of a right operand as texts."""
    return [
        str(each.get("@id", each.get("@value", each))) if isinstance(each, Mapping) else str(each)
        for each in _list(right)
    ]


def _never_both(a: model.Atomic, b: model.Atomic) -> bool:
    left, right = set(texts(a.right)), set(texts(b.right))
    if a.operator in _ONE_OF and b.operator in _ONE_OF:
        return not left & right
    for one, other, wanted, barred in ((a, b, left, right), (b, a, right, left)):
        if one.operator in _ONE_OF and other.operator in {"isNoneOf", "neq"}:
            return wanted <= barred
        if a.operand == "dateTime" and one.operator in {"gt", "gteq"} and other.operator in {"lt", "lteq"}:
            return _first(one.right) > _last(other.right)
    return False


def _first(right: Any) -> int:
    return check.moment(texts(right)[0], "$.policy")


def _last(right: Any) -> int:
    return check.moment(texts(right)[0], "$.policy", last=True)


def _beyond(policy: Mapping[str, Any], urn: str, framework: Framework) -> Iterator[str]:
    """Yield what a policy says that this framework agreement makes impossible: others, another time, another one."""
    parties = set(framework.party_ids) | set(framework.accession.open_to if framework.accession else ())
    begin, end = check.moments(framework)
    for rule in model.parse(policy).permission:
        for each in _atoms(rule.constraints):
            said = texts(each.right)
            if each.operand == "recipient" and each.operator in _ONE_OF and ANYONE not in parties:
                yield from (
                    f"{each.path} names {other}, who is no party" for other in said if other not in parties
                )
            if each.operand == "dateTime" and each.operator in {"gt", "gteq"} and _first(each.right) > end:
                yield f"{each.path} ({_words(each)}) begins after its end, {framework.validity.until}"
            if each.operand == "dateTime" and each.operator in {"lt", "lteq"} and _last(each.right) < begin:
                yield f"{each.path} ({_words(each)}) ends before it begins, {framework.validity.from_}"
            if each.operand == OPERAND and each.operator in _ONE_OF and urn not in said:
                yield f"{each.path} asks for another framework agreement, {', '.join(said)}"
