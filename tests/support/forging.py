"""Tokens as an attacker or a broken connector makes them: each with the check that has to refuse it.

The unit test of `identity.verify` takes them one by one; the tests of the listener send them.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import Any

from comity.identity import jose

MALLORY = "did:web:mallory.example"
GONE = object()


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass
class Forger:
    """Makes tokens of `issuer`, whose key `key` is under `kid`; `other` is a key that is not there."""

    issuer: str
    kid: str
    us: str
    key: jose.SigningKey
    other: jose.SigningKey
    now_s: int
    body: bytes
    jti: str = "urn:uuid:1"

    @property
    def header(self) -> dict[str, Any]:
        return {"alg": "ES256", "typ": "JWT", "kid": self.kid}

    @property
    def claims(self) -> dict[str, Any]:
        claims = {"iss": self.issuer, "sub": self.issuer, "aud": self.us, "jti": self.jti}
        return {**claims, "iat": self.now_s, "exp": self.now_s + 300}

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.body).hexdigest()

    def raw(self, header: bytes, claims: bytes, key: jose.SigningKey | None = None) -> str:
        """Sign any bytes as a compact JWS."""
        signed = f"{b64(header)}.{b64(claims)}"
        return f"{signed}.{b64((key or self.key).signature(signed.encode()))}"

    def _with(self, base: dict, changes: dict) -> bytes:
        return json.dumps({k: v for k, v in {**base, **changes}.items() if v is not GONE}).encode()

    def make(self, header: dict | None = None, key: jose.SigningKey | None = None, **claims) -> str:
        """A good token, with changes; GONE takes a member away."""
        return self.raw(self._with(self.header, header or {}), self._with(self.claims, claims), key)

    def hs256(self, secret: bytes, alg: str = "HS256") -> str:
        signed = f"{b64(self._with(self.header, {'alg': alg}))}.{b64(self._with(self.claims, {}))}"
        return f"{signed}.{b64(hmac.digest(secret, signed.encode(), 'sha256'))}"

    def stripped(self, alg: str) -> str:
        return f"{b64(self._with(self.header, {'alg': alg}))}.{b64(self._with(self.claims, {}))}."

    def hostile(self) -> list[tuple[str, str, str]]:
        """Name, token, and the step of the check that refuses it."""
        good = self.make()
        head, payload, signature = good.split(".")
        pem = self.key._key.as_pem(private=False)
        flipped = ("B" if signature[10] != "B" else "C").join((signature[:10], signature[11:]))
        loose_end = signature[:-1] + chr(ord(signature[-1]) + 1)
        make, raw, iss = self.make, self.raw, self.issuer
        plain_head, plain = self._with(self.header, {}), self._with(self.claims, {})
        text = json.dumps(self.claims)
        return [
            # the algorithm
            ("alg-none", self.stripped("none"), "algorithm"),
            ("alg-None", self.stripped("None"), "algorithm"),
            ("alg-nOnE", self.stripped("nOnE"), "algorithm"),
            ("alg-empty", self.stripped(""), "algorithm"),
            ("alg-none-with-signature", make({"alg": "none"}), "algorithm"),
            ("alg-missing", make({"alg": GONE}), "algorithm"),
            ("alg-null", make({"alg": None}), "algorithm"),
            ("alg-list", make({"alg": ["ES256"]}), "algorithm"),
            ("alg-object", make({"alg": {"ES256": 1}}), "algorithm"),
            ("alg-lower-case", make({"alg": "es256"}), "algorithm"),
            ("alg-with-space", make({"alg": "ES256 "}), "algorithm"),
            ("hs256-with-public-pem", self.hs256(pem), "algorithm"),
            ("hs256-with-public-x", self.hs256(self.key.public_jwk()["x"].encode()), "algorithm"),
            ("hs256-under-es256-name", self.hs256(pem, "ES256"), "signature"),
            ("rs256", make({"alg": "RS256"}), "algorithm"),
            ("ps256", make({"alg": "PS256"}), "algorithm"),
            ("es384", make({"alg": "ES384"}), "algorithm"),
            ("es256k", make({"alg": "ES256K"}), "algorithm"),
            ("eddsa-name-on-ec-key", make({"alg": "EdDSA"}), "algorithm"),
            ("ed25519-name-on-ec-key", make({"alg": "Ed25519"}), "algorithm"),
            # the signature
            ("signature-stripped", f"{head}.{payload}.", "signature"),
            ("signature-zero", f"{head}.{payload}.{b64(bytes(64))}", "signature"),
            ("signature-63-bytes", f"{head}.{payload}.{b64(bytes(63))}", "signature"),
            ("signature-flipped", f"{head}.{payload}.{flipped}", "signature"),
            ("signature-of-other-key", make(key=self.other), "signature"),
            (
                "signature-of-other-token",
                f"{head}.{b64(self._with(self.claims, {'jti': 'x'}))}.{signature}",
                "signature",
            ),
            ("signature-loose-end-bits", f"{head}.{payload}.{loose_end}", "format"),
            ("signature-padded", f"{good}==", "format"),
            (
                "header-swapped",
                f"{b64(self._with(self.header, {'x': 1}))}.{payload}.{signature}",
                "signature",
            ),
            # keys that the token brings along
            ("jwk-injected", make({"jwk": self.other.public_jwk()}, self.other), "header"),
            ("jku-injected", make({"jku": "https://mallory.example/keys"}, self.other), "header"),
            ("x5u-injected", make({"x5u": "https://mallory.example/cert"}, self.other), "header"),
            ("x5c-injected", make({"x5c": ["MIIB"]}, self.other), "header"),
            ("sub-jwk", make(sub_jwk=self.other.public_jwk()), "subject"),
            ("crit-unknown", make({"crit": ["exp"], "exp": 1}), "header"),
            ("crit-empty", make({"crit": []}), "header"),
            ("crit-b64", make({"crit": ["b64"], "b64": False}), "header"),
            ("zip", make({"zip": "DEF"}), "header"),
            ("nested", make({"cty": "JWT"}), "header"),
            ("typ-other", make({"typ": "vp+jwt"}), "header"),
            ("typ-number", make({"typ": 1}), "header"),
            # the key's id
            ("kid-missing", make({"kid": GONE}), "kid"),
            ("kid-null", make({"kid": None}), "kid"),
            ("kid-number", make({"kid": 1}), "kid"),
            ("kid-list", make({"kid": [self.kid]}), "kid"),
            ("kid-fragment-only", make({"kid": "#key-1"}), "kid"),
            ("kid-without-fragment", make({"kid": iss}), "kid"),
            ("kid-empty-fragment", make({"kid": iss + "#"}), "kid"),
            ("kid-two-fragments", make({"kid": self.kid + "#x"}), "kid"),
            ("kid-path", make({"kid": "../../../../dev/null"}), "kid"),
            ("kid-sql", make({"kid": "' OR 1=1 --"}), "kid"),
            ("kid-url", make({"kid": "https://mallory.example#key-1"}), "kid"),
            ("kid-space", make({"kid": "did:web:partner.example #key-1"}), "kid"),
            ("kid-new-line", make({"kid": self.kid + "\n"}), "kid"),
            ("kid-nul", make({"kid": self.kid + "\0"}), "kid"),
            ("kid-long", make({"kid": f"{iss}#{'k' * 1100}"}), "kid"),
            ("kid-unknown", make({"kid": f"{iss}#key-2"}), "kid"),
            ("kid-case", make({"kid": f"{iss}#KEY-1"}), "kid"),
            # who it is from
            ("iss-of-other-did", make(iss=MALLORY, sub=MALLORY), "issuer"),
            ("kid-of-other-did", make({"kid": f"{MALLORY}#key-1"}, self.other), "issuer"),
            ("iss-prefix", make(iss=iss[:-1], sub=iss[:-1]), "issuer"),
            ("iss-suffix", make(iss=iss + ".evil.com", sub=iss + ".evil.com"), "issuer"),
            ("iss-case", make(iss=iss.upper(), sub=iss.upper()), "issuer"),
            ("iss-trailing-slash", make(iss=iss + "/", sub=iss + "/"), "issuer"),
            ("iss-trailing-colon", make(iss=iss + ":", sub=iss + ":"), "issuer"),
            (
                "iss-homograph",
                make(iss=iss.replace("e", "е"), sub=iss.replace("e", "е")),
                "issuer",
            ),
            ("iss-missing", make(iss=GONE), "issuer"),
            ("iss-list", make(iss=[iss]), "issuer"),
            ("sub-other", make(sub=MALLORY), "subject"),
            ("sub-missing", make(sub=GONE), "subject"),
            ("sub-list", make(sub=[iss]), "subject"),
            # who it is for
            ("aud-missing", make(aud=GONE), "audience"),
            ("aud-null", make(aud=None), "audience"),
            ("aud-other", make(aud=MALLORY), "audience"),
            ("aud-prefix", make(aud=self.us[:-1]), "audience"),
            ("aud-suffix", make(aud=self.us + "b"), "audience"),
            ("aud-case", make(aud=self.us.lower()), "audience"),
            ("aud-empty-list", make(aud=[]), "audience"),
            ("aud-list-of-others", make(aud=[MALLORY, iss]), "audience"),
            ("aud-list-with-number", make(aud=[self.us, 1]), "audience"),
            ("aud-nested-list", make(aud=[[self.us]]), "audience"),
            ("aud-object", make(aud={self.us: self.us}), "audience"),
            ("aud-true", make(aud=True), "audience"),
            # when
            ("exp-missing", make(exp=GONE), "expiry"),
            ("exp-null", make(exp=None), "expiry"),
            ("exp-text", make(exp=str(self.now_s + 300)), "expiry"),
            ("exp-true", make(exp=True), "expiry"),
            ("exp-negative", make(exp=-1), "expiry"),
            ("exp-huge", make(exp=10**400), "expiry"),
            (
                "exp-nan",
                raw(
                    plain_head,
                    text.replace(str(self.now_s + 300), "NaN").encode(),
                ),
                "format",
            ),
            (
                "exp-infinity",
                raw(
                    plain_head,
                    text.replace(str(self.now_s + 300), "1e999").encode(),
                ),
                "expiry",
            ),
            ("expired-91-s", make(iat=self.now_s - 391, exp=self.now_s - 91), "expiry"),
            ("expired-90-s", make(iat=self.now_s - 390, exp=self.now_s - 90), "expiry"),
            ("expired-a-year", make(iat=self.now_s - 31_536_300, exp=self.now_s - 31_536_000), "expiry"),
            ("exp-in-milliseconds", make(exp=(self.now_s + 300) * 1000), "lifetime"),
            ("lifetime-601-s", make(exp=self.now_s + 601), "lifetime"),
            ("exp-before-iat", make(iat=self.now_s + 30, exp=self.now_s + 20), "lifetime"),
            ("exp-equals-iat", make(exp=self.now_s), "lifetime"),
            ("iat-missing", make(iat=GONE), "expiry"),
            ("iat-text", make(iat="now"), "expiry"),
            ("iat-in-future", make(iat=self.now_s + 91, exp=self.now_s + 300), "not-before"),
            ("nbf-in-future", make(nbf=self.now_s + 91), "not-before"),
            ("nbf-text", make(nbf="soon"), "expiry"),
            ("nbf-null", make(nbf=None), "expiry"),
            # the id of the token
            ("jti-missing", make(jti=GONE), "jti"),
            ("jti-empty", make(jti=""), "jti"),
            ("jti-number", make(jti=7), "jti"),
            ("jti-list", make(jti=["a"]), "jti"),
            ("jti-257", make(jti="j" * 257), "jti"),
            ("jti-nul", make(jti="a\0b"), "jti"),
            ("jti-lone-surrogate", make(jti="\ud800"), "jti"),
            # the body
            ("body-other", make(body_sha256=hashlib.sha256(b"other").hexdigest()), "body"),
            ("body-upper-case", make(body_sha256=self.digest.upper()), "body"),
            ("body-null", make(body_sha256=None), "body"),
            ("body-list", make(body_sha256=[self.digest]), "body"),
            ("body-not-ascii", make(body_sha256="é" * 64), "body"),
            ("body-lone-surrogate", make(body_sha256="\ud800"), "body"),
            # the form
            ("empty", "", "format"),
            ("word", "token", "format"),
            ("two-parts", f"{head}.{payload}", "format"),
            ("four-parts", f"{good}.x", "format"),
            ("five-parts-jwe", "a.b.c.d.e", "format"),
            ("dots", "..", "format"),
            ("new-line-inside", f"{head}.{payload}\n.{signature}", "format"),
            ("new-line-behind", f"{good}\n", "format"),
            ("space-before", f" {good}", "format"),
            ("plain-base64", f"{head}.a+/b.{signature}", "format"),
            ("json-serialization", json.dumps({"payload": payload, "signature": signature}), "format"),
            ("not-ascii", f"{head}.{payload}.é", "format"),
            ("1-MB", "a" * 1_000_000, "size"),
            ("claims-over-8-KiB", make(token="t" * 8192), "size"),
            ("header-over-2-KiB", make({"x": "x" * 2000}), "format"),
            ("header-array", raw(b"[]", b"{}"), "format"),
            ("header-text", raw(b'"ES256"', b"{}"), "format"),
            ("header-not-json", raw(b"{", b"{}"), "format"),
            ("header-not-utf-8", raw(b'{"alg":"\xff"}', b"{}"), "format"),
            (
                "header-bom",
                raw(b"\xef\xbb\xbf" + plain_head, plain),
                "format",
            ),
            (
                "header-alg-twice",
                raw(b'{"alg":"none",' + plain_head[1:], plain),
                "format",
            ),
            ("claims-null", raw(plain_head, b"null"), "format"),
            ("claims-array", raw(plain_head, b"[]"), "format"),
            ("claims-number", raw(plain_head, b"1"), "format"),
            ("claims-deep", raw(plain_head, b'{"a":' + b"[" * 5000), "format"),
            (
                "claims-5000-digits",
                raw(plain_head, b'{"exp":' + b"9" * 5000 + b"}"),
                "format",
            ),
            (
                "claims-iss-twice",
                raw(plain_head, b'{"iss":"x",' + plain[1:]),
                "format",
            ),
            (
                "claims-aud-twice",
                raw(
                    plain_head,
                    b'{"aud":"' + self.us.encode() + b'",' + plain[1:],
                ),
                "format",
            ),
            (
                "claims-trailing",
                raw(plain_head, plain + b"{}"),
                "format",
            ),
            ("token-in-token", raw(plain_head, good.encode()), "format"),
        ]
