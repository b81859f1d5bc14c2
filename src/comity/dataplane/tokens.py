"""Data tokens: 256 random bits that open one transfer. The database keeps their digest only.

A token travels in the Authorization header and nowhere else: a query string would end in logs. What a token
opens, and until when, is looked up by its digest (`controlplane`).
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Callable
from typing import Final

from comity.errors import IdentityError

TOKEN_BYTES: Final = 32
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{16,512}")


def new_token(chance: Callable[[int], bytes] = secrets.token_bytes) -> str:
    """Make a token of 256 bits, written with the 43 characters of URL-safe base64."""
    return base64.urlsafe_b64encode(chance(TOKEN_BYTES)).rstrip(b"=").decode()


def digest(token: str) -> bytes:
    """SHA-256 of a token: 32 bytes, what the database keeps and looks up."""
    return hashlib.sha256(token.encode()).digest()


def read(authorization: str | None) -> str:
    """Take the token out of an Authorization header, with or without the word Bearer before it.

    Raises:
        IdentityError: there is no header, another scheme, or something that cannot be a token.
    """
    if not authorization:
        raise IdentityError(
            "there is no Authorization header",
            step="token",
            hint="send the token of the transfer's data address",
        )
    token = authorization.strip()
    scheme, _, rest = token.partition(" ")
    if scheme.lower() == "bearer":
        token = rest.strip()
    if not _TOKEN.fullmatch(token):
        raise IdentityError("the Authorization header holds no data token", step="token")
    return token
