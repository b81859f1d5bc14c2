from pathlib import Path

import pytest

from comity.errors import StorageError
from comity.storage import medium

SECRET = b"s" * 16
HEADER = medium.Header(provider_pid="urn:1", provider_id="did:web:a", consumer_id="did:web:b")


@pytest.fixture
def package(tmp_path):
    return medium.Medium(str(tmp_path)).begin(HEADER, 0, 0).finish(SECRET, b"a letter")


def test_a_package_is_not_there_before_it_is_finished(tmp_path):
    place = medium.Medium(str(tmp_path))
    writing = place.begin(HEADER, 10, 1)
    growing = writing.create(SECRET, "1")
    writing.put(growing, 0, b"0123456789")
    writing.close(growing)
    assert list(place.packages()) == []
    writing.finish(SECRET, b"a letter")
    (found,) = place.packages()
    assert (found.header, found.read(SECRET, medium.LETTER, 100)) == (HEADER, b"a letter")


def test_what_is_longer_than_expected_is_not_read(package):
    with pytest.raises(StorageError, match="is no such file as is carried"):
        package.read(SECRET, medium.LETTER, 7)


def test_a_small_file_is_replaced_whole(package):
    for content in (b"one", b"another", b""):
        package.write(SECRET, medium.RECEIPTS, content)
        assert package.read(SECRET, medium.RECEIPTS, 100) == content


def test_a_file_opens_under_its_own_name_only(package):
    folder = Path(package.medium.path(package.name))
    (folder / medium.RECEIPTS).write_bytes((folder / medium.LETTER).read_bytes())
    with pytest.raises(StorageError, match="receipts is not what was written there"):
        package.read(SECRET, medium.RECEIPTS, 100)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"@type":"comity-carry/2"}', b"\xff" * 20, b"[" * 100_000],
)
def test_a_header_that_is_none_is_said_and_the_others_are_found(package, content, tmp_path):
    other = tmp_path / medium.ROOT / ("0" * 32)
    other.mkdir()
    (other / medium.HEADER).write_bytes(content)
    (tmp_path / medium.ROOT / "a note.txt").write_text("of somebody else's")
    bad, good = package.medium.packages()
    assert bad.code == "bad-medium"
    assert f"{medium.ROOT}/{'0' * 32}" in bad.message
    assert good.header == HEADER


def test_a_header_in_the_folder_of_another_package_is_refused(package, tmp_path):
    (tmp_path / medium.ROOT / package.name).rename(tmp_path / medium.ROOT / ("1" * 32))
    (bad,) = package.medium.packages()
    assert "is not a package of the form comity-carry/1" in bad.message


def test_nothing_is_written_through_a_link(tmp_path):
    (tmp_path / "stick").mkdir()
    (tmp_path / "away").mkdir()
    (tmp_path / "stick" / medium.ROOT).symlink_to(tmp_path / "away")
    with pytest.raises(StorageError, match="is a link"):
        medium.Medium(str(tmp_path / "stick")).begin(HEADER, 0, 0)
    assert list((tmp_path / "away").iterdir()) == []
