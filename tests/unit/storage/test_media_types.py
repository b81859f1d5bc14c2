"""The media type of a file is told by its name alone, the same everywhere."""

import mimetypes

import pytest

from comity.storage import media_types
from comity.techdata import manifest


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("drawing.PDF", "application/pdf"),
        ("housing.step", "model/step"),
        ("list.csv", "text/csv"),
        ("a.tar.gz", "application/gzip"),
        ("twin.aasx", "application/asset-administration-shell-package"),
        ("table.parquet", "application/vnd.apache.parquet"),
        ("README", "application/octet-stream"),
        ("csv", "application/octet-stream"),
        ("part.xyzzy", "application/octet-stream"),
    ],
)
def test_a_name_tells_it(name, kind):
    assert media_types.of(name) == kind


def test_what_a_machine_has_been_told_beside_does_not_count(monkeypatch):
    monkeypatch.setattr(mimetypes, "types_map", {".xyzzy": "text/other", ".pdf": "text/other"})
    assert media_types.of("part.xyzzy") == media_types.UNKNOWN
    assert media_types.of("part.pdf") == "application/pdf"


def test_each_is_one_that_a_manifest_may_have():
    assert all(manifest.is_media_type(each) for each in media_types._TYPES.values())
