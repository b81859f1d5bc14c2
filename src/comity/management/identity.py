"""Our own identity on the wire: who we are, and which keys prove it.

Our own document: EDC leaves keys to a vault.
"""

from __future__ import annotations

from typing import Any

from comity import errors
from comity.identity import keyring
from comity.management import names, wire

Document = dict[str, Any]


def decode_rotation(body: Document) -> tuple[int, int]:
    """Read how a rotation is to be: seconds until the new key signs, and how long the old one stays after that.

    Raises:
        InvalidInputError: with the place of what is wrong.
    """
    return (
        _seconds(body, "leadSeconds", keyring.LEAD_MS // 1000),
        _seconds(body, "graceSeconds", keyring.GRACE_MS // 1000),
    )


def _seconds(body: Document, name: str, default: int) -> int:
    value = names.get(body, name)
    value = default if value is None else value
    most = keyring.MAX_MS // 1000
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise errors.InvalidInputError(
            f"{name} must be a number of seconds from 0 to {most}", path=f"$.{name}"
        )
    return value


def encode(participant_id: str, keys: list[Document]) -> Document:
    """Write who we are."""
    return wire.document("Identity", participant_id, keys=keys)
