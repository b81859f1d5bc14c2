"""Release markings as terms: ready templates with neutral names, for no country's and no agency's scheme.

A marking is a name for terms that go together; what they need to be told (recipients, nationalities, a licence) is
named, and its absence refused. Codes of places, nationalities and classes are compared as words: whose list they are
of is for the parties to say. Markings of one's own are further rows of the same kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from comity import errors

Document = dict[str, Any]
LABEL: Final = "rdfs:label"
"""The member of a policy that says which markings it has; it limits nothing."""
PUBLIC: Final = "public"
"""The marking that asks nothing."""


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What an offer is to say: to whom, until when, for what, where, how often, for persons of which nationality."""

    recipients: Sequence[str] = ()
    until: str = ""
    purposes: Sequence[str] = ()
    places: Sequence[str] = ()
    count: int | None = None
    nationalities: Sequence[str] = ()
    classes: Sequence[str] = ()
    licence: str = ""
    delete_after: str = ""
    current_only: bool = False


class Marking(msgspec.Struct, frozen=True, kw_only=True):
    """A name for terms: `needs` are fields of `Said`; `classes` may have it; `never` and `must` are actions.

    What is never done is forbidden towards all but the recipients that are named.
    """

    name: str
    means: str
    needs: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    must: tuple[str, ...] = ()
    current_only: bool = False


STANDARD: Final = (
    Marking(name=PUBLIC, means="Every partner on the list may have it, without further terms."),
    Marking(
        name="partners-only",
        means="Only partners for whom this class is written down.",
        classes=("partners-only",),
    ),
    Marking(name="named-recipients", means="Only the partners that are named.", needs=("recipients",)),
    Marking(
        name="nationality-limited",
        means="Opened only for persons of these nationalities.",
        needs=("nationalities",),
    ),
    Marking(
        name="licence",
        means="Under a licence with a number, a quantity and an end; each transfer is counted.",
        needs=("licence",),
    ),
    Marking(
        name="no-re-export",
        means="Not passed on to anybody else, also not in what is made from it.",
        never=("distribute",),
    ),
    Marking(
        name="consent-before-release",
        means="Passed on only after its provider has consented.",
        must=("obtainConsent",),
    ),
    Marking(name="delete-after", means="Deleted some time after it was received.", needs=("delete_after",)),
    Marking(
        name="keep-marking",
        means="The marking stays on copies and on what is made from it.",
        must=("comity:keepMarking",),
    ),
    Marking(
        name="current-only",
        means="Opened only while its revision is neither superseded nor recalled.",
        current_only=True,
    ),
    Marking(name="report-use", means="The receiver reports its use.", must=("inform",)),
)
OPTIONS: Final[Mapping[str, str]] = {
    "recipients": "--to",
    "nationalities": "--person-nationality",
    "licence": "--licence",
    "delete_after": "--delete-after",
}


def choose(names: Iterable[str], known: Iterable[Marking] = STANDARD) -> list[Marking]:
    """Return the markings of these names.

    Raises:
        InvalidInputError: there is none of a name.
    """
    by_name = {each.name: each for each in known}
    for name in names:
        if name not in by_name:
            raise errors.InvalidInputError(
                f"there is no marking {name[:100]}", hint=f"there are: {', '.join(by_name)}"
            )
    return [by_name[name] for name in dict.fromkeys(names)]


def names(label: object) -> list[str]:
    """Return the markings that a policy's label names."""
    return [each for each in label.split(", ") if each] if isinstance(label, str) else []


def policy(said: Said, markings: Sequence[Marking] = ()) -> Document | None:
    """Return the terms that these say together, None if they say nothing.

    Raises:
        InvalidInputError: a marking needs to be told more.
    """
    for each in markings:
        missing = [OPTIONS[name] for name in each.needs if not getattr(said, name)]
        if missing:
            raise errors.InvalidInputError(f"the marking {each.name} needs {', '.join(missing)}")
    constraints = _constraints(said, [name for each in markings for name in each.classes])
    if said.current_only or any(each.current_only for each in markings):
        constraints.append(_atom("comity:revisionStatus", "eq", "released"))
    never = [_never(action, said) for each in markings for action in each.never]
    must = [{"action": action} for each in markings for action in each.must]
    must += [_delete(said.delete_after)] if said.delete_after else []
    if not (markings or constraints or must):
        return None
    permission: Document = {"action": "use"} | ({"constraint": constraints} if constraints else {})
    return {
        "@type": "Set",
        **({LABEL: ", ".join(each.name for each in markings)} if markings else {}),
        "permission": [permission],
        **({"prohibition": never} if never else {}),
        **({"obligation": must} if must else {}),
    }


def example(marking: Marking) -> Document | None:
    """Return the terms that a marking writes, with examples for what it needs to be told."""
    examples = Said(
        recipients=["did:web:partner.example"],
        nationalities=["AA", "BB"],
        licence="L-2027-0815",
        delete_after="P30D",
    )
    told = {name: getattr(examples, name) for name in marking.needs}
    return policy(Said(**told), [marking])


def _constraints(said: Said, classes: Sequence[str]) -> list[Document]:
    return [
        *_any_of("recipient", said.recipients),
        *_any_of("comity:distributionClass", [*said.classes, *classes]),
        *([_atom("dateTime", "lteq", said.until)] if said.until else []),
        *_any_of("purpose", said.purposes),
        *_any_of("spatial", said.places),
        *_any_of("comity:personNationality", said.nationalities),
        *([_atom("comity:licence", "eq", said.licence)] if said.licence else []),
        *([_atom("count", "lteq", str(said.count))] if said.count is not None else []),
    ]


def _never(action: str, said: Said) -> Document:
    others = _any_of("recipient", said.recipients, one="neq", several="isNoneOf")
    return {"action": action} | ({"constraint": others} if others else {})


def _delete(after: str) -> Document:
    return {"action": "delete", "constraint": [_atom("elapsedTime", "lteq", after)]}


def _atom(operand: str, operator: str, right: str | list[str]) -> Document:
    return {"leftOperand": operand, "operator": operator, "rightOperand": right}


def _any_of(
    operand: str, values: Sequence[str], *, one: str = "eq", several: str = "isAnyOf"
) -> list[Document]:
    found = list(dict.fromkeys(values))
    if not found:
        return []
    return [_atom(operand, one, found[0]) if len(found) == 1 else _atom(operand, several, found)]
