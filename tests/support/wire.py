"""Messages of the protocol as plain documents, written from the specification and not with the code under test."""

from __future__ import annotations

import json
import uuid
from typing import Any

CONTEXT = "https://w3id.org/dspace/2025/1/context.jsonld"
USE = {"permission": [{"action": "use"}]}


def new_id() -> str:
    return f"urn:uuid:{uuid.uuid4()}"


def message(kind: str, **fields: Any) -> dict[str, Any]:
    """A message with context, type and `@id`; fields that are None are left out."""
    fields = {"id_": new_id(), **fields}
    named = {"@id" if name == "id_" else name: value for name, value in fields.items() if value is not None}
    return {"@context": [CONTEXT], "@type": kind, **named}


def encode(document: Any) -> bytes:
    return document if isinstance(document, bytes) else json.dumps(document).encode()


def until(date: str) -> dict[str, Any]:
    """A policy that allows use up to a date."""
    return constrained("dateTime", "lteq", date)


def constrained(left: str, operator: str, right: str) -> dict[str, Any]:
    constraint = {"leftOperand": left, "operator": operator, "rightOperand": right}
    return {"permission": [{"action": "use", "constraint": [constraint]}]}


def agreement(offer: dict[str, Any], **parts: Any) -> dict[str, Any]:
    """The agreement to an offer, with assigner and assignee among `parts`; a part that is None is left out."""
    document = {
        **offer,
        "@id": new_id(),
        "@type": "Agreement",
        "timestamp": "2026-01-01T00:00:00Z",
        **parts,
    }
    return {name: value for name, value in document.items() if value is not None}
