"""What a body or an answer of the management API may hold, as data: for the strict check of v4, and for OpenAPI.

The forms themselves are in `bodies` and `answers`; each body is read by its own module, which says what is wrong with
a value. Here is only what members there are, of which kind, and which of them have to be there.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

Document = dict[str, Any]

ALWAYS, STRICTLY = "always", "strictly"
"""When a member is needed: always, or only by a version that is strict."""


class Member(Struct, frozen=True):
    """A member: its kind, a few words, and when it is needed (empty: never).

    A kind is `text`, `number`, `flag`, `object`, `texts`, `objects`, `rules` (a list that is not empty), `any`, or the
    name of a form, in brackets where it is a list of them.
    """

    kind: str
    text: str = ""
    needed: str = ""


class Form(Struct, frozen=True, kw_only=True):
    """A body or an answer. Members that are not named are given as well, and taken in bodies that EDC has too.

    `types` are what `@type` may be where a version is strict; none: it is no form of EDC's, and never checked.
    `identified` says whether it has an `@id`: empty for no, else when it is needed or `may`. Of `either` exactly one
    member has to be there where a version is strict. `media` is the type of an answer that is no JSON.
    """

    text: str
    members: dict[str, Member]
    types: tuple[str, ...] = ()
    identified: str = ""
    either: tuple[str, ...] = ()
    nested: bool = False
    media: str = "application/json"
    example: Any = None


def may(kind: str, text: str = "") -> Member:
    """Return a member that may be left out."""
    return Member(kind, text)


def must(kind: str, text: str = "") -> Member:
    """Return a member that is always needed."""
    return Member(kind, text, ALWAYS)


CREATED = must("number", "when it was made, in milliseconds since 1970")


def strictly(kind: str, text: str = "") -> Member:
    """Return a member that is needed where a version is strict."""
    return Member(kind, text, STRICTLY)


def split(kind: str) -> tuple[str, bool]:
    """Return the name of a form, and whether a list of them is meant."""
    return (kind[1:-1], True) if kind.startswith("[") else (kind, False)
