"""The tokens in the evidence, checked with the public keys that were kept: who signed a message, long after.

A record has the token that came or went with its message. Here its signature is checked, that it is its sender's, for
its receiver, and, where it says so, about exactly the body whose digest the record has. Whether it had expired then was
decided then. Keys come from the store (`db.public_keys`); the chain is `entry`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from comity import errors
from comity.evidence.entry import BrokenChainError
from comity.identity import jose, verify


class Counts(Struct):
    """How many records have a token that holds, how many of those name the body, and which could not be checked."""

    held: int = 0
    bound: int = 0
    without_key: int = 0
    without_token: int = 0


class Tokens:
    """Checks the tokens of records, one by one; `keys` are (whole id, JWK), several for an id if that key changed."""

    def __init__(self, keys: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        self.counts = Counts()
        self._keys: dict[str, list[jose.PublicKey]] = {}
        for kid, jwk in keys:
            self._keys.setdefault(kid, []).append(jose.public_key(jwk))

    def check(self, seq: int, record: Mapping[str, Any]) -> None:
        """Check the token of the record in row `seq`.

        Raises:
            BrokenChainError: its signature does not hold, or it is not about this message.
        """
        text = record.get("token")
        if not isinstance(text, str) or text.count(".") != 2:  # noqa: PLR2004  a compact JWS; the mock identity has none
            self.counts.without_token += 1
            return
        try:
            claimed = verify.peek(text)
        except errors.IdentityError as error:
            raise BrokenChainError(seq, f"has a token that is none: {error.message}") from None
        known = self._keys.get(claimed.kid)
        if not known:
            self.counts.without_key += 1
            return
        if not any(key.holds(claimed.signed, claimed.signature) for key in known):
            raise BrokenChainError(seq, f"has a token whose signature is not that of {claimed.kid[:200]}")
        _check_subject(seq, record, claimed)
        self.counts.held += 1
        self.counts.bound += "body_sha256" in claimed.claims


def _check_subject(seq: int, record: Mapping[str, Any], claimed: verify.Claimed) -> None:
    told = claimed.claims.get("aud")
    if claimed.issuer != record.get("sender") or record.get("receiver") not in (
        told if isinstance(told, list) else [told]
    ):
        raise BrokenChainError(seq, "has a token of another sender or for another receiver")
    if claimed.claims.get("body_sha256", record.get("sha256")) != record.get("sha256"):
        raise BrokenChainError(seq, "has a token about another body")
