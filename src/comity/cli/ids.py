"""Identifiers: shown short where that is unambiguous, accepted as any beginning or end that names one thing only.

Pure functions on texts. The ids of processes begin with the time, so those of one hour look alike and of one second
are alike: their short form is how they end. A framework agreement's is how its hash begins, which is what was signed.
A short form is found again only among the ids that it was made for.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from comity import errors

SHORTEST = 8
_TIMED = "urn:uuid:"
_SHORTENED = (_TIMED, "urn:comity:package:")
_SHOWN = 5
_FRAMEWORK = re.compile(
    r"(?P<id>urn:comity:framework:[0-9a-f-]{36})(?:#sha256:(?P<sha256>[0-9a-f]{64})|:(?P<texts>texts:[0-9a-f]{16}))"
)


def tail(name: str) -> str:
    """Return the part of an id that tells it apart; ids that a person made up come back whole."""
    for prefix in _SHORTENED:
        if name.startswith(prefix):
            return name[len(prefix) :]
    found = _FRAMEWORK.fullmatch(name)
    return (found["texts"] or f"framework:{found['sha256']}") if found else name


def within(text: str) -> str:
    """Return a sentence with the URNs of framework agreements in it in their short form."""
    return _FRAMEWORK.sub(lambda found: short(found[0]), text)


def shorten(names: Collection[str]) -> dict[str, str]:
    """Return for each id its shortest form of 8 or more characters that tells it apart from the others."""
    distinct = set(names)
    return {name: _shortest(name, distinct) if tail(name) != name else name for name in distinct}


def short(name: str, length: int = SHORTEST) -> str:
    """Return how an id ends if it begins with the time, else how it begins; ids that a person made up whole."""
    text = tail(name)
    if text == name:
        return name
    if name.startswith(_TIMED):
        return text[-length:]
    word, colon, rest = text.partition(":")
    return f"{word}{colon}{rest[:length]}" if colon and _FRAMEWORK.fullmatch(name) else text[:length]


def _shortest(name: str, others: set[str]) -> str:
    text = tail(name)
    for length in range(SHORTEST, len(text)):
        said = short(name, length)
        if sum(_means(said, other) for other in others) == 1:
            return said
    return text


def _means(text: str, name: str) -> bool:
    ends = name.startswith(_TIMED) and name.endswith(text)
    return ends or any(each.startswith(text) for each in (name, tail(name), *_parts(name)))


def _parts(name: str) -> tuple[str, ...]:
    """Return the UUID and the hash of a framework agreement; nothing of other ids."""
    found = _FRAMEWORK.fullmatch(name)
    return (name.removeprefix("urn:comity:framework:"), found["sha256"] or "") if found else ()


def find(text: str, names: Collection[str], what: str, *, hint: str = "") -> str:
    """Return the id that `text` is, or is the one beginning or end of; `what` is its noun, `hint` where ids stand.

    Raises:
        NotFoundError: none of them is.
        InvalidInputError: several are.
    """
    if text in names:
        return text
    found = sorted({name for name in names if text and _means(text, name)})
    if not found:
        raise errors.NotFoundError(f"there is no {what} {text}", hint=hint)
    if len(found) > 1:
        shown = ", ".join(tail(name) for name in found[:_SHOWN])
        more = ", ..." if len(found) > _SHOWN else ""
        raise errors.InvalidInputError(
            f"{text} could be {len(found)} {what}s", hint=f"give more of it: {shown}{more}"
        )
    return found[0]
