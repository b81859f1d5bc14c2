"""Who is asking: a token that proves a participant, and that the participant is on the list of partners.

Before the step, `Identity` verifies the token with keys it knows (no transaction is held while a DID is resolved); in
the step's transaction `use` records the token's jti, so that it counts once, for one request, also over a restart.
"""

from __future__ import annotations

from hashlib import sha256

from msgspec import Struct

from comity import errors
from comity.controlplane.signing import Arrival
from comity.db import partners, public_keys, token_uses
from comity.db.store import Transaction
from comity.identity import http_signature


class Caller(Struct, frozen=True, kw_only=True):
    """An authenticated participant and the request that its token was used for.

    `request` is the digest of method, path and body; `jti` is empty for an identity without tokens (test mode); `key`
    is the key that proved it, where the store does not have it yet; `arrival` is the request, whose answer it signs.
    """

    participant_id: str
    token: str
    jti: str
    expires_at_s: int
    request: bytes
    arrival: Arrival
    key: public_keys.PublicKey | None = None


def request_digest(method: str, path: str, body: bytes) -> bytes:
    """Return what makes a request the same request: SHA-256 over method, path and body."""
    return sha256(b"\n".join((method.encode(), path.encode(), body))).digest()


async def use(tx: Transaction, caller: Caller) -> partners.Partner:
    """Record the caller's token and return the partner.

    Raises:
        IdentityError: the token served another request, or the caller is not a partner (any more).
    """
    if caller.jti and not await token_uses.use(
        tx, caller.participant_id, caller.jti, request=caller.request, expires_at_s=caller.expires_at_s
    ):
        raise errors.IdentityError(
            "the token was used for another request", step="jti", hint="send a new token with each request"
        )
    partner = await partners.find(tx, caller.participant_id)
    if partner is None:
        raise unknown_partner(caller.participant_id)
    if partner.signed and not caller.arrival.signed:
        raise http_signature.refusal("there is none, and this connector takes nothing unsigned from you")
    if caller.key is not None:
        await public_keys.keep(tx, caller.key)
    tx.announce(partners.Heard(partner.id))
    return partner


async def spend(tx: Transaction, caller: Caller) -> None:
    """Let the caller's token count for nothing any more.

    Its message is to be sent again, with a new token. A copy of this attempt may come late, when its sender has long
    withdrawn the message: it must not be taken then.
    """
    if caller.jti:
        await token_uses.use(
            tx, caller.participant_id, caller.jti, request=b"", expires_at_s=caller.expires_at_s
        )


def unknown_partner(participant_id: str) -> errors.IdentityError:
    """Return the refusal of a participant that is not on the list."""
    return errors.IdentityError(
        f"{participant_id[:200]} is not a partner of this connector",
        step="partner",
        hint="ask its operator to add you",
    )
