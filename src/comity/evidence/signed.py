"""What is signed in a record of the evidence: of its request and of its answer the bytes, the signature, and by whom.

The record has the whole signature base: method, address, status and digests (`identity.http_signature`). One with a
note was not taken for a signature then, and is not here. Whose keys count is the caller's to say.
"""

from __future__ import annotations

from msgspec import Struct

from comity.evidence.entry import Entry, Reply, Request
from comity.identity import http_signature, jose
from comity.identity.http_signature import Signature


class Signed(Struct, frozen=True):
    """Bytes and their signature; `kid` is the key that it names, `owner` the participant whose key that has to be."""

    message: bytes
    signature: bytes
    algorithm: str
    kid: str
    owner: str

    def by(self, key: jose.PublicKey) -> bool:
        """Say whether it is this key's."""
        allowed = http_signature.ALGORITHMS.get(self.algorithm) in key.algorithms
        return allowed and key.holds(self.message, self.signature)


def of_request(record: Entry) -> Signed | None:
    """Return what the sender signed, None if nothing.

    Raises:
        ValueError: it cannot be read, or is not over what counts.
    """
    request = record.request
    if request is None or not request.signature or request.note:
        return None
    found = _parsed(request, {http_signature.REQUEST})
    lines = http_signature.request_lines(request.method, request.target, record.sha256)
    return _signed(found, lines, record.sender)


def of_reply(record: Entry) -> Signed | None:
    """Return what the receiver signed, None if nothing.

    Raises:
        ValueError: it cannot be read, or is not over what counts.
    """
    request, reply = record.request, record.reply
    if request is None or reply is None or not reply.signature or reply.note:
        return None
    found = _parsed(reply, {http_signature.REPLY, http_signature.REPLY_TO_UNSIGNED})
    lines = http_signature.reply_lines(
        reply.status, reply.sha256, request.method, request.target, record.sha256, found.covered
    )
    return _signed(found, lines, record.receiver)


def _parsed(side: Request | Reply, covered: set[str]) -> Signature:
    found = http_signature.parse(side.signature_input, side.signature)
    if found.covered not in covered:
        raise ValueError(f"it is not over what counts: {found.covered[:200]}")
    return found


def _signed(found: Signature, lines: str, owner: str) -> Signed:
    message = (lines + found.parameters).encode()
    return Signed(message, found.value, found.algorithm, found.keyid, owner)
