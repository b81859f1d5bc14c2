"""How this connector proves who it is, and how it learns who is asking.

Self-issued ES256 tokens with keys of did:web documents, or pinned ones (`Tokens`); or, behind a flag that warns at
every start, the identity without proof that other connectors' tests use (`Unproven`). Both know partners only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, Protocol

from comity import errors
from comity.controlplane import authenticate
from comity.controlplane.authenticate import Caller
from comity.db import partners
from comity.db.database import Database
from comity.identity import jose, mock, token, verify


class KeyResolver(Protocol):
    """Finds the keys of a DID over the network, with a cache."""

    async def keys(self, did: str, kid: str) -> Mapping[str, jose.PublicKey]:
        """Return keys by absolute id; fetches again once if `kid` is not among them."""


class Tokens:
    """Self-issued tokens (DCP 1.0, section 4.3.1), one for each attempt, bound to the body."""

    def __init__(
        self,
        participant_id: str,
        key: jose.SigningKey,
        *,
        resolver: KeyResolver,
        database: Database,
        now_s: Callable[[], int],
        new_jti: Callable[[], str],
    ) -> None:
        self._participant_id = participant_id
        self._key = key
        self._resolver = resolver
        self._database = database
        self._now_s = now_s
        self._new_jti = new_jti
        self._pinned: dict[str, dict[str, jose.PublicKey] | None] = {}
        database.subscribe(self._forget)

    def _forget(self, announced: Any) -> None:
        if any(isinstance(event, partners.PartnersChanged) for event in announced):
            self._pinned = {}

    def authorization(self, audience: str, body: bytes) -> str:
        """Return the header for a request with `body` to the participant `audience`."""
        return "Bearer " + token.issue(
            self._key,
            issuer=self._participant_id,
            audience=audience,
            jti=self._new_jti(),
            now_s=self._now_s(),
            body_sha256=sha256(body).hexdigest(),
        )

    async def admit(self, authorization: str | None) -> None:
        """Check a request's token without its body.

        Raises:
            IdentityError: as `caller`.
        """
        claimed = verify.peek(verify.read_bearer(authorization))
        bound = claimed.claims.get("body_sha256")
        await self._verify(claimed, bound if isinstance(bound, str) else "")

    async def caller(self, authorization: str | None, method: str, path: str, body: bytes) -> Caller:
        """Return who sent a request.

        Raises:
            IdentityError: there is no token, or a check does not hold, or it is no partner's.
        """
        bearer = verify.read_bearer(authorization)
        verified = await self._verify(verify.peek(bearer), sha256(body).hexdigest())
        return Caller(
            participant_id=verified.issuer,
            token=bearer,
            jti=verified.jti,
            expires_at_s=verified.expires_at_s,
            request=authenticate.request_digest(method, path, body),
        )

    async def _verify(self, claimed: verify.Claimed, body_sha256: str) -> verify.Verified:
        keys = await self._keys(claimed)
        return verify.verify(
            claimed,
            keys=keys,
            audience=self._participant_id,
            now_s=self._now_s(),
            body_sha256=body_sha256,
        )

    async def _keys(self, claimed: verify.Claimed) -> Mapping[str, jose.PublicKey]:
        """Return the keys that count: pinned ones, or those of the DID document of a partner (of nobody else)."""
        issuer = claimed.issuer
        known = (
            self._pinned
        )  # another one after a change of partners: what was read before must not be kept then
        if issuer not in known:
            known[issuer] = await self._find_pinned(issuer)
        pinned = known[issuer]
        try:
            return pinned if pinned is not None else await self._resolver.keys(issuer, claimed.kid)
        except errors.DeliveryError as error:
            raise errors.TransientDeliveryError(
                f"the DID document of {issuer} cannot be fetched now: {error.message}"
            ) from None

    async def _find_pinned(self, issuer: str) -> dict[str, jose.PublicKey] | None:
        partner = await self._database.read(lambda tx: partners.find(tx, issuer))
        if partner is None:
            raise authenticate.unknown_partner(issuer)
        if not partner.pinned:
            return None
        return {str(each["kid"]): jose.public_key(each) for each in partner.keys}


class Unproven:
    """The identity of EDC's `iam-mock` and the conformance kit: a name is believed. Never in production."""

    def __init__(self, participant_id: str) -> None:
        self._participant_id = participant_id

    def authorization(self, audience: str, body: bytes) -> str:  # noqa: ARG002  a name proves nothing of a body
        """Return the header that claims our name."""
        return mock.format(self._participant_id, audience)

    async def admit(self, authorization: str | None) -> None:
        """Refuse a header that names nobody."""
        mock.parse(authorization)

    async def caller(self, authorization: str | None, method: str, path: str, body: bytes) -> Caller:
        """Return who a request says it is from; that it is a partner is still checked in the step."""
        return Caller(
            participant_id=mock.parse(authorization),
            token=authorization or "",
            jti="",
            expires_at_s=0,
            request=authenticate.request_digest(method, path, body),
        )
