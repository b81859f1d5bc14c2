"""Policies on the wire: the definition that is stored, and the offer that is asked for or made.

What comes in may have any spelling that `odrl` reads. Terms that have the protocol's names and form already stay as
they are, letter for letter, since the partner compares them with its own; others are written in the protocol's form.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from comity import errors
from comity.management import wire
from comity.odrl import model, vocabulary

Document = dict[str, Any]
T = TypeVar("T")
PATH = "$.policy"
TERMS = ("profile", "permission", "prohibition", "obligation")
LOGICAL = ("and", "andSequence", "or", "xone")
CACHED_BYTES = 8192
_PREFIXES = ("odrl:", "http://www.w3.org/ns/odrl/2/", "https://www.w3.org/ns/odrl/2/")


class Offer(Struct, frozen=True):
    """An offer as somebody wants it: `id`, `target` and `assigner` are empty if not given.

    `terms` are its rules, and whatever else it says that is not known here.
    """

    id: str
    target: str
    assigner: str
    terms: Document


def read(body: Document) -> Document:
    """Return the policy of a body as it is stored: in one spelling, without its context.

    Raises:
        InvalidInputError: it cannot be read, or has a term that could not be enforced; with the place.
    """
    given = wire.mapping(body, "policy", required=True)

    def make() -> Document:
        parsed = model.parse(given)
        model.check(parsed)
        named = {"@id": parsed.id} if parsed.id else {}
        return {**parsed.extra, **named, "@type": parsed.type or "Set", **model.terms(parsed)}

    return _below(make)


def read_offer(body: Document, *, enforced: bool = False) -> Offer:
    """Return the policy of a body as an offer; `enforced`: we make it, so every term must be one that we keep.

    Raises:
        InvalidInputError: it cannot be read, or permits nothing; with the place.
    """
    given = wire.mapping(body, "policy", required=True)
    written = msgspec.json.encode(given)
    read = _read_offer if len(written) <= CACHED_BYTES else _read_offer.__wrapped__
    parsed, terms = _below(lambda: read(written, enforced=enforced))
    if terms is None:
        terms = {name: given[name] for name in TERMS if given.get(name)}
    return Offer(parsed.id, parsed.target, parsed.assigner, {**parsed.extra, **terms})


@lru_cache(maxsize=1024)
def _read_offer(written: bytes, *, enforced: bool) -> tuple[model.Policy, Document | None]:
    """Read an offer once, since the same one is asked for again and again; no terms if they may stay as they are."""
    given: Document = msgspec.json.decode(written)
    parsed = model.parse(given)
    if enforced:
        model.check(parsed)
    for name, value in (("@id", parsed.id), ("target", parsed.target)):
        if len(value) > wire.MAX_ID:
            raise errors.InvalidInputError(f"{name} has more than {wire.MAX_ID} characters", path=f"$.{name}")
    stands = (parsed.permission or parsed.prohibition) and _has_plain_names(given)
    if stands and _has_plain_form({name: given[name] for name in TERMS if given.get(name)}):
        return parsed, None
    return parsed, model.terms(parsed)


def _below(make: Callable[[], T]) -> T:
    try:
        return make()
    except errors.InvalidInputError as error:
        place = PATH + error.path.removeprefix("$")
        raise errors.InvalidInputError(error.message, path=place, hint=error.hint) from None


def _has_plain_names(value: Any) -> bool:
    if isinstance(value, dict):
        return all(
            each is not None and not name.startswith(_PREFIXES) and _has_plain_names(each)
            for name, each in value.items()
        )
    return not isinstance(value, list) or all(map(_has_plain_names, value))


def _has_plain_form(terms: Document) -> bool:
    """Return whether rules and constraints are lists and their words texts, as the protocol's schema asks."""
    if not all(isinstance(each, str) for each in _texts(terms.get("profile", []))):
        return False
    rules = [each for name in TERMS[1:] for each in _listed(terms.get(name, []))]
    return all(
        isinstance(rule, dict)
        and isinstance(rule.get("action"), str)
        and all(map(_is_plain_constraint, _listed(rule.get("constraint", []))))
        for rule in rules
    )


def _is_plain_constraint(constraint: Any) -> bool:
    if not isinstance(constraint, dict):
        return False
    named = [name for name in LOGICAL if name in constraint]
    if named:
        return all(map(_is_plain_constraint, [each for name in named for each in _listed(constraint[name])]))
    operator, right = constraint.get("operator"), constraint.get("rightOperand")
    return (
        isinstance(constraint.get("leftOperand"), str)
        and isinstance(operator, str)
        and operator in vocabulary.SCHEMA_OPERATORS
        and isinstance(right, str | dict | list)
    )


def _texts(value: Any) -> list[Any]:
    """Return a list as it is, and a text as a list of it."""
    return value if isinstance(value, list) else [value]


def _listed(value: Any) -> list[Any]:
    """Return a list as it is; what stands alone where a list belongs becomes a member that is none of the wanted."""
    return value if isinstance(value, list) else [None]
