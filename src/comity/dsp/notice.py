"""Notices: what Comities tell each other beside the protocol, below `/comity/notices` of the same address.

A notice is a JSON object with `@context`, `@type` (`comity:...Notice`), `@id` (the same over all attempts) and the
members of its type; its answer names that `@id`. Both are signed and bound to a token as messages are.
"""

from __future__ import annotations

import re
from typing import Any, TypeGuard

from comity import errors, strict_json
from comity.dsp import terms

Document = dict[str, Any]
KIND = "notice"
PREFIX = "comity:"
CONTEXT: list[Any] = [terms.CONTEXT, {"comity": "urn:comity:terms:"}]
ANSWER, ERROR = "comity:NoticeAnswer", "comity:NoticeError"
MAX_ID = 1024
NO_ENDPOINT = frozenset({404, 405})
"""How a connector answers that is no Comity; nothing else is answered so."""
_TYPE = re.compile(rf"{PREFIX}[A-Za-z0-9]{{0,100}}Notice")
_PATH = "/comity/notices"


def address(dsp_address: str) -> str:
    """Return where a partner takes notices, empty if its address is none of a Comity."""
    root = dsp_address.rstrip("/")
    return root.removesuffix(terms.VERSION_PATH) + _PATH if root.endswith(terms.VERSION_PATH) else ""


def decode(content: bytes) -> Document:
    """Return the notice in a body.

    Raises:
        InvalidInputError: it is none, and why.
    """
    document = strict_json.decode_object(content)
    kind, name = document.get("@type"), document.get("@id")
    if not isinstance(kind, str) or not _TYPE.fullmatch(kind):
        raise errors.InvalidInputError(f"a notice has a type such as {PREFIX}XNotice", path="$.@type")
    if not is_name(name):
        raise errors.InvalidInputError("a notice has an id of its own, a text", path="$.@id")
    return document


def is_name(value: object) -> TypeGuard[str]:
    """Return whether a value is a text that can be kept as an id."""
    return isinstance(value, str) and 0 < len(value) <= MAX_ID and "\0" not in value


def encode(document: Document) -> bytes:
    """Write a notice or an answer as the bytes that go on the wire."""
    return strict_json.canonical(document)


def answer(notice: Document, members: Document) -> Document:
    """Return the answer to a notice."""
    return {"@context": CONTEXT, "@type": ANSWER, "@id": notice["@id"], **members}


def error(code: str, sentence: str) -> Document:
    """Return the refusal of a notice."""
    return {"@context": CONTEXT, "@type": ERROR, "code": code, "reason": [sentence]}
