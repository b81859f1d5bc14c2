"""Identifiers: shown short where that is unambiguous, accepted as any beginning or end that names one thing only.

Pure functions on texts. The ids of processes begin with the time, so those of one hour look alike and of one second
are alike: their short form is how they end. A short form is found again only among the ids that it was made for.
"""

from __future__ import annotations

from collections.abc import Collection

from comity import errors

SHORTEST = 8
_TIMED = "urn:uuid:"
_SHORTENED = (_TIMED, "urn:comity:package:")
_SHOWN = 5


def tail(name: str) -> str:
    """Return the part of an id that tells it apart; ids that a person made up come back whole."""
    for prefix in _SHORTENED:
        if name.startswith(prefix):
            return name[len(prefix) :]
    return name


def shorten(names: Collection[str]) -> dict[str, str]:
    """Return for each id its shortest form of 8 or more characters that tells it apart from the others."""
    distinct = set(names)
    return {name: _shortest(name, distinct) if tail(name) != name else name for name in distinct}


def short(name: str, length: int = SHORTEST) -> str:
    """Return how an id ends if it begins with the time, else how it begins; ids that a person made up whole."""
    text = tail(name)
    if text == name:
        return name
    return text[-length:] if name.startswith(_TIMED) else text[:length]


def _shortest(name: str, others: set[str]) -> str:
    text = tail(name)
    for length in range(SHORTEST, len(text)):
        said = short(name, length)
        if sum(_means(said, other) for other in others) == 1:
            return said
    return text


def _means(text: str, name: str) -> bool:
    ends = name.startswith(_TIMED) and name.endswith(text)
    return ends or name.startswith(text) or tail(name).startswith(text)


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
