"""Files of the store on a disk that rots, loses, swaps and cuts them: found at the first read, nothing wrong read."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from comity.errors import StorageError
from comity.storage import kept
from comity.storage.kept import HEAD_BYTES, SEALED_BYTES, Folder
from comity.storage.source import CHUNK_BYTES
from support import shelves

BIG = os.urandom(2 * CHUNK_BYTES + 100)
FILES = {
    "a.bin": BIG,
    "b.bin": os.urandom(len(BIG)),
    "one.txt": b"x",
    "full.bin": bytes(CHUNK_BYTES),
    "none.txt": b"",
}


@pytest.fixture
def folder(tmp_path):
    return Folder(str(tmp_path / "kept"))


@pytest.fixture
def rows(folder):
    made = shelves.Rows()
    shelves.put(folder, made, FILES)
    return made


def path_of(folder, rows, name):
    return Path(folder.path(rows.entries[name].object_name))


def change(path, at, data):
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def test_any_range_is_read_back_and_nothing_of_it_lies_there_plainly(folder, rows):
    for name, data in FILES.items():
        assert shelves.read(folder, rows.entries[name]) == data
    for start, end in ((0, 1), (CHUNK_BYTES - 1, CHUNK_BYTES + 1), (2 * CHUNK_BYTES, len(BIG)), (7, 7)):
        assert shelves.read(folder, rows.entries["a.bin"], start, end) == BIG[start:end]
    for each in rows.entries.values():
        assert folder.used_bytes(each.object_name) == kept.sealed_size(each.size_bytes)
        assert FILES["a.bin"][:16] not in path_of(folder, rows, each.path).read_bytes()


@pytest.mark.parametrize("at", [HEAD_BYTES, HEAD_BYTES + 500, HEAD_BYTES + SEALED_BYTES - 1])
def test_a_flipped_bit_is_found_in_its_chunk_and_others_are_read(folder, rows, at):
    path = path_of(folder, rows, "a.bin")
    before = path.read_bytes()[at]
    change(path, at, bytes([before ^ 1]))
    with pytest.raises(StorageError) as caught:
        shelves.read(folder, rows.entries["a.bin"], 0, 10)
    assert caught.value.code == kept.DAMAGED
    assert "byte 0 on was changed" in caught.value.message
    assert shelves.read(folder, rows.entries["a.bin"], CHUNK_BYTES) == BIG[CHUNK_BYTES:]


@pytest.mark.parametrize("cut", [1, kept.SEALED_BYTES, HEAD_BYTES + 2 * SEALED_BYTES])
def test_a_truncated_file_is_refused_before_anything_is_read(folder, rows, cut):
    path = path_of(folder, rows, "a.bin")
    os.truncate(path, path.stat().st_size - cut)
    with pytest.raises(StorageError, match="shorter or longer"):
        shelves.read(folder, rows.entries["a.bin"])


def test_swapped_chunks_and_swapped_files_are_found(folder, rows):
    path, other = path_of(folder, rows, "a.bin"), path_of(folder, rows, "b.bin")
    held = path.read_bytes()
    first, second = (held[HEAD_BYTES + n * SEALED_BYTES :][:SEALED_BYTES] for n in (0, 1))
    change(path, HEAD_BYTES, second + first)
    with pytest.raises(StorageError, match="was changed"):
        shelves.read(folder, rows.entries["a.bin"], 0, 1)
    change(path, 0, held)
    assert shelves.read(folder, rows.entries["a.bin"]) == BIG
    other.replace(path)
    with pytest.raises(StorageError, match="was changed"):
        shelves.read(folder, rows.entries["a.bin"], 0, 1)


def test_a_missing_file_and_a_wrong_key_are_said_as_that(folder, rows):
    entry = rows.entries["a.bin"]
    with pytest.raises(StorageError, match="was changed"):
        shelves.read(folder, msgspec.structs.replace(entry, key=bytes(32)))
    path_of(folder, rows, "a.bin").unlink()
    with pytest.raises(StorageError) as caught:
        shelves.read(folder, rows.entries["a.bin"])
    assert caught.value.code == kept.MISSING


def test_a_damaged_content_is_not_shared_but_received_anew(folder, rows):
    change(path_of(folder, rows, "a.bin"), HEAD_BYTES + 20, b"\0\0\0")
    with shelves.shelf(folder, rows, "urn:uuid:2") as target:
        here = target.begin(
            [shelves.wanted("again/a.bin", BIG), shelves.wanted("again/b.bin", FILES["b.bin"])]
        )
        assert here.whole == {"again/b.bin"}


def test_the_folder_is_nobody_elses_and_has_one_name_for_ever(folder, rows, tmp_path):
    for each in [tmp_path / "kept", *(tmp_path / "kept").rglob("*")]:
        assert each.stat().st_mode & 0o777 == (0o700 if each.is_dir() else 0o600), each
    assert Folder(folder.root).name() == folder.name()
    assert Folder(folder.root).is_here(folder.name())
    assert not Folder(str(tmp_path / "other")).is_here(folder.name())
    assert not (tmp_path / "other").exists()


def test_all_who_come_at_once_find_one_name(tmp_path):
    with ThreadPoolExecutor(8) as threads:
        names = set(threads.map(lambda _: Folder(str(tmp_path / "kept")).name(), range(8)))
    assert len(names) == 1
    assert [each.name for each in (tmp_path / "kept").iterdir()] == ["id"]
    (tmp_path / "kept/id").write_bytes(b"")
    with pytest.raises(StorageError, match="is empty"):
        Folder(str(tmp_path / "kept")).name()


def test_room_is_told_before_the_folder_is_there(tmp_path):
    assert Folder(str(tmp_path / "a/b/kept")).free_bytes() > 0
