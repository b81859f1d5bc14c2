import os

import pytest

from comity.storage import drop


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "drop"
    (made / "sub").mkdir(parents=True)
    (made / "sub/a.stp").write_bytes(b"one")
    return made


def test_the_same_folder_looks_the_same_and_hidden_names_do_not_count(folder):
    before = drop.look(str(folder))
    (folder / ".lock").write_bytes(b"")
    os.utime(folder)
    assert drop.look(str(folder)) == before
    assert (before.files, drop.busy(str(folder))) == (1, "")


def test_more_bytes_another_file_another_name_and_a_file_put_in_its_place_are_other_states(folder):
    path, seen = folder / "sub/a.stp", [drop.look(str(folder)).mark]
    path.write_bytes(b"longer")
    seen.append(drop.look(str(folder)).mark)
    (folder / "b").write_bytes(b"")
    seen.append(drop.look(str(folder)).mark)
    (folder / "b").rename(folder / "c")
    seen.append(drop.look(str(folder)).mark)
    same = folder / ".new"
    same.write_bytes(b"LONGER")
    os.utime(same, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    same.rename(path)  # an atomic drop with the times of the old file
    seen.append(drop.look(str(folder)).mark)
    assert len(set(seen)) == len(seen)


@pytest.mark.parametrize("name", ["a.part", "b.FILEPART", "c.tmp", "d~"])
def test_a_name_of_something_unfinished_is_busy(folder, name):
    (folder / name).write_bytes(b"")
    assert drop.busy(str(folder)) == name


def test_a_file_that_somebody_writes_to_is_busy_until_it_is_closed(folder):
    with (folder / "sub/a.stp").open("ab"):
        assert drop.busy(str(folder)) == "sub/a.stp"
    assert drop.busy(str(folder)) == ""


def test_a_folder_that_is_not_there_or_holds_what_cannot_be_looked_at_has_no_state(folder):
    assert drop.look(str(folder / "none")) is None
    (folder / "dangling").symlink_to("nowhere")
    assert drop.look(str(folder)) is None
