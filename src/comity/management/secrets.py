"""Secrets on the wire (EDC's secrets API): credentials under a name, for back ends and webhooks.

A value is shown to whoever may ask for it by name; no list, no other document has one.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from comity import errors
from comity.management import names, wire

Document = dict[str, Any]
MAX_VALUE = 64 * 1024


class SecretForm(Struct, frozen=True):
    """A secret as somebody wants it; `id` empty: choose one."""

    id: str
    value: str

    def __repr__(self) -> str:
        """Leave the value out of tracebacks and logs."""
        return f"SecretForm({self.id!r})"


def decode(body: Document) -> SecretForm:
    """Read a secret.

    Raises:
        InvalidInputError: with the place of what is wrong, never with the value.
    """
    value = wire.reference(names.get(body, "value"))
    if not isinstance(value, str) or not 0 < len(value) <= MAX_VALUE:
        raise errors.InvalidInputError(f"value must be a text of 1 to {MAX_VALUE} characters", path="$.value")
    return SecretForm(wire.identifier(body), value)


def encode(name: str, value: str, created_at: int) -> Document:
    """Write a secret, its value included."""
    return wire.document("Secret", name, value=value, createdAt=created_at)
