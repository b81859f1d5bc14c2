"""A record of a bundle with what lies beside it: that it is in the log, and who signed what it says.

The record is the exporter's; the proof binds it to a checkpoint, and with it the digests of the message, of the answer
and of the token, and the signatures of both sides over them. What is left out of a bundle is left out by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

import msgspec
from msgspec import Raw, Struct, field

from comity import errors
from comity.evidence import signed, tree
from comity.evidence.bundle import Moment, Part, Subject, Where, take, unpacked
from comity.evidence.entry import Entry
from comity.evidence.heads import Head, hashes_of
from comity.evidence.holders import Keys
from comity.identity import http_signature, verify

BODY: Final = "body"
ANSWER: Final = "answer"
REQUEST: Final = "request"
REPLY: Final = "reply"
TOKEN: Final = "token"  # noqa: S105  the name of a member
_TAKEN: Final = frozenset({"accepted", "acknowledged", "overtaken"})
_OK: Final = 200
_EMPTY: Final = sha256(b"").hexdigest()


class Exhibit(Part, frozen=True, kw_only=True):
    """A record with its proof, and the message and the answer in base64url, and the token.

    `withheld` says why one of these is not there.
    """

    chain: Moment
    seq: Moment
    record: str
    proof: list[str]
    body: str | None = None
    answer: str | None = None
    token: str | None = None
    withheld: dict[str, str] = field(default_factory=dict)


class Said(Struct, frozen=True, kw_only=True):
    """What a record shows: what was said, and the names of the keys whose signatures over it the bundle holds.

    `request_by` signed the message, `reply_by` its answer, and with it the message too if `reply_bound`; `token_by`
    signed a token for the receiver, which is about this very message if `token_bound`.
    """

    place: int
    chain: int
    seq: int
    record: Entry
    body: bytes | None
    withheld: Mapping[str, str]
    request_by: str
    reply_by: str
    token_by: str
    token_bound: bool
    reply_bound: bool

    @property
    def happened(self) -> bool:
        """Whether the message was taken, and so counts in its process."""
        return self.record.outcome in _TAKEN

    @property
    def turned_down(self) -> bool:
        """Whether its answer refuses what the exporter says was taken: the first answer to it may have been lost."""
        status = self.record.reply.status if self.record.reply else _OK
        return self.happened and not _OK <= status < _OK + 100

    def signed_by(self, participant_id: str) -> bool:
        """Return whether the bundle holds a signature of a participant over the content of this message.

        One of an answer that refuses it does not stand for having taken it.
        """
        replied = self.reply_bound and not self.turned_down
        kids = [(self.request_by, True), (self.reply_by, replied), (self.token_by, self.token_bound)]
        return any(bound and kid.partition("#")[0] == participant_id for kid, bound in kids)


class Exhibits:
    """Reads the records of a bundle, in their order."""

    def __init__(
        self, parties: frozenset[str], keys: Keys, heads: Mapping[int, Head], subjects: Mapping[str, Subject]
    ) -> None:
        self._parties, self._keys, self._heads, self._subjects = parties, keys, heads, subjects
        self._last = (-1, -1)

    def check(self, raw: Raw, place: int) -> Said:
        """Check the record at a place.

        Raises:
            BundleError: names the first thing that does not hold.
        """
        where = Where(f"record {place + 1}", f"$.records[{place}]")
        part = take(raw, Exhibit, where)
        written = unpacked(part.record, where.of(": its text", ".record"))
        try:
            record = msgspec.json.decode(written, type=Entry)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise where.error(f" is no record of evidence: {error}", ".record") from None
        where = where.of(f" ({named(record)})", "")
        self._check_place(part, written, where)
        self._check_subject(record, where)
        body = _content(part, BODY, record.sha256, where)
        if record.reply is not None or part.answer is not None:
            _content(part, ANSWER, record.reply.sha256 if record.reply else "", where)
        token_by, bound = self._token(part, record, written, where.of(": its token", ".token"))
        return Said(
            place=place,
            chain=part.chain,
            seq=part.seq,
            record=record,
            body=body,
            withheld=part.withheld,
            request_by=self._signer(record, REQUEST, where.of(": the sender's signature", ".record")),
            reply_by=self._signer(
                record, REPLY, where.of(": the receiver's signature of the answer", ".record")
            ),
            token_by=token_by,
            token_bound=bound,
            reply_bound=record.reply is not None
            and record.reply.signature_input.startswith(http_signature.REPLY),
        )

    def _check_place(self, part: Exhibit, written: bytes, where: Where) -> None:
        row = f"row {part.seq} of chain {part.chain}"
        if (part.chain, part.seq) <= self._last:
            raise where.error(f" stands out of order: it is {row}", ".seq")
        self._last = (part.chain, part.seq)
        head = self._heads.get(part.chain)
        if head is None:
            raise where.error(f" is {row}, which has no checkpoint here", ".chain")
        proof = hashes_of(part.proof, where.of("", ".proof"))
        try:
            tree.check_inclusion(part.seq - 1, head.size, tree.leaf(written), proof, head.root)
        except tree.TreeError:
            raise where.error(
                f" is not shown to be {row}: its text, its row or its proof is another one"
            ) from None

    def _check_subject(self, record: Entry, where: Where) -> None:
        others = {record.sender, record.receiver} - self._parties
        if others:
            raise where.error(f" is with {min(others)[:200]}, who is no party to this agreement", ".record")
        if record.process_id not in self._subjects:
            raise where.error(
                f" is about {record.process_id[:200]}, which is not of this agreement", ".record"
            )

    def _token(self, part: Exhibit, record: Entry, written: bytes, where: Where) -> tuple[str, bool]:
        """Return which key signed the token, if that can be told, and whether it names the message."""
        token = part.token
        if token is None:
            if record.token_sha256 and not part.withheld.get(TOKEN):
                raise where.error(" is missing, and it is not said why")
            token = _inside(written)
        elif sha256(token.encode()).hexdigest() != record.token_sha256:
            raise where.error(" is not the one that the record names")
        if token.count(".") != 2:  # noqa: PLR2004  a compact JWS; the mock identity has none
            return "", False
        try:
            claimed = verify.peek(token)
        except errors.IdentityError as error:
            raise where.error(f" is none: {error.message}") from None
        if not self._keys.knows(claimed.kid):
            return "", False
        if self._keys.signer(claimed.kid, claimed.signed, claimed.signature) is None:
            raise where.error(f" has a signature that is not that of {claimed.kid[:200]}")
        _check_claims(claimed, record, where)
        return claimed.kid, "body_sha256" in claimed.claims

    def _signer(self, record: Entry, part: str, where: Where) -> str:
        """Return which key signed the request or the reply of a record, empty if none did."""
        side = getattr(record, part)
        if side is None or side.note:
            return ""
        try:
            found = signed.of_request(record) if part == REQUEST else signed.of_reply(record)
        except ValueError as error:
            raise where.error(f" cannot be read: {error}") from None
        if found is None:
            return ""
        if found.kid.partition("#")[0] != found.owner:
            raise where.error(f" is by {found.kid[:200]}, which is no key of {found.owner}")
        if not self._keys.knows(found.kid):
            return ""
        if self._keys.signer(found.kid, found.message, found.signature) is None:
            raise where.error(f" does not hold with the key {found.kid[:200]}")
        return found.kid


def _check_claims(claimed: verify.Claimed, record: Entry, where: Where) -> None:
    told = claimed.claims.get("aud")
    told = told if isinstance(told, list) else [told]
    if claimed.issuer != record.sender or record.receiver not in told:
        raise where.error(" is of another sender or for another receiver")
    if claimed.claims.get("body_sha256", record.sha256) != record.sha256:
        raise where.error(" is about another message")


def _inside(written: bytes) -> str:
    """Return the token of a record of before, which has it in its own text."""
    token = msgspec.json.decode(written).get("token", "")
    return token if isinstance(token, str) else ""


def _content(part: Exhibit, name: str, digest: str, where: Where) -> bytes | None:
    """Return what lies beside a record, after comparing it with the digest that the record has of it."""
    text, where = getattr(part, name), where.of(f": its {name}", f".{name}")
    if text is None:
        if digest != _EMPTY and not part.withheld.get(name):
            raise where.error(" is missing, and it is not said why")
        return b"" if digest == _EMPTY else None
    content = unpacked(text, where)
    if sha256(content).hexdigest() != digest:
        raise where.error(" is not the one whose digest the record has")
    return content


def named(record: Entry) -> str:
    """Return what a record is called: its message, and whether it came or went, when (UTC)."""
    try:
        moment = datetime.fromtimestamp(record.at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        moment = str(record.at)
    way = {"in": "received", "out": "sent"}.get(record.direction, "decided")
    return f"{record.message[:100]} {way} {moment} UTC"
