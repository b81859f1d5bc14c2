"""From JSON to a `Policy`: strict enough to evaluate, lenient about spelling (DSP 2025-1, contract schema).

Accepted besides the schema's form: one object for an array, `odrl:` and full names, `{"@id": ..}` and
`{"@value": ..}` around names, numbers as right operands, null for absent. Not accepted: anything whose
meaning would have to be guessed. Words that are well-formed but unknown are kept for `evaluate` to refuse.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NoReturn

from comity import errors
from comity.odrl import catenax, codes, edc, operands, operators, values, vocabulary
from comity.odrl.operand import Operand
from comity.odrl.policy import Atomic, Constraint, Logical, Policy, Rule, decides
from comity.odrl.vocabulary import printable

MAX_DEPTH: Final = 16
MAX_CONSTRAINTS: Final = 500
MAX_RULES: Final = 500
MAX_VALUES: Final = 5_000
UNKNOWN_OPERAND: Final = "unknown operand"
UNKNOWN_OPERATOR: Final = "unknown operator"
UNREADABLE: Final = "a value that cannot be read"

_NAMES = frozenset({"@id", "@value", "type", "odrl:type"})
_WRAPPINGS: Final = 4  # [{"odrl:type": {"@id": "odrl:use"}}] is the longest seen
_PARTIES = ("target", "assigner", "assignee")
_RULES = ("permission", "prohibition", "obligation")
_POLICY_MEMBERS = frozenset({"@context", "@id", "@type", "uid", "timestamp", "profile", *_PARTIES, *_RULES})
_RULE_TYPES = frozenset({"Rule", "Permission", "Prohibition", "Duty", "Obligation"})
_CONSTRAINT_TYPES = frozenset({"Constraint", "AtomicConstraint", "LogicalConstraint"})
_ATOMIC = ("leftOperand", "operator", "rightOperand")


class _Budget:
    """What is left of the constraints and values a policy may have, and whether it is agreed, when it was signed."""

    def __init__(self, *, is_agreed: bool, signed_us: int | None) -> None:
        self.is_agreed, self.signed_us = is_agreed, signed_us
        self.constraints = MAX_CONSTRAINTS
        self.values = MAX_VALUES

    def spend_values(self, path: str, number: int) -> None:
        self.values -= number
        if self.values < 0:
            _refuse(path, f"The right operands of a policy may have {MAX_VALUES} values at most.")

    def spend(self, path: str) -> None:
        self.constraints -= 1
        if self.constraints < 0:
            _refuse(path, f"A policy may have {MAX_CONSTRAINTS} constraints at most.")


def parse(policy: Mapping[str, object]) -> Policy:
    """Read a policy; the result can be kept and used any number of times, while `policy` must not be changed.

    Raises:
        InvalidInputError: a part is missing, of the wrong kind or over the limits; `path` says which.
    """
    members = _members(policy, "$")
    parties = {name: _optional(members, name) for name in _PARTIES}
    kind, timestamp = vocabulary.term(_optional(members, "@type")), _optional(members, "timestamp")
    is_agreed = kind == "Agreement" or bool(parties["assigner"] and parties["assignee"])
    budget = _Budget(is_agreed=is_agreed, signed_us=edc.signed(timestamp))
    extra = {name: value for name, value in members.items() if name not in _POLICY_MEMBERS}
    profiles = _list(members.get("profile"))
    return Policy(
        source=policy,
        id=_optional(members, "@id") or _optional(members, "uid"),
        type=kind,
        timestamp=timestamp,
        profile=tuple(_name(value, f"$.profile[{place}]") for place, value in enumerate(profiles)),
        unknown=_unknown(extra),
        extra=extra,
        target=parties["target"],
        assigner=parties["assigner"],
        assignee=parties["assignee"],
        permission=_rules(members, "permission", parties, budget),
        prohibition=_rules(members, "prohibition", parties, budget),
        obligation=_rules(members, "obligation", parties, budget),
    )


def _refuse(path: str, message: str) -> NoReturn:
    raise errors.InvalidInputError(message, path=path)


def _members(value: object, path: str) -> dict[str, object]:
    if not isinstance(value, Mapping):
        _refuse(path, f"An object is needed here, not {_kind(value)}.")
    found: dict[str, object] = {}
    for key, member in value.items():
        if member is None:
            continue
        name = vocabulary.term(key) if ":" in key else key
        if name in found:
            _refuse(f"{path}.{name}", "This member is given twice, in two spellings.")
        found[name] = member
    return found


def _kind(value: object) -> str:
    names = {str: "a string", list: "an array", bool: "true or false", int: "a number", float: "a number"}
    return names.get(type(value), "an object" if isinstance(value, Mapping) else "nothing")


def _list(value: object) -> list[object]:
    if isinstance(value, Mapping) and len(value) == 1:
        value = value.get("@list", value.get("@set", value))
    if isinstance(value, list):
        return value
    return [] if value is None else [value]


def _optional(members: Mapping[str, object], name: str) -> str:
    value = members.get(name)
    return "" if value is None else _text(value, f"$.{name}")


def _text(value: object, path: str) -> str:
    inner = value
    for _ in range(_WRAPPINGS):
        if isinstance(inner, list) and len(inner) == 1:
            inner = inner[0]
        elif isinstance(inner, Mapping) and len(inner) == 1 and (key := next(iter(inner))) in _NAMES:
            inner = inner[key]
        else:
            break
    if isinstance(inner, str) and inner:
        return inner
    return _refuse(path, f"A name is needed here (a string or an object with only @id), not {_what(inner)}.")


def _what(value: object) -> str:
    return "an empty string" if value == "" else _kind(value)


def _name(value: object, path: str) -> str:
    return vocabulary.term(value if isinstance(value, str) and value else _text(value, path))


def _unknown(extra: Mapping[str, object]) -> tuple[str, ...]:
    return tuple(name for name in extra if not vocabulary.annotates(name)) if extra else ()


def _rules(
    members: Mapping[str, object], kind: str, parties: Mapping[str, str], budget: _Budget
) -> tuple[Rule, ...]:
    path, found = f"$.{kind}", _list(members.get(kind))
    if len(found) > MAX_RULES:
        _refuse(path, f"A policy may have {MAX_RULES} rules of a kind at most.")
    return tuple(_rule(rule, kind, place, parties, budget) for place, rule in enumerate(found))


def _rule(value: object, kind: str, place: int, parties: Mapping[str, str], budget: _Budget) -> Rule:
    path = f"$.{kind}[{place}]"
    members = _members(value, path)
    if "action" not in members:
        _refuse(f"{path}.action", "A rule needs an action, such as use.")
    action = catenax.action(_name(members.pop("action"), f"{path}.action"))
    constraints = _list(members.pop("constraint", None))
    _drop_type(members, path, _RULE_TYPES)
    for party, name in parties.items():  # saying again what the policy says is only another spelling
        if name and party in members and _text(members[party], f"{path}.{party}") == name:
            del members[party]
    return Rule(
        path=path,
        kind=kind,
        action=action,
        constraints=_constraints(constraints, f"{path}.constraint", 1, budget),
        unknown=_unknown(members),
        extra=members,
    )


def _drop_type(members: dict[str, object], path: str, expected: frozenset[str]) -> None:
    if "@type" in members and _name(members["@type"], f"{path}.@type") in expected:
        del members["@type"]


def _constraints(found: list[object], path: str, depth: int, budget: _Budget) -> tuple[Constraint, ...]:
    return tuple(_constraint(item, f"{path}[{place}]", depth, budget) for place, item in enumerate(found))


def _constraint(value: object, path: str, depth: int, budget: _Budget) -> Constraint:
    budget.spend(path)
    if depth > MAX_DEPTH:
        _refuse(path, f"Constraints may be {MAX_DEPTH} deep at most.")
    members = _members(value, path)
    _drop_type(members, path, _CONSTRAINT_TYPES)
    logical = [name for name in vocabulary.LOGICAL if name in members]
    if not logical:
        return _atomic(members, path, budget)
    if len(logical) > 1 or any(name in members for name in _ATOMIC):
        _refuse(
            path, "A constraint is one comparison or one of and, andSequence, or, xone: not both, not two."
        )
    operator = logical[0]
    inner = _constraints(_list(members.pop(operator)), f"{path}.{operator}", depth + 1, budget)
    flaw = _unknown_flaw(members) or ("" if operator in ("and", "andSequence") else _choice_flaw(inner))
    return Logical(path=path, operator=operator, members=inner, flaw=flaw, extra=members)


def _choice_flaw(members: tuple[Constraint, ...]) -> str:
    if not members:
        return "it is empty"
    return (
        "" if all(map(decides, members)) else "a term that nothing checks cannot be one of several to choose"
    )


def _atomic(members: dict[str, object], path: str, budget: _Budget) -> Atomic:
    for name in _ATOMIC:
        if name not in members:
            _refuse(f"{path}.{name}", f"A constraint needs {name} (or one of and, andSequence, or, xone).")
    operand = edc.operand(catenax.operand(_name(members.pop("leftOperand"), f"{path}.leftOperand")))
    operator = _name(members.pop("operator"), f"{path}.operator")
    right = _right(members.pop("rightOperand"), f"{path}.rightOperand", budget)
    known = operands.find(operand)
    if known is edc.IN_FORCE and not budget.is_agreed:
        known = edc.NOT_YET
    if known is not None and known.name in catenax.NAMES:
        right = catenax.right(known, operator, right)
    read = _values(known, right, budget) if known else None
    test = _test(known, operator) if known else None
    return Atomic(
        path=path,
        operand=operand,
        operator=operator,
        right=right,
        flaw=_unknown_flaw(members) or _flaw(known, operator, read, test),
        known=known,
        values=read,
        test=test,
        extra=members,
    )


def _values(known: Operand, right: object, budget: _Budget) -> values.Values | None:
    if known.name == edc.NAME:
        return edc.read(right, budget.signed_us)
    return known.read(right) if known.read else values.read(right, known.kind)


def _test(known: Operand, operator: str) -> operators.Test | None:
    if known.tests is not None:
        return known.tests.get(operator)
    return codes.test(known.known_as, operator) or operators.test(operator, known.kind)


def _right(value: object, path: str, budget: _Budget) -> object:
    if isinstance(value, list):
        budget.spend_values(path, len(value))
    right = values.wire(value)
    if right is None:
        _refuse(path, "A right operand is a string, a number, an object or an array of these.")
    return right


def _unknown_flaw(extra: Mapping[str, object]) -> str:
    unknown = _unknown(extra)
    return f"unknown member {printable(unknown[0])}" if unknown else ""


def _flaw(
    known: Operand | None, operator: str, read: values.Values | None, test: operators.Test | None
) -> str:
    if known is None:
        return UNKNOWN_OPERAND
    if operator not in vocabulary.OPERATORS:
        return UNKNOWN_OPERATOR
    if test is None:
        return f"{operator} has no meaning for {known.name}"
    if read is None or (known.codes and not known.codes.issuperset(map(str, read))):
        return UNREADABLE
    return "an order needs one value" if operator in vocabulary.ORDER and len(read) > 1 else ""
