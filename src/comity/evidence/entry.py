"""A record of the evidence and the chain that holds the records together.

A record is canonical JSON (sorted keys); its hash is SHA-256 over the hash before it and its bytes, so that a change,
an insertion, a removal or another order shows at the first record it touches. What was cut off at the end shows only
against a head that was kept elsewhere: `verify` therefore returns the head.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

from msgspec import Struct

from comity import errors, strict_json

GENESIS = bytes(32)


class Request(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The request that brought a message, and its signature (`identity.http_signature`).

    `signature_input` is the signature's member of that field, `signature` base64. `note` says why there is none, or why
    one was not checked; it is empty for one that held.
    """

    method: str
    target: str
    signature_input: str = ""
    signature: str = ""
    note: str = ""


class Reply(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The answer to a request: `sha256` is the hex digest of its exact content; the rest is as in `Request`."""

    status: int
    sha256: str
    signature_input: str = ""
    signature: str = ""
    note: str = ""


class Entry(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One message in or out, or one decision: who to whom, in which process, what exactly, and what it changed.

    `sha256` is the hex digest of the exact bytes of the body, `token_sha256` that of the compact JWS that came or went
    with it: both lie beside the record. `purpose` is what data was said to be wanted for, where somebody said it,
    `by` the person here who decided, by the name of their API key.
    """

    at: int
    direction: str
    message: str
    message_id: str = ""
    sha256: str
    sender: str
    receiver: str
    kind: str
    process_id: str
    counterparty_pid: str = ""
    before: str = ""
    after: str = ""
    token_sha256: str = ""
    attempts: int = 0
    by: str = ""
    outcome: str = "accepted"
    detail: str = ""
    purpose: str = ""
    request: Request | None = None
    reply: Reply | None = None


class Head(Struct, frozen=True):
    """The end of a chain: number of records and the last hash in hex."""

    size: int
    hash: str


def encode(entry: Entry) -> bytes:
    """Write a record in the one form that is hashed."""
    return strict_json.canonical(entry)


def link(before: bytes, record: bytes) -> bytes:
    """Return the hash of a record that follows a record with the hash `before`."""
    return sha256(before + record).digest()


class BrokenChainError(errors.ComityError):
    """The evidence does not hold; `seq` is the first bad row, of a chain that is named if it is not the first."""

    code = "broken-evidence"

    def __init__(self, seq: int, what: str, chain: int = 0) -> None:
        place = f"row {seq}" + (f" of chain {chain}" if chain else "")
        super().__init__(
            f"evidence {place} {what}", hint="compare with a backup or with the partner's evidence"
        )
        self.seq = seq


def verify(rows: Iterable[tuple[int, bytes, bytes]], chain: int = 0) -> Head:
    """Check (seq, record, hash) rows of a chain in order from the first and return the head.

    Raises:
        BrokenChainError: names the first row that is missing, altered or out of place.
    """
    last, hash_before = 0, GENESIS
    for seq, record, stored in rows:
        if seq != last + 1:
            raise BrokenChainError(last + 1, "is missing", chain)
        if not isinstance(record, bytes) or link(hash_before, record) != stored:  # SQL tools leave texts
            raise BrokenChainError(seq, "was altered: its hash does not follow from the row before it", chain)
        last, hash_before = seq, stored
    return Head(last, hash_before.hex())
