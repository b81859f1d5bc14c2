"""The two ends of a signed request: one that comes in and gets a signed answer, one that goes out and gets one back.

What is signed is `identity.http_signature`, with which keys `trust`. Both ends end up in a record of the evidence, as
`Request` and `Reply`, so that each side holds what the other one signed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256 as hash_of

from msgspec.structs import replace

from comity.db.public_keys import PublicKey
from comity.evidence.entry import Reply, Request
from comity.identity import http_signature
from comity.identity.http_signature import Fields, Signature

NOT_SIGNED = "not signed"
NOT_READ = "not read: too long, or packed in a way that is not undone here"
NOT_OURS = "signed, but not over the request: something between the two sides took our signature away"

Headers = dict[str, str]
SignReply = Callable[["Arrival", int, str], Signature | None]
CheckReply = Callable[["Attempt", Reply, Fields], Awaitable[Reply]]


class Arrival:
    """A partner's request and its answers; an equal answer is signed once."""

    def __init__(self, request: Request, sha256: str, sign: SignReply) -> None:
        self.request = request
        self.sha256 = sha256
        self._sign = sign
        self._last: tuple[Reply, Headers] | None = None

    @property
    def signed(self) -> bool:
        """Whether it has a signature, which held."""
        return bool(self.request.signature)

    def reply(self, status: int, content: bytes) -> Reply:
        """Return an answer as a record has it."""
        return self._answer(status, content)[0]

    def headers(self, status: int, content: bytes) -> Headers:
        """Return the header fields that prove an answer."""
        return self._answer(status, content)[1]

    def _answer(self, status: int, content: bytes) -> tuple[Reply, Headers]:
        digest = hash_of(content).hexdigest()
        if self._last is not None and (self._last[0].status, self._last[0].sha256) == (status, digest):
            return self._last
        signature = self._sign(self, status, digest)
        if signature is None:
            self._last = Reply(status=status, sha256=digest, note=NOT_SIGNED), {}
        else:
            reply = Reply(
                status=status,
                sha256=digest,
                signature_input=signature.parameters,
                signature=signature.text,
            )
            self._last = reply, http_signature.fields(signature, digest)
        return self._last


class Attempt:
    """One attempt to have a request answered by a partner: what proves it, and the answer that was taken.

    `reply` is None until an answer came that counts; `key` is the one that proved it, where the store does not have it.
    """

    def __init__(
        self,
        audience: str,
        request: Request,
        sha256: str,
        authorization: str,
        headers: Headers,
        check: CheckReply,
    ) -> None:
        self.audience = audience
        self.request = request
        self.sha256 = sha256
        self.token = authorization.removeprefix("Bearer ")
        self.headers: Headers = {"Authorization": authorization, **headers}
        self.reply: Reply | None = None
        self.content = b""
        self.key: PublicKey | None = None
        self._check = check

    async def take(
        self, status: int, headers: Mapping[str, str], content: bytes, packed_sha256: str = ""
    ) -> None:
        """Take an answer that decides; `packed_sha256` is the digest of its content before gzip was undone.

        Raises:
            TransientDeliveryError: it cannot be trusted: it may be another one at the next attempt.
        """
        found = Fields(
            content_digest=headers.get("Content-Digest", ""),
            signature_input=headers.get("Signature-Input", ""),
            signature=headers.get("Signature", ""),
        )
        digest = hash_of(content).hexdigest()
        if packed_sha256 and found.content_digest == http_signature.content_digest(packed_sha256):
            digest = packed_sha256
        self.reply = await self._check(self, Reply(status=status, sha256=digest), found)
        self.content = content

    async def unread(self, status: int) -> None:
        """Take that there was an answer which cannot be read: it counts as one without a signature.

        Raises:
            TransientDeliveryError: this partner has to sign.
        """
        self.reply = replace(
            await self._check(self, Reply(status=status, sha256=""), Fields()), note=NOT_READ
        )
