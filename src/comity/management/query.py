"""Criteria and query specs, as EDC's management API has them: which of many, in which order, from where to where.

What is not known (an operator, a field that no such document has) is refused with its place, never silently ignored:
a filter that selects too much shows too much. A property that a document does not have matches nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from comity import errors
from comity.management import names
from comity.management.operators import OPERATORS, plain, text

EDC = names.EDC
DEFAULT_LIMIT = 50
MAX_LIMIT = 1000
MAX_CRITERIA = 100
MAX_TEXT = 2000
MAX_OFFSET = 10**9
_FAR = 10**300  # what is larger than any float sorts as this

Document = dict[str, Any]
get = names.get
IDS = frozenset({"@id", "id", EDC + "id"})
"""The names under which a criterion may ask for the id of an asset."""


class Spec(Struct, frozen=True):
    """A query: `criteria` all have to match; `sort_field` empty keeps the order of creation."""

    offset: int = 0
    limit: int = DEFAULT_LIMIT
    sort_field: str = ""
    descending: bool = False
    criteria: tuple[Document, ...] = ()


def parse(body: Document | None, *, path: str = "$", limit: int = DEFAULT_LIMIT) -> Spec:
    """Read a query spec; no body is the query for the first page, of `limit` documents.

    Raises:
        InvalidInputError: with the place of what is wrong below `path`.
    """
    body = body or {}
    order = get(body, "sortOrder", "ASC")
    if not isinstance(order, str) or order not in {"ASC", "DESC"}:
        raise errors.InvalidInputError("sortOrder must be ASC or DESC", path=f"{path}.sortOrder")
    sort_field = get(body, "sortField", "")
    if not isinstance(sort_field, str) or len(sort_field) > MAX_TEXT:
        raise errors.InvalidInputError("sortField must be a text", path=f"{path}.sortField")
    return Spec(
        _number(body, "offset", 0, range(MAX_OFFSET + 1), path),
        _number(body, "limit", limit, range(1, MAX_LIMIT + 1), path),
        sort_field,
        order == "DESC",
        tuple(criteria(body, path=path)),
    )


def _number(body: Document, name: str, default: int, taken: range, path: str) -> int:
    value = get(body, name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or value not in taken:
        raise errors.InvalidInputError(
            f"{name} must be a whole number from {taken[0]} to {taken[-1]}", path=f"{path}.{name}"
        )
    return value


def criteria(body: Document, *, path: str) -> list[Document]:
    """Return the criteria of a query spec as dicts with operandLeft, operator, operandRight.

    Raises:
        InvalidInputError: with the place of what is wrong below `path`.
    """
    return read_criteria(get(body, "filterExpression"), path=f"{path}.filterExpression")


def read_criteria(listed: Any, *, path: str) -> list[Document]:
    """Return criteria given as a list or one alone; null and an empty object (EDC's "none") are no criteria.

    Raises:
        InvalidInputError: with the place of what is wrong below `path`.
    """
    if listed is None or listed == {}:
        return []
    many = listed if isinstance(listed, list) else [listed]
    if len(many) > MAX_CRITERIA:
        raise errors.InvalidInputError(f"at most {MAX_CRITERIA} criteria are taken", path=path)
    return [_criterion(each, f"{path}[{at}]") for at, each in enumerate(many)]


def _criterion(each: Any, path: str) -> Document:
    if not isinstance(each, dict):
        raise errors.InvalidInputError("a criterion must be an object", path=path)
    left, operator, right = (get(each, name) for name in ("operandLeft", "operator", "operandRight"))
    left, operator = plain(left), plain(operator)
    if not isinstance(left, str) or not 0 < len(left) <= MAX_TEXT:
        raise errors.InvalidInputError(
            f"operandLeft must name a property, in at most {MAX_TEXT} characters", path=f"{path}.operandLeft"
        )
    if not isinstance(operator, str) or operator not in OPERATORS:
        known = " ".join(OPERATORS)
        raise errors.InvalidInputError(f"the operator must be one of: {known}", path=f"{path}.operator")
    _check_right(operator, right, f"{path}.operandRight")
    return {"operandLeft": left, "operator": operator, "operandRight": right}


def _check_right(operator: str, right: Any, path: str) -> None:
    if right is None:
        raise errors.InvalidInputError("operandRight is missing", path=path)
    if (operator in {"in", "not in"}) != isinstance(right, list):
        wanted = "a list" if operator in {"in", "not in"} else "one value, no list"
        raise errors.InvalidInputError(f"the operator {operator} takes {wanted}", path=path)
    if operator.endswith("like") and len(text(plain(right))) > MAX_TEXT:
        raise errors.InvalidInputError(f"a pattern has at most {MAX_TEXT} characters", path=path)


def named_asset(listed: Iterable[Document]) -> str:
    """Return the id of the only asset that criteria can select, or an empty text if there may be others."""
    for each in listed:
        wanted = each.get("operandRight")
        if each.get("operandLeft") in IDS and each.get("operator") == "=" and isinstance(wanted, str):
            return wanted
    return ""


def matches_all(wanted: Sequence[Document], document: Document) -> bool:
    """Return whether every criterion matches; an empty list selects everything."""
    return all(matches(each, document) for each in wanted)


def matches(criterion: Document, document: Document) -> bool:
    """Return whether a document has what a criterion asks; a property it does not have never matches."""
    values = names.find_all(document, criterion["operandLeft"])
    return bool(values) and OPERATORS[criterion["operator"]](values, criterion["operandRight"])


def resolve(spec: Spec, fields: Sequence[str], aliases: Mapping[str, str] | None = None) -> Spec:
    """Return a query with the names of fields as documents have them.

    `fields` are the names that may be asked about, `aliases` other words for some of them; `id` is always one for
    `@id`.

    Raises:
        InvalidInputError: it asks about another field.
    """
    known = {"id": "@id", **(aliases or {}), **{each: each for each in ("@id", *fields)}}
    wanted = []
    for at, each in enumerate(spec.criteria):
        left = known.get(names.canonical(each["operandLeft"]))
        if left is None:
            listed = ", ".join(known)
            place = f"$.filterExpression[{at}].operandLeft"
            raise errors.InvalidInputError(
                f"no filter for {each['operandLeft'][:100]}; there is: {listed}", path=place
            )
        wanted.append({**each, "operandLeft": left})
    order = known.get(names.canonical(spec.sort_field), "") if spec.sort_field else ""
    if spec.sort_field and not order:
        raise errors.InvalidInputError(
            f"no order by {spec.sort_field[:100]}; there is: {', '.join(known)}", path="$.sortField"
        )
    return Spec(spec.offset, spec.limit, order, spec.descending, tuple(wanted))


def rename(spec: Spec, words: Mapping[str, str]) -> Spec:
    """Return a query with other words for some fields, where any field may be asked about."""
    wanted = [
        {**each, "operandLeft": words.get(names.canonical(each["operandLeft"]), each["operandLeft"])}
        for each in spec.criteria
    ]
    order = words.get(names.canonical(spec.sort_field), spec.sort_field)
    return Spec(spec.offset, spec.limit, order, spec.descending, tuple(wanted))


def select(
    documents: Iterable[Document],
    spec: Spec,
    fields: Sequence[str],
    aliases: Mapping[str, str] | None = None,
) -> list[Document]:
    """Return the page of documents, given in the order of creation, that a query asks for.

    Raises:
        InvalidInputError: it asks about a field that is none of `fields` and `aliases`; see `resolve`.
    """
    resolved = resolve(spec, fields, aliases)
    return page([each for each in documents if matches_all(resolved.criteria, each)], resolved)


def page(documents: list[Document], spec: Spec, sort_field: str | None = None) -> list[Document]:
    """Return documents, given in the order of creation, in the order and the part that a query asks for.

    What is equal in the order keeps that of creation, or in descending order the reverse: the newest comes first.
    """
    order = spec.sort_field if sort_field is None else sort_field
    if order:
        documents = sorted(documents, key=lambda each: sort_key(each, order))
    if spec.descending:
        documents = documents[::-1]
    return documents[spec.offset : spec.offset + spec.limit]


def sort_key(document: Document, field: str) -> tuple[int, float, str]:
    """Return what documents are ordered by: numbers first, then texts; what is absent is an empty text."""
    value = next((plain(each) for each in names.find_all(document, field)), None)
    if isinstance(value, int | float):
        return (0, float(min(max(value, -_FAR), _FAR)), "")
    return (1, 0.0, "" if value is None else text(value))
