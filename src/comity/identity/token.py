"""Issues our self-issued tokens (DCP 1.0, section 4.3.1): who we are, for whom, for how long, and for which body.

The private claim `body_sha256` binds the exact bytes of the request, so that the token is evidence of what was
sent. Checking a partner's token is `verify`; the caller brings jti and time.
"""

from __future__ import annotations

from typing import Any, Final

from comity.identity import jose

LIFETIME_S: Final = 300


def issue(  # noqa: PLR0913  # the claims of a token, each by name
    key: jose.SigningKey,
    *,
    issuer: str,
    audience: str,
    jti: str,
    now_s: int,
    lifetime_s: int = LIFETIME_S,
    body_sha256: str | None = None,
    token: str | None = None,
) -> str:
    """Return a signed token from `issuer` (our DID) for `audience` (the partner's DID), without `Bearer`.

    `body_sha256` is lower-case hex; `token` is DCP's access token for the credential service.
    """
    claims: dict[str, Any] = {
        "iss": issuer,
        "sub": issuer,
        "aud": audience,
        "jti": jti,
        "iat": now_s,
        "nbf": now_s,
        "exp": now_s + lifetime_s,
    }
    if body_sha256 is not None:
        claims["body_sha256"] = body_sha256
    if token is not None:
        claims["token"] = token
    kid = key.kid if "#" in key.kid else f"{issuer}#{key.kid}"
    return key.sign(claims, kid=kid)
