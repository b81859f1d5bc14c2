import json

import pytest

from comity.errors import IdentityError
from comity.identity import jose
from comity.identity import token as tokens
from comity.techdata import manifest
from comity.techdata import seal as seals

DID = "did:web:alpha.example"
NOW_S = 1_800_000_000
KEY = jose.SigningKey.generate("key-1")
DATA = manifest.encode(manifest.Manifest("t", (), id="a", revision=1, sealed_by=DID))


def published(*keys):
    return {f"{DID}#{each.kid}": jose.public_key(each.public_jwk()) for each in keys}


def made(key=KEY, data=DATA, sealer=DID, at_s=NOW_S):
    return seals.make(key, data, sealer=sealer, at_s=at_s)


def check(text, data=DATA, keys=None, now_s=NOW_S):
    return seals.check(text, data, keys=published(KEY) if keys is None else keys, now_s=now_s)


def test_a_seal_says_who_has_sealed_which_manifest_when_and_with_which_key():
    assert check(made(), now_s=NOW_S + 10**9) == seals.Seal(DID, f"{DID}#key-1", NOW_S, manifest.digest(DATA))
    assert seals.sealer_of(DATA) == DID


def test_a_revoked_key_seals_nothing_any_more():
    other = jose.SigningKey.generate("key-2")
    with pytest.raises(IdentityError, match=r"#key-1, which .* does not publish \(any more\)"):
        check(made(), keys=published(other))


OTHER = jose.SigningKey.generate("key-1")
LATER = manifest.encode(manifest.Manifest("t", (), id="a", revision=2, sealed_by=DID))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (made(key=OTHER), "was not made with"),
        (made(data=LATER), "over another manifest"),
        (made(sealer="did:web:beta.example"), "manifest names did:web:alpha.example"),
        (made(at_s=NOW_S + 3600), "time to come"),
        ("", "not a compact JWS"),
        ("a.b.c", "cannot be read"),
        (made()[:-4] + "AAAA", "was not made with"),
        ("x" * 9000, "more than"),
        (tokens.issue(KEY, issuer=DID, audience=DID, jti="1", now_s=NOW_S), "manifestSha256"),
    ],
)
def test_a_seal_that_does_not_hold_is_refused_with_its_reason(text, why):
    with pytest.raises(IdentityError, match=why):
        check(text)


def test_a_manifest_of_version_1_names_no_sealer():
    first = manifest.encode(manifest.Manifest("t", ()))
    assert seals.sealer_of(first) == ""
    assert check(made(data=first), first).sealed_by == DID
    assert seals.sealer_of(b"no manifest") == seals.sealer_of(json.dumps([1]).encode()) == ""
