"""What an Asset Administration Shell says, as the JSON of IDTA 01001 (metamodel 3.x), out of XML or JSON. Pure.

XML and JSON of the metamodel say the same in the same order, so one becomes the other without anything being left out,
also where a submodel breaks a rule of the metamodel (IDTA's own examples do). Whether it keeps the rules is not asked
here: what came has to leave as it came.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from comity import strict_json
from comity.errors import InvalidInputError
from comity.techdata import xml
from comity.techdata.xml import Element

Document = dict[str, Any]
MAX_VALUES: Final = 600_000
SHELLS, SUBMODELS, CONCEPTS = "assetAdministrationShells", "submodels", "conceptDescriptions"
PARTS: Final = (SHELLS, SUBMODELS, CONCEPTS)
_NAMESPACE: Final = "https://admin-shell.io/aas/3/"
_ELEMENTS: Final = frozenset(
    {
        "annotatedRelationshipElement",
        "basicEventElement",
        "blob",
        "capability",
        "entity",
        "file",
        "multiLanguageProperty",
        "operation",
        "property",
        "range",
        "referenceElement",
        "relationshipElement",
        "submodelElementCollection",
        "submodelElementList",
    }
)
_CLASSES: Final = _ELEMENTS | {
    "assetAdministrationShell",
    "conceptDescription",
    "dataSpecificationIec61360",
    "submodel",
}
"""Names of elements that are classes, which JSON says in `modelType`."""
_LISTS: Final = frozenset(
    {
        "annotations",
        "assetAdministrationShells",
        "conceptDescriptions",
        "definition",
        "description",
        "displayName",
        "embeddedDataSpecifications",
        "extensions",
        "inoutputVariables",
        "inputVariables",
        "isCaseOf",
        "keys",
        "outputVariables",
        "preferredName",
        "qualifiers",
        "refersTo",
        "shortName",
        "specificAssetIds",
        "statements",
        "submodelElements",
        "submodels",
        "supplementalSemanticIds",
        "valueReferencePairs",
    }
)
_LISTS_OF_VALUES: Final = frozenset(
    {"submodelElementCollection", "submodelElementList", "multiLanguageProperty"}
)
_MAY_BE_EMPTY: Final = frozenset({"id", "max", "min", "value"})
_NEVER_EMPTY: Final = ("DataSpecificationIec61360", "File")
"""What has a `value` that is never an empty text."""
_FLAGS: Final = frozenset({("submodelElementList", "orderRelevant")}) | {
    ("levelType", name) for name in ("min", "nom", "typ", "max")
}


def read(data: bytes, *, is_xml: bool, what: str) -> Document:
    """Read an environment: shells, submodels and concept descriptions.

    Raises:
        InvalidInputError: it is no environment of version 3, or too large; `what` names it.
    """
    found = _of_xml(xml.read(data, what), what) if is_xml else _of_json(data, what)
    for name in PARTS:
        each = found.get(name, [])
        if not isinstance(each, list) or not all(isinstance(one, dict) and _is_text(one) for one in each):
            raise InvalidInputError(f"{what} is not read: {name} are objects with an id", path=f"$.{name}")
    return {name: _without_nothing(found[name]) for name in PARTS if name in found}


def _without_nothing(value: Any) -> Any:
    """Leave out what is empty where editors write so that there is nothing, and no reader takes it as a text."""
    if isinstance(value, list):
        return [made for made in map(_without_nothing, value) if not _says_nothing(made)]
    if not isinstance(value, dict):
        return value
    may_be_empty = _MAY_BE_EMPTY if value.get("modelType") not in _NEVER_EMPTY else _MAY_BE_EMPTY - {"value"}
    made = {
        name: _without_nothing(each) for name, each in value.items() if each != "" or name in may_be_empty
    }
    return {name: each for name, each in made.items() if not _says_nothing(each)}


def _says_nothing(value: Any) -> bool:
    """Say whether it is a text in a language without the text, a key without a value, a reference without a key."""
    return isinstance(value, dict) and (
        value.keys() == {"language"}
        or value == {"type": value.get("type"), "value": ""}
        or value.get("keys") == []
    )


def _is_text(one: Document) -> bool:
    return isinstance(one.get("id"), str) and isinstance(one.get("idShort", ""), str)


def _of_json(data: bytes, what: str) -> Document:
    try:
        return strict_json.decode_object(data.removeprefix(b"\xef\xbb\xbf"), most=MAX_VALUES)
    except InvalidInputError as error:
        raise InvalidInputError(f"{what} is not read: {error.message}", path=error.path) from None


def _of_xml(root: Element, what: str) -> Document:
    if root.name != "environment" or not root.namespace.startswith(_NAMESPACE):
        raise InvalidInputError(
            f"{what} is no environment of AAS version 3, but {root.name[:50]!r} of {root.namespace[:100]!r}"
        )
    return {each.name: _value(each, root.name) for each in root.children}


def _value(element: Element, parent: str) -> Any:
    """Return the JSON of an element; what a name means may hang on whose member it is."""
    name, children = element.name, element.children
    if name in _LISTS or (name == "value" and parent in _LISTS_OF_VALUES):
        return [_value(each, name) for each in children]
    if name == "dataSpecificationContent" or (name == "value" and parent == "operationVariable"):
        return _value(children[0], name) if children else {}
    if name in _CLASSES:
        return {**_members(element), "modelType": name[0].upper() + name[1:]}
    if children:
        return _members(element)
    return element.text.strip() == "true" if (parent, name) in _FLAGS else element.text


def _members(element: Element) -> Document:
    found = {each.name: _value(each, element.name) for each in element.children}
    if len(found) != len(element.children):
        raise InvalidInputError(f"an element {element.name[:50]!r} has a member twice")
    return found


def semantic_id(element: Mapping[str, Any]) -> str:
    """Return what an element means, or an empty text."""
    return keys(element.get("semanticId"))[-1] if keys(element.get("semanticId")) else ""


def keys(reference: object) -> list[str]:
    """Return the values of a reference's keys."""
    found = (each.get("value") for each in elements(reference, "keys"))
    return [each for each in found if isinstance(each, str)]


