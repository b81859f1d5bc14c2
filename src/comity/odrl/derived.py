"""Terms that follow data: what an offer must say of something that was received under an agreement, or made from it.

A prohibition to pass it on holds for every copy, so the offer carries it, and whoever else it would reach is refused.
The other terms of the agreement's permission are added to the offer's own, so that nothing gets wider on the way. Left
out is what only the first provider can count: its own hand-overs (`count`, `comity:licence`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from comity import errors
from comity.odrl import catenax, read, vocabulary, write
from comity.odrl.marking import LABEL
from comity.odrl.policy import Atomic, Constraint, Logical, Policy, Rule, atoms, describe

Document = dict[str, Any]
PASSING_ON: Final = ("distribute", "transfer", "give", "sell", "grantUse")
CONSENT: Final = "obtainConsent"
KEEP: Final = "comity:keepMarking"
_COUNTED_THERE: Final = frozenset({"count", "comity:licence"})
_NAMES: Final = frozenset({"eq", "isAnyOf"})
_NAMES_OTHERS: Final = frozenset({"neq", "isNoneOf"})


def derive(offered: Mapping[str, object], agreed: Mapping[str, object], *, us: str) -> Document:
    """Return the terms of an offer with those of the agreement added under which `us` received what is offered.

    Raises:
        PolicyError: the agreement does not let it be offered so; `reasons` name its terms.
        InvalidInputError: one of both cannot be read.
    """
    offer, agreement = read.parse(offered), read.parse(agreed)
    permission = _permission(agreement)
    allowed, reasons = _recipients(agreement, permission, us)
    added = [each for each in permission.constraints if _follows(each)]
    rules = [_with(rule, added, allowed, reasons) for rule in offer.permission]
    both: dict[str, Any] = {**write.terms(offer), "permission": rules}
    inherited = write.terms(agreement)
    for kind in ("prohibition", "obligation"):
        listed = [*_listed(both, kind)]
        listed += [each for each in _listed(inherited, kind) if each not in listed]
        both |= {kind: listed} if listed else {}
    return {"@type": "Set", **offer.extra, **_label(offer, agreement), **both}


def _label(offer: Policy, agreement: Policy) -> Document:
    """Return the marking that must stay, beside the offer's own."""
    kept, own = agreement.extra.get(LABEL), offer.extra.get(LABEL)
    if not kept or not any(rule.action == KEEP for rule in agreement.obligation):
        return {}
    if own and f", {kept}, " in f", {own}, ":  # it was derived before
        return {LABEL: own}
    return {LABEL: f"{kept}, {own}" if own else kept}


def check_recipient(agreed: Mapping[str, object], recipient: str, *, us: str) -> None:
    """Refuse a recipient whom an agreement does not let have what `us` received under it.

    Raises:
        PolicyError: `reasons` name its terms.
    """
    agreement = read.parse(agreed)
    allowed, reasons = _recipients(agreement, _permission(agreement), us)
    if allowed is not None and recipient not in allowed:
        raise errors.PolicyError(f"it may not be passed on to {recipient}", reasons=reasons)


def _recipients(
    agreement: Policy, permission: Rule, us: str
) -> tuple[frozenset[str] | None, tuple[str, ...]]:
    """Return to whom it may be passed on (None: to all), and the terms that say so."""
    reasons = tuple(dict.fromkeys(_limits(agreement, permission)))
    allowed = _allowed(agreement, permission) - {us} if reasons else None
    if allowed is not None and not allowed:
        raise errors.PolicyError("it may be passed on to nobody", reasons=reasons)
    return allowed, reasons


def _listed(terms: Mapping[str, Any], kind: str) -> list[Any]:
    return list(terms.get(kind, ()))


def _permission(agreement: Policy) -> Rule:
    """Return the one permission to use; which of several holds for a copy cannot be told."""
    if any(rule.action == CONSENT for rule in agreement.obligation):
        raise errors.PolicyError(
            "its provider must consent before it is passed on",
            reasons=(f"obligation: {CONSENT}",),
            hint="ask the provider for an agreement that permits it",
        )
    found = [rule for rule in agreement.permission if rule.action == "use"]
    if len(found) != 1:
        raise errors.PolicyError(
            f"its agreement has {len(found)} permissions to use: which of them holds for a copy cannot be told"
        )
    return found[0]


