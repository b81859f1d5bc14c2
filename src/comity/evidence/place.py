"""Where in a JSON text a byte stands, as a path such as `$.records[3].body`: a flipped bit is named by what it is in.

It reads only as far as the byte, so the text behind it may be anything.
"""

from __future__ import annotations

import json
import re

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"?|[\[\]{},]', re.DOTALL)
_MOST_SHOWN = 60


def path_at(text: bytes, offset: int) -> str:
    """Return the path of the value, or of the name, that the byte at `offset` belongs to."""
    way: list[int | str | None] = []  # an index in an array; the name in an object, None where one is to come
    for token in _TOKEN.finditer(text):
        if token.start() > offset:
            break
        _follow(way, token[0], inside=offset < token.end())
    return "$" + "".join(_step(each) for each in way)


def _follow(way: list[int | str | None], token: bytes, *, inside: bool) -> None:
    if token in b"{[":
        way.append(None if token == b"{" else 0)
    elif token in b"}]":
        if way and not inside:
            way.pop()
    elif token == b",":
        if way and not inside:
            way[-1] = way[-1] + 1 if isinstance(way[-1], int) else None
    elif way and way[-1] is None:
        way[-1] = token.strip(b'"').decode(errors="replace")[:_MOST_SHOWN]


def _step(each: int | str | None) -> str:
    if each is None:
        return ""
    return f"[{each}]" if isinstance(each, int) else f".{each}"


def misplaced(text: bytes) -> tuple[int, str, str] | None:
    """Return the first name that does not stand behind the one before it in its object: its place, it, and the other.

    The text is JSON. Of the two, whichever was changed, the order shows no more.
    """
    last: list[str | None] = []  # the last name in each object that is open; None in an array
    coming = False
    for token in _TOKEN.finditer(text):
        sign = token[0]
        if sign in b"{[":
            last.append("" if sign == b"{" else None)
            coming = sign == b"{"
        elif sign in b"}]":
            last.pop()
            coming = False
        elif sign == b",":
            coming = last[-1] is not None
        elif coming:
            name, before, coming = json.loads(sign), last[-1] or "", False
            if name <= before and text[token.start() - 1 : token.start()] == b",":
                return token.start(), name, before
            last[-1] = name
    return None
