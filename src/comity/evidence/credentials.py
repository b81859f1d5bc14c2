"""Does a message hold something that opens a door? Such a message is not given to a third party.

What the protocol calls a data address always counts, whatever is in it; so do members that are named as credentials
are, and addresses with a password. What is not JSON cannot be told, and counts.
"""

from __future__ import annotations

import re
from typing import Any, Final

from comity import errors, strict_json

MAX_VALUES: Final = 1_000_000
_NAMES = re.compile(
    r"(?:.*[:/#])?(?:.*(?:authorization|token|password|passphrase|secret|credential|api[-_]?key|private[-_]?key)s?"
    r"|data[-_]?address)",
    re.IGNORECASE,
)
_WITH_PASSWORD = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#\s@]*:[^/?#\s@]*@", re.IGNORECASE)


def held_in(content: bytes) -> bool:
    """Return whether a message may hold a credential."""
    try:
        waiting: list[Any] = [strict_json.decode(content, most=MAX_VALUES)]
    except errors.InvalidInputError:
        return True
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            if any(value and _NAMES.fullmatch(name) for name, value in each.items()):
                return True
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each
        elif isinstance(each, str) and _WITH_PASSWORD.search(each):
            return True
    return False
