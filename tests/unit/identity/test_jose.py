from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from joserfc.jwk import ECKey
from joserfc.jws import deserialize_compact

from comity import errors
from comity.identity import jose

KEY = jose.SigningKey.generate("key-1")
JWK = KEY.public_jwk()
RFC8037_X = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"


def test_another_library_path_accepts_what_we_sign():
    told = deserialize_compact(KEY.sign({"a": 1}), ECKey.import_key(JWK), algorithms=["ES256"])
    assert (told.headers(), told.payload) == ({"alg": "ES256", "typ": "JWT", "kid": "key-1"}, b'{"a":1}')


def test_every_signature_is_made_over_its_own_claims():
    first, second = KEY.sign({"a": 1}), KEY.sign({"a": 2}, kid="did:web:h#other")
    assert first.split(".")[1] != second.split(".")[1]
    assert KEY.sign({"a": 1}).rpartition(".")[0] == first.rpartition(".")[0]
    assert (
        deserialize_compact(second, ECKey.import_key(JWK), algorithms=["ES256"]).headers()["kid"]
        == "did:web:h#other"
    )


def test_key_survives_its_pem_file():
    pem = KEY.dump_pem()
    assert b"PRIVATE KEY" in pem
    again = jose.SigningKey.load_pem("key-1", pem)
    assert again.public_jwk() == JWK


def test_public_jwk_has_no_private_member():
    assert set(JWK) == {"kty", "crv", "x", "y", "alg", "kid"}


def _pem(private) -> bytes:
    return private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"not a key",
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        _pem(rsa.generate_private_key(65537, 2048)),
        _pem(ec.generate_private_key(ec.SECP384R1())),
        _pem(ec.generate_private_key(ec.SECP256K1())),
        KEY._key.as_pem(private=False),
    ],
    ids=["empty", "text", "broken", "rsa", "p-384", "secp256k1", "public-half"],
)
def test_file_that_is_no_private_p256_key_is_refused_with_its_name(pem):
    with pytest.raises(errors.SettingsError, match="key-9"):
        jose.SigningKey.load_pem("key-9", pem)


@pytest.mark.parametrize("kid", ["", "a b", "é", "x" * 1025, "a\n"])
def test_key_id_that_cannot_stand_in_a_header_is_refused(kid):
    with pytest.raises(errors.SettingsError):
        jose.SigningKey.generate(kid)


@pytest.mark.parametrize(
    "change",
    [
        {"d": "AAAA"},
        {"kty": "oct", "k": "AAAA"},
        {"kty": "RSA"},
        {"kty": None},
        {"kty": ["EC"]},
        {"crv": "P-384"},
        {"crv": "secp256k1"},
        {"crv": None},
        {"x": JWK["y"]},
        {"x": "A" * 43},
        {"x": ""},
        {"x": 1},
        {"y": None},
        {"x": "A" * 5000},
        {"use": "enc"},
        {"key_ops": ["sign"]},
        {"key_ops": "verify"},
        {"alg": "HS256"},
        {"alg": "EdDSA"},
        {"alg": ["ES256"]},
    ],
)
def test_key_that_must_not_verify_is_refused(change):
    with pytest.raises(errors.IdentityError) as caught:
        jose.public_key({**JWK, **change})
    assert caught.value.step == "key"


def test_key_with_all_that_is_allowed_is_taken():
    key = jose.public_key({**JWK, "use": "sig", "key_ops": ["verify"], "x5t": "ignored"})
    assert key.algorithms == {"ES256"}


def test_named_algorithm_narrows_an_ed25519_key():
    key = {"kty": "OKP", "crv": "Ed25519", "x": RFC8037_X}
    assert jose.public_key(key).algorithms == {"EdDSA", "Ed25519"}
    assert jose.public_key({**key, "alg": "Ed25519"}).algorithms == {"Ed25519"}


def test_thumbprint_is_that_of_rfc_8037():
    assert jose.thumbprint({"kty": "OKP", "crv": "Ed25519", "x": RFC8037_X, "kid": "any"}) == (
        "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    )


@pytest.mark.parametrize("data", [b"", b"a", b"ab", b"abc", bytes(range(256))])
def test_segments_come_back_as_they_were(data):
    assert jose.decode_segment(jose.encode_segment(data)) == data


@pytest.mark.parametrize("segment", [b"YQ==", b"YR", b"Y", b"a+b/", b"YQ\n", b" YQ", b"YWI.", b"YWL"])
def test_segment_in_another_spelling_is_refused(segment):
    with pytest.raises(ValueError, match=r"."):
        jose.decode_segment(segment)


@pytest.mark.parametrize(
    "data", [b"[]", b"1", b"", b'{"a":1,"a":1}', b'{"a":NaN}', b"\xff", b'{"a":' + b"[" * 100_000]
)
def test_json_that_two_readers_could_read_differently_is_refused(data):
    with pytest.raises(ValueError, match=r"."):
        jose.decode_object(data)
