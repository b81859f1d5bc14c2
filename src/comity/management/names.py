"""Names of members as people and programs spell them: bare, with a prefix, by the full IRI, or as a path.

`x`, `edc:x` and `https://w3id.org/edc/v0.0.1/ns/x` are one name, and so are `dct:type` and its IRI. A path goes
into an object: `'http://purl.org/dc/terms/type'.'@id'`, or `properties.x` for a property of an asset.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

Document = dict[str, Any]

EDC = "https://w3id.org/edc/v0.0.1/ns/"
_PREFIXES = {
    "edc:": "",
    "dct:": "http://purl.org/dc/terms/",
    "dcterms:": "http://purl.org/dc/terms/",
    "https://purl.org/dc/terms/": "http://purl.org/dc/terms/",
    "dcat:": "http://www.w3.org/ns/dcat#",
    "cx-common:": "https://w3id.org/catenax/ontology/common#",
    "aas-semantics:": "https://admin-shell.io/aas/3/0/HasSemantics/",
}
"""What a name begins with -> its namespace. The second `dct` is wrong, and some standards and samples write it so."""
_SEGMENT = re.compile(r"'([^']*)'|([^.']+)")


@lru_cache(maxsize=4096)
def canonical(name: str) -> str:
    """Return the one spelling of a name that is compared: bare in EDC's vocabulary, an IRI in others."""
    if name.startswith(EDC):
        return name[len(EDC) :]
    found = next((prefix for prefix in _PREFIXES if name.startswith(prefix)), None)
    return name if found is None else _PREFIXES[found] + name[len(found) :]


def get(document: Document, name: str, default: Any = None) -> Any:
    """Return a member by its bare name, its `edc:` name or its full IRI; null counts as absent."""
    for spelled in (name, f"edc:{name}", EDC + name):
        value = document.get(spelled)
        if value is not None:
            return value
    return default


@lru_cache(maxsize=4096)
def _segments(name: str) -> tuple[str, ...]:
    return tuple(quoted or bare for quoted, bare in _SEGMENT.findall(name))


def find_all(document: Document, name: str) -> list[Any]:
    """Return the values behind a name or a path: none if it is absent or null, many if it is a list."""
    if document.get(name) is not None:
        return _listed(document[name])
    whole = _members(document, name)
    segments = _segments(name)
    if whole or not segments:
        return whole
    found = _walk(document, segments)
    return found or (_walk(document, segments[1:]) if segments[0] == "properties" else [])


def _walk(document: Document, segments: tuple[str, ...]) -> list[Any]:
    here: list[Any] = [document] if segments else []
    for segment in segments:
        here = [value for each in here for value in _members(each, segment)]
    return here


def _members(value: Any, name: str) -> list[Any]:
    if not isinstance(value, dict):  # a text stands for the object that it names
        return [value] if name in {"@id", "@value"} else []
    wanted = canonical(name)
    return [one for key, member in value.items() if canonical(key) == wanted for one in _listed(member)]


def _listed(value: Any) -> list[Any]:
    return [each for each in (value if isinstance(value, list) else [value]) if each is not None]
