"""What a part keeps: exactly the runs that its journal tells and that are still so, whatever a power loss left."""

import hashlib
import os
import struct

import pytest

from comity.dataplane import disk, target
from comity.dataplane.places import INCOMING_NAME, Wanted
from comity.errors import StorageError
from support.provider import listing, noise

MIB = 2**20
DATA = noise(3 * MIB + 500)
WANTED = Wanted("a.bin", len(DATA), hashlib.sha256(DATA).hexdigest())


@pytest.fixture
def folder(tmp_path):
    made = target.Folder(tmp_path)
    yield made
    made.close()


SOME = len(DATA) - 1000


def begin(folder, size=SOME, wanted=WANTED):
    part = folder.part(wanted)
    part.append(DATA[:size])
    part.close()


def test_a_part_goes_on_after_its_runs_and_is_kept_under_its_name(folder, tmp_path):
    begin(folder)
    assert listing(tmp_path) == [".a.bin.part", ".a.bin.runs"]
    part = folder.part(WANTED)
    assert part.size == len(DATA) - 1000
    part.append(DATA[part.size :])
    assert part.finish() == WANTED.sha256
    folder.keep([part])
    assert (tmp_path / "a.bin").read_bytes() == DATA
    assert listing(tmp_path) == ["a.bin"]


def test_a_run_that_a_power_loss_spoiled_is_found_and_what_lies_before_it_stays(folder, tmp_path):
    begin(folder)
    with (tmp_path / ".a.bin.part").open("r+b") as opened:
        opened.seek(MIB + 17)
        opened.write(bytes(4096))
    part = folder.part(WANTED)
    assert part.size == MIB
    part.append(DATA[MIB:])
    assert part.finish() == WANTED.sha256


@pytest.mark.parametrize("left", [0, 100, MIB, 2 * MIB + 1])
def test_a_part_that_is_shorter_than_its_journal_counts_up_to_its_last_whole_run(folder, tmp_path, left):
    begin(folder)
    os.truncate(tmp_path / ".a.bin.part", left)
    part = folder.part(WANTED)
    assert part.size == left // MIB * MIB
    part.append(DATA[part.size :])
    assert part.finish() == WANTED.sha256


def test_what_was_written_after_the_last_entry_does_not_count(folder, tmp_path):
    begin(folder, 2 * MIB)
    with (tmp_path / ".a.bin.part").open("ab") as opened:
        opened.write(b"half a run")
    part = folder.part(WANTED)
    assert part.size == 2 * MIB
    assert (tmp_path / ".a.bin.part").stat().st_size == 2 * MIB


@pytest.mark.parametrize(
    "journal",
    [
        b"x",
        b"\xff" * 8,
        struct.pack(">II", 0, 0),
        struct.pack(">II", MIB + 1, 0),
        struct.pack(">II", MIB, 1) * 5,
    ],
)
def test_a_spoiled_journal_only_costs_what_it_told_of(folder, tmp_path, journal):
    begin(folder)
    (tmp_path / ".a.bin.runs").write_bytes(journal)
    part = folder.part(WANTED)
    assert part.size == 0
    part.append(DATA)
    assert part.finish() == WANTED.sha256


def test_a_small_file_needs_no_journal(folder, tmp_path):
    small = Wanted("small", 5000, hashlib.sha256(DATA[:5000]).hexdigest())
    begin(folder, 5000, small)
    assert listing(tmp_path) == [".small.part"]
    assert folder.part(small).finish() == small.sha256


def test_a_part_without_a_journal_gets_one_that_tells_of_it_too(folder, tmp_path):
    (tmp_path / ".a.bin.part").write_bytes(DATA[: MIB + 5])
    part = folder.part(WANTED)
    part.append(DATA[MIB + 5 : 2 * MIB])
    part.close()
    again = folder.part(WANTED)
    assert again.size == 2 * MIB
    again.append(DATA[2 * MIB :])
    assert again.finish() == WANTED.sha256


def test_many_files_become_durable_together_and_under_their_names(folder, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(disk, "_syncfs", lambda: lambda number: calls.append(number) or 0)
    parts = []
    for at in range(disk.ONE_BY_ONE + 1):
        part = folder.part(Wanted(f"d/{at}", 1, hashlib.sha256(b"x").hexdigest()))
        part.append(b"x")
        part.finish()
        parts.append(part)
    folder.keep(parts)
    assert len(calls) == 1
    assert len(list((tmp_path / "d").iterdir())) == disk.ONE_BY_ONE + 1


def test_the_call_for_a_whole_file_system_works_here(tmp_path):
    number = os.open(tmp_path, os.O_RDONLY)
    disk.sync_files(list(range(disk.ONE_BY_ONE + 1)), number)
    os.close(number)


def test_what_was_put_here_is_not_hashed_again_unless_somebody_touched_it(folder, tmp_path, monkeypatch):
    files = [Wanted(name, 1, hashlib.sha256(name.encode()).hexdigest()) for name in "ab"]
    folder.write_note(INCOMING_NAME, b"the manifest")
    for file in files:
        part = folder.part(file)
        part.append(file.path.encode())
        part.finish()
        folder.keep([part])
    hashed = []
    honest = disk.digest
    monkeypatch.setattr(disk, "digest", lambda *words: hashed.append(1) or honest(*words))
    assert folder.begin(files).whole == {"a", "b"}
    assert hashed == []
    (tmp_path / "b").write_bytes(b"b")
    assert folder.begin(files).whole == {"a", "b"}
    assert hashed == [1]


def test_what_was_put_here_does_not_count_for_other_contents_of_the_same_size(folder):
    first, second = (Wanted("a", 1, hashlib.sha256(each).hexdigest()) for each in (b"1", b"2"))
    folder.write_note(INCOMING_NAME, b"the manifest")
    part = folder.part(first)
    part.append(b"1")
    part.finish()
    folder.keep([part])
    assert folder.begin([first]).whole == {"a"}
    assert folder.begin([second]).whole == frozenset()


def test_a_copy_that_somebody_changed_is_not_taken(folder, tmp_path):
    (tmp_path / "b.bin").write_bytes(bytes(len(DATA)))
    folder._copies.add(WANTED.sha256, "b.bin")
    assert folder.part(WANTED).size == 0


def test_a_folder_that_another_thread_makes_at_the_same_time_is_used(folder, tmp_path, monkeypatch):
    honest = os.mkdir

    def make_too_late(*words, **more):
        honest(*words, **more)
        raise FileExistsError

    monkeypatch.setattr(os, "mkdir", make_too_late)
    folder.part(Wanted("new/a", 1, hashlib.sha256(b"a").hexdigest())).close()
    assert listing(tmp_path) == ["new/.a.part"]


def test_what_is_in_the_way_is_refused_before_anything_is_kept(folder, tmp_path):
    ours, other = folder.part(WANTED), folder.part(Wanted("z", 1, hashlib.sha256(b"z").hexdigest()))
    ours.append(DATA)
    other.append(b"z")
    (tmp_path / "z").write_bytes(b"mine")
    for part in (ours, other):
        part.finish()
    with pytest.raises(StorageError, match="is there already"):
        folder.keep([ours, other])
    assert not (tmp_path / "a.bin").exists()
    assert (tmp_path / "z").read_bytes() == b"mine"
