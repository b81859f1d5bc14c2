"""What lay in a folder before something was received into it is neither replaced nor removed."""

import hashlib

import pytest

from comity.dataplane import erase
from comity.dataplane.attempt import ReceivedFile
from comity.dataplane.before import Before, decode
from comity.dataplane.places import MANIFEST_NAME
from comity.dataplane.target import Folder
from comity.errors import StorageError
from comity.techdata import manifest
from support.provider import Provider, listing


async def test_a_file_that_lay_there_stays_when_a_newer_revision_or_a_deletion_takes_the_rest(tmp_path):
    (tmp_path / "a").write_bytes(b"mine")
    (tmp_path / "sub").mkdir()
    for _ in range(2):
        await Provider({"a": b"mine", "b": b"theirs", "sub/c": b"theirs"}).get(tmp_path)
    before = (tmp_path / MANIFEST_NAME).read_bytes()
    other = manifest.File("other", 1, hashlib.sha256(b"o").hexdigest())
    after = manifest.encode(
        manifest.Manifest("t", (other,), id="t", revision=2, supersedes=manifest.digest(before))
    )
    folder = Folder(tmp_path)
    left = folder.drop_older(before, after)
    folder.close()
    assert (left.removed, left.changed) == (("b", "sub/c"), ("a",))
    assert (tmp_path / "a").read_bytes() == b"mine"
    erase.package(str(tmp_path), manifest.digest(before))
    erase.sweep(str(tmp_path), manifest.digest(before))
    assert (listing(tmp_path), (tmp_path / "sub").is_dir()) == (["a"], True)


async def test_a_file_that_lay_there_is_not_replaced_by_a_newer_revision(tmp_path):
    (tmp_path / "a").write_bytes(b"mine")
    await Provider({"a": b"mine"}).get(tmp_path)
    with pytest.raises(StorageError, match="was not received here"):
        await Provider({"a": b"other"}).get(tmp_path)
    assert (tmp_path / "a").read_bytes() == b"mine"


async def test_a_single_file_that_lay_there_stays_and_one_that_came_goes(tmp_path):
    for lay in (True, False):
        folder = tmp_path / str(lay)
        if lay:
            folder.mkdir()
            (folder / "part.bin").write_bytes(b"solid")
        for _ in range(2):
            received = await Provider(b"solid").get(folder, name="part.bin")
        erase.resource(str(folder), ReceivedFile("part.bin", 5, received.sha256))
        erase.sweep(str(folder), received.sha256)
        assert (folder / "part.bin").exists() == folder.exists() == lay


async def test_what_is_refused_leaves_nothing_and_a_folder_that_was_there_as_it_was(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/b").write_bytes(b"mine")
    provider = Provider({"a": b"theirs", "b": b"theirs, too"})
    with pytest.raises(StorageError, match="is there already"):
        await provider.get(tmp_path / "in")
    assert listing(tmp_path) == ["in/b"]
    assert provider.requests == [("", None)]
    Folder(tmp_path / "new/deep").close()
    assert [each.name for each in tmp_path.iterdir()] == ["in"]


def test_a_note_that_cannot_be_read_says_that_nothing_lay_there():
    assert decode(b"{") == Before()
    assert not decode(b"")
