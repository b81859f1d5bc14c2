"""The document of a framework agreement: its members, its hash, and every way in which it can be wrong."""

import copy
import re

import pytest

from comity import errors
from comity.framework import check, document, relation
from support import agreeing

RULE = ("releaseRules", "permission", 0, "constraint", 0)


def refused(changed, path):
    with pytest.raises(errors.InvalidInputError) as caught:
        check.check(document.read(changed))
    assert caught.value.path == path
    return caught.value.message


def test_its_name_is_its_id_and_the_hash_of_its_canonical_form():
    said = agreeing.document()
    assert document.urn(said) == document.urn(dict(reversed(said.items())))
    assert re.fullmatch(r"urn:comity:framework:[0-9a-f-]{36}#sha256:[0-9a-f]{64}", document.urn(said))
    assert document.is_urn(document.urn(said))
    assert document.urn(agreeing.document(title="Another")) != document.urn(said)
    assert not document.is_urn(said["id"])


def test_every_language_version_is_bound_by_the_one_hash():
    said = agreeing.document()
    changed = copy.deepcopy(said)
    changed["languageVersions"][1]["sha256"] = "0" * 64
    assert document.urn(changed) != document.urn(said)


def test_a_document_that_makes_sense_is_taken():
    read = document.read(agreeing.document())
    check.check(read)
    assert read.party_ids == (agreeing.A, agreeing.B)
    assert read.is_open_to(agreeing.C)
    assert not read.is_open_to("did:web:nobody.example")


@pytest.mark.parametrize(
    ("path", "value", "place"),
    [
        (("validity", "until"), "2019-01-01", "$.validity.until"),
        (("validity", "from"), "soon", "$.validity.from"),
        (("id",), "urn:comity:framework:7", "$.id"),
        (("version",), 0, "$.version"),
        (("version",), "1", "$.version"),
        (("version",), 2, "$.replaces"),
        (("version",), 1.5, "$.version"),
        (("replaces",), "urn:comity:framework:7#sha256:0", "$.replaces"),
        (("parent",), "urn:comity:framework:7", "$.parent"),
        (("title",), "", "$.title"),
        (("title",), None, "$.title"),
        (("surprise",), 1, "$.surprise"),
        (("parties", 0, "surprise"), 1, "$.parties[0].surprise"),
        (("parties", 1, "participantId"), agreeing.A, "$.parties[1].participantId"),
        (("parties", 0, "signatories", 0, "name"), "", "$.parties[0].signatories[0].name"),
        (("languageVersions", 1, "language"), "EN", "$.languageVersions[1].language"),
        (("languageVersions", 1, "file"), "../fr.md", "$.languageVersions[1].file"),
        (("languageVersions", 1, "file"), "text.en.md", "$.languageVersions[1].file"),
        (("languageVersions", 0, "sha256"), "00", "$.languageVersions[0].sha256"),
        (("languageVersions", 0, "mediaType"), "text", "$.languageVersions[0].mediaType"),
        (("languageVersions",), [], "$.languageVersions"),
        (("commitments", 0, "quantity"), "-1", "$.commitments[0].quantity"),
        (("commitments", 0, "party"), agreeing.C, "$.commitments[0].party"),
        (("commitments", 0, "by"), "2139-01-01", "$.commitments[0].by"),
        (("needs", 0, "by"), "2019-01-01", "$.needs[0].by"),
        (("accession",), {"openTo": ["*", agreeing.C]}, "$.accession.openTo"),
        (("earlierAgreements",), "perhaps", "$.earlierAgreements"),
        ((*RULE, "leftOperand"), "mood", "$.releaseRules.permission[0].constraint[0]"),
        (("releaseRules", "größe"), 1, "$.releaseRules"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_with_its_place(path, value, place):
    changed = agreeing.document()
    at = changed
    for name in path[:-1]:
        at = at[name]
    at[path[-1]] = value
    refused(changed, place)


def test_a_missing_member_is_named():
    changed = agreeing.document()
    del changed["parties"][1]["signingRole"]
    assert refused(changed, "$.parties[1].signingRole") == "signingRole is missing"


def test_a_document_of_any_length_is_not_read():
    with pytest.raises(errors.InvalidInputError, match="65536 bytes"):
        document.read(agreeing.document(title="x" * 70_000))


def test_a_text_that_is_another_file_is_named_with_its_digest():
    read = document.read(agreeing.document())
    digests = dict(agreeing.DIGESTS)
    check.check_texts(read, digests)
    with pytest.raises(errors.InvalidInputError, match="is not the text") as caught:
        check.check_texts(read, {**digests, "text.fr.md": "1" * 64})
    assert caught.value.path == "$.languageVersions[1].sha256"
    assert "1" * 64 in caught.value.message
    del digests["text.en.md"]
    with pytest.raises(errors.InvalidInputError, match=r"no file text\.en\.md"):
        check.check_texts(read, digests)


def test_a_party_that_we_are_not_is_refused():
    with pytest.raises(errors.InvalidInputError, match=r"did:web:c\.example is not among the parties"):
        check.check_party(document.read(agreeing.document()), agreeing.C)


def test_a_text_that_a_partner_gives_must_be_the_one_that_the_name_stands_for():
    said = agreeing.document()
    text = document.canonical(said).decode()
    assert document.open_text(text, document.urn(said)) == said
    with pytest.raises(errors.InvalidInputError, match="its hash is another"):
        document.open_text(text.replace("Joint", "Sole"), document.urn(said))


OTHER = agreeing.party("did:web:d.example")
ELSEWHERE = {
    "permission": [
        {
            "action": "use",
            "constraint": [{"leftOperand": "spatial", "operator": "eq", "rightOperand": "ZZ"}],
        }
    ]
}


def child(**changed):
    return document.read(
        agreeing.document(id=agreeing.ID.replace("1111", "2222"), parent=agreeing.URN, **changed)
    )


@pytest.mark.parametrize(
    ("changed", "place", "said"),
    [
        ({"validity": {"from": "2019-01-01", "until": "2028-01-01"}}, "$.validity.from", "begins 2020-01-01"),
        ({"validity": {"from": "2027-01-01", "until": "2136-01-01"}}, "$.validity.until", "ends 2099-12-31"),
        ({"territory": ["AA", "ZZ"]}, "$.territory[1]", "has territory AA, BB only"),
        ({"programmes": ["other"]}, "$.programmes[0]", "has programmes programme-1 only"),
        ({"parties": [agreeing.party(agreeing.A), OTHER]}, "$.parties[1]", "does not have it"),
        ({"accession": {"openTo": ["did:web:d.example"]}}, "$.accession.openTo[0]", "is not open to it"),
        ({"releaseRules": ELSEWHERE}, "$.releaseRules", "spatial isAnyOf AA, BB"),
    ],
)  # fmt: skip
def test_terms_that_contradict_the_parent_are_named(changed, place, said):
    parent = document.read(agreeing.document())
    relation.check_parent(child(), parent)
    with pytest.raises(errors.InvalidInputError) as caught:
        relation.check_parent(child(**changed), parent)
    assert caught.value.path == place
    assert said in caught.value.message


def test_an_amendment_names_the_newest_version_and_is_the_next():
    old = document.read(agreeing.document())
    new = agreeing.document(version=2, replaces=agreeing.URN)
    check.check(document.read(new))
    relation.check_amendment(document.read(new), old, agreeing.URN, agreeing.URN)
    for changed, newest in ((new, document.urn(new)), ({**new, "version": 3}, agreeing.URN)):
        with pytest.raises(errors.InvalidInputError):
            relation.check_amendment(document.read(changed), old, agreeing.URN, newest)
