"""Versions as data: the context that each gives an answer."""

import pytest

from comity.management import versions, wire

V2 = "https://w3id.org/edc/connector/management/v2"


def test_an_answer_of_v3_stays_as_it_is():
    document = wire.document("Asset", "a")
    assert versions.shown(versions.V3, document) == document


def test_each_document_of_a_list_has_its_own_context():
    listed = versions.shown(versions.V4, [wire.document("Asset", "a"), wire.document("Partner", "b")])
    assert [each["@context"] for each in listed] == [[V2], [V2, wire.CONTEXT]]
    assert [each["@id"] for each in listed] == ["a", "b"]


@pytest.mark.parametrize(
    "answer",
    [{"@context": ["https://w3id.org/dspace/2025/1/context.jsonld"]}, {"entries": []}, [], "text", None],
)
def test_what_has_another_context_or_none_keeps_it(answer):
    assert versions.shown(versions.V4, answer) == answer


def test_what_was_shown_is_not_changed():
    document = wire.document("Asset", "a")
    versions.shown(versions.V4, document)
    assert document["@context"] == wire.CONTEXT


def test_an_unknown_version_names_those_that_there_are():
    error = versions.UnknownVersionError("v" + "9" * 100)
    assert len(error.message) < 120
    assert error.hint == "there is: v3, v4"
    assert error.code == "unknown-version"
