"""What changed between two revisions, by file."""

from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from comity.techdata import changes
from comity.techdata.changes import Renamed
from comity.techdata.manifest import File, Manifest

FILES = st.dictionaries(
    st.sampled_from(["a", "b", "c/d", "e", "f"]), st.sampled_from([b"", b"1", b"22"]), max_size=5
)


def a_package(files):
    return Manifest(
        "t", tuple(File(path, len(held), sha256(held).hexdigest()) for path, held in files.items())
    )


def between(before, after):
    return changes.between(a_package(before), a_package(after))


def test_files_are_added_removed_changed_and_renamed():
    found = between(
        {"gone": b"1", "old/name": b"2", "same": b"3", "other": b"4"},
        {"new": b"5", "new/name": b"2", "same": b"3", "other": b"6"},
    )
    assert found == changes.Changes(
        ("new",), ("gone",), ("other",), (Renamed("old/name", "new/name"),), same=1
    )
    assert found.words == "1 added, 1 removed, 1 changed, 1 renamed"


def test_of_a_first_revision_all_is_added():
    found = changes.between(None, a_package({"a": b"1", "b": b"2"}))
    assert (found.added, found.counts["same"]) == (("a", "b"), 0)


def test_the_same_files_have_no_changes():
    assert between({"a": b"1"}, {"a": b"1"}).words == "no file"


def test_of_equal_files_each_is_renamed_once_and_empty_ones_are_nobodys():
    found = between({"a": b"1", "b": b"1", "e": b""}, {"c": b"1", "f": b""})
    assert found.renamed == (Renamed("a", "c"),)
    assert (found.added, found.removed) == (("f",), ("b", "e"))


@given(FILES, FILES)
def test_changes_lead_from_one_revision_to_the_next(before, after):
    found = between(before, after)
    made = {path: held for path, held in before.items() if path not in found.removed}
    for each in found.renamed:
        made[each.path] = made.pop(each.before)
    made |= {path: after[path] for path in (*found.added, *found.changed)}
    assert made == after
    assert sum(found.counts.values()) == len(after) + len(found.removed)
    assert not any(before.get(path) == after[path] for path in (*found.added, *found.changed))
