"""Terms that follow data: what an offer must say of something that was received under an agreement, or made from it.

A prohibition to pass it on holds for every copy, so the offer carries it, and whoever else it would reach is refused.
The other terms of the agreement's permission are added to the offer's own, so that nothing gets wider on the way, and
so is its marking; only the first provider can count its own hand-overs. Of two terms the stricter wins; contradictions
are refused. It may always go back to its owner, the provider of the agreement, where the offer names nobody else: that
is how a change is proposed, and what the owner asks of others before they use it, it does not ask of itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from comity import errors
from comity.odrl import catenax, edc, read, stricter, vocabulary, write
from comity.odrl.marking import LABEL, PUBLIC, names
from comity.odrl.policy import Atomic, Constraint, Logical, Policy, Rule, atoms, describe

Document = dict[str, Any]
PASSING_ON: Final = ("distribute", "transfer", "give", "sell", "grantUse")
CONSENT: Final = "obtainConsent"
_COUNTED_THERE: Final = frozenset({"count", "comity:licence"})
_NAMES_OTHERS: Final = frozenset({"neq", "isNoneOf"})


def derive(
    offered: Mapping[str, object], agreed: Mapping[str, object], *, us: str, owner: str = ""
) -> Document:
    """Return the terms of an offer with those of the agreement added under which `us` received what is offered.

    `owner` is the provider of that agreement.

    Raises:
        PolicyError: the agreement does not let it be offered so; `reasons` name its terms.
        InvalidInputError: one of both cannot be read.
    """
    offer, agreement = read.parse(offered), read.parse(agreed)
    goes_back = bool(owner and offer.permission) and all(
        _named(rule) == frozenset({owner}) for rule in offer.permission
    )
    if goes_back:
        rules = [write.rule(rule) for rule in offer.permission]
    else:
        permission = _permission(agreement)
        allowed, reasons = _recipients(agreement, permission, us)
        added = [_dated(each) for each in permission.constraints if _follows(each)]
        rules = [_with(rule, added, allowed, reasons) for rule in offer.permission]
    both: dict[str, Any] = {**write.terms(offer), "permission": rules}
    inherited = write.terms(agreement)
    listed = [*_listed(both, "prohibition")]
    listed += [each for each in _listed(inherited, "prohibition") if each not in listed]
    both |= {"prohibition": listed} if listed else {}
    duties = [*_listed(both, "obligation")]
    duties += [
        written
        for rule, written in zip(agreement.obligation, _listed(inherited, "obligation"), strict=True)
        if written not in duties and not _is_done_sooner(rule, offer.obligation)
    ]
    both |= {"obligation": duties} if duties else {}
    return {"@type": "Set", **offer.extra, **_label(offer, agreement), **both}


def _is_done_sooner(rule: Rule, there: tuple[Rule, ...]) -> bool:
    """Return whether a duty is kept by keeping a stricter one of the same action."""
    if len(rule.constraints) != 1:
        return False
    return any(
        each.action == rule.action
        and len(each.constraints) == 1
        and stricter.implied(rule.constraints[0], each.constraints)
        for each in there
    )


def _label(offer: Policy, agreement: Policy) -> Document:
    """Return the markings of both together: all of them are the stricter; beside others `public` says nothing."""
    said = [names(agreement.extra.get(LABEL)), names(offer.extra.get(LABEL))]
    if not said[0]:
        return {}
    if set(said[0]) <= set(said[1]):  # it was derived before
        return {LABEL: offer.extra[LABEL]}
    both = list(dict.fromkeys([*said[0], *said[1]]))
    return {LABEL: ", ".join(each for each in both if each != PUBLIC or len(both) == 1)}


def check_recipient(agreed: Mapping[str, object], recipient: str, *, us: str, owner: str = "") -> None:
    """Refuse a recipient whom an agreement does not let have what `us` received under it; its `owner` always may.

    Raises:
        PolicyError: `reasons` name its terms.
    """
    if owner and recipient == owner:
        return
    agreement = read.parse(agreed)
    allowed, reasons = _recipients(agreement, _permission(agreement), us)
    if allowed is not None and recipient not in allowed:
        raise errors.PolicyError(f"it may not be passed on to {recipient}", reasons=reasons)


def _recipients(
    agreement: Policy, permission: Rule, us: str
) -> tuple[frozenset[str] | None, tuple[str, ...]]:
    """Return to whom it may be passed on (None: to all), and the terms that say so."""
    if any(rule.action == CONSENT for rule in agreement.obligation):
        raise errors.PolicyError(
            "its provider must consent before it is passed on",
            reasons=(f"obligation: {CONSENT}",),
            hint="ask the provider for an agreement that permits it",
        )
    reasons = tuple(dict.fromkeys(_limits(agreement, permission)))
    allowed = _allowed(agreement, permission) - {us} if reasons else None
    if allowed is not None and not allowed:
        raise errors.PolicyError("it may be passed on to nobody", reasons=reasons)
    return allowed, reasons


def _listed(terms: Mapping[str, Any], kind: str) -> list[Any]:
    return list(terms.get(kind, ()))


def _permission(agreement: Policy) -> Rule:
    """Return the one permission to use; which of several holds for a copy cannot be told."""
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
    sets = [stricter.texts(each) for each in permission.constraints if _names_recipients(each)]
    sets += [_spared(rule) for rule in _forbidding(agreement)]
    return frozenset.intersection(*sets)


def _forbidding(agreement: Policy) -> Iterator[Rule]:
    """Yield the prohibitions to pass it on; what Catena-X forbids third parties stands under `use`."""
    for rule in agreement.prohibition:
        third = any(
            each.operand == "UsageRestriction" and catenax.THIRD_PARTY in stricter.texts(each)
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
            return stricter.texts(only)
    return frozenset()


def _names_recipients(constraint: Constraint) -> bool:
    return (
        isinstance(constraint, Atomic)
        and constraint.operand == "recipient"
        and constraint.operator in stricter.ONE_OF
    )


def _words(rule: Rule) -> str:
    return "; ".join([rule.action, *(describe(each) for each in rule.constraints)])


def _follows(constraint: Constraint) -> bool:
    if isinstance(constraint, Logical):
        return True
    return constraint.operand not in _COUNTED_THERE and not _names_recipients(constraint)


def _dated(constraint: Constraint) -> Constraint:
    """Return a constraint that counts from its agreement with the instant it comes to: the next one is another."""
    if isinstance(constraint, Logical):
        return msgspec.structs.replace(constraint, members=tuple(map(_dated, constraint.members)))
    when = edc.instant(constraint.operand, constraint.right, constraint.values)
    return msgspec.structs.replace(constraint, right=when) if when else constraint


def _with(
    rule: Rule, added: list[Constraint], allowed: frozenset[str] | None, reasons: tuple[str, ...]
) -> Document:
    """Return a permission of the offer with what follows the data added to it."""
    _check_contradiction(rule, added)
    named = _named(rule)
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
    new = [each for each in added if not stricter.implied(each, rule.constraints)]
    constraints += [each for each in map(write.constraint, new) if each not in constraints]
    return {**written, **({"constraint": constraints} if constraints else {})}


def _named(rule: Rule) -> frozenset[str] | None:
    """Return to whom alone a rule of the offer lets it go, None if it does not say."""
    own = [each for each in rule.constraints if _names_recipients(each)]
    return frozenset.intersection(*map(stricter.texts, own)) if own else None


def _check_contradiction(rule: Rule, inherited: list[Constraint]) -> None:
    """Refuse an offer with which no value is left that the agreement allows: neither is the stricter."""
    found = stricter.contradiction([*rule.constraints, *inherited])
    if not found or stricter.contradiction(rule.constraints):  # what the offer says itself is its own affair
        return
    theirs = [describe(each) for each in found if each in inherited]
    own = [describe(each) for each in found if each not in inherited]
    raise errors.PolicyError(
        f"the offer says {' and '.join(own)}, and its agreement {' and '.join(theirs)}", reasons=tuple(theirs)
    )
