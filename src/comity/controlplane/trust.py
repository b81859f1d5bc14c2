"""How this connector proves who it is, and how it learns who is asking.

Self-issued ES256 tokens with keys of did:web documents, or pinned ones (`Tokens`); or, behind a flag that warns at
every start, the identity without proof that other connectors' tests use (`Unproven`). Both know partners only.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, NamedTuple, Protocol

from msgspec.structs import replace

from comity import errors, strict_json
from comity.controlplane import authenticate, signing
from comity.controlplane.authenticate import Caller
from comity.controlplane.held import Held
from comity.controlplane.signing import Arrival, Attempt
from comity.db import partners, public_keys
from comity.db.store import Store
from comity.evidence.entry import Reply, Request
from comity.identity import did, http_signature, jose, mock, verify
from comity.identity import token as tokens
from comity.identity.http_signature import Fields, Signature
from comity.techdata import seal as seals

MOST_KEPT = 1024
"""How many keys are remembered as stored already: a partner may make up thousands; the store takes one twice."""


NO_FIELDS = Fields()
CARRIED = "it came on a medium: its token is over exactly these bytes"


class Known(NamedTuple):
    """What is remembered of a partner: its pinned keys, None if there are none; whether nothing unsigned counts."""

    pinned: dict[str, jose.PublicKey] | None
    signed: bool


class KeyResolver(Protocol):
    """Finds the keys of a DID over the network, with a cache."""

    async def keys(self, did: str, kid: str) -> Mapping[str, jose.PublicKey]:
        """Return keys by absolute id; fetches again once if `kid` is not among them."""

    async def document(self, did: str) -> dict[str, Any]:
        """Return the document of a DID, fetched now."""


class Tokens:
    """Self-issued tokens (DCP 1.0, section 4.3.1) and signatures, new ones for each attempt, bound to the body."""

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
        self._partners: dict[str, Known] = {}
        self._kept: dict[str, tuple[jose.PublicKey | None, bytes]] = {}
        """Whole id of a key -> that key as it was compared last, and the JWK of it that the store has."""
        database.subscribe(self._notice)

    def _notice(self, announced: Any) -> None:
        for event in announced:
            if isinstance(event, partners.PartnersChanged):
                self._partners, self._kept = {}, {}
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

    def attempt(self, audience: str, method: str, url: str, body: bytes) -> Attempt:
        """Return a request to the participant `audience`, with what proves that it is ours."""
        target, digest = http_signature.target_uri(url), sha256(body).hexdigest()
        signature = self._signature(
            http_signature.REQUEST, http_signature.request_lines(method, target, digest)
        )
        request = Request(
            method=method,
            target=target,
            signature_input=signature.parameters,
            signature=signature.text,
        )
        headers = http_signature.fields(signature, digest)
        return Attempt(
            audience, request, digest, self.authorization(audience, body), headers, self._check_reply
        )

    @property
    def sealer(self) -> str:
        """Who seals what we publish."""
        return self._participant_id

    def seal(self, data: bytes) -> str:
        """Return our seal over a manifest's bytes."""
        return seals.make(self._signing_key(), data, sealer=self._participant_id, at_s=self._now_s())

    async def check_seal(self, text: str, data: bytes, *, carried: bool = False) -> public_keys.PublicKey:
        """Check a seal over a manifest's bytes with the keys that its sealer publishes now, and return the one.

        What is `carried` is checked with those that are held here, where nobody can be asked.

        Raises:
            IdentityError: it does not hold, or is no partner's.
            TransientDeliveryError: the keys cannot be told now.
        """
        said = seals.read(text)
        keys = await (self._held_keys(said.sealed_by) if carried else self._keys(said.sealed_by, said.kid))
        seals.check(text, data, keys=keys, now_s=self._now_s())
        return public_keys.PublicKey(
            participant_id=said.sealed_by,
            kid=said.kid,
            jwk={**keys[said.kid].jwk(), "kid": said.kid},
            seen_at=self._now_s() * 1000,
        )

    async def carried(self, token: str, body: bytes) -> Caller:
        """Return who wrote a message that came on a medium, however long ago.

        Raises:
            IdentityError: a check does not hold; the token is for somebody else or over another message; or it is no
                partner's, or of a key that is not held here.
        """
        claimed = verify.peek(token)
        keys = await self._held_keys(claimed.issuer)
        now_s, issued_at = self._now_s(), claimed.claims.get("iat")
        then_s = issued_at if isinstance(issued_at, int) and issued_at <= now_s else now_s
        verified = verify.verify(
            claimed,
            keys=keys,
            audience=self._participant_id,
            now_s=then_s,
            body_sha256=sha256(body).hexdigest(),
        )
        if not verified.body_bound:
            raise errors.IdentityError("the token does not say over which message it is", step="body")
        return Caller(
            participant_id=verified.issuer,
            token=token,
            jti=verified.jti,
            expires_at_s=verified.expires_at_s,
            request=authenticate.request_digest("CARRY", "", body),
            key=self._unkept(claimed.issuer, claimed.kid, keys[claimed.kid]),
            arrival=_carried(body),
        )

    async def _held_keys(self, issuer: str) -> Mapping[str, jose.PublicKey]:
        """Return the keys of a partner that count where there may be no line: pinned ones; those that it publishes now.

        Where nobody can be asked, those that it had when it was asked last, for this or as it was put on the list.
        """
        pinned = (await self._known(issuer)).pinned
        if pinned is not None:
            return pinned
        partner = await self._database.read(lambda tx: partners.load(tx, issuer))
        jwks = partner.keys
        with contextlib.suppress(errors.TransientDeliveryError):
            found = did.keys_for_invocation(await self._resolver.document(issuer), issuer)
            jwks = [{**jwk, "kid": kid} for kid, jwk in found.items()]
        if jwks != partner.keys:
            await self._database.write(lambda tx: partners.save(tx, replace(partner, keys=jwks)))
        return {str(each["kid"]): jose.public_key(each) for each in jwks}

    def _signature(self, covered: str, lines: str) -> Signature:
        key = self._signing_key()
        kid = key.kid if "#" in key.kid else f"{self._participant_id}#{key.kid}"
        return http_signature.sign(key, kid, covered, lines, created=self._now_s())

    async def _check_reply(self, attempt: Attempt, reply: Reply, found: Fields) -> Reply:
        """Return an answer as it is to be recorded.

        Raises:
            TransientDeliveryError: its signature does not hold, or there has to be one and there is none.
        """
        partner, asked = attempt.audience, attempt.request
        lines = http_signature.reply_lines(
            reply.status, reply.sha256, asked.method, asked.target, attempt.sha256
        )
        try:
            signature = http_signature.read(found)
            note = _unsigned(signature)
            if signature is not None and not note:
                http_signature.check_signer(signature, partner)
                http_signature.check_digest(found, reply.sha256)
                keys, note = await self._keys_of_answer(partner, signature.keyid)
                reply = replace(
                    reply, signature_input=signature.parameters, signature=signature.text, note=note
                )
                if not note:
                    http_signature.check(signature, lines, keys=keys, now_s=self._now_s())
                    attempt.key = self._unkept(partner, signature.keyid, keys[signature.keyid])
                    return reply
            if await self._has_to_sign(partner):
                raise http_signature.refusal(f"{note}, and this partner has to sign")
        except errors.IdentityError as error:
            raise _distrusted(reply.status, error) from None
        return replace(reply, note=note)

    async def _has_to_sign(self, partner: str) -> bool:
        try:
            return (await self._known(partner)).signed
        except errors.IdentityError:
            return False  # it is none any more, and hears so

    async def _keys_of_answer(self, partner: str, kid: str) -> tuple[Mapping[str, jose.PublicKey], str]:
        """Return a partner's keys, or why they cannot be told: then an answer counts as one without a signature."""
        try:
            return await self._keys(partner, kid), ""
        except (errors.TransientDeliveryError, errors.IdentityError) as error:
            return {}, f"not checked: {error.message}"[:500]

    async def admit(self, authorization: str | None) -> None:
        """Check a request's token without its body.

        Raises:
            IdentityError: as `caller`.
        """
        claimed = verify.peek(verify.read_bearer(authorization))
        bound = claimed.claims.get("body_sha256")
        await self._verify(claimed, bound if isinstance(bound, str) else "")

    async def caller(
        self,
        authorization: str | None,
        method: str,
        path: str,
        body: bytes,
        target: str = "",
        found: Fields = NO_FIELDS,
    ) -> Caller:
        """Return who sent a request.

        Raises:
            IdentityError: there is no token, or a check does not hold, or it is no partner's; a signature that is there
                does not hold.
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
            key=self._unkept(claimed.issuer, claimed.kid, key),
            arrival=self._arrival(claimed.kid, key, Request(method=method, target=target), body, found),
        )

    def _arrival(
        self, kid: str, key: jose.PublicKey, request: Request, body: bytes, found: Fields
    ) -> Arrival:
        """Check the signature of a request whose token this key proved."""
        digest = sha256(body).hexdigest()
        signature = http_signature.read(found)
        if signature is None:
            return Arrival(replace(request, note=signing.NOT_SIGNED), digest, self._sign_reply)
        if signature.covered != http_signature.REQUEST:
            raise http_signature.refusal(f"it must cover {http_signature.REQUEST}, in this order")
        if signature.keyid != kid:
            raise http_signature.refusal(f"it is by {signature.keyid[:200]}, and the token by {kid}")
        http_signature.check_digest(found, digest)
        lines = http_signature.request_lines(request.method, request.target, digest)
        http_signature.check(signature, lines, keys={kid: key}, now_s=self._now_s())
        request = replace(request, signature_input=signature.parameters, signature=signature.text)
        return Arrival(request, digest, self._sign_reply)

    def _sign_reply(self, arrival: Arrival, status: int, digest: str) -> Signature:
        asked = arrival.request
        covered = http_signature.REPLY if arrival.signed else http_signature.REPLY_TO_UNSIGNED
        lines = http_signature.reply_lines(
            status, digest, asked.method, asked.target, arrival.sha256, covered
        )
        return self._signature(covered, lines)

    async def _verify(
        self, claimed: verify.Claimed, body_sha256: str
    ) -> tuple[verify.Verified, jose.PublicKey]:
        keys = await self._keys(claimed.issuer, claimed.kid)
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
        known = self._partners.get(claimed.issuer)
        if claimed.kid not in keys and known is not None and known.pinned is not None:
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

    def _unkept(self, participant_id: str, kid: str, key: jose.PublicKey) -> public_keys.PublicKey | None:
        """Return a key that proved something if the store does not have it yet: who checks the evidence needs it."""
        compared, stored = self._kept.get(kid, (None, b""))
        if compared is key:
            return None
        jwk = {**key.jwk(), "kid": kid}
        if strict_json.canonical(jwk) == stored:
            self._remember(kid, key, stored)
            return None
        return public_keys.PublicKey(
            participant_id=participant_id, kid=kid, jwk=jwk, seen_at=self._now_s() * 1000
        )

    async def _keys(self, issuer: str, kid: str) -> Mapping[str, jose.PublicKey]:
        """Return the keys that count: pinned ones, or those of the DID document of a partner (of nobody else)."""
        pinned = (await self._known(issuer)).pinned
        try:
            return pinned if pinned is not None else await self._resolver.keys(issuer, kid)
        except errors.DeliveryError as error:
            raise errors.TransientDeliveryError(
                f"the keys of {issuer} cannot be told now: {error.message}",
                retry_after_s=getattr(error, "retry_after_s", None),
            ) from None

    async def _known(self, issuer: str) -> Known:
        known = (
            self._partners
        )  # another one after a change of partners: what was read before must not stay then
        if issuer not in known:
            known[issuer] = await self._find(issuer)
        return known[issuer]

    async def _find(self, issuer: str) -> Known:
        partner = await self._database.read(lambda tx: partners.find(tx, issuer))
        if partner is None:
            raise authenticate.unknown_partner(issuer)
        keys = {str(each["kid"]): jose.public_key(each) for each in partner.keys}
        return Known(keys if partner.pinned else None, partner.signed)


class Unproven:
    """The identity of EDC's `iam-mock` and the conformance kit: a name is believed. Never in production."""

    def __init__(self, participant_id: str) -> None:
        self._participant_id = participant_id

    def authorization(self, audience: str, body: bytes, *, token: str | None = None) -> str:  # noqa: ARG002  a name proves nothing of them
        """Return the header that claims our name."""
        return mock.format(self._participant_id, audience)

    def attempt(self, audience: str, method: str, url: str, body: bytes) -> Attempt:
        """Return a request that nothing proves."""
        request = Request(method=method, target=http_signature.target_uri(url), note=signing.NOT_SIGNED)
        return Attempt(audience, request, "", self.authorization(audience, body), {}, _believed)

    @property
    def sealer(self) -> str:
        """Who seals what we publish: nobody, since nothing would prove it."""
        return ""

    def seal(self, data: bytes) -> str:  # noqa: ARG002  there is none
        """Return no seal."""
        return ""

    async def check_seal(self, text: str, data: bytes, *, carried: bool = False) -> None:
        """Check nothing: nothing would prove whose it is."""

    async def carried(self, token: str, body: bytes) -> Caller:
        """Return who a message that came on a medium says it is from."""
        return Caller(
            participant_id=mock.parse(token),
            token=token,
            jti="",
            expires_at_s=0,
            request=authenticate.request_digest("CARRY", "", body),
            arrival=_carried(body),
        )

    async def admit(self, authorization: str | None) -> None:
        """Refuse a header that names nobody."""
        mock.parse(authorization)

    async def caller(
        self,
        authorization: str | None,
        method: str,
        path: str,
        body: bytes,
        target: str = "",
        found: Fields = NO_FIELDS,  # noqa: ARG002  nor do they
    ) -> Caller:
        """Return who a request says it is from; that it is a partner is still checked in the step."""
        return Caller(
            participant_id=mock.parse(authorization),
            token=authorization or "",
            jti="",
            expires_at_s=0,
            request=authenticate.request_digest(method, path, body),
            arrival=Arrival(
                Request(method=method, target=target, note=signing.NOT_SIGNED), "", lambda *_: None
            ),
        )


def _carried(body: bytes) -> Arrival:
    """Return how a message came that nobody sent: no request was signed, the token is over its bytes."""
    request = Request(method="CARRY", target="", note=CARRIED)
    return Arrival(request, sha256(body).hexdigest(), lambda *_: None)


def _unsigned(signature: Signature | None) -> str:
    """Return why an answer counts as one without a signature, empty if it does not."""
    if signature is None:
        return signing.NOT_SIGNED
    return "" if signature.covered == http_signature.REPLY else signing.NOT_OURS


def _distrusted(status: int, error: errors.IdentityError) -> errors.TransientDeliveryError:
    """Return the error for an answer that something between us may have changed: the next one may be whole."""
    return errors.TransientDeliveryError(
        f"the answer (status {status}) cannot be trusted: {error.message}", outcome_unknown=True
    )


async def _believed(attempt: Attempt, reply: Reply, found: Fields) -> Reply:  # noqa: ARG001  nothing proves it
    return replace(reply, note=signing.NOT_SIGNED)
