"""Reading and writing the compact JSON-LD of EDC's management API v3 without a JSON-LD processor.

Members are found by their bare name, `edc:` name or full IRI; null counts as absent; a reference is a text or an object
with `@id`. What is written always has the same compact keys and its own context, since clients read both ways.
"""

from __future__ import annotations

from typing import Any

from comity import errors
from comity.management import names

Document = dict[str, Any]
CONTEXT: Document = {"@vocab": names.EDC, "edc": names.EDC, "odrl": "http://www.w3.org/ns/odrl/2/"}
PROTOCOL = "dataspace-protocol-http:2025-1"
EDC_CONTEXTS = "https://w3id.org/edc/"
POLICY_CONTEXT = "https://w3id.org/dspace/2025/1/odrl-profile.jsonld"
MAX_ID = 1024
MAX_TEXT = 10_000


def document(kind: str, name: str | None = None, /, **members: Any) -> Document:
    """Return a document with context, type and id; members that are None are left out."""
    head: Document = {"@context": CONTEXT, "@type": kind}
    if name is not None:
        head["@id"] = name
    return {**head, **{key: value for key, value in members.items() if value is not None}}


def policy(terms: Document) -> Document:
    """Return a policy as a member of a document: its bare words are ODRL's, which its own context says.

    What it was written under besides goes along, but for EDC's own context, which a client need not fetch.
    """
    further = terms.get("@context") or []
    kept = [each for each in further if not (isinstance(each, str) and each.startswith(EDC_CONTEXTS))]
    return {**terms, "@context": [POLICY_CONTEXT, *kept] if kept else POLICY_CONTEXT}


def id_response(name: str, created_at: int) -> Document:
    """Return the answer to a creation."""
    return document("IdResponse", name, createdAt=created_at)


def reference(value: Any) -> Any:
    """Return the id that a value refers to, or the value itself."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value.get("@id", value.get("@value")) if isinstance(value, dict) else value


def text(body: Document, name: str, *, required: bool = False, path: str = "$") -> str:
    """Return a text member, empty if it is absent.

    Raises:
        InvalidInputError: it is required and absent or empty, or not a text of at most 10,000 characters.
    """
    value = reference(names.get(body, name))
    if required and value in (None, ""):
        raise errors.InvalidInputError(f"{name} is missing", path=f"{path}.{name}")
    if value is not None and not isinstance(value, str):
        raise errors.InvalidInputError(f"{name} must be a text", path=f"{path}.{name}")
    if value and len(value) > MAX_TEXT:
        raise errors.InvalidInputError(f"{name} has more than {MAX_TEXT} characters", path=f"{path}.{name}")
    return value or ""


def party(body: Document, otherwise: str = "") -> str:
    """Return counterPartyId, or else `otherwise`: a partner is known by its id, not by its address.

    Raises:
        InvalidInputError: there is neither, or it is no text.
    """
    found = text(body, "counterPartyId") or otherwise
    if not found:
        raise errors.InvalidInputError(
            "counterPartyId is missing: the partner's participant id, beside its address or without it",
            path="$.counterPartyId",
            hint="see the ids of your partners with: comity partner list",
        )
    return found


def flag(body: Document, name: str, *, path: str = "$") -> bool:
    """Return a member that is true or false, false if it is absent.

    Raises:
        InvalidInputError: it is something else.
    """
    value = names.get(body, name)
    if value is not None and not isinstance(value, bool):
        raise errors.InvalidInputError(f"{name} must be true or false", path=f"{path}.{name}")
    return value is True


def identifier(body: Document) -> str:
    """Return a document's own id, empty if it has none.

    Raises:
        InvalidInputError: it is not 1 to 1024 printable characters.
    """
    value = names.get(body, "id") if body.get("@id") is None else body["@id"]
    return "" if value is None else check_id(value, "$.@id")


def check_id(value: Any, path: str) -> str:
    """Return a value that is an id.

    Raises:
        InvalidInputError: it is not 1 to 1024 printable characters.
    """
    if not isinstance(value, str) or not 0 < len(value) <= MAX_ID or not value.isprintable():
        raise errors.InvalidInputError(f"an id must be 1 to {MAX_ID} printable characters", path=path)
    return value


def mapping(body: Document, name: str, *, required: bool = False) -> Document:
    """Return an object member, empty if it is absent.

    Raises:
        InvalidInputError: it is required and absent, or not an object.
    """
    value = names.get(body, name)
    if value is None:
        if required:
            raise errors.InvalidInputError(f"{name} is missing", path=f"$.{name}")
        return {}
    if not isinstance(value, dict):
        raise errors.InvalidInputError(f"{name} must be an object", path=f"$.{name}")
    return value


def texts(body: Document, name: str, *, path: str = "$") -> list[str]:
    """Return a member that is a list of texts, or one text, empty if it is absent.

    Raises:
        InvalidInputError: it is something else.
    """
    value = names.get(body, name, [])
    listed = value if isinstance(value, list) else [value]
    if not all(isinstance(each, str) and 0 < len(each) <= MAX_TEXT for each in listed):
        raise errors.InvalidInputError(f"{name} must be a list of texts", path=f"{path}.{name}")
    return listed


def properties(body: Document, name: str) -> Document:
    """Return the members of an object member, EDC's by their bare names, others as they are written.

    Raises:
        InvalidInputError: it is not an object, or has a member in two spellings.
    """
    found: Document = {}
    for written, value in bare_items(mapping(body, name)):
        if written in found:
            raise errors.InvalidInputError(
                f"{written[:100]} is given twice, in two spellings", path=f"$.{name}.{written[:100]}"
            )
        found[written] = value
    return found


def bare_items(members: Document) -> list[tuple[str, Any]]:
    """Return the members that are there, with the bare names of EDC's; without `@context`."""
    return [
        (name.removeprefix(names.EDC).removeprefix("edc:"), value)
        for name, value in members.items()
        if value is not None and name != "@context"
    ]


def refuse_unsupported(body: Document, name: str, what: str) -> None:
    """Refuse a member that would be taken without effect, unless it is absent or empty.

    Raises:
        InvalidInputError: it says something.
    """
    if names.get(body, name) not in (None, [], {}, ""):
        raise errors.InvalidInputError(
            f"{what} not supported yet", path=f"$.{name}", hint=f"leave {name} out"
        )
