"""An AASX that means harm, or is none: one sentence, nothing written, no memory or time taken."""

import random
import shutil
import struct
import time
import tracemalloc
import zipfile

import pytest

from comity.errors import ComityError, InvalidInputError
from comity.storage import aasx, aasx_export, opc
from comity.techdata import xml
from support import aasx as made

ENVIRONMENT = "aasx/housing.aas.xml"
LAUGHS = '<!DOCTYPE e [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><environment>&b;</environment>'
OUTSIDE = '<!DOCTYPE e [<!ENTITY a SYSTEM "file:///etc/passwd">]><environment>&a;</environment>'
OPEN = '<environment xmlns="https://admin-shell.io/aas/3/0">'
TWICE = f"{OPEN}<submodels><submodel><id>a</id><id>b</id></submodel></submodels></environment>"
BAD = {
    "path upwards": ({"../evil": b"x"}, r"'\.\./evil' has a segment that starts with a dot"),
    "path upwards inside": ({"aasx/../../evil": b"x"}, "starts with a dot"),
    "path upwards, encoded": ({"aasx/%2e%2e/%2e%2e/evil": b"x"}, "starts with a dot"),
    "absolute": ({"/etc/passwd": b"x"}, "is absolute"),
    "backslashes": ({"..\\evil": b"x"}, "holds a backslash"),
    "drive": ({"c:/evil": b"x"}, "which Windows cannot write"),
    "hidden": ({"aasx/.comity-manifest.json": b"{}"}, "starts with a dot"),
    "our own file": ({"comity-package.toml": b"id = 1"}, "cannot lie side by side"),
    "our own folder": ({"AAS/submodels/nameplate.json": b"{}"}, "cannot lie side by side"),
    "differing in case": ({"aasx/files/LOGO.png": b"x"}, "cannot lie side by side"),
    "file and folder": ({"aasx/files/logo.png/a": b"x"}, "is a file and a folder"),
    "no types": ({"[Content_Types].xml": None}, "it has no part"),
    "no origin": ({"_rels/.rels": None}, "no AASX: it has no relationship to an aasx-origin"),
    "no environment": (
        {"aasx/_rels/aasx-origin.rels": made.relations()},
        "no relationship to an environment",
    ),
    "environment away": ({ENVIRONMENT: None}, "which is no part of it"),
    "environment outside": (
        {"aasx/_rels/aasx-origin.rels": made.relations(("aas-spec", "https://x.example/a"), mode="External")},
        "which is no part of it",
    ),
    "environment above": (
        {"aasx/_rels/aasx-origin.rels": made.relations(("aas-spec", "../../../etc/passwd"))},
        "which is no part of it",
    ),
    "entities": ({ENVIRONMENT: LAUGHS}, "it has a document type"),
    "external entity": ({ENVIRONMENT: OUTSIDE}, "it has a document type"),
    "entities in the types": ({"[Content_Types].xml": LAUGHS}, "it has a document type"),
    "deep": ({ENVIRONMENT: OPEN + "<a>" * 200}, "more than 100 in each other"),
    "many": ({ENVIRONMENT: OPEN + "<a/>" * 300_001}, "more than 300000 elements"),
    "attributes": ({ENVIRONMENT: OPEN.replace(">", " a=''" * 600_000 + "/>")}, "more than 600000 attributes"),
    "huge": ({ENVIRONMENT: b" " * (xml.MAX_BYTES + 1)}, "has more than 32 MiB"),
    "no xml": ({ENVIRONMENT: "environment"}, "is not read: syntax error"),
    "version 2": (
        {ENVIRONMENT: '<aasenv xmlns="http://www.admin-shell.io/aas/2/0"/>'},
        "no environment of AAS version 3, but 'aasenv'",
    ),
    "a member twice": ({ENVIRONMENT: TWICE}, "'submodel' has a member twice"),
    "no id": ({ENVIRONMENT: f"{OPEN}<submodels><submodel/></submodels></environment>"}, "objects with an id"),
    "bomb": ({"aasx/files/bomb": bytes(opc.SMALL_BYTES)}, "more than 200 times its size"),
}


@pytest.mark.parametrize("name", BAD)
def test_it_is_refused_with_a_sentence_and_nothing_is_left(tmp_path, name):
    changed, why = BAD[name]
    path = made.write(tmp_path / "bad.aasx", {**made.GOOD, **changed})
    begun = time.process_time()
    refused(path, tmp_path, why)
    assert time.process_time() - begun < 5


@pytest.mark.parametrize("name", ["bomb", "huge", "entities"])
def test_it_takes_no_memory_to_refuse_what_would_take_all(tmp_path, name):
    path = made.write(tmp_path / "bad.aasx", {**made.GOOD, **BAD[name][0]})
    tracemalloc.start()
    refused(path, tmp_path, BAD[name][1])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000


