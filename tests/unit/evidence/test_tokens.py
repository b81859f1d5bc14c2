"""Tokens of the evidence, checked later with keys that were kept."""

from hashlib import sha256

import pytest

from comity.evidence import tokens
from comity.evidence.entry import BrokenChainError
from comity.identity import jose, token

US, THEM = "did:web:us.example", "did:web:them.example"
OLD, NEW = (jose.SigningKey.generate(f"{THEM}#{name}") for name in ("key-1", "key-2"))
BODY = sha256(b"{}").hexdigest()


def record(key=OLD, **changes):
    text = token.issue(key, issuer=THEM, audience=US, jti="j", now_s=1, body_sha256=BODY)
    return {"sender": THEM, "receiver": US, "sha256": BODY, "token": text, **changes}


KEYS = ((OLD.kid, OLD.public_jwk()), (NEW.kid, NEW.public_jwk()))


def check(*records, keys=KEYS):
    checked = tokens.Tokens(keys)
    for seq, each in enumerate(records, start=1):
        checked.check(seq, each)
    return checked.counts


def test_a_token_holds_with_the_key_of_its_time_however_long_ago():
    assert check(record(), record(NEW)) == tokens.Counts(held=2, bound=2)


def test_a_kid_that_was_used_for_two_keys_is_checked_with_both():
    other = jose.SigningKey.generate(OLD.kid)
    both = [(OLD.kid, other.public_jwk()), (OLD.kid, OLD.public_jwk())]
    assert check(record(), record(other), keys=both).held == 2


def test_what_cannot_be_checked_is_counted():
    without_body = token.issue(OLD, issuer=THEM, audience=US, jti="j", now_s=1)
    found = check(record(NEW), record(token=without_body), record(token=""), record(token='{"clientId":"x"}'),
                  keys=[(OLD.kid, OLD.public_jwk())])  # fmt: skip
    assert found == tokens.Counts(held=1, bound=0, without_key=1, without_token=2)


def test_a_token_for_several_receivers_is_for_each_of_them():
    text = OLD.sign({"iss": THEM, "sub": THEM, "aud": ["did:web:x", US]})
    assert check(record(token=text)).held == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sha256": "0" * 64}, "about another body"),
        ({"sender": US}, "another sender"),
        ({"receiver": THEM}, "another receiver"),
        ({"token": record()["token"][:-2] + "AA"}, "signature"),
        (
            {"token": record(NEW)["token"].rpartition(".")[0] + "." + record()["token"].rpartition(".")[2]},
            "signature",
        ),
        ({"token": "a.b.c"}, "is none"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_token_that_is_not_about_its_record_is_named_with_its_row(changes, words):
    with pytest.raises(BrokenChainError, match=words) as caught:
        check(record(), record(**changes))
    assert caught.value.seq == 2
