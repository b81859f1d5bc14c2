"""The token matrix: what must be refused, each entry one attack or mistake, and the controls that must pass."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from hypothesis import given
from hypothesis import strategies as st

from comity import errors
from comity.identity import jose, token, verify

NOW_S = 1_800_000_000
ISSUER = "did:web:partner.example"
KID = f"{ISSUER}#key-1"
US = "did:web:us.example%3A8443:a"
MALLORY = "did:web:mallory.example"
BODY = b'{"@type":"ContractRequestMessage"}'
DIGEST = hashlib.sha256(BODY).hexdigest()
KEY = jose.SigningKey.generate("key-1")
OTHER = jose.SigningKey.generate("key-1")
KEYS = {KID: jose.public_key(KEY.public_jwk())}
CLAIMS = {
    "iss": ISSUER,
    "sub": ISSUER,
    "aud": US,
    "jti": "urn:uuid:1",
    "iat": NOW_S,
    "exp": NOW_S + 300,
}
HEADER = {"alg": "ES256", "typ": "JWT", "kid": KID}
GONE = object()


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def raw(header: bytes, claims: bytes, key: jose.SigningKey = KEY) -> str:
    """Sign any bytes as a compact JWS."""
    signed = f"{b64(header)}.{b64(claims)}"
    return f"{signed}.{b64(jose._es256.sign(signed.encode(), key._key))}"


def _with(base: dict, changes: dict) -> bytes:
    return json.dumps({k: v for k, v in {**base, **changes}.items() if v is not GONE}).encode()


def make(header: dict | None = None, key: jose.SigningKey = KEY, **claims) -> str:
    return raw(_with(HEADER, header or {}), _with(CLAIMS, claims), key)


def hs256(secret: bytes, alg: str = "HS256") -> str:
    signed = f"{b64(_with(HEADER, {'alg': alg}))}.{b64(_with(CLAIMS, {}))}"
    return f"{signed}.{b64(hmac.digest(secret, signed.encode(), 'sha256'))}"


def stripped(alg: str) -> str:
    return f"{b64(_with(HEADER, {'alg': alg}))}.{b64(_with(CLAIMS, {}))}."


GOOD = make()
HEAD, PAYLOAD, SIGNATURE = GOOD.split(".")
PUBLIC_PEM = KEY._key.as_pem(private=False)
CLAIMS_TEXT = json.dumps(CLAIMS)
_flipped = ("B" if SIGNATURE[10] != "B" else "C").join((SIGNATURE[:10], SIGNATURE[11:]))
_loose_end = SIGNATURE[:-1] + chr(ord(SIGNATURE[-1]) + 1)

HOSTILE = [
    # the algorithm
    ("alg-none", stripped("none"), "algorithm"),
    ("alg-None", stripped("None"), "algorithm"),
    ("alg-nOnE", stripped("nOnE"), "algorithm"),
    ("alg-empty", stripped(""), "algorithm"),
    ("alg-none-with-signature", make({"alg": "none"}), "algorithm"),
    ("alg-missing", make({"alg": GONE}), "algorithm"),
    ("alg-null", make({"alg": None}), "algorithm"),
    ("alg-list", make({"alg": ["ES256"]}), "algorithm"),
    ("alg-object", make({"alg": {"ES256": 1}}), "algorithm"),
    ("alg-lower-case", make({"alg": "es256"}), "algorithm"),
    ("alg-with-space", make({"alg": "ES256 "}), "algorithm"),
    ("hs256-with-public-pem", hs256(PUBLIC_PEM), "algorithm"),
    ("hs256-with-public-x", hs256(KEY.public_jwk()["x"].encode()), "algorithm"),
    ("hs256-under-es256-name", hs256(PUBLIC_PEM, "ES256"), "signature"),
    ("rs256", make({"alg": "RS256"}), "algorithm"),
    ("ps256", make({"alg": "PS256"}), "algorithm"),
    ("es384", make({"alg": "ES384"}), "algorithm"),
    ("es256k", make({"alg": "ES256K"}), "algorithm"),
    ("eddsa-name-on-ec-key", make({"alg": "EdDSA"}), "algorithm"),
    ("ed25519-name-on-ec-key", make({"alg": "Ed25519"}), "algorithm"),
    # the signature
    ("signature-stripped", f"{HEAD}.{PAYLOAD}.", "signature"),
    ("signature-zero", f"{HEAD}.{PAYLOAD}.{b64(bytes(64))}", "signature"),
    ("signature-63-bytes", f"{HEAD}.{PAYLOAD}.{b64(bytes(63))}", "signature"),
    ("signature-flipped", f"{HEAD}.{PAYLOAD}.{_flipped}", "signature"),
    ("signature-of-other-key", make(key=OTHER), "signature"),
    ("signature-of-other-token", f"{HEAD}.{b64(_with(CLAIMS, {'jti': 'x'}))}.{SIGNATURE}", "signature"),
    ("signature-loose-end-bits", f"{HEAD}.{PAYLOAD}.{_loose_end}", "format"),
    ("signature-padded", f"{GOOD}==", "format"),
    ("header-swapped", f"{b64(_with(HEADER, {'x': 1}))}.{PAYLOAD}.{SIGNATURE}", "signature"),
    # keys that the token brings along
    ("jwk-injected", make({"jwk": OTHER.public_jwk()}, OTHER), "header"),
    ("jku-injected", make({"jku": "https://mallory.example/keys"}, OTHER), "header"),
    ("x5u-injected", make({"x5u": "https://mallory.example/cert"}, OTHER), "header"),
    ("x5c-injected", make({"x5c": ["MIIB"]}, OTHER), "header"),
    ("sub-jwk", make(sub_jwk=OTHER.public_jwk()), "subject"),
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
    ("kid-list", make({"kid": [KID]}), "kid"),
    ("kid-fragment-only", make({"kid": "#key-1"}), "kid"),
    ("kid-without-fragment", make({"kid": ISSUER}), "kid"),
    ("kid-empty-fragment", make({"kid": ISSUER + "#"}), "kid"),
    ("kid-two-fragments", make({"kid": KID + "#x"}), "kid"),
    ("kid-path", make({"kid": "../../../../dev/null"}), "kid"),
    ("kid-sql", make({"kid": "' OR 1=1 --"}), "kid"),
    ("kid-url", make({"kid": "https://mallory.example#key-1"}), "kid"),
    ("kid-space", make({"kid": "did:web:partner.example #key-1"}), "kid"),
    ("kid-new-line", make({"kid": KID + "\n"}), "kid"),
    ("kid-nul", make({"kid": KID + "\0"}), "kid"),
    ("kid-long", make({"kid": f"{ISSUER}#{'k' * 1100}"}), "kid"),
    ("kid-unknown", make({"kid": f"{ISSUER}#key-2"}), "kid"),
    ("kid-case", make({"kid": f"{ISSUER}#KEY-1"}), "kid"),
    # who it is from
    ("iss-of-other-did", make(iss=MALLORY, sub=MALLORY), "issuer"),
    ("kid-of-other-did", make({"kid": f"{MALLORY}#key-1"}, OTHER), "issuer"),
    ("iss-prefix", make(iss=ISSUER[:-1], sub=ISSUER[:-1]), "issuer"),
    ("iss-suffix", make(iss=ISSUER + ".evil.com", sub=ISSUER + ".evil.com"), "issuer"),
    ("iss-case", make(iss=ISSUER.upper(), sub=ISSUER.upper()), "issuer"),
    ("iss-trailing-slash", make(iss=ISSUER + "/", sub=ISSUER + "/"), "issuer"),
    ("iss-trailing-colon", make(iss=ISSUER + ":", sub=ISSUER + ":"), "issuer"),
    ("iss-homograph", make(iss=ISSUER.replace("a", "а"), sub=ISSUER.replace("a", "а")), "issuer"),
    ("iss-missing", make(iss=GONE), "issuer"),
    ("iss-list", make(iss=[ISSUER]), "issuer"),
    ("sub-other", make(sub=MALLORY), "subject"),
    ("sub-missing", make(sub=GONE), "subject"),
    ("sub-list", make(sub=[ISSUER]), "subject"),
    # who it is for
    ("aud-missing", make(aud=GONE), "audience"),
    ("aud-null", make(aud=None), "audience"),
    ("aud-other", make(aud=MALLORY), "audience"),
    ("aud-prefix", make(aud=US[:-1]), "audience"),
    ("aud-suffix", make(aud=US + "b"), "audience"),
    ("aud-case", make(aud=US.lower()), "audience"),
    ("aud-empty-list", make(aud=[]), "audience"),
    ("aud-list-of-others", make(aud=[MALLORY, ISSUER]), "audience"),
    ("aud-list-with-number", make(aud=[US, 1]), "audience"),
    ("aud-nested-list", make(aud=[[US]]), "audience"),
    ("aud-object", make(aud={US: US}), "audience"),
    ("aud-true", make(aud=True), "audience"),
    # when
    ("exp-missing", make(exp=GONE), "expiry"),
    ("exp-null", make(exp=None), "expiry"),
    ("exp-text", make(exp=str(NOW_S + 300)), "expiry"),
    ("exp-true", make(exp=True), "expiry"),
    ("exp-negative", make(exp=-1), "expiry"),
    ("exp-huge", make(exp=10**400), "expiry"),
    ("exp-nan", raw(_with(HEADER, {}), CLAIMS_TEXT.replace(str(NOW_S + 300), "NaN").encode()), "format"),
    (
        "exp-infinity",
        raw(_with(HEADER, {}), CLAIMS_TEXT.replace(str(NOW_S + 300), "1e999").encode()),
        "expiry",
    ),
    ("expired-91-s", make(iat=NOW_S - 391, exp=NOW_S - 91), "expiry"),
    ("expired-90-s", make(iat=NOW_S - 390, exp=NOW_S - 90), "expiry"),
    ("expired-a-year", make(iat=NOW_S - 31_536_300, exp=NOW_S - 31_536_000), "expiry"),
    ("exp-in-milliseconds", make(exp=(NOW_S + 300) * 1000), "lifetime"),
    ("lifetime-601-s", make(exp=NOW_S + 601), "lifetime"),
    ("exp-before-iat", make(iat=NOW_S + 30, exp=NOW_S + 20), "lifetime"),
    ("exp-equals-iat", make(exp=NOW_S), "lifetime"),
    ("iat-missing", make(iat=GONE), "expiry"),
    ("iat-text", make(iat="now"), "expiry"),
    ("iat-in-future", make(iat=NOW_S + 91, exp=NOW_S + 300), "not-before"),
    ("nbf-in-future", make(nbf=NOW_S + 91), "not-before"),
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
    ("body-upper-case", make(body_sha256=DIGEST.upper()), "body"),
    ("body-null", make(body_sha256=None), "body"),
    ("body-list", make(body_sha256=[DIGEST]), "body"),
    ("body-not-ascii", make(body_sha256="é" * 64), "body"),
    ("body-lone-surrogate", make(body_sha256="\ud800"), "body"),
    # the form
    ("empty", "", "format"),
    ("word", "token", "format"),
    ("two-parts", f"{HEAD}.{PAYLOAD}", "format"),
    ("four-parts", f"{GOOD}.x", "format"),
    ("five-parts-jwe", "a.b.c.d.e", "format"),
    ("dots", "..", "format"),
    ("new-line-inside", f"{HEAD}.{PAYLOAD}\n.{SIGNATURE}", "format"),
    ("new-line-behind", f"{GOOD}\n", "format"),
    ("space-before", f" {GOOD}", "format"),
    ("plain-base64", f"{HEAD}.a+/b.{SIGNATURE}", "format"),
    ("json-serialization", json.dumps({"payload": PAYLOAD, "signature": SIGNATURE}), "format"),
    ("not-ascii", f"{HEAD}.{PAYLOAD}.é", "format"),
    ("1-MB", "a" * 1_000_000, "size"),
    ("claims-over-8-KiB", make(token="t" * 8192), "size"),
    ("header-over-2-KiB", make({"x": "x" * 2000}), "format"),
    ("header-array", raw(b"[]", b"{}"), "format"),
    ("header-text", raw(b'"ES256"', b"{}"), "format"),
    ("header-not-json", raw(b"{", b"{}"), "format"),
    ("header-not-utf-8", raw(b'{"alg":"\xff"}', b"{}"), "format"),
    ("header-bom", raw(b"\xef\xbb\xbf" + _with(HEADER, {}), _with(CLAIMS, {})), "format"),
    ("header-alg-twice", raw(b'{"alg":"none",' + _with(HEADER, {})[1:], _with(CLAIMS, {})), "format"),
    ("claims-null", raw(_with(HEADER, {}), b"null"), "format"),
    ("claims-array", raw(_with(HEADER, {}), b"[]"), "format"),
    ("claims-number", raw(_with(HEADER, {}), b"1"), "format"),
    ("claims-deep", raw(_with(HEADER, {}), b'{"a":' + b"[" * 5000), "format"),
    ("claims-5000-digits", raw(_with(HEADER, {}), b'{"exp":' + b"9" * 5000 + b"}"), "format"),
    ("claims-iss-twice", raw(_with(HEADER, {}), b'{"iss":"x",' + _with(CLAIMS, {})[1:]), "format"),
    (
        "claims-aud-twice",
        raw(_with(HEADER, {}), b'{"aud":"' + US.encode() + b'",' + _with(CLAIMS, {})[1:]),
        "format",
    ),
    ("claims-trailing", raw(_with(HEADER, {}), _with(CLAIMS, {}) + b"{}"), "format"),
    ("token-in-token", raw(_with(HEADER, {}), GOOD.encode()), "format"),
]


def check(text: str, *, keys=KEYS, now_s=NOW_S, body_sha256: str | None = DIGEST, audience=US):
    return verify.verify(text, keys=keys, audience=audience, now_s=now_s, body_sha256=body_sha256)


@pytest.mark.parametrize(("text", "step"), [case[1:] for case in HOSTILE], ids=[case[0] for case in HOSTILE])
def test_hostile_token_is_refused_at_its_step(text, step):
    with pytest.raises(errors.IdentityError) as caught:
        check(text)
    assert caught.value.step == step
    assert len(caught.value.message) < 600


def test_the_table_of_hostile_tokens_is_as_long_as_it_should_be():
    assert len({case[0] for case in HOSTILE}) == len(HOSTILE) >= 80


ACCEPTED = [
    ("plain", make()),
    ("audience-in-list", make(aud=[MALLORY, US])),
    ("without-typ", make({"typ": GONE})),
    ("typ-lower-case", make({"typ": "jwt"})),
    ("unknown-header-member", make({"x5t": "abc"})),
    ("expired-89-s-ago", make(iat=NOW_S - 389, exp=NOW_S - 89)),
    ("iat-90-s-ahead", make(iat=NOW_S + 90, exp=NOW_S + 300)),
    ("nbf-90-s-ahead", make(nbf=NOW_S + 90)),
    ("lifetime-600-s", make(exp=NOW_S + 600)),
    ("times-with-fraction", make(iat=NOW_S - 0.5, exp=NOW_S + 299.5)),
    ("jti-256", make(jti="j" * 256)),
    ("claim-token", make(token="opaque")),
    ("unknown-claim", make(scope="x")),
]


@pytest.mark.parametrize("text", [case[1] for case in ACCEPTED], ids=[case[0] for case in ACCEPTED])
def test_good_token_passes(text):
    assert check(text).issuer == ISSUER


def test_issued_token_passes_with_its_body():
    text = token.issue(KEY, issuer=ISSUER, audience=US, jti="1", now_s=NOW_S, body_sha256=DIGEST, token="t")
    assert check(text) == verify.Verified(ISSUER, "1", NOW_S + 390, body_bound=True)


@pytest.mark.parametrize("skew_s", [-90, -60, 0, 60, 90])
def test_a_partner_whose_clock_is_90_s_off_is_believed(skew_s):
    text = token.issue(KEY, issuer=ISSUER, audience=US, jti="1", now_s=NOW_S + skew_s, body_sha256=DIGEST)
    assert check(text).issuer == ISSUER


@pytest.mark.parametrize(("skew_s", "step"), [(-600, "expiry"), (91, "not-before"), (600, "not-before")])
def test_a_partner_whose_clock_is_minutes_off_is_refused(skew_s, step):
    text = token.issue(KEY, issuer=ISSUER, audience=US, jti="1", now_s=NOW_S + skew_s, body_sha256=DIGEST)
    with pytest.raises(errors.IdentityError) as caught:
        check(text)
    assert caught.value.step == step
    assert "clock" in caught.value.hint


def test_token_without_body_digest_says_that_nothing_is_bound():
    assert check(make(), body_sha256=None).body_bound is False


def test_token_that_binds_a_body_is_refused_where_there_is_none():
    with pytest.raises(errors.IdentityError, match="body_sha256"):
        check(make(body_sha256=DIGEST), body_sha256=None)


def test_remembering_lasts_as_long_as_the_token_can_pass():
    good = check(make())
    assert check(make(), now_s=good.expires_at_s - 1) == good
    with pytest.raises(errors.IdentityError, match="expired"):
        check(make(), now_s=good.expires_at_s)


def test_what_peek_returned_can_be_verified():
    assert check(verify.peek(GOOD)) == check(GOOD)
    assert (verify.peek(GOOD).issuer, verify.peek(GOOD).kid) == (ISSUER, KID)


def test_no_keys_means_no():
    with pytest.raises(errors.IdentityError) as caught:
        check(GOOD, keys={})
    assert caught.value.step == "kid"


def test_refused_header_is_refused_again():
    for _ in range(2):
        with pytest.raises(errors.IdentityError):
            check(make({"jku": "https://mallory.example"}))


@pytest.mark.parametrize("alg", ["EdDSA", "Ed25519"])
def test_ed25519_passes_under_both_names(alg):
    private = ed25519.Ed25519PrivateKey.generate()
    point = private.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    keys = {KID: jose.public_key({"kty": "OKP", "crv": "Ed25519", "x": b64(point)})}
    signed = f"{b64(_with(HEADER, {'alg': alg}))}.{b64(_with(CLAIMS, {}))}"
    good = f"{signed}.{b64(private.sign(signed.encode()))}"
    assert check(good, keys=keys).issuer == ISSUER
    with pytest.raises(errors.IdentityError) as caught:
        check(f"{signed}.{b64(private.sign(b'other'))}", keys=keys)
    assert caught.value.step == "signature"
    with pytest.raises(errors.IdentityError) as caught:
        check(GOOD, keys=keys)
    assert caught.value.step == "algorithm"


@pytest.mark.parametrize("header", ["Bearer abc", "bearer abc", "BEARER  abc "])
def test_bearer_is_read_whatever_its_case(header):
    assert verify.read_bearer(header) == "abc"


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "abc", "Basic abc", "Bearerabc", '{"clientId":"a"}']
)
def test_header_without_bearer_is_refused(header):
    with pytest.raises(errors.IdentityError) as caught:
        verify.read_bearer(header)
    assert caught.value.step == "header"


@given(st.integers(0, len(GOOD) - 1), st.characters(min_codepoint=1, max_codepoint=0x2FF))
def test_token_with_any_other_character_anywhere_is_refused(place, character):
    changed = GOOD[:place] + character + GOOD[place + 1 :]
    if changed != GOOD:
        with pytest.raises(errors.IdentityError):
            check(changed)


@given(st.text())
def test_any_text_as_a_token_is_refused_with_our_error(text):
    with pytest.raises(errors.IdentityError):
        check(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from([*CLAIMS, "nbf", "body_sha256"]), JSON)
def test_claim_of_any_kind_is_accepted_or_refused_with_our_error(name, value):
    try:
        passed = check(make(**{name: value}))
    except errors.IdentityError:
        return
    assert passed.issuer == ISSUER