def refused(path, tmp_path, why):
    with pytest.raises(InvalidInputError, match=why):
        aasx.unpack(str(path), str(tmp_path / "out"))
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_parts_with_one_name_are_refused(tmp_path):
    path = made.write(tmp_path / "bad.aasx", made.GOOD, more=(("aasx/files/logo.png", b"other"),))
    refused(path, tmp_path, "two parts 'aasx/files/logo.png'")


@pytest.mark.parametrize("content", [b"", b"%PDF-1.7", b"PK\x03\x04" + b"\0" * 100])
def test_what_is_no_zip_is_refused(tmp_path, content):
    path = tmp_path / "bad.aasx"
    path.write_bytes(content)
    refused(path, tmp_path, "bad.aasx is not read: it is no zip")


@pytest.mark.parametrize(
    ("content", "kind"), [(b' {"submodels": []}', "JSON"), (b"\xef\xbb\xbf<?xml version='1.0'?>", "XML")]
)
def test_an_environment_without_its_container_is_refused_as_that(tmp_path, content, kind):
    path = tmp_path / "bad.aasx"
    path.write_bytes(content)
    refused(path, tmp_path, f"is {kind}, as an environment without its container is")


def test_a_zip_that_is_cut_is_refused(tmp_path):
    path = made.write(tmp_path / "bad.aasx", made.GOOD)
    path.write_bytes(path.read_bytes()[:-300])
    refused(path, tmp_path, "no zip, or a damaged one")


def directory(path):
    """Bytes of a zip, and where the entry of each part begins in its directory."""
    data = bytearray(path.read_bytes())
    places, at = {}, data.find(b"PK\x01\x02")
    while at >= 0:
        length = struct.unpack_from("<H", data, at + 28)[0]
        places[data[at + 46 : at + 46 + length].decode()] = at
        at = data.find(b"PK\x01\x02", at + 4)
    return data, places


@pytest.mark.parametrize(
    ("offset", "value", "why"),
    [
        (8, struct.pack("<H", 1), "it is encrypted"),
        (10, struct.pack("<H", 12), "neither stored nor deflated"),
        (24, struct.pack("<I", 2), "is damaged"),  # it says that it is shorter than it is
        (16, b"\0\0\0\0", "is damaged"),  # another checksum
    ],
)
def test_a_part_that_is_not_as_the_directory_says_is_refused(tmp_path, offset, value, why):
    path = made.write(tmp_path / "bad.aasx", made.GOOD)
    data, places = directory(path)
    at = places["aasx/files/model.step"] + offset
    data[at : at + len(value)] = value
    path.write_bytes(data)
    refused(path, tmp_path, why)


def test_a_directory_without_end_is_refused_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(opc, "MAX_DIRECTORY_BYTES", 70_000)
    path = tmp_path / "bad.aasx"
    with zipfile.ZipFile(path, "w") as zipped:
        for at in range(1500):
            zipped.writestr(f"part-{at}", b"")
    refused(path, tmp_path, "its directory has 0 MiB; at most 0 are read")


def test_more_parts_than_a_package_may_have_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(opc, "MAX_PARTS", 5)
    path = made.write(tmp_path / "bad.aasx", made.GOOD)
    refused(path, tmp_path, "it has 8 parts; at most 5 are read")


@pytest.mark.parametrize("seed", range(20))
def test_whatever_came_of_its_bytes_it_is_read_or_refused(tmp_path, seed):
    chance = random.Random(seed)
    path = made.write(tmp_path / "bad.aasx", made.GOOD)
    good, environment = path.read_bytes(), made.ENVIRONMENT.encode()
    for _ in range(10):
        spoiled = bytearray(chance.choice((good, environment)))
        is_zip = spoiled[:2] == b"PK"
        for _ in range(chance.randrange(1, 6)):
            at = chance.randrange(len(spoiled))
            spoiled[at : at + chance.randrange(3)] = chance.randbytes(1)
        if is_zip:
            path.write_bytes(spoiled)
        else:
            made.write(path, {**made.GOOD, ENVIRONMENT: bytes(spoiled)})
        try:
            aasx.unpack(str(path), str(tmp_path / "out"))
        except ComityError:
            assert not (tmp_path / "out").exists()
        else:
            aasx_export.pack(str(tmp_path / "out"), str(tmp_path / "again.aasx"))
            (tmp_path / "again.aasx").unlink()
            shutil.rmtree(tmp_path / "out")
        assert [each.name for each in tmp_path.iterdir()] == ["bad.aasx"]
