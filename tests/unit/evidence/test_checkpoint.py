"""Checkpoints: two of other logs that are out there, and what must not be taken for one of ours."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives import serialization

from comity.evidence import checkpoint, tree
from comity.evidence.checkpoint import Checkpoint
from comity.evidence.entry import BrokenChainError
from comity.identity import jose

DID = "did:web:alpha.example"
_SPKI = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE"
REKOR = (
    _SPKI + "2G2Y+2tabdTV5BcGiBIx0a9fAFwrkBbmLSGtks4L3qX6yYY0zufBnhC8Ur/iy55GhWP/9A/bY2LhC30M9+RYtw==",
    "rekor.sigstore.dev",
    """Rekor
798034
f+7CoKgXKE/tNys9TTXcr/ad6U/K3xvznmzew9y6SP0=

— rekor.sigstore.dev wNI9ajBEAiARInWIWyCdyG27CO6LPnPekyw20qO0YJfoaPaowGp/XgIg\
c+qEHS3+GKVClgqq20uDLet7MCoTURUCRdxwWBHHufk=
""",
)
PIXEL = (
    _SPKI + "37jHQmTXJPC8sUj0Dg0N0ZlxfRqJZV1YzlclXLQzhVYPcC/JblDoez0DSZwOSlShiCf4oo83MULQfec3erolDw==",
    "pixel6_transparency_log",
    """DEFAULT
10
bsWRucJU5xJPHb5eBdOm6+DM+VelCZBuvtI3sHERJ9Y=

