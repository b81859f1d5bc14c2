"""Which part of a resource a request gets: conditions first, then the range (RFC 9110 13.2.2, 14.2).

Pure, and linear in headers whose length is bounded before they are read. One range only: several would need
multipart answers that no receiver of data packages asks for, and have cost other servers their processor.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

MAX_RANGE_LENGTH: Final = 128
MAX_CONDITION_LENGTH: Final = 4096

_SPEC = re.compile(r"([0-9]{0,40})[ \t]*-[ \t]*([0-9]{0,40})")
_ETAG = re.compile(r'(W/)?("[\x21\x23-\x7e\x80-\xff]*")')


@dataclass(frozen=True, slots=True)
class Selection:
    """The answer's status and the bytes `start` to `end` (exclusive) that belong to it."""

    status: Literal[200, 206, 304, 412, 416]
    start: int = 0
    end: int = 0


def select(method: str, headers: Mapping[str, str], *, size_bytes: int, etag: str) -> Selection:
    """Decide what a request gets of a resource of `size_bytes` with the strong `etag` ("" for none).

    `headers` have lower-case names. Order of RFC 9110 13.2.2: If-Match, If-None-Match, then Range with
    If-Range.
    """
    if_match = headers.get("if-match")
    if if_match is not None and not _matches(if_match, etag, weak=False):
        return Selection(412)
    if_none_match = headers.get("if-none-match")
    if if_none_match is not None and _matches(if_none_match, etag, weak=True):
        return Selection(304)
    whole = Selection(200, 0, size_bytes)
    wanted = headers.get("range")
    # Without a validator a resumed receiver could mix two contents, so such a resource is only given whole.
    if method != "GET" or wanted is None or not etag:
        return whole
    if_range = headers.get("if-range")
    if if_range is not None and if_range.strip() != etag:
        return whole
    return parse(wanted, size_bytes) or whole


def parse(header: str, size_bytes: int) -> Selection | None:  # noqa: PLR0911  one return a rule reads best
    """Read a Range header: 206 with its bytes, 416, or None if it is ignored (malformed, unknown unit).

    More than one range, or a header longer than 128 characters, is answered with 416.
    """
    if len(header) > MAX_RANGE_LENGTH:
        return Selection(416)
    unit, equals, spec = header.strip().partition("=")
    if unit.lower() != "bytes" or not equals:
        return None
    if "," in spec:
        return Selection(416)
    found = _SPEC.fullmatch(spec.strip(" \t"))
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        return _suffix(int(found[2]), size_bytes)
    start, end = int(found[1]), int(found[2]) + 1 if found[2] else size_bytes
    if found[2] and end <= start:
        return None
    if start >= size_bytes:
        return Selection(416)
    return Selection(206, start, min(end, size_bytes))


def _suffix(length: int, size_bytes: int) -> Selection | None:
    if length == 0:
        return Selection(416)
    if size_bytes == 0:
        return None  # satisfiable, but 206 cannot name zero bytes
    return Selection(206, max(0, size_bytes - length), size_bytes)


def _matches(condition: str, etag: str, *, weak: bool) -> bool:
    """Say whether a list of entity tags names ours; an oversized or malformed list names nothing."""
    if condition.strip() == "*":
        return True
    if not etag or len(condition) > MAX_CONDITION_LENGTH:
        return False
    return any(tag == etag and (weak or not prefix) for prefix, tag in _ETAG.findall(condition))
