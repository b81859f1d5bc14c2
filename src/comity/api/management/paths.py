"""From the path of a request to a row of the table of endpoints, and the id in it.

A path is read by its raw segments, so that an id may hold any character: percent-encoded it is one segment; written
plainly it may be several. Repeated slashes around the noun, and one at the end, do not matter: clients send them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import unquote

from comity import errors
from comity.api import problems

PREFIX = "management"
VERSIONS = frozenset({"v3"})
ID = "{id}"

Key = tuple[str, str, str]
"""Method, noun, rest of the path with `{id}` in the place of an id."""

Methods = Mapping[tuple[str, str], frozenset[str]]
"""Noun and rest of the path -> the methods that it takes."""


def methods_of(keys: Iterable[Key]) -> Methods:
    """Return a table of endpoints by path."""
    found: dict[tuple[str, str], frozenset[str]] = {}
    for method, noun, rest in keys:
        found[noun, rest] = found.get((noun, rest), frozenset()) | {method}
    return found


def find(table: Methods, method: str, raw_path: bytes) -> tuple[Key, str]:
    """Return the row for a path such as `/management/v3/assets/x`, and the id in it.

    Raises:
        NotFoundError: there is no such endpoint.
        MethodError: there is, but with other methods.
    """
    path = raw_path.partition(b"?")[0].decode("latin-1")
    head, rest = _split(path)
    allowed: set[str] = set()
    if len(head) == 3 and head[0] == PREFIX and head[1] in VERSIONS:  # noqa: PLR2004  prefix, version, noun
        for pattern, ident in _patterns(table, head[2], rest):
            methods = table.get((head[2], pattern), frozenset())
            if method in methods:
                return (method, head[2], pattern), unquote(ident)
            allowed |= methods
    if allowed:
        raise problems.MethodError(method, allowed)
    raise errors.NotFoundError(f"there is no endpoint {path[:200]}")


def _split(path: str) -> tuple[list[str], list[str]]:
    """Return prefix, version and noun, and the segments after them without empty ones at either end."""
    segments = path.split("/")
    head: list[str] = []
    while segments and (len(head) < 3 or not segments[0]):  # noqa: PLR2004  prefix, version, noun
        head += [each] if (each := segments.pop(0)) else []
    return head, _trimmed(segments)


def _trimmed(segments: list[str]) -> list[str]:
    end = len(segments)
    while end and not segments[end - 1]:
        end -= 1
    return segments[:end]


def _patterns(table: Methods, noun: str, rest: list[str]) -> list[tuple[str, str]]:
    """Return what a rest can mean, with the id in it: a fixed path, something of an id, or else an id."""
    fixed = ("/".join(rest), "")
    if len(rest) > 1 and (noun, f"{ID}/{rest[-1]}") in table:
        return [fixed, (f"{ID}/{rest[-1]}", "/".join(_trimmed(rest[:-1])))]
    return [fixed, (ID, fixed[0])] if rest else [fixed]