— pixel6_transparency_log kcFuMDBFAiEAhqMAP8P6qf6QxtUJhzMhbN+MbZ9dwfUHzGQJmffJHtoCIGD0\
cNe47dHWBoPwYdgBCepB06/+g5O1FmYjXl06owL4
""",
)


@pytest.fixture(scope="module")
def key():
    return jose.SigningKey.generate(f"{DID}#key-1")


@pytest.fixture(scope="module")
def another():
    return jose.SigningKey.generate(f"{DID}#key-2")


def _checkpoint(size=3):
    return Checkpoint(checkpoint.origin(DID, 0), size, tree.leaf(b"%d" % size))


def _jwk(spki):
    numbers = serialization.load_der_public_key(base64.b64decode(spki)).public_numbers()
    x, y = (jose.encode_segment(each.to_bytes(32, "big")).decode() for each in (numbers.x, numbers.y))
    return {"kty": "EC", "crv": "P-256", "x": x, "y": y}


@pytest.mark.parametrize(("spki", "name", "note"), [REKOR, PIXEL])
def test_checkpoints_of_other_logs_hold(spki, name, note):
    assert checkpoint.check(checkpoint.parse(note), [_jwk(spki)], name)


def test_a_signed_checkpoint_says_what_was_signed_and_by_which_key(key, another):
    note = checkpoint.sign(_checkpoint(), key)

    found = checkpoint.parse(note)
    assert found.checkpoint == _checkpoint()
    assert note.startswith(f"{DID}/log/0\n3\n")
    assert checkpoint.check(found, [another.public_jwk(), key.public_jwk()]) == key.public_jwk()


def test_a_checkpoint_that_no_known_key_signed_is_told_from_one_that_was_altered(key, another):
    note = checkpoint.sign(_checkpoint(), key)

    with pytest.raises(checkpoint.UnknownKeyError):
        checkpoint.check(checkpoint.parse(note), [another.public_jwk()])
    with pytest.raises(checkpoint.CheckpointError, match="does not hold"):
        checkpoint.check(checkpoint.parse(note.replace("\n3\n", "\n4\n")), [key.public_jwk()])


def test_signatures_of_others_on_a_checkpoint_do_not_matter(key, another):
    cosignature = checkpoint.cosign(_checkpoint(), "did:web:beta.example", another, time_s=7)

    note = checkpoint.parse(checkpoint.sign(_checkpoint(), key) + cosignature)
    assert checkpoint.check(note, [key.public_jwk()])


def test_a_cosignature_says_when_and_holds_for_this_checkpoint_and_name_only(key, another):
    name = "did:web:beta.example"
    line = checkpoint.cosign(_checkpoint(), name, another, time_s=1_764_350_000)
    keys = [key.public_jwk(), another.public_jwk()]

    assert checkpoint.check_cosignature(_checkpoint(), line, name, keys) == 1_764_350_000
    with pytest.raises(checkpoint.CheckpointError, match="does not hold"):
        checkpoint.check_cosignature(_checkpoint(4), line, name, keys)
    with pytest.raises(checkpoint.UnknownKeyError):
        checkpoint.check_cosignature(_checkpoint(), line, "did:web:gamma.example", keys)
    with pytest.raises(checkpoint.UnknownKeyError):
        checkpoint.check_cosignature(_checkpoint(), line, name, [key.public_jwk()])


def test_a_plain_signature_is_no_cosignature(key):
    note = checkpoint.parse(checkpoint.sign(_checkpoint(), key))

    with pytest.raises(checkpoint.UnknownKeyError):
        checkpoint.check_cosignature(
            _checkpoint(), note.signatures[0].line(), _checkpoint().origin, [key.public_jwk()]
        )


@pytest.mark.parametrize(
    "change",
    [
        lambda note: note.replace("\n3\n", "\n03\n"),
        lambda note: note.replace("\n3\n", "\n-3\n"),
        lambda note: note.replace("\n3\n", "\n3\nmore\n"),
        lambda note: note.replace("\n\n", "\n"),
        lambda note: note.replace("=\n", "\n", 1),
        lambda note: note.replace("\n\n", "\x01\n\n"),
        lambda note: note.replace("— ", "- "),
        lambda note: note[:-1],
        lambda note: note + note[note.index("— ") :] * 64,
        lambda note: note + " " * checkpoint.MAX_CHARACTERS + "\n",
        lambda note: note[: note.index("— ")],
        lambda note: note[: note.index("— ")] + "— name AAAA\n",
        lambda note: note[1 + note.index("\n") :],
        lambda _: "",
    ],
)
def test_what_is_not_of_the_form_is_no_checkpoint(change, key):
    with pytest.raises(checkpoint.CheckpointError):
        checkpoint.parse(change(checkpoint.sign(_checkpoint(), key)))


def test_each_chain_and_each_restore_has_a_log_of_its_own():
    assert checkpoint.origin(DID, 2, 1700) == f"{DID}/log/2/1700"
    assert checkpoint.chain_of(f"{DID}/log/2/1700") == 2
    assert checkpoint.is_of(f"{DID}/log/2/1700", DID)
    assert checkpoint.origin("a b+c", 0) == "a%20b%2Bc/log/0"
    for other in (
        f"{DID}.evil/log/0",
        f"{DID}/log/x",
        f"{DID}/log/0/1/2",
        f"{DID}/log/00",
        f"{DID}/log/0/{10**30}",
        DID,
    ):
        assert not checkpoint.is_of(other, DID)


def test_a_chain_that_was_made_anew_or_cut_is_told_from_the_one_that_was_signed(key):
    rows = [(at, b"%d" % at, b"") for at in range(1, 10)]
    growing = tree.Growing()
    for _, record, _ in rows[:6]:
        growing.add(tree.leaf(record))
    signed = {6: checkpoint.sign(Checkpoint(checkpoint.origin(DID, 0), 6, growing.root()), key)}

    assert list(checkpoint.watch(rows, signed)) == rows
    with pytest.raises(BrokenChainError, match="row 6 or one before it is not what was signed"):
        list(checkpoint.watch([(1, b"another", b""), *rows[1:]], signed))
    with pytest.raises(BrokenChainError, match="row 5 is missing: a checkpoint of 6 was signed"):
        list(checkpoint.watch(rows[:4], signed))
