"""From the path of a request to a row of the table of endpoints, the version of the API, and the id in it.

A path is read by its raw segments, so that an id may hold any character: percent-encoded it is one segment; written
plainly it may be several. Repeated slashes around the noun, and one at the end, do not matter, and neither does a
version that is left out: clients send such paths.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import unquote

from msgspec import Struct

from comity import errors
from comity.api import problems
from comity.management import versions
from comity.management.versions import Version

PREFIX = "management"
ID = "{id}"
PATH = "{path}"
FILE = f"{ID}/files/{PATH}"
"""A file of something: there an id is one segment, and all after `files` is the path."""
_LIKE_VERSION = re.compile(r"v[0-9][0-9a-z.]*")

Key = tuple[str, str, str]
"""Method, noun, rest of the path with `{id}` in the place of an id."""

Methods = Mapping[tuple[str, str], frozenset[str]]
"""Noun and rest of the path -> the methods that it takes."""


class Found(Struct, frozen=True):
    """What a path means: the key of its row, the id in it (empty if none), the version, the path of a file."""

    key: Key
    id: str
    version: Version
    path: str = ""


def methods_of(keys: Iterable[Key]) -> Methods:
    """Return a table of endpoints by path."""
    found: dict[tuple[str, str], frozenset[str]] = {}
    for method, noun, rest in keys:
        found[noun, rest] = found.get((noun, rest), frozenset()) | {method}
    return found


def find(tables: Mapping[str, Methods], method: str, raw_path: bytes) -> Found:
    """Return what a path such as `/management/v3/assets/x` means; `tables` has the endpoints of each version.

    Raises:
        UnknownVersionError: it names a version that is not served.
        NotFoundError: there is no such endpoint.
        MethodError: there is, but with other methods.
    """
    path = raw_path.partition(b"?")[0].decode("latin-1")
    segments = _from_the_first(path.split("/"))
    if segments[:1] == [PREFIX]:
        version, segments = _version(_from_the_first(segments[1:]))
        segments = _from_the_first(segments)
        if segments:
            rest = _trimmed(_from_the_first(segments[1:]))
            found = _find(tables[version.name], method, segments[0], rest)
            if found is not None:
                key, ident, of_file = found
                return Found(key, ident, version, of_file)
    raise errors.NotFoundError(f"there is no endpoint {path[:200]}", hint=problems.ALL_ENDPOINTS)


def _find(table: Methods, method: str, noun: str, rest: list[str]) -> tuple[Key, str, str] | None:
    allowed: set[str] = set()
    for pattern, ident, of_file in _patterns(table, noun, rest):
        methods = table.get((noun, pattern), frozenset())
        if method in methods:
            return (method, noun, pattern), unquote(ident), unquote(of_file)
        allowed |= methods
    if allowed:
        raise problems.MethodError(method, allowed)
    return None


def _version(segments: list[str]) -> tuple[Version, list[str]]:
    """Return the version that a path names, and the segments after it."""
    first = segments[0] if segments else ""
    known = versions.SEGMENTS.get(first)
    if known is not None:
        return known, segments[1:]
    if _LIKE_VERSION.fullmatch(first):
        raise versions.UnknownVersionError(first)
    return versions.UNNAMED, segments


def _from_the_first(segments: list[str]) -> list[str]:
    """Return segments without empty ones in front."""
    start = 0
    while start < len(segments) and not segments[start]:
        start += 1
    return segments[start:]


def _trimmed(segments: list[str]) -> list[str]:
    end = len(segments)
    while end and not segments[end - 1]:
        end -= 1
    return segments[:end]


def _patterns(table: Methods, noun: str, rest: list[str]) -> list[tuple[str, str, str]]:
    """Return what a rest can mean, with the id in it and the path of a file.

    It is a file of an id, a fixed path, an id of a kind, something of an id, or an id.
    """
    fixed = ("/".join(rest), "", "")
    if len(rest) > 2 and FILE.split("/")[1] == rest[1] and (noun, FILE) in table:  # noqa: PLR2004
        return [(FILE, rest[0], "/".join(rest[2:]))]
    if len(rest) > 1 and (noun, f"{rest[0]}/{ID}") in table:
        return [fixed, (f"{rest[0]}/{ID}", "/".join(rest[1:]), "")]
    if len(rest) > 1 and (noun, f"{ID}/{rest[-1]}") in table:
        return [fixed, (f"{ID}/{rest[-1]}", "/".join(_trimmed(rest[:-1])), "")]
    return [fixed, (ID, fixed[0], "")] if rest else [fixed]