def reference(value: str, kind: str = "") -> Document:
    """Write a reference to something outside, or with a `kind` to a model of an environment."""
    if kind:
        return {"type": "ModelReference", "keys": [{"type": kind, "value": value}]}
    return {"type": "ExternalReference", "keys": [{"type": "GlobalReference", "value": value}]}


def elements(parent: object, name: str = "value") -> list[Document]:
    """Return the elements in a submodel, a collection or a list; none where it is something else."""
    found = parent.get(name) if isinstance(parent, Mapping) else None
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def listed(parent: Document, name: str) -> list[Any]:
    """Return the list in a member, to be added to; made if there is none."""
    if not isinstance(parent.get(name), list):
        parent[name] = []
    found: list[Any] = parent[name]
    return found


def member(parent: object, *names: str) -> Document | None:
    """Return the element of a collection that has one of some names (`idShort`)."""
    return next((each for each in elements(parent) if each.get("idShort") in names), None)


def text(element: Mapping[str, Any] | None) -> str:
    """Return the value of a property as text; of one in many languages the English one, or the first."""
    value = element.get("value") if element else None
    if isinstance(value, list):
        said = {str(each.get("language")): each.get("text") for each in value if isinstance(each, dict)}
        value = said.get("en") or next(iter(said.values()), "")
    return value.strip() if isinstance(value, str) else ""


def walk(found: object) -> Iterator[Document]:
    """Yield every object in a document, the outer ones first."""
    waiting = [found]
    while waiting:
        here = waiting.pop()
        if isinstance(here, dict):
            yield here
            waiting.extend(reversed(here.values()))
        elif isinstance(here, list):
            waiting.extend(reversed(here))


def id_short(words: str, otherwise: str) -> str:
    """Return words as an `idShort` may be: letters, digits and `_`, a letter first."""
    made = re.sub(r"[^A-Za-z0-9]+", "_", words).strip("_")[:100]
    return made if made[:1].isalpha() else otherwise
