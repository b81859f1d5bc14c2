"""How a framework agreement stands to others: the parent it is under, and the version that it replaces.

What is refused is said with its place and with the term of the other one that it contradicts.
"""

from __future__ import annotations

from comity import errors
from comity.framework import check, release
from comity.framework.document import ANYONE, Framework


def check_parent(framework: Framework, parent: Framework) -> None:
    """Refuse a document that says what its parent does not allow.

    Raises:
        InvalidInputError: with the place of what contradicts the parent, and the parent's term that it contradicts.
    """
    _check_parties(framework, parent)
    begin, end = check.moments(framework)
    first, last = check.moments(parent)
    if begin < first:
        _refuse("$.validity.from", f"it begins {framework.validity.from_}", f"begins {parent.validity.from_}")
    if end > last:
        _refuse("$.validity.until", f"it lasts until {framework.validity.until}", _until(parent))
    for name in ("territory", "programmes", "purpose"):
        allowed = getattr(parent, name)
        for at, each in enumerate(getattr(framework, name)):
            if allowed and each not in allowed:
                _refuse(f"$.{name}[{at}]", f"it says {each}", f"has {name} {', '.join(allowed)} only")
    if framework.release_rules:
        found = release.contradictions(framework.release_rules, parent.release_rules)
        if found:
            _refuse("$.releaseRules", f"its release rules differ: {'; '.join(found)}", "says the contrary")


def _until(parent: Framework) -> str:
    return f"ends {parent.validity.until}"


def _refuse(path: str, what: str, but: str) -> None:
    raise errors.InvalidInputError(f"{what}, but its parent {but}", path=path)


def _check_parties(framework: Framework, parent: Framework) -> None:
    for at, each in enumerate(framework.parties):
        if each.participant_id not in parent.party_ids and not parent.is_open_to(each.participant_id):
            _refuse(f"$.parties[{at}]", f"{each.participant_id} is a party", "does not have it as one")
    for at, other in enumerate(framework.accession.open_to if framework.accession else ()):
        known = other in parent.party_ids or parent.is_open_to(other)
        if not known and (other != ANYONE or not parent.is_open_to(ANYONE)):
            _refuse(f"$.accession.openTo[{at}]", f"{other} may accede", "is not open to it")


def check_amendment(framework: Framework, old: Framework, old_urn: str, newest: str) -> None:
    """Refuse an amendment that does not follow on the newest version.

    Raises:
        InvalidInputError: it replaces another one, or its number is not the next.
    """
    if framework.replaces != old_urn or newest != old_urn:
        raise errors.InvalidInputError(
            "an amendment must name the newest version as the one that it replaces",
            path="$.replaces",
            hint=f"the newest is {newest}",
        )
    if framework.version != old.version + 1:
        raise errors.InvalidInputError(
            f"the version after {old.version} is {old.version + 1}", path="$.version"
        )
