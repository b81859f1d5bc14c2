"""Receiving into the store over kills, full disks and torn chunks: what is verified stays, nothing wrong does."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import comity
from comity.dataplane.kept_part import KeptPart
from comity.dataplane.places import SEAL_NAME
from comity.errors import ConflictError, StorageError
from comity.storage.kept import HEAD_BYTES, SEALED_BYTES, Folder
from comity.storage.source import CHUNK_BYTES
from support import shelves
from support import small_disk as disks

DATA = os.urandom(4 * CHUNK_BYTES + 10)
WRITES_AND_WAITS = """
import sys
from comity.storage.kept import Folder
from support import shelves
data = open(sys.argv[2], "rb").read()
with shelves.shelf(Folder(sys.argv[1]), shelves.Rows()) as target:
    part = target.part(shelves.wanted("a.bin", data))
    part.append(data[: 2 * 2**20 + 700_000])
    print(part.kept, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path):
    return Folder(str(tmp_path / "kept"))


def begun(folder, rows, size):
    with shelves.shelf(folder, rows) as target:
        part = target.part(shelves.wanted("a.bin", DATA))
        part.append(DATA[:size])
        part.close()
        return Path(folder.path(part.object_name))


def ended(folder, rows):
    with shelves.shelf(folder, rows) as target:
        part = target.part(shelves.wanted("a.bin", DATA))
        had = part.size
        part.append(DATA[had:])
        assert part.finish() == part.wanted.sha256
        target.keep([part])
    assert shelves.read(folder, rows.entries["a.bin"]) == DATA
    return had


def test_after_kill_9_all_chunks_that_were_whole_are_there(folder, tmp_path):
    (tmp_path / "data").write_bytes(DATA)
    roots = os.pathsep.join([str(Path(comity.__file__).parents[1]), str(Path(shelves.__file__).parents[1])])
    process = subprocess.Popen(
        [sys.executable, "-c", WRITES_AND_WAITS, folder.root, str(tmp_path / "data")],
        env={**os.environ, "PYTHONPATH": roots},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert int(process.stdout.readline()) == 2 * CHUNK_BYTES
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    rows = shelves.Rows()
    with shelves.shelf(folder, rows) as target:
        assert target.begin([shelves.wanted("a.bin", DATA)]).begun == {"a.bin": 2 * CHUNK_BYTES}
    assert ended(folder, rows) == 2 * CHUNK_BYTES


def test_who_stops_in_peace_keeps_every_byte(folder):
    rows = shelves.Rows()
    begun(folder, rows, CHUNK_BYTES + 333)
    assert ended(folder, rows) == CHUNK_BYTES + 333


@pytest.mark.parametrize(("at", "kept"), [(1, 1), (0, 0), (2, 2)])
def test_a_chunk_that_does_not_open_is_received_again_with_all_behind_it(folder, at, kept):
    rows = shelves.Rows()
    path = begun(folder, rows, 3 * CHUNK_BYTES)
    with path.open("r+b") as file:
        file.seek(HEAD_BYTES + at * SEALED_BYTES + 100)
        file.write(b"torn" * 10)
    assert ended(folder, rows) == kept * CHUNK_BYTES


def test_a_file_that_lost_its_head_begins_anew(folder):
    rows = shelves.Rows()
    path = begun(folder, rows, 2 * CHUNK_BYTES)
    os.truncate(path, 5)
    assert ended(folder, rows) == 0


def test_wrong_bytes_are_not_kept_and_beginning_anew_changes_the_key(folder):
    rows = shelves.Rows()
    with shelves.shelf(folder, rows) as target:
        part = target.part(shelves.wanted("a.bin", DATA))
        before = part.key
        part.append(b"wrong" * 1000)
        assert part.finish() != part.wanted.sha256
        part.start_over()
        assert (part.size, part.key == before) == (0, False)
        part.append(DATA)
        assert part.finish() == part.wanted.sha256
        target.keep([part])
    assert shelves.read(folder, rows.entries["a.bin"]) == DATA


def test_the_same_content_twice_is_one_file(folder):
    rows = shelves.Rows()
    shelves.put(folder, rows, {"a.bin": DATA})
    with shelves.shelf(folder, rows) as target:
        twin = target.part(shelves.wanted("copy/a.bin", DATA))
        assert (twin.size, twin.finish()) == (len(DATA), twin.wanted.sha256)
        target.keep([twin])
        again = target.part(shelves.wanted("a.bin", DATA), keep=False)  # whoever sends it again harms nobody
        assert isinstance(again, KeptPart)
        again.append(b"half")
        again.close()
        target.drop(twin)
    assert rows.entries["copy/a.bin"].object_name == rows.entries["a.bin"].object_name
    assert shelves.read(folder, rows.entries["copy/a.bin"]) == DATA


def test_notes_are_sealed_and_the_seal_of_a_package_stays(folder, tmp_path):
    rows = shelves.Rows()
    with shelves.shelf(folder, rows) as target:
        target.write_note(".resource.json", b"the name of the part")
        target.write_note(SEAL_NAME, b"a.b.c")
        assert target.read_note(".resource.json", 100) == b"the name of the part"
        assert target.read_note(SEAL_NAME, 100) == b"a.b.c"
        target.drop_note(".resource.json")
        assert target.read_note(".resource.json", 100) == b""
        with pytest.raises(ConflictError, match="another process"), shelves.shelf(folder, rows):
            pass
    assert shelves.read(folder, rows.entries[SEAL_NAME]) == b"a.b.c"
    assert all(b"name" not in each.read_bytes() for each in (tmp_path / "kept").rglob("*") if each.is_file())


def test_a_resource_of_unknown_size_grows_to_its_end(folder):
    rows = shelves.Rows()
    with shelves.shelf(folder, rows) as target:
        part = target.part(shelves.Wanted("resource"))
        part.append(DATA)
        part.finish()
        target.keep([part], "model.step")
    assert shelves.read(folder, rows.entries["model.step"]) == DATA


def test_a_full_disk_is_said_and_what_was_received_goes_on_when_there_is_room(tmp_path):
    with disks.mounted(tmp_path / "small", 3) as place:
        folder, rows = Folder(str(place / "kept")), shelves.Rows()
        with shelves.shelf(folder, rows) as target:
            part = target.part(shelves.wanted("a.bin", DATA))
            with pytest.raises(StorageError) as caught:
                part.append(DATA)
            assert caught.value.code == "disk-full"
            part.close()
        disks.enlarge(place, 12)
        assert ended(folder, rows) >= CHUNK_BYTES
