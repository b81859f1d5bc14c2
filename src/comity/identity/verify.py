"""Checks a partner's self-issued token (DCP 1.0, section 4.3.3; RFC 8725): every check here must hold.

`peek` says whose keys are needed, before any is known; `verify` then decides. The key is the one that `kid` names,
and the DID in `kid` must be the issuer: otherwise whoever has a DID could speak for another. That a jti counts
only once is the control plane's part (it needs a store), and so is the list of partners.
"""

from __future__ import annotations

import hmac
import math
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from msgspec import Struct

from comity import errors
from comity.identity import jose

MAX_TOKEN_BYTES: Final = 8192
MAX_LIFETIME_S: Final = 600
LEEWAY_S: Final = 90
MAX_JTI: Final = 256
_MAX_DID: Final = 1024
_MAX_TIME_S: Final = 2**53
_ALGORITHMS: Final = frozenset({"ES256", "Ed25519", "EdDSA"})
_REFUSED_HEADERS: Final = ("crit", "jku", "jwk", "x5u", "x5c", "b64", "zip", "cty")
_SEGMENTS = re.compile(r"([A-Za-z0-9_-]{1,2048})\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]*)")
_DID = re.compile(r"did:[a-z0-9]+:[A-Za-z0-9._:%-]*[A-Za-z0-9._-]")
_FRAGMENT = re.compile(r"[A-Za-z0-9._~:%/?@!$&'()*+,;=-]+")


class Claimed(Struct, frozen=True):
    """What a token says of itself, nothing of it proven: `issuer` (a DID) and `kid` (that DID, `#`, a fragment)."""

    issuer: str
    kid: str
    algorithm: str
    claims: dict[str, Any]
    signed: bytes
    signature: bytes


class Verified(Struct, frozen=True):
    """A token that holds; its jti must be remembered until `expires_at_s`, which has the leeway in it.

    `body_bound` says whether the token named the digest of the body (and it was equal).
    """

    issuer: str
    jti: str
    expires_at_s: int
    body_bound: bool


def read_bearer(authorization: str | None) -> str:
    """Return the token of an Authorization header; the scheme's case does not matter (RFC 9110, section 11.1).

    Raises:
        IdentityError: there is no header or no Bearer scheme (step `header`).
    """
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise _no("header", "the request has no token", "send the header Authorization: Bearer <token>")
    return token.strip(" ")


def peek(token: str, *, most_bytes: int = MAX_TOKEN_BYTES) -> Claimed:
    """Read a token far enough to know whose key decides.

    Raises:
        IdentityError: it is not a token of the form that DCP describes.
    """
    if len(token) > most_bytes:
        raise _no("size", f"the token has more than {most_bytes} characters", "send a shorter one")
    parts = _SEGMENTS.fullmatch(token)
    if parts is None:
        raise _no("format", "the token is not a compact JWS: three parts of base64url with dots between")
    algorithm, kid = _read_header(parts[1])
    try:
        claims = jose.decode_object(jose.decode_segment(parts[2].encode("ascii")))
        signature = jose.decode_segment(parts[3].encode("ascii"))
    except ValueError as error:
        raise _no("format", f"the token's claims or signature cannot be read: {error}") from None
    issuer = claims.get("iss")
    if not isinstance(issuer, str) or issuer != kid.partition("#")[0]:
        raise _no("issuer", "iss must be the DID in kid", "sign with a key of the DID in iss")
    if claims.get("sub") != issuer:
        raise _no("subject", "sub must be equal to iss: only self-issued tokens are taken")
    return Claimed(issuer, kid, algorithm, claims, token[: parts.end(2)].encode("ascii"), signature)


@lru_cache(maxsize=512)
def _read_header(segment: str) -> tuple[str, str]:
    """Return alg and kid; remembered, since a partner's header is the same on every message."""
    try:
        header = jose.decode_object(jose.decode_segment(segment.encode("ascii")))
    except ValueError as error:
        raise _no("format", f"the token's header cannot be read: {error}") from None
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in _ALGORITHMS:
        raise _no("algorithm", f"alg {str(algorithm)[:20]!r} is not taken", "sign with ES256 or Ed25519")
    for name in _REFUSED_HEADERS:
        if name in header:
            raise _no("header", f"the header member {name!r} is not taken", "send alg, typ and kid only")
    if str(header.get("typ", "JWT")).lower() not in {"jwt", "application/jwt"}:
        raise _no("header", "typ must be JWT")
    return algorithm, _check_kid(header.get("kid"))


