import json
import tracemalloc
from pathlib import Path

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.errors import InvalidInputError
from comity.techdata import manifest, paths
from comity.techdata.effectivity import Effectivity

HASH = "ab" * 32


def a_file(path="a.step", size_bytes=3, sha256=HASH, media_type="model/step"):
    return manifest.File(path=path, size_bytes=size_bytes, sha256=sha256, media_type=media_type)


def wire(*paths, **changed):
    files = [{"mediaType": "text/plain", "path": path, "sha256": HASH, "sizeBytes": 1} for path in paths]
    value = {"files": files, "format": manifest.FIRST_FORMAT, "sizeBytes": len(paths), "title": "t"} | changed
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def test_the_same_files_in_any_order_give_the_same_bytes():
    one, two = a_file("a"), a_file("b/c")
    left = manifest.encode(manifest.Manifest("Gear", (one, two)))
    assert left == manifest.encode(manifest.Manifest("Gear", (two, one)))
    assert manifest.digest(left) == manifest.digest(bytes(left))


def test_what_was_written_is_read_back():
    written = manifest.Manifest("Getriebe Ä", (a_file("a b/ü.step"), a_file("b", size_bytes=0)))
    read = manifest.decode(manifest.encode(written))
    assert read == written
    assert read.size_bytes == 3


def test_the_form_in_bytes_stays_as_it_was_published():
    data = manifest.encode(manifest.Manifest("t", (a_file("a.txt", 1, media_type="text/plain"),)))
    assert data == wire("a.txt")


def test_a_package_may_be_empty():
    assert manifest.decode(manifest.encode(manifest.Manifest("t", ()))).files == ()


BAD_PATHS = {
    "empty": "",
    "absolute": "/etc/passwd",
    "up": "../x",
    "up in the middle": "a/../../x",
    "up at the end": "a/..",
    "here": "./a",
    "empty segment": "a//b",
    "trailing slash": "a/",
    "backslash": "a\\b",
    "windows up": "..\\x",
    "nul": "a\0b",
    "line end": "a\nb",
    "escape": "a\x1b[2Jb",
    "c1 control": "a\x85b",
    "line separator": "a\u2028b",
    "direction override": "a\u202egpj.exe",
    "hidden": ".ssh/authorized_keys",
    "hidden part": "a/.b.part",
    "decomposed": "u\u0308.step",
    "long segment": "a" * 241,
    "long path": "/".join(["a" * 200] * 6),
    "three dots": ".../a",
}


@pytest.mark.parametrize("path", BAD_PATHS.values(), ids=BAD_PATHS.keys())
def test_a_dangerous_path_is_refused_in_both_directions(path):
    with pytest.raises(InvalidInputError) as caught:
        manifest.encode(manifest.Manifest("t", (a_file("ok"), a_file(path))))
    assert caught.value.path == "$.files[1].path"
    with pytest.raises(InvalidInputError):
        manifest.decode(wire(path))


def test_a_lone_surrogate_is_refused_rather_than_crashing():
    with pytest.raises(InvalidInputError):
        manifest.encode(manifest.Manifest("t", (a_file("a\udcff"),)))


@pytest.mark.parametrize(
    ("left", "right"),
    [("a", "a"), ("A.step", "a.STEP"), ("straße", "STRASSE"), ("a", "a/b"), ("A", "a/b"), ("x/y", "X/Y/z/w")],
)
def test_two_paths_that_cannot_lie_side_by_side_are_refused(left, right):
    with pytest.raises(InvalidInputError):
        manifest.encode(manifest.Manifest("t", (a_file(left), a_file(right))))


@pytest.mark.parametrize(
    ("file", "place"),
    [
        (a_file(size_bytes=-1), "$.files[0].sizeBytes"),
        (a_file(size_bytes=2**61), "$.files[0].sizeBytes"),
        (a_file(sha256="AB" * 32), "$.files[0].sha256"),
        (a_file(sha256="ab" * 31), "$.files[0].sha256"),
        (a_file(sha256=HASH + "\n"), "$.files[0].sha256"),
        (a_file(media_type="text"), "$.files[0].mediaType"),
        (a_file(media_type="text/plain\r\nSet-Cookie: a"), "$.files[0].mediaType"),
    ],
)
def test_a_bad_value_is_named_by_its_place(file, place):
    with pytest.raises(InvalidInputError) as caught:
        manifest.encode(manifest.Manifest("t", (file,)))
    assert caught.value.path == place


@pytest.mark.parametrize("title", ["", "a\nb", "x" * 501, "\u202eabc"])
def test_a_title_that_would_disturb_a_terminal_is_refused(title):
    with pytest.raises(InvalidInputError) as caught:
        manifest.encode(manifest.Manifest(title, ()))
    assert caught.value.path == "$.title"


