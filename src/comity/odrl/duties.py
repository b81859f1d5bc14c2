"""What a party must do under a policy: which duties are known, who sees to each, and when data must be deleted.

A duty never decides about handing out: it follows from having agreed. One that nothing is known of says no, because
nobody here would keep it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from comity.odrl import catenax
from comity.odrl.operand import ATTESTED, CONTRACT, NODE, Enforced
from comity.odrl.policy import Atomic, Constraint, Logical, Policy, Rule, atoms

DELETE: Final = "delete"
UNKNOWN: Final = "unknown duty"
_BY_HAND: Final = "It is the parties' own business: no software sees to it."


class Duty(msgspec.Struct, frozen=True):
    """A duty that is known, who sees to it, and what that means in one sentence."""

    enforced: Enforced
    meaning: str


KNOWN: Final[Mapping[str, Duty]] = {
    DELETE: Duty(
        ATTESTED,
        "The receiver's people delete the data and its connector signs a receipt; both sides list what is overdue.",
    ),
    "comity:keepMarking": Duty(
        NODE, "The receiver's own Comity keeps the marking on all that is published from the data."
    ),
    "obtainConsent": Duty(
        ATTESTED, "The receiver asks this provider before it passes the data on; a named person signs."
    ),
    "inform": Duty(
        ATTESTED, "The receiver signs a receipt of each delivery; what else it reports is its own word."
    ),
    **dict.fromkeys(
        (
            "acceptTracking",
            "anonymize",
            "attribute",
            "compensate",
            "ensureExclusivity",
            "include",
            "reviewPolicy",
            "watermark",
        ),
        Duty(CONTRACT, _BY_HAND),
    ),
}
#: The action of Catena-X's obligations: what must be done is said by their operands.
USE: Final = "use"
_WHEN: Final = frozenset({"elapsedTime", "dateTime", "event"})
_BY: Final = frozenset({"lt", "lteq", "eq"})


class Deletion(msgspec.Struct, frozen=True):
    """When data must be deleted: so long after they were received, at a time (both in microseconds), or at an event.

    None and empty where that is not said. One without any of them is never overdue.
    """

    path: str
    within_us: int | None = None
    by_us: int | None = None
    events: tuple[str, ...] = ()


def flaw(rule: Rule) -> str:
    """Return why nobody here could keep an obligation, or nothing."""
    if rule.unknown:
        return f"unknown member {rule.unknown[0]}"
    found = [each.flaw for each in _all(rule.constraints) if each.flaw]
    if found:
        return found[0]
    if rule.action == USE:
        said = list(atoms(rule.constraints))
        is_duty = bool(said) and all(each.operand in catenax.NAMES for each in said)
        return "" if is_duty else "an obligation to use says nothing"
    if rule.action not in KNOWN:
        return UNKNOWN
    if rule.action == DELETE and not all(map(_is_deadline, rule.constraints)):
        return "a deletion is due by elapsedTime, dateTime (lteq) or event (eq)"
    return ""


def _all(constraints: tuple[Constraint, ...]) -> Iterator[Constraint]:
    for each in constraints:
        yield each
        if isinstance(each, Logical):
            yield from _all(each.members)


def _is_deadline(constraint: Constraint) -> bool:
    if isinstance(constraint, Logical):
        return constraint.operator in ("and", "andSequence") and all(map(_is_deadline, constraint.members))
    wanted = ("eq", "isAnyOf") if constraint.operand == "event" else _BY
    return constraint.operand in _WHEN and constraint.operator in wanted


def deletions(policy: Policy) -> tuple[Deletion, ...]:
    """Return when the receiver must delete the data; empty if it need not."""
    found = [_deletion(rule) for rule in policy.obligation if rule.action == DELETE and not flaw(rule)]
    rules = (*policy.permission, *policy.prohibition, *policy.obligation)
    found += [
        Deletion(each.path, events=(catenax.AGREEMENT_END,))
        for rule in rules
        for each in atoms(rule.constraints)
        if each.operand == "ContractTermination" and not each.flaw and catenax.DELETION in _texts(each)
    ]
    return tuple(found)


def ends(policy: Policy) -> tuple[int, ...]:
    """Return the times (in microseconds since 1970) at which permissions of a policy end for good."""
    found = (
        _earliest(
            [each for each in _needed(rule.constraints) if each.operator in _BY],
            "dateTime",
        )
        for rule in policy.permission
    )
    return tuple(each for each in found if each is not None)


def over(policy: Policy, agreed_us: int) -> int | None:
    """Return when the last permission of a policy ends for good, in microseconds since 1970; None if one never does.

    `agreed_us` is when it was agreed: times that elapse begin there.
    """
    found: list[int] = []
    for rule in policy.permission:
        needed = [each for each in _needed(rule.constraints) if each.operator in _BY]
        at, within = _earliest(needed, "dateTime"), _earliest(needed, "elapsedTime")
        ends = [each for each in (at, None if within is None else agreed_us + within) if each is not None]
        if not ends:
            return None
        found.append(min(ends))
    return max(found, default=None)


def _needed(constraints: tuple[Constraint, ...]) -> Iterator[Atomic]:
    """Yield the comparisons that must hold, whichever others do."""
    for each in constraints:
        if isinstance(each, Atomic):
            yield each
        elif each.operator in ("and", "andSequence"):
            yield from _needed(each.members)


def _texts(atom: Atomic) -> frozenset[str]:
    return atom.values if isinstance(atom.values, frozenset) else frozenset()


def _deletion(rule: Rule) -> Deletion:
    said = list(atoms(rule.constraints))
    return Deletion(
        rule.path,
        within_us=_earliest(said, "elapsedTime"),
        by_us=_earliest(said, "dateTime"),
        events=tuple(sorted(event for each in said if each.operand == "event" for event in _texts(each))),
    )


def _earliest(said: list[Atomic], operand: str) -> int | None:
    ends = [
        int(each.values[0][0] if each.operator == "lt" else each.values[0][1])
        for each in said
        if each.known is not None
        and each.known.known_as == operand
        and isinstance(each.values, tuple)
        and each.values
    ]
    return min(ends, default=None)