def _check_kid(kid: Any) -> str:
    did, mark, fragment = kid.partition("#") if isinstance(kid, str) else ("", "", "")
    if (
        len(did) + len(fragment) > _MAX_DID
        or not mark
        or not _DID.fullmatch(did)
        or not _FRAGMENT.fullmatch(fragment)
    ):
        raise _no(
            "kid", "kid is missing or not of the form <DID>#<fragment>", "name the key in your DID document"
        )
    return str(kid)


def verify(
    token: str | Claimed,
    *,
    keys: Mapping[str, jose.PublicKey],
    audience: str,
    now_s: int,
    body_sha256: str | None,
) -> Verified:
    """Check everything but whether the jti was used before; `keys` are the issuer's, by their whole ids.

    A token that binds a body is refused when `body_sha256` (hex) is None or another one. What `peek` returned may
    be given instead of the token, which saves reading it twice.

    Raises:
        IdentityError: the message says what to change, `step` names the check.
    """
    claimed = peek(token) if isinstance(token, str) else token
    key = keys.get(claimed.kid)
    if key is None:
        raise _no(
            "kid",
            f"{claimed.kid[:200]} is not a key that may be used here",
            "list it in capabilityInvocation",
        )
    if claimed.algorithm not in key.algorithms:
        raise _no("algorithm", f"alg {claimed.algorithm!r} is not that of the key {claimed.kid[:200]}")
    if not key.holds(claimed.signed, claimed.signature):
        raise _no("signature", f"the signature is not that of the key {claimed.kid[:200]}")
    claims = claimed.claims
    _check_audience(claims.get("aud"), audience)
    expires_at_s = _check_times(claims, now_s)
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= MAX_JTI or not jti.isprintable():
        raise _no("jti", f"jti must be a text of 1 to {MAX_JTI} printable characters")
    if "sub_jwk" in claims:
        raise _no("subject", "the claim sub_jwk is not taken: keys come from the DID document")
    return Verified(claimed.issuer, jti, expires_at_s, _check_body(claims, body_sha256))


def _check_audience(told: Any, audience: str) -> None:
    listed = told if isinstance(told, list) else [told]
    if not all(isinstance(one, str) for one in listed) or audience not in listed:
        raise _no("audience", "aud is not this connector's DID", f"set aud to {audience}")


def _check_times(claims: dict[str, Any], now_s: int) -> int:
    issued, expires = _time(claims, "iat"), _time(claims, "exp")
    not_before = _time(claims, "nbf") if "nbf" in claims else issued
    if expires <= issued or expires - issued > MAX_LIFETIME_S:
        raise _no("lifetime", f"exp must be 1 to {MAX_LIFETIME_S} s after iat", "issue a short-lived token")
    if now_s >= expires + LEEWAY_S:
        raise _no(
            "expiry",
            f"the token expired {now_s - math.ceil(expires)} s ago",
            "send a new one, check the clock",
        )
    if max(issued, not_before) > now_s + LEEWAY_S:
        raise _no("not-before", "iat or nbf lies in the future", "set the sender's clock")
    return math.ceil(expires) + LEEWAY_S


def _time(claims: dict[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _MAX_TIME_S:
        raise _no("expiry", f"{name} must be a time in seconds", f"send {name} as a JSON number")
    return value


def _check_body(claims: dict[str, Any], body_sha256: str | None) -> bool:
    if "body_sha256" not in claims:
        return False
    bound = claims["body_sha256"]
    if (
        not isinstance(bound, str)
        or body_sha256 is None
        or not hmac.compare_digest(bound.encode(errors="replace"), body_sha256.encode())
    ):
        raise _no("body", "body_sha256 is not the digest of this body", "sign the exact bytes that are sent")
    return True


def _no(step: str, message: str, hint: str = "") -> errors.IdentityError:
    return errors.IdentityError(message, step=step, hint=hint)