def test_files_that_are_more_together_than_anybody_counts_are_refused():
    files = tuple(a_file(path=name, size_bytes=2**60) for name in ("a", "b"))
    with pytest.raises(InvalidInputError) as caught:
        manifest.check(manifest.Manifest(title="t", files=files))
    assert caught.value.path == "$.sizeBytes"


def test_more_files_than_allowed_are_refused(monkeypatch):
    monkeypatch.setattr(manifest, "MAX_FILES", 1)
    with pytest.raises(InvalidInputError, match="at most 1"):
        manifest.decode(wire("a", "b"))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"files":' * 10_000,
        wire("a", sizeBytes=2),
        wire("a", sizeBytes=1.0),
        wire("a", format="comity-package/2"),
        wire("a", format="comity-package/3"),
        wire("a", title=7),
        wire("a", extra=1),
        wire("b", "a"),
        wire("a") + b"\n",
        b" " + wire("a"),
        wire("a")[:-1] + b',"title":"t"}',
        wire("a").replace(b'"sizeBytes":1}]', b'"sizeBytes":NaN}]'),
        wire("a").replace(b'"sizeBytes":1}]', b'"sizeBytes":1,"sizeBytes":1}]'),
        wire("a").replace(b'"path":"a"', b'"path":"\\ud800"'),
        wire("a").replace(b'"path":"a"', b'"path":"\\u0061"'),
    ],
)
def test_bytes_in_any_other_form_are_refused(data):
    with pytest.raises(InvalidInputError):
        manifest.decode(data)


def test_an_oversized_manifest_is_refused_before_it_is_parsed(monkeypatch):
    monkeypatch.setattr(manifest, "MAX_BYTES", 10)
    with pytest.raises(InvalidInputError, match="at most 10"):
        manifest.decode(wire("a"))


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_give_a_manifest_or_a_clear_refusal(data):
    try:
        read = manifest.decode(data)
    except InvalidInputError as error:
        assert error.message  # noqa: PT017
    else:
        assert manifest.encode(read) == data


@given(st.text(max_size=60))
def test_an_accepted_path_never_leaves_its_folder(path):
    try:
        paths.check_path(path)
    except InvalidInputError:
        return
    assert not path.startswith("/")
    assert not {"", ".", ".."} & set(path.split("/"))
    assert "\0" not in path
    assert "\\" not in path


def second(*files, **changed):
    """A manifest of version 2 that says all that can be said."""
    said = {
        "id": "urn:alpha:p100",
        "revision": 2,
        "supersedes": "cd" * 32,
        "effectivity": (Effectivity(part="P100", serial_from="100", serial_to="199", plants=("Ulm",)),),
        "marking": manifest.Marking("partners-only", ("permission use: recipient eq did:web:beta.example",)),
        "derived_from": (manifest.Parent("urn:uuid:1", "urn:beta:q", "ef" * 32),),
        "sealed_by": "did:web:alpha.example",
    }
    described = msgspec.structs.replace(
        a_file(), document_id="D-1", document_class="02-02", revision="C", status="released", supersedes="B"
    )
    return manifest.Manifest("Housing", files or (described,), **(said | changed))


def test_all_that_version_2_says_is_written_once_and_read_back():
    data = manifest.encode(second())
    assert manifest.decode(data) == second()
    assert json.loads(data)["format"] == "comity-package/2"
    assert data == json.dumps(json.loads(data), sort_keys=True, separators=(",", ":")).encode()


def test_what_version_2_does_not_say_is_left_out():
    said = manifest.Manifest("t", (a_file(),), id="a", revision=1)
    assert set(json.loads(manifest.encode(said))) == {
        "files",
        "format",
        "id",
        "revision",
        "sizeBytes",
        "title",
    }
    assert set(json.loads(manifest.encode(said))["files"][0]) == {"mediaType", "path", "sha256", "sizeBytes"}


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        ({"revision": 0}, "$.revision"),
        ({"revision": 2**31}, "$.revision"),
        ({"revision": 1}, "$.supersedes"),
        ({"supersedes": "CD" * 32}, "$.supersedes"),
        ({"sealed_by": "did:web:a\n"}, "$.sealedBy"),
        ({"id": " a"}, "$.id"),
        ({"id": ""}, "$.id"),
        ({"marking": manifest.Marking("")}, "$.marking.name"),
        ({"marking": manifest.Marking("m", ("a\x1b",))}, "$.marking.terms[0]"),
        ({"derived_from": (manifest.Parent("a", manifest="x"),)}, "$.derivedFrom[0].manifest"),
        ({"effectivity": (Effectivity(serial_from="9", serial_to="3"),)}, "$.effectivity[0]"),
        ({"files": (msgspec.structs.replace(a_file(), document_class="05-01"),)}, "$.files[0].documentClass"),
        ({"files": (msgspec.structs.replace(a_file(), document_id="x" * 201),)}, "$.files[0].documentId"),
    ],
)
def test_what_version_2_may_not_say_is_named_by_its_place(changed, place):
    with pytest.raises(InvalidInputError) as caught:
        manifest.encode(msgspec.structs.replace(second(), **changed))
    assert caught.value.path == place


