"""API keys on the wire: our own document, since EDC knows one key only.

A key is shown once, in the answer to its making.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from comity import errors
from comity.management import names, roles, wire

Document = dict[str, Any]
LATEST_MS = 253_402_300_800_000  # the year 10000


class ApiKeyForm(Struct, frozen=True):
    """A key as somebody wants it; `expires_at` in ms, None for never."""

    name: str
    role: str
    expires_at: int | None


def decode(body: Document, *, now_ms: int) -> ApiKeyForm:
    """Read a key that somebody wants.

    Raises:
        InvalidInputError: with the place of what is wrong.
    """
    name = wire.check_id(wire.text(body, "name", required=True), "$.name")
    role = wire.text(body, "role", required=True)
    if role not in roles.ROLES:
        raise errors.InvalidInputError(f"role must be one of {', '.join(roles.ROLES)}", path="$.role")
    expires_at = names.get(body, "expiresAt")
    if expires_at is not None and (
        isinstance(expires_at, bool) or not isinstance(expires_at, int) or not now_ms < expires_at < LATEST_MS
    ):
        raise errors.InvalidInputError(
            "expiresAt must be a time to come, in milliseconds since 1970", path="$.expiresAt"
        )
    return ApiKeyForm(name, role, expires_at)


def encode(
    name: str, *, role: str, expires_at: int | None, created_at: int, secret: str | None = None
) -> Document:
    """Write a key, with the key itself where it was made just now."""
    return wire.document("ApiKey", name, role=role, expiresAt=expires_at, createdAt=created_at, key=secret)
