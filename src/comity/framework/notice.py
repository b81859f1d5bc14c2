"""What a notice about a framework agreement may hold: texts that can be stored and shown, and a time.

Which events there are, and what they change, is the control plane's part.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from comity import errors

MAX_NAME, MAX_TEXT = 1024, 2000


def name(notice: Mapping[str, Any], member: str) -> str:
    """Return a member that is an id.

    Raises:
        InvalidInputError: it is none.
    """
    value = notice.get(member)
    if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME or not value.isprintable():
        raise errors.InvalidInputError(
            f"{member} has 1 to {MAX_NAME} printable characters", path=f"$.{member}"
        )
    return value


def text(notice: Mapping[str, Any], member: str) -> str:
    """Return a member that people read, empty if it is absent; what is too long is cut.

    Raises:
        InvalidInputError: it is no text.
    """
    value = notice.get(member, "")
    if not isinstance(value, str) or "\0" in value:
        raise errors.InvalidInputError(f"{member} must be a text", path=f"$.{member}")
    return value[:MAX_TEXT]


def moment(notice: Mapping[str, Any], member: str) -> int:
    """Return a member that is a time in ms since 1970.

    Raises:
        InvalidInputError: it is none.
    """
    value = notice.get(member)
    if type(value) is not int or not 0 <= value < 2**53:
        raise errors.InvalidInputError(f"{member} must be a time in ms since 1970", path=f"$.{member}")
    return value
