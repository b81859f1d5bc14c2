"""Deleting what a transfer brought: these files, as they were received, and nothing else."""

import hashlib

import msgspec
import pytest

from comity import errors
from comity.dataplane import erase, packages, resources
from comity.dataplane.attempt import ReceivedFile
from comity.dataplane.before import BEFORE_NAME, Before
from comity.techdata import manifest

FILES = {"a.txt": b"hello", "sub/deep/b.bin": b"world", "sub/c.bin": b"again"}


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def received(folder):
    """Lay down a package as a transfer leaves it, and return the digest of its manifest."""
    listed = [manifest.File(path, len(content), sha256(content)) for path, content in sorted(FILES.items())]
    data = manifest.encode(manifest.Manifest("package", tuple(listed)))
    for path, content in FILES.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    (folder / packages.MANIFEST_NAME).write_bytes(data)
    return manifest.digest(data)


def left(folder):
    return sorted(str(each.relative_to(folder)) for each in folder.rglob("*"))


def test_all_of_a_package_goes_with_its_folders(tmp_path):
    folder = tmp_path / "got"
    folder.mkdir()
    (folder / BEFORE_NAME).write_bytes(Before(made=True).encode())
    digest = received(folder)
    erase.package(str(folder), digest)
    assert left(folder) == [BEFORE_NAME, packages.MANIFEST_NAME]
    erase.package(str(folder), digest)  # again, as after a crash before it was written down
    erase.sweep(str(folder), digest)
    assert not folder.exists()


def test_what_lies_there_besides_stays(tmp_path):
    digest = received(tmp_path)
    (tmp_path / "sub/mine.txt").write_bytes(b"mine")
    erase.package(str(tmp_path), digest)
    erase.sweep(str(tmp_path), digest)
    assert left(tmp_path) == ["sub", "sub/mine.txt"]


def test_a_file_that_was_changed_stays_and_is_named(tmp_path):
    digest = received(tmp_path)
    (tmp_path / "a.txt").write_bytes(b"HELLO")
    with pytest.raises(errors.ConflictError, match=r"not deleted: a\.txt"):
        erase.package(str(tmp_path), digest)
    assert left(tmp_path) == [packages.MANIFEST_NAME, "a.txt"]
    (tmp_path / "a.txt").unlink()
    erase.package(str(tmp_path), digest)


def test_no_link_leads_out_of_the_folder(tmp_path):
    (tmp_path / "got").mkdir()
    digest = received(tmp_path / "got")
    outside = tmp_path / "outside"
    (tmp_path / "got/sub").rename(outside)
    (tmp_path / "got/sub").symlink_to(outside)
    with pytest.raises(errors.StorageError):
        erase.package(str(tmp_path / "got"), digest)
    assert left(outside) == ["c.bin", "deep", "deep/b.bin"]


def test_a_link_in_the_place_of_a_file_stays(tmp_path):
    (tmp_path / "got").mkdir()
    digest = received(tmp_path / "got")
    (tmp_path / "elsewhere.txt").write_bytes(FILES["a.txt"])
    (tmp_path / "got/a.txt").unlink()
    (tmp_path / "got/a.txt").symlink_to(tmp_path / "elsewhere.txt")
    with pytest.raises(errors.ConflictError, match=r"a\.txt"):
        erase.package(str(tmp_path / "got"), digest)
    assert (tmp_path / "elsewhere.txt").exists()


@pytest.mark.parametrize("gone", [False, True])
def test_another_package_or_none_is_not_guessed_at(tmp_path, gone):
    received(tmp_path)
    if gone:
        (tmp_path / packages.MANIFEST_NAME).unlink()
    with pytest.raises(errors.ConflictError, match="which files are to be deleted is not known"):
        erase.package(str(tmp_path), "0" * 64)
    assert (tmp_path / "a.txt").exists()


def test_a_copy_that_broke_off_goes_and_what_another_package_there_has_too_stays(tmp_path):
    received(tmp_path)
    listed = [manifest.File("a.txt", 5, sha256(b"hello")), manifest.File("new.txt", 3, sha256(b"new"))]
    data = manifest.encode(manifest.Manifest("other", tuple(listed)))
    (tmp_path / packages.INCOMING_NAME).write_bytes(data)
    (tmp_path / "new.txt").write_bytes(b"new")
    erase.package(str(tmp_path), manifest.digest(data))
    erase.sweep(str(tmp_path), manifest.digest(data))
    assert left(tmp_path) == sorted(
        [packages.MANIFEST_NAME, "a.txt", "sub", "sub/c.bin", "sub/deep", "sub/deep/b.bin"]
    )


def test_a_single_file_goes_while_it_is_what_was_received(tmp_path):
    file = ReceivedFile("part.stl", 5, sha256(b"solid"))
    (tmp_path / "part.stl").write_bytes(b"SOLID")
    with pytest.raises(errors.ConflictError):
        erase.resource(str(tmp_path), file)
    (tmp_path / "part.stl").write_bytes(b"solid")
    (tmp_path / BEFORE_NAME).write_bytes(Before(made=True).encode())
    (tmp_path / resources.STATE_NAME).write_bytes(state(file))
    erase.resource(str(tmp_path), file)
    erase.sweep(str(tmp_path), file.sha256)
    erase.resource(str(tmp_path), file)
    assert not tmp_path.exists()


def state(file, *, done=True):
    made = resources.State("https://a.example", file.path, sha256=file.sha256, done=done)
    return msgspec.json.encode(made)


def test_what_tells_of_another_transfer_into_the_same_folder_stays(tmp_path):
    digest = received(tmp_path)
    file = ReceivedFile("part.stl", 5, sha256(b"solid"))
    (tmp_path / "part.stl").write_bytes(b"solid")
    (tmp_path / resources.STATE_NAME).write_bytes(state(file, done=False))
    erase.resource(str(tmp_path), file)
    erase.sweep(str(tmp_path), file.sha256)
    assert {packages.MANIFEST_NAME, resources.STATE_NAME} <= set(left(tmp_path))
    erase.package(str(tmp_path), digest)
    erase.sweep(str(tmp_path), digest)
    assert left(tmp_path) == [resources.STATE_NAME]
