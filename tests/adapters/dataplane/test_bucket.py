"""A bucket as a place to receive into, after crashes at awkward moments and with others writing there too."""

import hashlib
from pathlib import Path

import obstore
import pytest

from comity.dataplane import bucket, places
from comity.errors import ConflictError, StorageError
from comity.storage import buckets, objects, opening
from support import azurite, seaweed

FILES = {"a": b"hello", "b/c": bytes(range(256)) * 300}
WANTED = [places.Wanted(path, len(data), hashlib.sha256(data).hexdigest()) for path, data in FILES.items()]


class Place:
    """A fresh bucket, opened again and again as after a crash."""

    def __init__(self, server, staging):
        values = server.section(server.beta, server.bucket(server.beta), "")
        self.own = buckets.read("own", {**values, "credentials_file": "x"}, insecure=True)
        self.store = opening.store(self.own, server.beta.credentials, insecure=True)
        self.staging = str(staging)

    def open(self):
        return bucket.Bucket(
            buckets.find([self.own], f"{self.own.kind}://own/in"), objects.Opened(self.store), self.staging
        )

    def get(self, path):
        return bytes(obstore.get(self.store, f"in/{path}").bytes())

    def put(self, path, data):
        obstore.put(self.store, f"in/{path}", data)


@pytest.fixture(params=[seaweed, azurite], ids=["s3", "azure"])
def place(request, tmp_path):
    return Place(request.param.server(), tmp_path / "staging")


def staged(where, wanted=WANTED):
    """Fill the parts of files, and return them, whole."""
    parts = []
    for each in wanted:
        part = where.part(each)
        part.append(FILES[each.path])
        assert part.finish() == each.sha256
        parts.append(part)
    return parts


def receive(place):
    where = place.open()
    where.begin(WANTED)
    where.keep(staged(where))
    where.end(b"{}")
    where.close()


def test_what_was_received_is_whole_when_the_place_is_opened_again(place):
    receive(place)
    assert {path: place.get(path) for path in FILES} == FILES
    assert place.get(".comity-manifest.json") == b"{}"
    left = [each.name for each in Path(place.staging).rglob("*") if not each.name.startswith(".")]
    assert len(left) == 1  # the place itself, with its notes
    where = place.open()
    assert where.begin(WANTED).whole == frozenset(FILES)
    assert [where.held(each) for each in WANTED] == [len(data) for data in FILES.values()]
    with pytest.raises(ConflictError, match="another transfer"):
        place.open()
    where.close()


def test_what_is_on_its_way_is_read_by_nobody_else_of_the_machine(place):
    place.open().close()
    assert Path(place.staging).stat().st_mode & 0o777 == 0o700


def test_what_was_staged_when_the_process_ended_is_put_into_the_bucket_by_the_next(place):
    where = place.open()
    where.begin(WANTED)
    where._staged.keep(staged(where))  # and then it is killed
    where.close()
    where = place.open()
    assert where.begin(WANTED).whole == frozenset(FILES)
    assert place.get("b/c") == FILES["b/c"]
    where.close()


def test_object_that_was_written_and_not_noted_is_taken_for_ours_if_it_is_the_same(place, monkeypatch):
    where = place.open()
    where.begin(WANTED)
    with monkeypatch.context() as patch:
        patch.setattr(bucket, "_put", None)
        parts = staged(where, WANTED[:1])
        with pytest.raises(TypeError):  # it is killed before it has noted what it put there
            where.keep(parts)
    assert place.get("a") == FILES["a"]
    with (where._folder / bucket.LOG_NAME).open("ab") as log:
        log.write(b'{"path":"b/c","sha2')  # a kill left half a line
    where.close()
    where = place.open()
    where.begin(WANTED)
    where.keep(staged(where, WANTED[1:]))
    where.end(b"{}")
    assert where.begin(WANTED).whole == frozenset(FILES)
    assert all(each.ours for each in where._known().values())
    where.close()


def test_object_that_lay_there_before_is_neither_put_again_nor_deleted(place):
    place.put("a", FILES["a"])
    receive(place)
    where = place.open()
    assert where.begin(WANTED).whole == frozenset(FILES)
    assert [where.delete(each) for each in WANTED] == [True, True]
    where.close()
    assert place.get("a") == FILES["a"]
    with pytest.raises(FileNotFoundError):
        place.get("b/c")


def test_object_that_somebody_changed_since_is_not_whole_and_not_replaced(place):
    receive(place)
    place.put("a", b"changed")
    where = place.open()
    with pytest.raises(StorageError, match="is there already and was changed since it was received"):
        where.begin(WANTED)
    assert place.get("a") == b"changed"
    where.close()


def test_contents_that_are_there_under_another_path_are_copied_by_the_store(place):
    receive(place)
    where = place.open()
    moved = places.Wanted("moved", WANTED[1].size_bytes, WANTED[1].sha256)
    assert where.begin([*WANTED, moved]).whole == {*FILES, "moved"}
    assert place.get("moved") == FILES["b/c"]
    where.close()
