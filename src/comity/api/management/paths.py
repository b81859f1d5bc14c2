"""From the path of a request to a row of a table of endpoints, and the id in it.

A path is read by its raw segments, so that an id may hold any character: percent-encoded it is one segment; written
plainly it may be several. Repeated slashes around the noun, and one at the end, do not matter: clients send them.
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import unquote

from msgspec import Struct

from comity import errors
from comity.api import problems

VERSIONS = frozenset({"v3"})
Key = tuple[str, str, str]
ID = "{id}"


class Found(Struct, frozen=True):
    """A row by its key (method, noun, rest of the path), and the id that stands for `{id}`."""

    key: Key
    id: str


def find(keys: Collection[Key], method: str, raw_path: bytes) -> Found:
    """Return the row for a path below `/management`.

    Raises:
        NotFoundError: there is no such endpoint.
        MethodError: there is, with other methods.
    """
    path = raw_path.partition(b"?")[0].decode("latin-1")
    segments = path.split("/")
    _skip(segments)
    version, noun = (_take(segments), _take(segments)) if _take(segments) == "management" else ("", "")
    rest = _trimmed(segments)
    candidates = _candidates(rest) if version in VERSIONS else []
    for each in candidates:
        methods = {one for one, named, pattern in keys if (named, pattern) == (noun, each.key[2])}
        if method in methods:
            return Found((method, noun, each.key[2]), each.id)
        if methods and each.key[2] not in {"request", ID}:
            raise problems.MethodError(method, methods)
    allowed = {one for one, named, pattern in keys if named == noun and pattern in {e.key[2] for e in candidates}}
    if allowed:
        raise problems.MethodError(method, allowed)
    raise errors.NotFoundError(f"there is no endpoint {path[:200]}")
