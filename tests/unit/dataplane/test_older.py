"""A newer revision in the place of an older one: what it has not any more goes, what was changed here stays."""

import hashlib

import msgspec
import pytest

from comity import errors
from comity.dataplane import older, packages, target
from comity.techdata import changes, manifest

ASSET, SEALER = "urn:alpha:housing", "did:web:alpha.example"
FIRST = {"cover.pdf": b"cover", "models/housing.step": b"step", "parts.csv": b"parts"}
SECOND = {"parts.csv": b"parts"}


def package(files, asset=ASSET, sealer=SEALER):
    listed = [
        manifest.File(path, len(content), hashlib.sha256(content).hexdigest())
        for path, content in sorted(files.items())
    ]
    return manifest.encode(
        manifest.Manifest("Housing", tuple(listed), id=asset, revision=1, sealed_by=sealer)
    )


def received(folder, files, **more):
    """Lay down files as a transfer leaves them, and end it; return what an older revision left."""
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    where = target.Folder(folder)
    try:
        return packages.end(where, package(files, **more))
    finally:
        where.close()


def files_of(folder):
    return sorted(str(each.relative_to(folder)) for each in folder.rglob("*") if each.name[0] != ".")


def test_files_that_a_revision_has_not_any_more_are_removed_with_their_folders_and_named(tmp_path):
    assert received(tmp_path, FIRST).words == ""
    left = received(tmp_path, SECOND)
    assert files_of(tmp_path) == ["parts.csv"]
    assert left.words == "removed, not in this revision any more: cover.pdf, models/housing.step"
    assert received(tmp_path, SECOND).words == ""


def test_one_that_was_changed_here_stays_and_is_named_and_so_does_what_was_never_received(tmp_path):
    received(tmp_path, FIRST)
    (tmp_path / "cover.pdf").write_bytes(b"COVER")
    (tmp_path / "mine.txt").write_bytes(b"mine")
    left = received(tmp_path, SECOND)
    assert files_of(tmp_path) == ["cover.pdf", "mine.txt", "parts.csv"]
    assert left == older.Left(("models/housing.step",), ("cover.pdf",))
    assert left.words.endswith("; changed here, and not in this revision: cover.pdf")


def test_files_of_another_asset_or_of_another_partner_stay(tmp_path):
    for name, more in (("asset", {"asset": "urn:other"}), ("partner", {"sealer": "did:web:beta.example"})):
        folder = tmp_path / name
        folder.mkdir()
        received(folder, FIRST, **more)
        assert received(folder, SECOND) == older.Left()
        assert len(files_of(folder)) == 4  # three files and a folder


def test_of_a_package_of_version_1_files_go_only_if_the_newer_one_says_that_it_supersedes_that():
    files = manifest.decode(package(FIRST)).files
    old = manifest.encode(manifest.Manifest("Housing", files))  # as an older Comity published it
    newer = manifest.decode(package(SECOND))
    named = msgspec.structs.replace(newer, revision=2, supersedes=manifest.digest(old))
    other = msgspec.structs.replace(newer, revision=2, supersedes="0" * 64)
    found = changes.dropped(old, manifest.encode(named))
    assert [each.path for each in found] == ["cover.pdf", "models/housing.step"]
    assert changes.dropped(old, manifest.encode(other)) == []
    assert changes.dropped(old, manifest.encode(newer)) == []


def test_a_file_whose_name_changed_in_case_only_is_the_same_file_where_case_does_not_count():
    assert changes.dropped(package({"A.txt": b"1"}), package({"a.txt": b"1"})) == []


def test_a_link_in_the_way_leads_nowhere(tmp_path):
    folder, outside = tmp_path / "in", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    received(folder, FIRST)
    (folder / "models/housing.step").rename(outside / "housing.step")
    (folder / "models").rmdir()
    (folder / "models").symlink_to(outside)
    with pytest.raises(errors.StorageError, match="models"):
        received(folder, SECOND)
    assert (outside / "housing.step").exists()
