"""The token matrix: what must be refused, each entry one attack or mistake, and the controls that must pass."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from hypothesis import given
from hypothesis import strategies as st

from comity import errors
from comity.identity import jose, token, verify
from support.forging import GONE, MALLORY, Forger, b64

NOW_S = 1_800_000_000
ISSUER = "did:web:partner.example"
KID = f"{ISSUER}#key-1"
US = "did:web:us.example%3A8443:a"
BODY = b'{"@type":"ContractRequestMessage"}'
DIGEST = hashlib.sha256(BODY).hexdigest()
KEY = jose.SigningKey.generate("key-1")
KEYS = {KID: jose.public_key(KEY.public_jwk())}
FORGER = Forger(ISSUER, KID, US, KEY, jose.SigningKey.generate("key-1"), NOW_S, BODY)
CLAIMS, HEADER, make = FORGER.claims, FORGER.header, FORGER.make
GOOD = make()
HOSTILE = FORGER.hostile()


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
    signed = f"{b64(FORGER._with(HEADER, {'alg': alg}))}.{b64(FORGER._with(CLAIMS, {}))}"
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
