from __future__ import annotations

import base64
import json

from comity.identity import jose, token

US = "did:web:us.example"


def parts(text: str) -> tuple[dict, dict]:
    head, payload, _ = text.split(".")
    return tuple(json.loads(base64.urlsafe_b64decode(one + "==")) for one in (head, payload))


def test_token_has_the_claims_of_a_self_issued_token():
    key = jose.SigningKey.generate("key-1")
    header, claims = parts(token.issue(key, issuer=US, audience="did:web:b", jti="j", now_s=100))
    assert header == {"alg": "ES256", "typ": "JWT", "kid": "did:web:us.example#key-1"}
    assert claims == {
        "iss": US, "sub": US, "aud": "did:web:b", "jti": "j", "iat": 100, "nbf": 100, "exp": 400,
    }  # fmt: skip


def test_token_carries_body_digest_and_access_token_when_given():
    key = jose.SigningKey.generate("did:web:us.example#key-2")
    text = token.issue(
        key, issuer=US, audience="b", jti="j", now_s=0, lifetime_s=60, body_sha256="ab", token="inner"
    )
    header, claims = parts(text)
    assert header["kid"] == "did:web:us.example#key-2"
    assert (claims["body_sha256"], claims["token"], claims["exp"]) == ("ab", "inner", 60)
