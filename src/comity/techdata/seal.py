"""The seal of a technical data package: who published it, proven by a signature over its manifest's digest. Pure.

A compact JWS with the claims iss and sub (the sealer's DID), iat, and manifestSha256. It is made when a package is
published and handed out beside the manifest, which names the sealer but cannot hold a signature over itself. A token
of the protocol is no seal and a seal no token: each lacks what the other must have.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from comity.errors import IdentityError
from comity.identity import jose, verify
from comity.techdata import manifest

MEDIA_TYPE: Final = "application/jose"
MAX_BYTES: Final = 8192
_DIGEST: Final = "manifestSha256"
_FUTURE_S: Final = verify.LEEWAY_S


class Seal(Struct, frozen=True):
    """What a seal says: by whom, with which key (its whole id), when (s), over which manifest (its SHA-256 in hex)."""

    sealed_by: str
    kid: str
    at_s: int
    sha256: str


class _Named(Struct, frozen=True, rename="camel"):
    sealed_by: str = ""


def make(key: jose.SigningKey, data: bytes, *, sealer: str, at_s: int) -> str:
    """Return the seal over a manifest's bytes by the participant `sealer`, with a key of its."""
    claims: dict[str, Any] = {"iss": sealer, "sub": sealer, "iat": at_s, _DIGEST: manifest.digest(data)}
    return key.sign(claims, kid=key.kid if "#" in key.kid else f"{sealer}#{key.kid}")


def sealer_of(data: bytes) -> str:
    """Return who the manifest says has sealed it, empty for version 1 and for what is no manifest."""
    try:
        return msgspec.json.decode(data, type=_Named).sealed_by
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""


def read(text: str) -> Seal:
    """Return what a seal says, nothing of it proven.

    Raises:
        IdentityError: it is no seal.
    """
    claimed = verify.peek(text, most_bytes=MAX_BYTES)
    digest, at_s = claimed.claims.get(_DIGEST), claimed.claims.get("iat")
    if not isinstance(digest, str) or isinstance(at_s, bool) or not isinstance(at_s, int) or at_s < 0:
        raise IdentityError(f"a seal has the claims {_DIGEST} and iat", step="seal")
    return Seal(claimed.issuer, claimed.kid, at_s, digest)


def check(text: str, data: bytes, *, keys: Mapping[str, jose.PublicKey], now_s: int) -> Seal:
    """Check a seal over a manifest's bytes; `keys` are those that the sealer publishes, by their whole ids.

    Raises:
        IdentityError: it does not hold; the sentence says in what.
    """
    said, claimed = read(text), verify.peek(text, most_bytes=MAX_BYTES)
    named = sealer_of(data)
    if named and said.sealed_by != named:
        raise IdentityError(
            f"it is the seal of {said.sealed_by}, and the manifest names {named}", step="seal"
        )
    key = keys.get(said.kid)
    if key is None or claimed.algorithm not in key.algorithms:
        raise IdentityError(
            f"it is sealed with {said.kid[:200]}, which {said.sealed_by[:200]} does not publish (any more)",
            step="seal",
            hint="the key was revoked, or never was theirs: ask them to publish the package again",
        )
    if not key.holds(claimed.signed, claimed.signature):
        raise IdentityError(f"the seal was not made with {said.kid[:200]}", step="seal")
    if not hmac.compare_digest(said.sha256.encode(errors="replace"), manifest.digest(data).encode()):
        raise IdentityError("the seal is over another manifest", step="seal")
    if said.at_s > now_s + _FUTURE_S:
        raise IdentityError("the seal is of a time to come", step="seal", hint="set the sealer's clock")
    return said
