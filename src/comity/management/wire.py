"""Reading and writing the compact JSON-LD of EDC's management API v3 without a JSON-LD processor.

Members are found by their bare name, `edc:` name or full IRI; null counts as absent; a reference is a text or an object
with `@id`. What is written always has the same compact keys and its own context, since clients read both ways.
"""

from __future__ import annotations

from typing import Any

from comity import errors
from comity.management import query

Document = dict[str, Any]
CONTEXT: Document = {"@vocab": query.EDC, "edc": query.EDC, "odrl": "http://www.w3.org/ns/odrl/2/"}
MAX_ID = 1024


def document(kind: str, name: str | None = None, /, **members: Any) -> Document:
    """Return a document with context, type and id; members that are None are left out."""
    head: Document = {"@context": CONTEXT, "@type": kind}
    if name is not None:
        head["@id"] = name
    return {**head, **{key: value for key, value in members.items() if value is not None}}


def id_response(name: str, created_at: int) -> Document:
    """Return the answer to a creation."""
    return document("IdResponse", name, createdAt=created_at)


def text(body: Document, name: str, *, required: bool = False, path: str = "$") -> str:
    """Return a text member, empty if it is absent.

    Raises:
        InvalidInputError: it is required and absent, or not a text.
    """
    value = reference(query.get(body, name))
    if value is None:
        if required:
            raise errors.InvalidInputError(f"{name} is missing", path=f"{path}.{name}")
        return ""
    if not isinstance(value, str):
        raise errors.InvalidInputError(f"{name} must be a text", path=f"{path}.{name}")
    return value


def reference(value: Any) -> Any:
    """Return the id that a value refers to, or the value itself."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value.get("@id", value.get("@value")) if isinstance(value, dict) else value


def identifier(body: Document, *, path: str = "$.@id") -> str:
    """Return a document's own id, empty if it has none.

    Raises:
        InvalidInputError: it is not 1 to 1024 printable characters.
    """
    value = body.get("@id", query.get(body, "id"))
    if value is None:
        return ""
    if not isinstance(value, str) or not 0 < len(value) <= MAX_ID or not value.isprintable():
        raise errors.InvalidInputError(f"an id must be 1 to {MAX_ID} printable characters", path=path)
    return value


def mapping(body: Document, name: str, *, required: bool = False, path: str = "$") -> Document:
    """Return an object member, empty if it is absent.

    Raises:
        InvalidInputError: it is required and absent, or not an object.
    """
    value = query.get(body, name)
    if value is None:
        if required:
            raise errors.InvalidInputError(f"{name} is missing", path=f"{path}.{name}")
        return {}
    if not isinstance(value, dict):
        raise errors.InvalidInputError(f"{name} must be an object", path=f"{path}.{name}")
    return value


def texts(body: Document, name: str, *, path: str = "$") -> list[str]:
    """Return a member that is a list of texts, empty if it is absent.

    Raises:
        InvalidInputError: it is something else.
    """
    value = query.get(body, name, [])
    listed = value if isinstance(value, list) else [value]
    if not all(isinstance(each, str) for each in listed):
        raise errors.InvalidInputError(f"{name} must be a list of texts", path=f"{path}.{name}")
    return listed


def bare(members: Document) -> Document:
    """Return members by their bare names; names of other vocabularies stay as they are."""
    return {
        name.removeprefix(query.EDC).removeprefix("edc:"): value
        for name, value in members.items()
        if value is not None and name != "@context"
    }
