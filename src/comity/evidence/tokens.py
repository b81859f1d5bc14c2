"""The signatures in the evidence, checked with the public keys that were kept: who said a message, long after.

Beside a record lies the token that came or went with its message (in the records of before it stands in them). Here its
signature is checked, that it is its sender's, for its receiver, and, where it says so, about exactly the body whose
digest the record has; and the signatures over the request and its answer (`signed`). Whether they were too old then was
decided then. Keys come from the store (`db.public_keys`); the chain is `entry`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

import msgspec
from msgspec import Struct

from comity import errors
from comity.evidence import signed
from comity.evidence.entry import BrokenChainError, Entry
from comity.identity import jose, verify


class Counts(Struct):
    """How many records have a token that holds, how many of those name the body, and which could not be checked.

    `requests` and `replies` have signatures that hold; of `unsigned_requests` and `unsigned_replies` none was given.
    """

    held: int = 0
    bound: int = 0
    without_key: int = 0
    without_token: int = 0
    requests: int = 0
    replies: int = 0
    unsigned_requests: int = 0
    unsigned_replies: int = 0


class Tokens:
    """Checks the tokens of records, one by one; `keys` are (whole id, JWK), several for an id if that key changed."""

    def __init__(self, keys: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        self.counts = Counts()
        self._keys: dict[str, list[jose.PublicKey]] = {}
        for kid, jwk in keys:
            self._keys.setdefault(kid, []).append(jose.public_key(jwk))

    def check(self, seq: int, record: Mapping[str, Any], token: str = "") -> None:
        """Check the signatures of the record in row `seq`, and its `token` if that lies beside it.

        Raises:
            BrokenChainError: a signature does not hold, or one is not about this message.
        """
        if token and sha256(token.encode()).hexdigest() != record.get("tokenSha256"):
            raise BrokenChainError(seq, "has a token beside it that is not its own")
        self._check_token(seq, record, token or record.get("token"))
        if record.get("request"):
            self._check_signatures(seq, msgspec.convert(record, Entry))

    def _check_token(self, seq: int, record: Mapping[str, Any], text: Any) -> None:
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

    def _check_signatures(self, seq: int, record: Entry) -> None:
        try:
            request, reply = signed.of_request(record), signed.of_reply(record)
        except ValueError as error:
            raise BrokenChainError(seq, f"has a signature that cannot be read: {error}") from None
        self.counts.requests += self._holds(seq, request, "request")
        self.counts.replies += self._holds(seq, reply, "answer")
        self.counts.unsigned_requests += request is None
        self.counts.unsigned_replies += reply is None and record.reply is not None

    def _holds(self, seq: int, found: signed.Signed | None, what: str) -> bool:
        """Return whether a signature is there and its key too."""
        if found is None:
            return False
        if found.kid.partition("#")[0] != found.owner:
            raise BrokenChainError(
                seq, f"has a signature of its {what} by {found.kid[:200]}, of another party"
            )
        known = self._keys.get(found.kid)
        if not known:
            self.counts.without_key += 1
            return False
        if not any(found.by(key) for key in known):
            raise BrokenChainError(
                seq, f"has a signature of its {what} that is not that of {found.kid[:200]}"
            )
        return True


def _check_subject(seq: int, record: Mapping[str, Any], claimed: verify.Claimed) -> None:
    told = claimed.claims.get("aud")
    if claimed.issuer != record.get("sender") or record.get("receiver") not in (
        told if isinstance(told, list) else [told]
    ):
        raise BrokenChainError(seq, "has a token of another sender or for another receiver")
    if claimed.claims.get("body_sha256", record.get("sha256")) != record.get("sha256"):
        raise BrokenChainError(seq, "has a token about another body")