def _limits(agreement: Policy, permission: Rule) -> list[str]:
    """Return the terms that say to whom it may go."""
    said = [describe(each) for each in permission.constraints if _names_recipients(each)]
    return said + [f"prohibited: {_words(rule)}" for rule in _forbidding(agreement)]


def _allowed(agreement: Policy, permission: Rule) -> frozenset[str]:
    sets = [_texts(each) for each in permission.constraints if _names_recipients(each)]
    sets += [_spared(rule) for rule in _forbidding(agreement)]
    return frozenset.intersection(*sets)


def _forbidding(agreement: Policy) -> Iterator[Rule]:
    """Yield the prohibitions to pass it on; what Catena-X forbids third parties stands under `use`."""
    for rule in agreement.prohibition:
        third = any(
            each.operand == "UsageRestriction" and catenax.THIRD_PARTY in _texts(each)
            for each in atoms(rule.constraints)
        )
        if third or any(
            vocabulary.covers(action, rule.action) for action in PASSING_ON if rule.action != "use"
        ):
            yield rule


def _spared(rule: Rule) -> frozenset[str]:
    """Return to whom a prohibition lets it go: only `recipient isNoneOf` (or `neq`) alone spares anybody."""
    if len(rule.constraints) == 1:
        only = rule.constraints[0]
        if isinstance(only, Atomic) and only.operand == "recipient" and only.operator in _NAMES_OTHERS:
            return _texts(only)
    return frozenset()


def _names_recipients(constraint: Constraint) -> bool:
    return (
        isinstance(constraint, Atomic) and constraint.operand == "recipient" and constraint.operator in _NAMES
    )


def _texts(constraint: Constraint) -> frozenset[str]:
    values = constraint.values if isinstance(constraint, Atomic) else None
    return values if isinstance(values, frozenset) else frozenset()


def _words(rule: Rule) -> str:
    return "; ".join([rule.action, *(describe(each) for each in rule.constraints)])


def _follows(constraint: Constraint) -> bool:
    if isinstance(constraint, Logical):
        return True
    return constraint.operand not in _COUNTED_THERE and not _names_recipients(constraint)


def _with(
    rule: Rule, added: list[Constraint], allowed: frozenset[str] | None, reasons: tuple[str, ...]
) -> Document:
    """Return a permission of the offer with what follows the data added to it."""
    for each in added:
        _check_contradiction(rule, each)
    own = [each for each in rule.constraints if _names_recipients(each)]
    named = frozenset.intersection(*map(_texts, own)) if own else None
    if allowed is not None and named is not None and not named <= allowed:
        raise errors.PolicyError(
            f"it may not be passed on to {', '.join(sorted(named - allowed))}", reasons=reasons
        )
    written = write.rule(rule)
    constraints: list[dict[str, object]] = [write.constraint(each) for each in rule.constraints]
    if allowed is not None and named is None:
        constraints.append(
            {"leftOperand": "recipient", "operator": "isAnyOf", "rightOperand": sorted(allowed)}
        )
    constraints += [each for each in map(write.constraint, added) if each not in constraints]
    return {**written, **({"constraint": constraints} if constraints else {})}


def _check_contradiction(rule: Rule, inherited: Constraint) -> None:
    """Refuse an offer for values of which the agreement allows none."""
    if not isinstance(inherited, Atomic) or inherited.operator not in _NAMES or not _texts(inherited):
        return
    for own in rule.constraints:
        same = isinstance(own, Atomic) and own.operand == inherited.operand and own.operator in _NAMES
        if same and _texts(own) and _texts(own).isdisjoint(_texts(inherited)):
            raise errors.PolicyError(
                f"the offer says {describe(own)}, and its agreement {describe(inherited)}",
                reasons=(describe(inherited),),
            )
