"""Bytes of a message into a value, leniently where the meaning is plain, with the place of the error where it is not.

What is accepted although the schemas say otherwise, and what is not, each with its reason, is one table that tests walk
through: docs/reference/protocol.md, "Deviations". Unknown properties and further contexts stay in the document; no
context is ever fetched. Source: Dataspace Protocol 2025-1, section "Message serialization".
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from comity import errors, strict_json
from comity.dsp import messages, spelling, terms

T = TypeVar("T", bound=messages.Message)
S = TypeVar("S", bound=msgspec.Struct)
STRUCTURES = (b"@graph", b"@included", b"@nest", b"@reverse")


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
    spelling.check_context(document.get("@context"), "$.@context")
    if b"\\u" in body or any(word in body for word in STRUCTURES):
        _check_structure(document)
    plain = {**spelling.plain(document), "@type": kind}
    for name in spelling.POLICIES:
        if isinstance(plain.get(name), dict):
            spelling.check_context(plain[name].get("@context"), f"$.{name}.@context")
    if "eventType" in plain:
        plain["eventType"] = spelling.bare(plain["eventType"])
    return convert(plain, names[kind]), document


def check_context(document: dict[str, Any]) -> None:
    """Refuse a document that does not name the 2025-1 context, or is written in the names of an earlier version.

    Raises:
        InvalidInputError: it is of another version, and of which.
    """
    earlier = spelling.earlier(document)
    if earlier:
        raise errors.InvalidInputError(
            f"this message is written for the Dataspace Protocol {earlier},"
            f" and this connector speaks {terms.VERSION} only",
            path="$.@context",
            hint="/.well-known/dspace-version tells what each side speaks",
        )
    context = document.get("@context")
    listed = context if isinstance(context, list) else [context]
    if terms.CONTEXT not in listed:
        raise errors.InvalidInputError(f"the context must name {terms.CONTEXT}", path="$.@context")


def _check_structure(value: Any) -> None:
    """Refuse words of JSON-LD that put what a message says elsewhere than where it is read."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            for word in STRUCTURES:
                if word.decode() in each:
                    raise errors.InvalidInputError(
                        f"{word.decode()} is not taken: a message is plain JSON, and says what stands in its place"
                    )
        waiting += each.values() if isinstance(each, dict) else each if isinstance(each, list) else ()


def refuse_earlier(body: bytes) -> None:
    """Refuse a message of an earlier version of the protocol, whoever sent it; anything else passes.

    Raises:
        InvalidInputError: as `check_context`.
    """
    try:
        document = strict_json.decode_object(body)
    except errors.InvalidInputError:
        return
    if spelling.earlier(document):
        check_context(document)


def bare_type(name: Any) -> Any:
    """Return a type without the protocol's prefix or namespace; a list of one is that one."""
    return spelling.bare(name[0] if isinstance(name, list) and len(name) == 1 else name)


def convert(document: dict[str, Any], kind: type[S]) -> S:
    """Turn a parsed document into a value of `kind`.

    Raises:
        InvalidInputError: names the field, the type expected and the type found.
    """
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `")
        raise errors.InvalidInputError(_lower_first(message), path=path.rstrip("`") or "$") from None


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]
