"""A policy once it is read: frozen values, ready to be evaluated, compared and written again.

The words that could not be understood are kept: members under `extra`, and what makes a term useless under
`unknown` or `flaw`, so that evaluation can say no and name it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, TypeAlias

import msgspec

from comity.odrl import edc, operators, values
from comity.odrl.operand import Operand
from comity.odrl.vocabulary import printable

_SHOWN: Final = 10


class Atomic(msgspec.Struct, frozen=True):
    """One comparison, such as `dateTime lteq 2027-12-31`."""

    path: str
    operand: str
    operator: str
    right: object  # as the contract schema wants it: str, dict or list
    flaw: str  # why it can never be told, or empty
    known: Operand | None
    values: values.Values | None
    test: operators.Test | None
    extra: Mapping[str, object]


class Logical(msgspec.Struct, frozen=True):
    """Several constraints under `and`, `andSequence`, `or` or `xone`."""

    path: str
    operator: str
    members: tuple[Constraint, ...]
    flaw: str
    extra: Mapping[str, object]


Constraint: TypeAlias = Atomic | Logical


def describe(constraint: Constraint) -> str:
    """Return a constraint as a person reads it, at most 200 printable characters; with a date if it counts from one."""
    if isinstance(constraint, Logical):
        inner = "; ".join(describe(member) for member in constraint.members[:_SHOWN])
        return printable(f"{constraint.operator}({inner})")
    when = edc.instant(constraint.operand, constraint.right, constraint.values)
    dated = f" ({when})" if when else ""
    return printable(f"{constraint.operand} {constraint.operator} {_show(constraint.right)}{dated}")


def decides(constraint: Constraint) -> bool:
    """Tell whether software ever checks a constraint; what the contract alone says cannot choose between others."""
    if isinstance(constraint, Logical):
        members = [decides(member) for member in constraint.members]
        return any(members) if constraint.operator in ("and", "andSequence") else all(members)
    return constraint.known is None or constraint.known.decides


def atoms(constraints: Iterable[Constraint]) -> Iterator[Atomic]:
    """Yield every comparison in some constraints, however deep."""
    for each in constraints:
        if isinstance(each, Logical):
            yield from atoms(each.members)
        else:
            yield each


def _show(right: object) -> str:
    if isinstance(right, list):
        return f"[{', '.join(_show(item) for item in right[:_SHOWN])}{', ..' if len(right) > _SHOWN else ''}]"
    plain = values.canonical(right)
    if isinstance(plain, Mapping):
        plain = plain.get("@value", plain.get("@id", "{..}"))
    return plain if isinstance(plain, str) else "{..}"


class Rule(msgspec.Struct, frozen=True):
    """A permission, a prohibition or an obligation; all its constraints must hold."""

    path: str
    kind: str  # permission, prohibition or obligation
    action: str
    constraints: tuple[Constraint, ...]
    unknown: tuple[str, ...]  # members that may limit the rule in a way not known here
    extra: Mapping[str, object]


def describe_rule(rule: Rule) -> str:
    """Return a rule as a person reads it, such as `permission use: count lteq 3`."""
    inner = "; ".join(describe(each) for each in rule.constraints[:_SHOWN])
    return printable(f"{rule.kind} {rule.action}{': ' if inner else ''}{inner}")


class Policy(msgspec.Struct, frozen=True):
    """A policy; `source` is the JSON it was read from and must not be changed by anyone."""

    source: Mapping[str, object]
    id: str
    type: str  # Offer, Agreement, Set ...: the bare word, or empty
    target: str
    assigner: str
    assignee: str
    timestamp: str
    profile: tuple[str, ...]
    permission: tuple[Rule, ...]
    prohibition: tuple[Rule, ...]
    obligation: tuple[Rule, ...]
    unknown: tuple[str, ...]
    extra: Mapping[str, object]
