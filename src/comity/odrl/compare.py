"""Are two policies the same terms, and where do they differ: permission, prohibition, obligation and profile.

Order does not matter where it means nothing (rules, constraints, members of and/or/xone, values of a right
operand), nor do spelling and empty arrays; it does in andSequence, and so does how often a rule is given.
Ids, parties and target are not terms: the control plane compares those with what it knows. A datatype
counts: it is part of what was agreed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
from typing import Final, TypeVar

import msgspec

from comity import errors
from comity.odrl import read, values
from comity.odrl.policy import Atomic, Constraint, Logical, Policy, Rule, describe, describe_rule
from comity.odrl.vocabulary import printable

MAX_SAID: Final = 10
TERMS: Final = ("obligation", "permission", "profile", "prohibition")
_encode = msgspec.json.Encoder(order="sorted").encode
_NOT_JSON: Final = (TypeError, ValueError, RecursionError)
_PARTIES: Final = (b'target"', b'assigner"', b'assignee"')
_T = TypeVar("_T", Rule, Constraint)


class Difference(msgspec.Struct, frozen=True):
    """One place where two policies differ; a side is None where it has nothing.

    `terms` are both sides' terms around it in words, such as `count lteq 3`; empty where a side has none.
    """

    path: str
    left: object
    right: object
    terms: tuple[str, str] = ("", "")


def same(a: Policy | Mapping[str, object], b: Policy | Mapping[str, object]) -> bool:
    """Tell whether two policies have the same terms.

    Raises:
        InvalidInputError: one of them cannot be read.
    """
    return _alike(_source(a), _source(b)) or canonical(a) == canonical(b)


def differences(a: Policy | Mapping[str, object], b: Policy | Mapping[str, object]) -> tuple[Difference, ...]:
    """Name every place where the terms of two policies differ; empty if they are the same.

    Raises:
        InvalidInputError: one of them cannot be read.
    """
    if _alike(_source(a), _source(b)):
        return ()
    left, right = _parsed(a), _parsed(b)
    found: list[Difference] = []
    for kind in ("permission", "prohibition", "obligation"):
        _pair(getattr(left, kind), getattr(right, kind), _rule, _compare_rules, found)
    if sorted(left.profile) != sorted(right.profile):
        named = (", ".join(map(printable, left.profile)), ", ".join(map(printable, right.profile)))
        found.append(Difference("$.profile", list(left.profile) or None, list(right.profile) or None, named))
    return tuple(found)


def sentences(
    a: Policy | Mapping[str, object], b: Policy | Mapping[str, object], *, a_says: str, b_says: str
) -> tuple[str, ...]:
    """Say where the terms of two policies differ, and what each has there; `a_says` is "offered is" and the like.

    Raises:
        InvalidInputError: one of them cannot be read.
    """
    found = differences(a, b)
    said = [
        f"{each.path} differs from the offer: "
        + ", ".join(
            f"{who} {words or 'nothing'}" for who, words in zip((a_says, b_says), each.terms, strict=True)
        )
        for each in found[:MAX_SAID]
    ]
    return (*said, *((f"and {len(found) - MAX_SAID} more",) if len(found) > MAX_SAID else ()))


def canonical(policy: Policy | Mapping[str, object]) -> bytes:
    """Return the terms as JSON bytes that are equal exactly when the terms are the same, for a digest.

    Raises:
        InvalidInputError: the policy cannot be read.
    """
    parsed = _parsed(policy)
    found: dict[str, object] = {
        kind: [msgspec.Raw(rule) for rule in sorted(_rule(rule) for rule in rules)]
        for kind in ("permission", "prohibition", "obligation")
        if (rules := getattr(parsed, kind))
    }
    if parsed.profile:
        found["profile"] = sorted(parsed.profile)
    return _json(found, "$")


def _source(policy: Policy | Mapping[str, object]) -> Mapping[str, object]:
    return policy.source if isinstance(policy, Policy) else policy


def _parsed(policy: Policy | Mapping[str, object]) -> Policy:
    return policy if isinstance(policy, Policy) else read.parse(policy)


def _alike(a: Mapping[str, object], b: Mapping[str, object]) -> bool:
    """Tell at little cost that two policies are written alike; False says nothing."""
    if not all(isinstance(name, str) and ":" not in name for name in (*a, *b)):
        return False
    try:
        one, other = _encode([a.get(name) for name in TERMS]), _encode([b.get(name) for name in TERMS])
    except _NOT_JSON:
        return False
    # a party named in a rule means what the policy around it says, so it is not enough to look at the rule
    return one == other and not any(party in one for party in _PARTIES)


def _json(value: object, path: str) -> bytes:
    try:
        return _encode(value)
    except _NOT_JSON as error:
        raise errors.InvalidInputError("This is not JSON, or is nested too deep.", path=path) from error


def _rule(rule: Rule) -> bytes:
    constraints = [msgspec.Raw(item) for item in sorted(_constraint(item) for item in rule.constraints)]
    return _json({**rule.extra, "action": rule.action, "constraint": constraints}, rule.path)


def _constraint(constraint: Constraint) -> bytes:
    if isinstance(constraint, Logical):
        members = [_constraint(member) for member in constraint.members]
        if constraint.operator != "andSequence":
            members.sort()
        return _json(
            {**constraint.extra, constraint.operator: [msgspec.Raw(m) for m in members]}, constraint.path
        )
    body = {"leftOperand": constraint.operand, "operator": constraint.operator}
    right = msgspec.Raw(_right(constraint.right, constraint.path))
    return _json({**constraint.extra, **body, "rightOperand": right}, constraint.path)


def _right(right: object, path: str) -> bytes:
    plain = values.canonical(right)
    if isinstance(plain, list):
        return b"[" + b",".join(sorted(_json(item, path) for item in plain)) + b"]"
    return _json(plain, path)


def _pair(
    left: Sequence[_T],
    right: Sequence[_T],
    key: Callable[[_T], bytes],
    describe: Callable[[_T, _T, list[Difference]], None],
    found: list[Difference],
) -> None:
    """Set aside what both sides have, then compare what of the rest belongs together."""
    rest: dict[bytes, list[_T]] = {}
    for item in right:
        rest.setdefault(key(item), []).append(item)
    missing = []
    for item in left:
        equal = rest.get(key(item))
        if equal:
            equal.pop(0)
        else:
            missing.append(item)
    extra = [item for items in rest.values() for item in items]
    for one, other in _matched(missing, extra, describe):
        if one is not None and other is not None:
            describe(one, other, found)
        elif one is not None:
            found.append(Difference(one.path, _plain(key(one)), None, (_words(one), "")))
        elif other is not None:
            found.append(Difference(other.path, None, _plain(key(other)), ("", _words(other))))


def _matched(
    missing: list[_T], extra: list[_T], describe: Callable[[_T, _T, list[Difference]], None]
) -> list[tuple[_T | None, _T | None]]:
    """Pair those that are about the same thing, then those that differ in one place; the others stand alone."""
    pairs: dict[int, _T] = {}
    for about in (_about, _what):
        waiting: dict[tuple[str, ...], list[_T]] = {}
        for item in extra:
            waiting.setdefault(about(item), []).append(item)
        for index, item in enumerate(missing):
            if index not in pairs and (alike := waiting.get(about(item))):
                pairs[index] = alike.pop(0)
        extra = [item for items in waiting.values() for item in items]
    alone = [index for index in range(len(missing)) if index not in pairs]
    for index, other in zip(alone, extra, strict=False):
        tried: list[Difference] = []
        describe(missing[index], other, tried)
        if len(tried) == 1:
            pairs[index] = other
    paired = {id(item) for item in pairs.values()}
    found: list[tuple[_T | None, _T | None]] = []
    found += ((item, pairs.get(index)) for index, item in enumerate(missing))
    found += ((None, item) for item in extra if id(item) not in paired)
    return found


def _about(item: Rule | Constraint) -> tuple[str, ...]:
    return (item.operand, item.operator) if isinstance(item, Atomic) else _what(item)


def _what(item: Rule | Constraint) -> tuple[str, ...]:
    """Return what an item is about: a rule's action, a constraint's left operand, the operator that joins several."""
    if isinstance(item, Rule):
        return ("", item.action)
    return ("", item.operator) if isinstance(item, Logical) else (item.operand,)


def _words(item: Rule | Constraint | None) -> str:
    return "" if item is None else describe_rule(item) if isinstance(item, Rule) else describe(item)


def _plain(body: bytes) -> object:
    return msgspec.json.decode(body)


def _compare_rules(left: Rule, right: Rule, found: list[Difference]) -> None:
    if left.action != right.action:
        both = (_words(left), _words(right))
        found.append(Difference(f"{left.path}.action", left.action, right.action, both))
    _compare_extra(left, right, found)
    _pair(left.constraints, right.constraints, _constraint, _compare_constraints, found)


def _compare_extra(left: Rule | Constraint, right: Rule | Constraint, found: list[Difference]) -> None:
    for name in sorted({*left.extra, *right.extra}):
        one, other = left.extra.get(name), right.extra.get(name)
        if _json(one, left.path) != _json(other, left.path):
            said = (_member(name, one), _member(name, other))
            found.append(Difference(f"{left.path}.{name}", one, other, said))


def _member(name: str, value: object) -> str:
    return "" if value is None else printable(f"{name} {_json(value, name).decode()}")


def _compare_constraints(left: Constraint, right: Constraint, found: list[Difference]) -> None:
    both = (_words(left), _words(right))
    if isinstance(left, Logical) or isinstance(right, Logical):
        if isinstance(left, Logical) and isinstance(right, Logical) and left.operator == right.operator:
            _compare_extra(left, right, found)
            _compare_members(left, right, found)
        else:
            found.append(Difference(left.path, _plain(_constraint(left)), _plain(_constraint(right)), both))
        return
    _compare_extra(left, right, found)
    for name, one, other in (
        ("leftOperand", left.operand, right.operand),
        ("operator", left.operator, right.operator),
    ):
        if one != other:
            found.append(Difference(f"{left.path}.{name}", one, other, both))
    if _right(left.right, left.path) != _right(right.right, right.path):
        found.append(Difference(f"{left.path}.rightOperand", left.right, right.right, both))


def _compare_members(left: Logical, right: Logical, found: list[Difference]) -> None:
    if left.operator != "andSequence":
        _pair(left.members, right.members, _constraint, _compare_constraints, found)
        return
    for one, other in zip_longest(left.members, right.members):
        if one is None:
            found.append(Difference(other.path, None, _plain(_constraint(other)), ("", _words(other))))
        elif other is None:
            found.append(Difference(one.path, _plain(_constraint(one)), None, (_words(one), "")))
        elif _constraint(one) != _constraint(other):
            _compare_constraints(one, other, found)
