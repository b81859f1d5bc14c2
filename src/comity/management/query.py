"""Criteria and query specs, as EDC's management API has them: which of many, in which order, from where to where.

A criterion compares a property, named bare, by its full IRI, or by a path such as `'dct:type'.'@id'`. What is not known
(an operator, a field that no document has) is refused with its place, never silently ignored.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from msgspec import Struct

from comity import errors

EDC = "https://w3id.org/edc/v0.0.1/ns/"
DEFAULT_LIMIT = 50
MAX_LIMIT = 1000
MAX_CRITERIA = 100
_ABSENT = object()
_SEGMENT = re.compile(r"'([^']*)'|([^.']+)")

Document = dict[str, Any]


class Spec(Struct, frozen=True):
    """A query: `criteria` all have to match; `sort_field` empty keeps the order of creation."""

    offset: int = 0
    limit: int = DEFAULT_LIMIT
    sort_field: str = ""
    descending: bool = False
    criteria: tuple[Document, ...] = ()


def get(document: Any, name: str, default: Any = None) -> Any:
    """Return a member by its bare name, its `edc:` name or its full IRI; null counts as absent."""
    for spelled in (name, f"edc:{name}", EDC + name):
        value = document.get(spelled)
        if value is not None:
            return value
    return default


def parse(body: Document | None) -> Spec:
    """Read a query spec; no body is the query for the first page.

    Raises:
        InvalidInputError: with the place of what is wrong.
    """
    body = body or {}
    order = get(body, "sortOrder", "ASC")
    if order not in {"ASC", "DESC"}:
        raise errors.InvalidInputError("sortOrder must be ASC or DESC", path="$.sortOrder")
    sort_field = get(body, "sortField", "")
    if not isinstance(sort_field, str):
        raise errors.InvalidInputError("sortField must be a text", path="$.sortField")
    limit = _number(body, "limit", DEFAULT_LIMIT)
    if not 0 < limit <= MAX_LIMIT:
        raise errors.InvalidInputError(f"limit must be 1 to {MAX_LIMIT}", path="$.limit")
    return Spec(
        _number(body, "offset", 0), limit, sort_field, order == "DESC", tuple(criteria(body, path="$"))
    )


def plain(body: Document) -> Document:
    """Return a query spec as it travels in a catalog request's filter."""
    spec = parse(body)
    return {"offset": spec.offset, "limit": spec.limit, "filterExpression": list(spec.criteria)}


