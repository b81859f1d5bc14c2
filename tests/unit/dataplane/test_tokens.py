import hashlib

import pytest

from comity.dataplane import tokens
from comity.errors import IdentityError


def test_a_token_carries_256_bits_of_chance():
    assert tokens.new_token(lambda size: bytes(range(size))) == "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
    assert len({tokens.new_token() for _ in range(100)}) == 100


def test_the_digest_is_what_the_database_keeps():
    token = tokens.new_token()
    assert tokens.digest(token) == hashlib.sha256(token.encode()).digest()
    assert token.encode() not in tokens.digest(token)


@pytest.mark.parametrize("form", ["{}", "Bearer {}", "bearer {}", "BEARER   {}", "  Bearer {}  "])
def test_a_token_is_read_with_or_without_its_scheme(form):
    token = tokens.new_token()
    assert tokens.read(form.format(token)) == token


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Basic dXNlcjpwYXNzd29yZA==",
        "short",
        "x" * 513,
        "Bearer a b",
        "Bearer " + "a" * 20 + ", Bearer " + "b" * 20,
        "Bearer " + "é" * 20,
        "Bearer " + "a" * 20 + "\n",
        "x" * 1_000_000,
    ],
)
def test_anything_else_is_refused(header):
    if header and header.endswith("\n"):
        header += "b"
    with pytest.raises(IdentityError) as caught:
        tokens.read(header)
    assert caught.value.step == "token"
