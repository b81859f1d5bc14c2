"""Keys in a token (SoftHSM2): made there, signing there, found again, and what is said when they cannot be."""

import shutil
import stat

import pytest

from comity import data_folder, settings
from comity.errors import KeyAwayError, SettingsError
from comity.identity import jose
from comity.identity.keyring import Keyring
from comity.storage import hsm, keys
from support import softhsm

US = "did:web:us.example"


@pytest.fixture(scope="module")
def said():
    return softhsm.token("adapters")


@pytest.fixture
def token(said):
    return hsm.Token(said["hsm_module"], said["hsm_token"], softhsm.PIN)


def works(key):
    assert jose.public_key(key.public_jwk()).holds(b"said", key.signature(b"said"))
    assert not jose.public_key(key.public_jwk()).holds(b"other", key.signature(b"said"))
    return key.kid


def test_a_key_signs_as_one_of_a_file_does(token):
    key = token.make(f"{US}#key-1")
    assert works(key) == f"{US}#key-1"
    assert key.public_jwk()["kid"] == f"{US}#key-1"
    head, claims, signature = key.sign({"iss": US}).split(".")
    held = jose.public_key(key.public_jwk()).holds(
        f"{head}.{claims}".encode(), jose.decode_segment(signature.encode())
    )
    assert held
    with pytest.raises(SettingsError):
        key.dump_pem()


def test_a_key_is_found_by_its_name_and_its_public_half(token, said):
    one, other = (token.make(f"{US}#key-2") for _ in range(2))
    again = hsm.Token(said["hsm_module"], said["hsm_token"], softhsm.PIN)
    for each in (one, other):
        found = again.find(each.kid, each.public_jwk())
        assert found.public_jwk() == each.public_jwk()
        works(found)


def test_a_key_that_the_token_does_not_have_is_named(token):
    jwk = jose.SigningKey.generate("key-1").public_jwk()
    with pytest.raises(KeyAwayError, match=r"does not have the key did:web:us\.example#key-9"):
        token.find(f"{US}#key-9", jwk)


def test_a_rotation_makes_the_new_key_in_the_token_and_a_key_of_a_file_signs_until_then(token, tmp_path):
    first = jose.SigningKey.generate("key-1")
    (tmp_path / keys.FIRST_FILE).write_bytes(first.dump_pem())
    now = [1000]
    files = keys.KeyFiles(tmp_path, US, now_ms=lambda: now[0], token=token)
    assert files.signing_key().public_jwk()["x"] == first.public_jwk()["x"]
    files.rotate(lead_ms=10, grace_ms=10)
    assert works(files.signing_key()) == f"{US}#key-1"
    now[0] = 1010
    assert works(files.signing_key()) == f"{US}#key-2"
    assert [each.name for each in tmp_path.glob("*.pem")] == [keys.FIRST_FILE]
    again = keys.KeyFiles(tmp_path, US, now_ms=lambda: now[0], token=token)
    assert works(again.signing_key()) == f"{US}#key-2"
    assert set(again.dump()) == {keys.RING, keys.FIRST_FILE}  # what a replica is given: no key of the token
    now[0] = 1020
    again.tidy()
    assert list(tmp_path.glob("*.pem")) == []
    again.retire("key-2")
    assert works(again.signing_key()) == f"{US}#key-3"
    assert isinstance(again.ring, Keyring)


def test_a_replica_is_given_the_ring_and_finds_the_keys_in_its_own_token(token, said, tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / keys.RING).write_bytes(keys.first_ring(token.make(f"{US}#key-1")))
    one = keys.KeyFiles(tmp_path / "one", US, now_ms=lambda: 1000, token=token)
    one.rotate(lead_ms=0, grace_ms=0)
    (tmp_path / "other").mkdir()
    keys.put(tmp_path / "other", one.dump())
    same = hsm.Token(said["hsm_module"], said["hsm_token"], softhsm.PIN)
    other = keys.KeyFiles(tmp_path / "other", US, now_ms=lambda: 1000, token=same)
    assert works(other.signing_key()) == f"{US}#key-2"
    one.retire("key-2")
    other.take(one.dump())
    assert other.signing_key().public_jwk() == one.signing_key().public_jwk()
    strange = hsm.Token(said["hsm_module"], "consumer", softhsm.PIN)
    with pytest.raises(KeyAwayError, match=r"the token consumer does not have the key .*#key-3"):
        keys.KeyFiles(tmp_path / "other", US, now_ms=lambda: 1000, token=strange)


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"module": "/nothing/there.so"}, "keys.hsm_module /nothing/there.so cannot be used"),
        ({"label": "another"}, "has no token another"),
    ],
)
def test_what_is_wrong_with_a_token_is_said_at_the_start(said, changed, what):
    words = {"module": said["hsm_module"], "label": said["hsm_token"], "pin": softhsm.PIN, **changed}
    with pytest.raises(SettingsError, match=what):
        hsm.Token(**words)


def test_a_wrong_pin_is_said_at_the_start():
    said = softhsm.token("pin")  # of its own: nobody in this process has logged in to it
    with pytest.raises(SettingsError, match="the token pin cannot be opened: the PIN is wrong"):
        hsm.Token(said["hsm_module"], "pin", "0000")


def test_a_token_that_is_away_signs_nothing_and_signs_again_when_it_is_back(token):
    key = token.make(f"{US}#key-7")
    tokens = softhsm.folder() / "tokens"
    shutil.move(tokens, tokens.with_name("away"))
    try:
        with pytest.raises(KeyAwayError, match="the token adapters does not sign now"):
            key.signature(b"said")
    finally:
        shutil.move(tokens.with_name("away"), tokens)
    works(key)


class TestFolder:
    def test_a_new_connector_has_its_first_key_in_the_token(self, said, tmp_path):
        made = data_folder.initialize(tmp_path / "data", address="https://hsm.example", token=said)
        assert sorted(each.name for each in (made.folder / "keys").iterdir()) == [
            keys.RING,
            "management.key",
            "seal.key",
        ]
        again = settings.load(made.folder)
        assert (again.keys_hsm_token, again.keys_hsm_module) == ("adapters", said["hsm_module"])
        works(settings.signing_keys(again, now_ms=lambda: 1).signing_key())
        assert softhsm.PIN not in (made.folder / settings.FILE).read_text()
        assert stat.S_IMODE((made.folder / "keys").stat().st_mode) == 0o700

    def test_the_pin_is_of_the_environment_or_of_a_file(self, said, tmp_path, monkeypatch):
        without = {name: value for name, value in said.items() if name != "hsm_pin_file"}
        with pytest.raises(SettingsError, match="the PIN of the token adapters is missing"):
            data_folder.initialize(tmp_path / "data", address="https://hsm.example", token=without)
        with pytest.raises(SettingsError, match=r"keys\.hsm_pin_file .*gone cannot be read"):
            data_folder.initialize(
                tmp_path / "data",
                address="https://hsm.example",
                token={**said, "hsm_pin_file": str(tmp_path / "gone")},
            )
        monkeypatch.setenv(settings.HSM_PIN, softhsm.PIN)
        assert data_folder.initialize(tmp_path / "data", address="https://hsm.example", token=without)

    def test_module_and_token_go_together(self, said, tmp_path):
        with pytest.raises(SettingsError, match="go together"):
            data_folder.initialize(
                tmp_path / "data",
                address="https://hsm.example",
                token={"hsm_module": said["hsm_module"]},
            )
