"""Notices about revisions: read strictly, and never longer than a message may be."""

import msgspec
import pytest

from comity.dsp import notice as notices
from comity.dsp import revision
from comity.errors import InvalidInputError

FILES = {"added": ["a"], "renamed": [{"before": "b", "path": "c"}]}
CHANGES = {"added": 1, "removed": 0, "changed": 0, "renamed": 1, "same": 2, "files": FILES, "complete": True}
STANDING = {"revision": 2, "state": "released", "manifestSha256": "2" * 64, "publishedAt": 5}
GOOD = {
    "@type": revision.NOTICE,
    "agreementId": "urn:a",
    "assetId": "bracket",
    "revision": 2,
    "event": "published",
    "title": "Bracket",
    "revisions": [STANDING],
    "changes": CHANGES,
}


def test_a_notice_is_read_as_it_was_written():
    assert revision.read(GOOD).document() == GOOD


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        ({"revision": 0}, "$.revision"),
        ({"revision": "2"}, "$.revision"),
        ({"revision": 3}, "$.revisions"),
        ({"event": "lost"}, "$.event"),
        ({"revisions": []}, "$.revisions"),
        ({"revisions": [STANDING, STANDING]}, "$.revisions"),
        ({"revisions": [STANDING | {"state": "gone"}]}, "$.revisions[0].state"),
        ({"revisions": [STANDING | {"manifestSha256": "x"}]}, "$.revisions[0].manifestSha256"),
        ({"revisions": [STANDING] * 101}, "$.revisions"),
        ({"changes": CHANGES | {"added": -1}}, "$.changes.added"),
        ({"changes": CHANGES | {"files": {"renamed": [{"path": "c"}]}}}, "$.changes.files.renamed[0]"),
        ({"changes": CHANGES | {"files": {"added": [5]}}}, "$.changes.files.added[0]"),
        ({"assetId": ""}, "$.assetId"),
    ],
)
def test_what_is_no_notice_is_refused_with_its_place(changed, place):
    with pytest.raises(InvalidInputError) as refused:
        revision.read(GOOD | changed)
    assert refused.value.path == place


def test_a_notice_of_very_many_files_and_revisions_fits_a_message_and_counts_all():
    paths = [f"{at:06d}/" + "é" * 400 for at in range(50_000)]
    files = revision.Files(added=paths, removed=paths, changed=paths)
    many = revision.Changes(
        added=50_000, removed=50_000, changed=50_000, renamed=0, same=0, files=files, complete=True
    )
    meant = [{"plants": ["é" * 200] * 100}]
    standing = [
        revision.Standing(
            revision=number, state="released", manifest_sha256="1" * 64, published_at=1, effectivity=meant
        )
        for number in range(1, 500)
    ]
    notice = revision.Notice(
        agreement_id="urn:a",
        asset_id="a",
        revision=3,
        event="recalled",
        revisions=standing,
        changes=many.cut(),
    )
    document = {"@context": notices.CONTEXT, "@id": "urn:n", **notice.document()}
    assert len(notices.encode(document)) < 1024 * 1024
    read = revision.read(document)
    assert read.revisions[0].revision == 3
    assert read.revisions[1].revision == 499
    assert read.changes is not None
    assert (read.changes.added, read.changes.complete) == (50_000, False)
    assert 100 < len(read.changes.files.added) < 50_000
    assert msgspec.json.encode(many)
