"""Encryption of columns that hold credentials: AES-256-GCM with a key that lies outside the database.

A copy of the database, or a backup, shows neither tokens nor passwords of back ends. The row's purpose is bound as
associated data, so that a sealed value cannot be moved to another place.
"""

from __future__ import annotations

import hashlib
import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from comity import errors

NONCE_BYTES = 12
KEY_BYTES = 32


class Seal:
    """Seals and opens values with one key of 32 bytes."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)
        self._mac_key = hmac.digest(key, b"comity:mac", hashlib.sha256)

    def mac(self, plain: bytes, purpose: str) -> bytes:
        """Return 32 bytes that tell `plain` from others, and from which it cannot be guessed without the key."""
        return hmac.digest(self._mac_key, purpose.encode() + b"\0" + plain, hashlib.sha256)

    def close(self, plain: bytes, purpose: str) -> bytes:
        """Return `plain` encrypted for `purpose`."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, purpose.encode())

    def open(self, sealed: bytes, purpose: str) -> bytes:
        """Return what was sealed for `purpose`.

        Raises:
            DatabaseError: the key is another one, or the value was altered or moved.
        """
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], purpose.encode())
        except (InvalidTag, ValueError):  # altered, or cut off
            raise errors.DatabaseError(
                "a sealed value cannot be opened",
                hint="keys/seal.key is not the one this database was written with",
            ) from None
