import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.errors import InvalidInputError
from comity.techdata import manifest

HASH = "ab" * 32


def a_file(path="a.step", size_bytes=3, sha256=HASH, media_type="model/step"):
    return manifest.File(path=path, size_bytes=size_bytes, sha256=sha256, media_type=media_type)


def wire(*paths, **changed):
    files = [{"mediaType": "text/plain", "path": path, "sha256": HASH, "sizeBytes": 1} for path in paths]
    value = {"files": files, "format": manifest.FORMAT, "sizeBytes": len(paths), "title": "t"} | changed
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
        manifest.check_path(path)
    except InvalidInputError:
        return
    assert not path.startswith("/")
    assert not {"", ".", ".."} & set(path.split("/"))
    assert "\0" not in path
    assert "\\" not in path
