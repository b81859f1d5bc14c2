import pytest

from comity.errors import InvalidInputError
from comity.techdata import about, manifest
from comity.techdata.effectivity import Effectivity


def files(*paths):
    return [manifest.File(path, 1, "ab" * 32) for path in paths]


def test_a_folder_says_what_it_is_in_the_words_of_the_manifest():
    said = about.read(
        b'id = "urn:alpha:p100"\ntitle = "Housing"\n'
        b'[[effectivity]]\npart = "P100"\nserialFrom = "100"\nserialTo = "199"\nplants = ["Ulm"]\n'
    )
    assert (said.id, said.title) == ("urn:alpha:p100", "Housing")
    assert said.effectivity == (
        Effectivity(part="P100", serial_from="100", serial_to="199", plants=("Ulm",)),
    )


def test_nothing_said_is_not_the_same_as_meant_for_everything():
    assert about.read(b"").effectivity is None
    assert about.read(b"effectivity = []").effectivity == ()


def test_documents_are_named_one_by_one_or_by_a_pattern_and_what_stands_later_counts():
    said = about.read(
        b'[files."d/*.pdf"]\ndocumentClass = "02-02"\nstatus = "released"\n'
        b'[files."**.pdf"]\nrevision = "A"\n'
        b'[files."d/a.pdf"]\nrevision = "B"\nmediaType = "application/x-cad"\n'
    )
    described = {
        each.path: each for each in about.describe(files("d/a.pdf", "d/e/b.pdf", "c.stp"), said.files)
    }
    assert described["d/a.pdf"] == manifest.File(
        "d/a.pdf", 1, "ab" * 32, "application/x-cad", document_class="02-02", revision="B", status="released"
    )
    assert described["d/e/b.pdf"].revision == "A"
    assert not described["d/e/b.pdf"].document_class
    assert described["c.stp"] == files("c.stp")[0]


def test_a_name_with_brackets_is_a_name():
    [only] = about.describe(files("a[1].pdf"), about.read(b'[files."a[1].pdf"]\nrevision = "A"').files)
    assert only.revision == "A"


def test_what_is_said_of_no_file_is_a_slip_and_refused():
    with pytest.raises(InvalidInputError, match="names no file of the folder"):
        about.describe(files("a.pdf"), about.read(b'[files."b.pdf"]\nrevision = "A"').files)


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (b'title = "a"\nid = "b\n', "at line 2"),
        (b'title = "a"\nid = "\xff"', "line 2"),
        (b"titel = 3", "titel"),
        (b"title = 3", "title"),
        (b'[files."a"]\nrevison = "1"', "files.'a'"),
        (b'[files."a"]\nrevision = 1', "files.'a'.revision"),
        (b"files = 3", "files"),
        (b"[files]\na = 3", "files.'a'"),
        (b"[[effectivity]]\n", "effectivity[0]"),
        (b'[[effectivity]]\npart = "p"\n[[effectivity]]\nserialFrom = 3', "effectivity[1].serialFrom"),
        (b'[[effectivity]]\nserialFrom = "9"\nserialTo = "3"', "effectivity[0]"),
        (b"a = " + b"[" * 5000, ""),
        (b'id = ""', "id is empty"),
        (b'[[effectivity]]\npart = "p"\nplants = [""]', "effectivity[0].plants[0] is empty"),
        (b'[effectivity]\npart = "p"', "effectivity: this must be a list, not a table"),
        (b'[files."a"]\nlanguages = "de"', "files.'a'.languages: this must be a list, not text"),
        (b"#" * (about.MAX_BYTES + 1), "bytes"),
    ],
)
def test_what_is_wrong_is_named_by_its_line_or_key(data, place):
    with pytest.raises(InvalidInputError) as caught:
        about.read(data)
    assert caught.value.message.startswith("comity-package.toml: ")
    assert place in caught.value.message
