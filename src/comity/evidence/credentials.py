"""Does a message hold something that opens a door? Such a message is not given to a third party.

What the protocol calls a data address always counts, whatever is in it; so do members that are named as credentials
are, and addresses with a user, a token or a signature in them. What is not JSON cannot be told, and counts.
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
_NAMED_BY: Final = 100  # a name ends so; whoever sent it may have made it as long as it takes to stop us
_WITH_USER = re.compile(r"://[^/?#\s@]+@")
_IN_QUERY = re.compile(r"[?&]([^=&#?\s]{1,100})=")


def held_in(content: bytes) -> bool:
    """Return whether a message may hold a credential."""
    try:
        waiting: list[Any] = [strict_json.decode(content, most=MAX_VALUES)]
    except errors.InvalidInputError:
        return True
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            if any(value and _names_one(name) for name, value in each.items()):
                return True
            if isinstance(each.get("name"), str) and _names_one(each["name"]) and each.get("value"):
                return True
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each
        elif isinstance(each, str) and _opens(each):
            return True
    return False


def _names_one(name: str) -> bool:
    return _NAMES.fullmatch(name[-_NAMED_BY:]) is not None


def _opens(text: str) -> bool:
    """Return whether an address in a text opens something by itself."""
    if _WITH_USER.search(text):
        return True
    named = _IN_QUERY.findall(text) if "://" in text else []
    return any(_names_one(each) or each.lower().endswith(("sig", "signature")) for each in named)