def test_version_1_says_nothing_of_documents():
    with pytest.raises(InvalidInputError) as caught:
        manifest.encode(manifest.Manifest("t", (msgspec.structs.replace(a_file(), document_id="D-1"),)))
    assert caught.value.path == "$.files[0].documentId"


NOT_ON_WINDOWS = [
    "CON",
    "nul.txt",
    "a/Com1.step",
    "LPT\u00b9",
    "aux .x",
    "a.",
    "a ",
    "b/a./c",
    "a:b",
    "a?",
    "a|b",
    'a"b',
]


@pytest.mark.parametrize("path", NOT_ON_WINDOWS)
def test_a_name_that_windows_cannot_write_is_refused_in_version_2_and_still_read_in_version_1(path):
    with pytest.raises(InvalidInputError, match="Windows") as caught:
        manifest.encode(second(a_file(path)))
    assert caught.value.path == "$.files[0].path"
    assert manifest.decode(wire(path)).files[0].path == path


@pytest.mark.parametrize("path", ["console", "com10", "a.con", "nulls/x", "a b", "a.b.c", "\u00fc.step"])
def test_a_name_that_only_looks_reserved_is_good(path):
    assert manifest.decode(manifest.encode(second(a_file(path)))).files[0].path == path


def test_a_million_files_are_refused_before_they_are_made_into_objects():
    data = b'{"files":[' + b",".join([b'{"path":"a"}'] * 1_000_000) + b"]}"
    tracemalloc.start()
    with pytest.raises(InvalidInputError, match="1000000 files; a package holds at most 100000"):
        manifest.decode(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


SCHEMA = json.loads((Path(__file__).parents[3] / "docs/reference/package-manifest-2.schema.json").read_text())
WRONG = [
    lambda m: m.pop("id"),
    lambda m: m.pop("revision"),
    lambda m: m.update(revision=0),
    lambda m: m.update(title=""),
    lambda m: m.update(extra=1),
    lambda m: m.update(format="comity-package/3"),
    lambda m: m.update(supersedes="x"),
    lambda m: m["marking"].pop("name"),
    lambda m: m["derivedFrom"][0].update(manifest="x"),
    lambda m: m["effectivity"][0].update(lots=["a"]),
    lambda m: m["files"][0].update(documentClass="99-99"),
    lambda m: m["files"][0].update(sha256="AB" * 32),
    lambda m: m["files"][0].update(sizeBytes=-1),
    lambda m: m["files"][0].update(title=""),
    lambda m: m["files"][0].update(title="t" * 501),
    lambda m: m["files"][0].update(languages=["Deutsch!"]),
    lambda m: m["files"][0].update(languages=["de"] * 101),
    lambda m: m["files"][0].pop("mediaType"),
    *[
        lambda m, path=path: m["files"][0].update(path=path)
        for path in ("../a", "/a", "a//b", ".a", "a\\b", "a:b", "a.")
    ],
]


def test_the_schema_takes_what_is_written_and_names_every_member_that_there_is():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    written = json.loads(manifest.encode(second()))
    jsonschema.validate(written, SCHEMA)
    jsonschema.validate(json.loads(manifest.encode(manifest.Manifest("t", (), id="a", revision=1))), SCHEMA)
    assert set(SCHEMA["properties"]) == set(written)
    described = SCHEMA["$defs"]["file"]["properties"]
    assert set(described) == {each.encode_name for each in msgspec.structs.fields(manifest.File)}
    assert described["documentClass"]["enum"] == list(manifest.DOCUMENT_CLASSES)
    meant = SCHEMA["$defs"]["effectivity"]["properties"]
    assert set(meant) == {each.encode_name for each in msgspec.structs.fields(Effectivity)}
    assert SCHEMA["properties"]["files"]["maxItems"] == manifest.MAX_FILES


@pytest.mark.parametrize("spoil", WRONG)
def test_the_schema_refuses_what_the_code_refuses(spoil):
    value = json.loads(manifest.encode(second()))
    spoil(value)
    with pytest.raises(InvalidInputError):
        manifest.decode(json.dumps(value, sort_keys=True, separators=(",", ":")).encode())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(value, SCHEMA)
