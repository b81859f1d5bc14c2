"""The files of the signing keys: rotated, retired, and killed in the middle of it."""

import itertools
import json
import os

import pytest

from comity import errors
from comity.identity import jose
from comity.storage import keys

US = "did:web:us.example"
LEAD_MS, GRACE_MS = 330_000, 3_600_000


class Place:
    """A folder of keys, with a clock that is set by hand."""

    def __init__(self, folder):
        self.folder = folder
        self.now_ms = 1_800_000_000_000
        (folder / keys.FIRST_FILE).write_bytes(jose.SigningKey.generate("key-1").dump_pem())

    def open(self):
        return keys.KeyFiles(self.folder, US, now_ms=lambda: self.now_ms)

    def works(self):
        """A connector that starts now can sign, and publishes the key that it signs with."""
        found = self.open()
        shown = {f"{US}#{jwk['kid']}": jose.public_key(jwk) for jwk in found.published()}
        key = found.signing_key()
        signed, _, signature = key.sign({"a": 1}).rpartition(".")
        assert shown[key.kid].holds(signed.encode(), jose.decode_segment(signature.encode()))
        return key.kid

    def names(self):
        return sorted(path.name for path in self.folder.iterdir())


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def rotate(found, **more):
    return found.rotate(**{"lead_ms": LEAD_MS, "grace_ms": GRACE_MS, **more})


def test_a_folder_of_before_has_one_key_and_nothing_is_written(place):
    assert place.works() == f"{US}#key-1"
    assert place.names() == [keys.FIRST_FILE]


def test_a_rotation_is_seen_by_the_running_connector_and_by_the_next_one(place):
    found = place.open()
    assert rotate(found).kid == "key-2"
    assert [jwk["kid"] for jwk in found.published()] == ["key-1", "key-2"]
    assert found.signing_key().kid == place.works() == f"{US}#key-1"
    place.now_ms += LEAD_MS
    assert found.signing_key().kid == place.works() == f"{US}#key-2"
    place.now_ms += GRACE_MS
    assert [jwk["kid"] for jwk in found.published()] == ["key-2"]
    assert place.works() == f"{US}#key-2"


def test_files_are_readable_by_their_owner_only(place):
    rotate(place.open())
    assert {path.stat().st_mode & 0o777 for path in place.folder.glob("key*")} == {0o600}


def test_a_private_key_is_deleted_when_it_will_never_sign_again_and_its_public_half_stays(place):
    found = place.open()
    rotate(found)
    place.now_ms += LEAD_MS
    found.tidy()
    assert keys.FIRST_FILE in place.names()
    place.now_ms += GRACE_MS
    found.tidy()
    assert place.names() == ["key-2.pem", keys.RING]
    ring = json.loads((place.folder / keys.RING).read_text())
    assert [key["kid"] for key in ring["keys"]] == ["key-1", "key-2"]
    assert "d" not in ring["keys"][0]["jwk"]
    assert place.works() == f"{US}#key-2"


def test_the_only_key_is_retired_by_another_one_that_signs_at_once(place):
    found = place.open()
    found.retire("key-1")
    assert found.signing_key().kid == place.works() == f"{US}#key-2"
    assert place.names() == ["key-2.pem", keys.RING]


def test_a_key_is_retired_in_the_grace_of_the_one_before_and_that_one_signs_until_the_next_is_known(place):
    found = place.open()
    rotate(found)
    place.now_ms += LEAD_MS
    found.retire("key-2")
    assert place.works() == f"{US}#key-1"
    assert [jwk["kid"] for jwk in found.published()] == ["key-1", "key-3"]
    place.now_ms += LEAD_MS
    assert place.works() == f"{US}#key-3"


class Killed(BaseException):
    """The process ends here."""


STEPS = ("unlink", "open", "fsync", "replace", "close")


def killing(monkeypatch, at):
    """Let the process end at its `at`-th step that touches the disk; returns the steps that were made and not made."""
    made = []

    def stop_at(name, real):
        def step(*args, **more):
            made.append(name)
            if len(made) >= at:  # who has ended tidies nothing up either
                raise Killed
            return real(*args, **more)

        return step

    for name in STEPS:
        monkeypatch.setattr(os, name, stop_at(name, getattr(os, name)))
    return made


def killed_at(place, change, monkeypatch, step):
    """Make a change in a process that ends at a step; return whether it came to that."""
    found = place.open()
    with monkeypatch.context() as patch:
        killing(patch, step)
        try:
            change(found)
        except Killed:
            return True
    return False


@pytest.mark.parametrize("change", [rotate, lambda found: found.retire("key-1")], ids=["rotate", "retire"])
def test_whenever_it_is_killed_what_is_there_works_and_the_next_change_does_too(
    tmp_path, monkeypatch, change
):
    for step in itertools.count(1):
        folder = tmp_path / str(step)
        folder.mkdir()
        place = Place(folder)
        killed = killed_at(place, change, monkeypatch, step)
        assert place.works() in {f"{US}#key-1", f"{US}#key-2"}
        if not killed:
            break
        place.now_ms += LEAD_MS
        change(place.open())
        place.now_ms += LEAD_MS
        assert place.works() in {f"{US}#key-2", f"{US}#key-3"}
    assert step > 10


def test_a_full_disk_changes_nothing(place, monkeypatch):
    found = place.open()

    def full(*args):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(errors.StorageError, match="No space left"):
            rotate(found)
    assert [jwk["kid"] for jwk in found.published()] == ["key-1"]
    assert place.names() == [keys.FIRST_FILE]
    assert rotate(found).kid == "key-2"


def test_a_rotation_under_way_is_not_overtaken(place):
    found = place.open()
    rotate(found)
    with pytest.raises(errors.ConflictError):
        rotate(found)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"keys":[{"kid":1}]}', b'{"keys":[]}'])
def test_a_ring_that_cannot_be_read_is_named(place, content):
    (place.folder / keys.RING).write_bytes(content)
    with pytest.raises(errors.SettingsError, match=r"keyring\.json|no signing key") as caught:
        place.open()
    assert "backup" in caught.value.hint


def test_a_signing_key_whose_file_is_gone_is_named(place):
    rotate(place.open(), lead_ms=0)
    (place.folder / "key-2.pem").unlink()
    with pytest.raises(errors.SettingsError, match=r"key-2\.pem cannot be read"):
        place.open()
