"""Identifiers: shown short where that is unambiguous, accepted as any prefix that names one thing only.

Pure functions on texts. A short form is found again only among the ids that it was made for.
"""

from __future__ import annotations

from collections.abc import Collection

from comity import errors

SHORTEST = 8
_SHORTENED = ("urn:uuid:", "urn:comity:package:")
_SHOWN = 5


def tail(name: str) -> str:
    """Return the part of an id that tells it apart; ids that a person made up come back whole."""
    for prefix in _SHORTENED:
        if name.startswith(prefix):
            return name[len(prefix) :]
    return name


def shorten(names: Collection[str]) -> dict[str, str]:
    """Return for each id its shortest form of 8 or more characters that no other of them begins with."""
    tails = {name: tail(name) for name in names}
    return {
        name: _shortest(text, set(tails.values())) if text != name else name for name, text in tails.items()
    }


def _shortest(text: str, others: set[str]) -> str:
    for length in range(SHORTEST, len(text)):
        if sum(other.startswith(text[:length]) for other in others) == 1:
            return text[:length]
    return text


def find(text: str, names: Collection[str], what: str, *, hint: str = "") -> str:
    """Return the id that `text` is, or is the unique beginning of; `what` is its noun and `hint` where ids stand.

    Raises:
        NotFoundError: none of them is.
        InvalidInputError: several are.
    """
    if text in names:
        return text
    found = sorted(
        {name for name in names if text and (name.startswith(text) or tail(name).startswith(text))}
    )
    if not found:
        raise errors.NotFoundError(f"there is no {what} {text}", hint=hint)
    if len(found) > 1:
        shown = ", ".join(tail(name) for name in found[:_SHOWN])
        more = ", ..." if len(found) > _SHOWN else ""
        raise errors.InvalidInputError(
            f"{text} is the beginning of {len(found)} {what}s", hint=f"give more of it: {shown}{more}"
        )
    return found[0]
