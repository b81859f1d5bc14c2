"""How this connector proves who it is, and how it learns who is asking.

Self-issued ES256 tokens with keys of did:web documents, or pinned ones (`Tokens`); or, behind a flag that warns at
every start, the identity without proof that other connectors' tests use (`Unproven`). Both know partners only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, Protocol

from comity import errors, strict_json
from comity.controlplane import authenticate
from comity.controlplane.authenticate import Caller
from comity.controlplane.held import Held
from comity.db import partners, public_keys
from comity.db.store import Store
from comity.identity import jose, mock, verify
from comity.identity import token as tokens

MOST_KEPT = 1024
"""How many keys are remembered as stored already: a partner may make up thousands; the store takes one twice."""


class KeyResolver(Protocol):
    """Finds the keys of a DID over the network, with a cache."""

    async def keys(self, did: str, kid: str) -> Mapping[str, jose.PublicKey]:
        """Return keys by absolute id; fetches again once if `kid` is not among them."""


class Tokens:
    """Self-issued tokens (DCP 1.0, section 4.3.1), one for each attempt, bound to the body."""

    def __init__(
        self,
        participant_id: str,
        signing_key: Callable[[], jose.SigningKey],
        *,
        resolver: KeyResolver,
        database: Store,
        now_s: Callable[[], int],
        new_jti: Callable[[], str],
        held: Held | None = None,
    ) -> None:
        self._participant_id = participant_id
        self._held = held or Held()
        self._signing_key = signing_key
        self._resolver = resolver
        self._database = database
        self._now_s = now_s
        self._new_jti = new_jti
        self._pinned: dict[str, dict[str, jose.PublicKey] | None] = {}
        self._kept: dict[str, tuple[jose.PublicKey | None, bytes]] = {}
        """Whole id of a key -> that key as it was compared last, and the JWK of it that the store has."""
        database.subscribe(self._notice)

    def _notice(self, announced: Any) -> None:
        for event in announced:
            if isinstance(event, partners.PartnersChanged):
                self._pinned, self._kept = {}, {}
            elif isinstance(event, public_keys.PublicKeyKept):
                self._remember(event.kid, None, event.jwk)

    def _remember(self, kid: str, key: jose.PublicKey | None, stored: bytes) -> None:
        if kid not in self._kept and len(self._kept) >= MOST_KEPT:
            self._kept = {}
        self._kept[kid] = (key, stored)

    def authorization(self, audience: str, body: bytes, *, token: str | None = None) -> str:
        """Return the header for a request with `body` to the participant `audience`, speaking for `token` if given."""
        return "Bearer " + tokens.issue(
            self._signing_key(),
            issuer=self._participant_id,
            audience=audience,
            jti=self._new_jti(),
            now_s=self._now_s(),
            body_sha256=sha256(body).hexdigest(),
            token=token,
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
        claimed = verify.peek(bearer)
        verified, key = await self._verify(claimed, sha256(body).hexdigest())
        return Caller(
            participant_id=verified.issuer,
            token=bearer,
            jti=verified.jti,
            expires_at_s=verified.expires_at_s,
            request=authenticate.request_digest(method, path, body),
            key=self._unkept(claimed, key),
        )

    async def _verify(
        self, claimed: verify.Claimed, body_sha256: str
    ) -> tuple[verify.Verified, jose.PublicKey]:
        keys = await self._keys(claimed)
        issued_at = claimed.claims.get("iat")
        if (
            self._held.restored_at
            and isinstance(issued_at, int | float)
            and issued_at * 1000 < self._held.restored_at
        ):
            raise errors.TransientDeliveryError(  # and not 401: it is no fault of the sender's, whose next one is taken
                "tokens of before a restore are not taken: which of them were used is not known any more",
                retry_after_s=1,
            )
        if claimed.kid not in keys and self._pinned.get(claimed.issuer) is not None:
            raise errors.IdentityError(
                f"the keys of {claimed.issuer} are pinned here, and {claimed.kid[:200]} is not among them",
                step="kid",
                hint="have the operator here add the new key, before you sign with it",
            )
        verified = verify.verify(
            claimed,
            keys=keys,
            audience=self._participant_id,
            now_s=self._now_s(),
            body_sha256=body_sha256,
        )
        return verified, keys[claimed.kid]

    def _unkept(self, claimed: verify.Claimed, key: jose.PublicKey) -> public_keys.PublicKey | None:
        """Return a key that proved a token if the store does not have it yet: whoever checks the evidence needs it."""
        compared, stored = self._kept.get(claimed.kid, (None, b""))
        if compared is key:
            return None
        jwk = {**key.jwk(), "kid": claimed.kid}
        if strict_json.canonical(jwk) == stored:
            self._remember(claimed.kid, key, stored)
            return None
        return public_keys.PublicKey(
            participant_id=claimed.issuer, kid=claimed.kid, jwk=jwk, seen_at=self._now_s() * 1000
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
                f"the keys of {issuer} cannot be told now: {error.message}",
                retry_after_s=getattr(error, "retry_after_s", None),
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

    def authorization(self, audience: str, body: bytes, *, token: str | None = None) -> str:  # noqa: ARG002  a name proves nothing of them
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