def _number(body: Document, name: str, default: int) -> int:
    value = get(body, name, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise errors.InvalidInputError(f"{name} must be a number from 0", path=f"$.{name}")
    return value


def criteria(body: Document, *, path: str) -> list[Document]:
    """Return the criteria of a query spec as dicts with operandLeft, operator, operandRight.

    Raises:
        InvalidInputError: with the place of what is wrong below `path`.
    """
    return read_criteria(get(body, "filterExpression", []), path=f"{path}.filterExpression")


def read_criteria(listed: Any, *, path: str) -> list[Document]:
    """Return criteria given as a list, one alone, or an empty object (EDC's "none").

    Raises:
        InvalidInputError: with the place of what is wrong below `path`.
    """
    many = listed if isinstance(listed, list) else [listed] if listed else []
    if len(many) > MAX_CRITERIA:
        raise errors.InvalidInputError(f"at most {MAX_CRITERIA} criteria are taken", path=path)
    return [_criterion(each, f"{path}[{at}]") for at, each in enumerate(many)]


def _criterion(each: Any, path: str) -> Document:
    if not isinstance(each, dict):
        raise errors.InvalidInputError("a criterion must be an object", path=path)
    left, operator, right = (get(each, name) for name in ("operandLeft", "operator", "operandRight"))
    if not isinstance(left, str) or not left:
        raise errors.InvalidInputError("operandLeft must name a property", path=f"{path}.operandLeft")
    if operator not in OPERATORS:
        known = " ".join(OPERATORS)
        raise errors.InvalidInputError(f"the operator must be one of: {known}", path=f"{path}.operator")
    if right is None:
        raise errors.InvalidInputError("operandRight is missing", path=f"{path}.operandRight")
    if operator in {"in", "not in"} and not isinstance(right, list):
        raise errors.InvalidInputError(f"{operator} takes a list", path=f"{path}.operandRight")
    return {"operandLeft": left, "operator": operator, "operandRight": right}


def matches_all(wanted: Sequence[Document], document: Document) -> bool:
    """Return whether every criterion matches; an empty list selects everything."""
    return all(matches(each, document) for each in wanted)


def matches(criterion: Document, document: Document) -> bool:
    """Return whether a document has what a criterion asks; a property it does not have never matches."""
    found = lookup(document, criterion["operandLeft"])
    values = found if isinstance(found, list) else [found]
    wanted = criterion["operandRight"]
    if isinstance(wanted, dict):
        wanted = wanted.get("@id", wanted.get("@value", wanted))
    compare = OPERATORS[criterion["operator"]]
    return any(each is not _ABSENT and compare(_plain(each), wanted) for each in values)


def _plain(value: Any) -> Any:
    return value.get("@id", value.get("@value", value)) if isinstance(value, dict) else value


def lookup(document: Document, name: str) -> Any:
    """Return the value behind a name or path, or a mark that no document has it."""
    if name in document:
        return document[name]
    for spelled in (name.removeprefix("edc:").removeprefix(EDC), EDC + name):
        if spelled in document:
            return document[spelled]
    here: Any = document
    segments = [quoted or bare for quoted, bare in _SEGMENT.findall(name)]
    for segment in segments[1:] if segments[:1] == ["properties"] else segments:
        if not isinstance(here, dict):
            return _ABSENT
        here = here.get(segment, here.get(segment.removeprefix(EDC), here.get(_compact(segment), _ABSENT)))
    return here


def _compact(name: str) -> str:
    """Return the prefixed spelling of a Dublin Core or DCAT term, as our own catalog writes it."""
    for prefix, namespace in (("dct:", "http://purl.org/dc/terms/"), ("dcat:", "http://www.w3.org/ns/dcat#")):
        if name.startswith(namespace):
            return prefix + name.removeprefix(namespace)
    return name


def _like(*, ignore_case: bool) -> Callable[[Any, Any], bool]:
    def compare(value: Any, pattern: Any) -> bool:
        parts = (re.escape(part).replace("_", ".") for part in str(pattern).split("%"))
        flags = re.DOTALL | (re.IGNORECASE if ignore_case else 0)
        return re.fullmatch(".*?".join(parts), str(value), flags) is not None

    return compare


def _ordered(test: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def compare(value: Any, wanted: Any) -> bool:
        try:
            return test(float(value), float(wanted))
        except (TypeError, ValueError):
            return test(str(value), str(wanted))

    return compare


OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda value, wanted: bool(value == wanted or str(value) == str(wanted)),
    "!=": lambda value, wanted: str(value) != str(wanted),
    "like": _like(ignore_case=False),
    "ilike": _like(ignore_case=True),
    "in": lambda value, wanted: str(value) in [str(_plain(each)) for each in wanted],
    "not in": lambda value, wanted: str(value) not in [str(_plain(each)) for each in wanted],
    "contains": lambda value, wanted: str(wanted) in str(value),
    "<": _ordered(lambda value, wanted: value < wanted),
    "<=": _ordered(lambda value, wanted: value <= wanted),
    ">": _ordered(lambda value, wanted: value > wanted),
    ">=": _ordered(lambda value, wanted: value >= wanted),
}


def select(documents: Iterable[Document], spec: Spec, fields: Sequence[str]) -> list[Document]:
    """Return the page of documents that a query asks for; `fields` are the names it may ask about.

    Raises:
        InvalidInputError: it asks about another field.
    """
    allowed = {*fields, *(EDC + each for each in fields), *("edc:" + each for each in fields)}
    for at, each in enumerate(spec.criteria):
        if each["operandLeft"] not in allowed:
            known = ", ".join(fields)
            place = f"$.filterExpression[{at}].operandLeft"
            raise errors.InvalidInputError(
                f"no filter for {each['operandLeft'][:100]}; there is: {known}", path=place
            )
    if spec.sort_field and spec.sort_field not in allowed:
        raise errors.InvalidInputError(f"no order by {spec.sort_field[:100]}", path="$.sortField")
    return page([each for each in documents if matches_all(spec.criteria, each)], spec)


def page(documents: list[Document], spec: Spec) -> list[Document]:
    """Return documents in the order, and the part, that a query asks for."""
    if spec.sort_field:
        documents = sorted(documents, key=lambda each: _sort_key(each, spec.sort_field))
    if spec.descending:
        documents = (
            documents[::-1]
            if not spec.sort_field
            else sorted(documents, key=lambda each: _sort_key(each, spec.sort_field), reverse=True)
        )
    return documents[spec.offset : spec.offset + spec.limit]


def _sort_key(document: Document, field: str) -> tuple[int, float, str]:
    value = lookup(document, field)
    if isinstance(value, int | float):
        return (0, float(value), "")
    return (1, 0.0, "" if value is _ABSENT or value is None else str(value))
