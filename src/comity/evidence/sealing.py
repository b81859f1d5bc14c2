"""The seal of a bundle: the exporter's signature over the digest of each part, so that what was changed is named.

It is a compact JWS; its claims are the exporter (`iss`), a time (`iat`) and `bundle`, the digests. It has no audience,
so it opens no door as a token. What nothing else binds, such as when a key was seen first, is bound here.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

from comity import errors, strict_json
from comity.evidence.bundle import PARTS, TYPE, Bundle, BundleError, packed
from comity.evidence.holders import Keys
from comity.identity import jose, verify

Digests = dict[str, Any]
ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of P-256 (SEC 2, section 2.4.2)."""
LISTED: Final = tuple(name for name in PARTS if name not in {"head", "agreement"})
WORDS: Final = {
    "head": "the head",
    "agreement": "the agreement",
    "subjects": "subject",
    "keys": "key",
    "checkpoints": "checkpoint",
    "records": "record",
    "authorities": "stamp authority",
    "frameworks": "framework agreement",
    "terms": "term",
}


def sealed(parts: Mapping[str, Any], key: jose.SigningKey, *, issuer: str, now_s: int) -> bytes:
    """Return the file of a bundle with these parts, sealed with a key of the exporter."""
    digests: Digests = {
        name: [_digest(strict_json.canonical(each)) for each in parts[name]]
        if name in LISTED
        else _digest(strict_json.canonical(parts[name]))
        for name in PARTS
    }
    kid = key.kid if "#" in key.kid else f"{issuer}#{key.kid}"
    seal = _lower(key.sign({"iss": issuer, "sub": issuer, "iat": now_s, "bundle": digests}, kid=kid))
    return strict_json.canonical({**parts, "type": TYPE, "version": 1, "seal": seal})


def _lower(seal: str) -> str:
    """Return a JWS with the lower of the two values of `s` that hold in ECDSA, so that there is one way to write it."""
    signed, _, signature = seal.rpartition(".")
    content = jose.decode_segment(signature.encode())
    r, s = content[: jose.SIGNATURE_BYTES // 2], int.from_bytes(content[jose.SIGNATURE_BYTES // 2 :], "big")
    return f"{signed}.{packed(r + min(s, ORDER - s).to_bytes(jose.SIGNATURE_BYTES // 2, 'big'))}"


def _digest(written: bytes) -> str:
    return packed(sha256(written).digest())


def check(bundle: Bundle, exporter: str, keys: Keys) -> str:
    """Check the seal of a bundle, and return the id of the key that made it.

    Raises:
        BundleError: it is not the exporter's, or names the first part that is not as it was sealed.
    """
    try:
        claimed = verify.peek(bundle.seal, most_bytes=len(bundle.seal))
    except errors.IdentityError as error:
        raise BundleError(f"the exporter's seal is none: {error.message}", "$.seal") from None
    if claimed.issuer != exporter or not keys.signer(claimed.kid, claimed.signed, claimed.signature):
        raise BundleError(
            f"the seal's signature is not that of {exporter} with its key {claimed.kid[:200]}", "$.seal"
        )
    if bundle.seal != _lower(bundle.seal):
        raise BundleError("the seal's signature is the other one of the two that hold", "$.seal")
    _compare(bundle, claimed.claims.get("bundle"))
    return claimed.kid


def _compare(bundle: Bundle, digests: Any) -> None:
    digests = digests if isinstance(digests, dict) else {}
    for name in PARTS:
        found, told = getattr(bundle, name), digests.get(name)
        if name not in LISTED:
            _check_part(_digest(found), told, WORDS[name], f"$.{name}")
            continue
        told = told if isinstance(told, list) else []
        for at, each in enumerate(found):
            digest = told[at] if at < len(told) else None
            _check_part(_digest(each), digest, f"{WORDS[name]} {at + 1}", f"$.{name}[{at}]")
        if len(found) < len(told):
            raise BundleError(
                f"{WORDS[name]} {len(found) + 1} is missing: {len(told)} were sealed",
                f"$.{name}[{len(found)}]",
            )


def _check_part(found: str, told: Any, what: str, path: str) -> None:
    if found != told:
        raise BundleError(f"{what} is not as the exporter sealed it", path)
