"""Bytes of a message into a value, leniently where the meaning is plain, with the place of the error where it is not.

Accepted although the schemas say otherwise: a context that is one string, types written `dspace:X` or as a full IRI,
unknown properties and unknown further contexts (never fetched), null for an absent property. Source: Dataspace Protocol
2025-1, section "Message serialization"; deviations seen in other connectors.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from comity import errors, strict_json
from comity.dsp import messages, terms

T = TypeVar("T", bound=messages.Message)


def decode(body: bytes, *expected: type[T]) -> tuple[T, dict[str, Any]]:
    """Return the message in `body`, which must be one of the `expected` types, and the whole document it came in.

    Raises:
        InvalidInputError: not JSON, not this protocol's context, another type, or a field that is wrong.
    """
    document = strict_json.decode_object(body)
    check_context(document)
    kind = bare_type(document.get("@type"))
    names = {each.__name__: each for each in expected}
    if not isinstance(kind, str) or kind not in names:
        raise errors.InvalidInputError(
            f"expected {' or '.join(names)}, got {repr(kind)[:100]}", path="$.@type"
        )
    return convert({**document, "@type": kind}, names[kind]), document


def check_context(document: dict[str, Any]) -> None:
    """Refuse a document that does not name the 2025-1 context."""
    context = document.get("@context")
    listed = context if isinstance(context, list) else [context]
    if terms.CONTEXT not in listed:
        raise errors.InvalidInputError(f"the context must name {terms.CONTEXT}", path="$.@context")


def bare_type(name: Any) -> Any:
    """Return a type without the protocol's prefix or namespace."""
    if isinstance(name, list) and len(name) == 1:
        name = name[0]
    return name.removeprefix("dspace:").removeprefix(terms.NAMESPACE) if isinstance(name, str) else name


def convert(document: dict[str, Any], kind: type[T]) -> T:
    """Turn a parsed document into a value of `kind`.

    Raises:
        InvalidInputError: names the field, the type expected and the type found.
    """
    present = {name: value for name, value in document.items() if value is not None}
    try:
        return msgspec.convert(present, kind)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `")
        raise errors.InvalidInputError(_lower_first(message), path=path.rstrip("`") or "$") from None


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]
