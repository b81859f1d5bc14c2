"""Reading compact JSON-LD in its spellings, and writing it in one."""

import pytest

from comity.errors import InvalidInputError
from comity.management import wire

EDC = "https://w3id.org/edc/v0.0.1/ns/"


@pytest.mark.parametrize(
    "body",
    [
        {"a": "x"},
        {"edc:a": "x"},
        {EDC + "a": "x"},
        {"a": {"@id": "x"}},
        {"a": {"@value": "x"}},
        {"a": [{"@value": "x"}]},
        {"a": None, EDC + "a": "x"},
    ],
)
def test_a_text_is_read_in_every_spelling(body):
    assert wire.text(body, "a") == "x"


@pytest.mark.parametrize("value", [1, True, ["a", "b"], [], {"@type": "x", "@id": 1}, "x" * 10_001])
def test_what_is_no_text_is_refused_with_its_place(value):
    with pytest.raises(InvalidInputError) as caught:
        wire.text({"a": value}, "a", path="$.b")
    assert caught.value.path == "$.b.a"


def test_a_partner_is_named_by_its_id_or_as_the_caller_knows_it_and_its_lack_says_what_to_do():
    assert wire.party({"counterPartyId": "did:web:a"}, "did:web:b") == "did:web:a"
    assert wire.party({}, "did:web:b") == "did:web:b"
    with pytest.raises(InvalidInputError, match="counterPartyId is missing") as caught:
        wire.party({"counterPartyAddress": "https://a.example/dsp"})
    assert caught.value.path == "$.counterPartyId"
    assert "comity partner list" in caught.value.hint


def test_a_required_member_is_missed():
    for body in ({}, {"a": None}, {"a": ""}):
        assert wire.text(body, "a") == ""
        with pytest.raises(InvalidInputError, match="a is missing"):
            wire.text(body, "a", required=True)
    with pytest.raises(InvalidInputError, match="a is missing"):
        wire.mapping({}, "a", required=True)


@pytest.mark.parametrize("value", [1, 0, "true", [], {}])
def test_only_true_and_false_are_flags(value):
    assert (wire.flag({"a": True}, "a"), wire.flag({"a": False}, "a"), wire.flag({}, "a")) == (
        True,
        False,
        False,
    )
    with pytest.raises(InvalidInputError):
        wire.flag({"a": value}, "a")


@pytest.mark.parametrize("value", ["", "x" * 1025, "a\nb", "\x7f", "a\u202eb", 1, True, [], {}])
def test_an_id_is_1_to_1024_printable_characters(value):
    assert wire.identifier({"@id": "x" * 1024}) == "x" * 1024
    with pytest.raises(InvalidInputError) as caught:
        wire.identifier({"@id": value})
    assert caught.value.path == "$.@id"


def test_an_id_may_be_written_id_and_at_id_wins():
    assert wire.identifier({"id": "a"}) == "a"
    assert wire.identifier({EDC + "id": "a"}) == "a"
    assert wire.identifier({"@id": "b", "id": "a"}) == "b"
    assert wire.identifier({"@id": None}) == ""


def test_properties_lose_edcs_prefix_and_keep_others():
    body = {"properties": {"edc:a": 1, EDC + "b": 2, "dct:c": 3, "d": None, "@context": {}}}
    assert wire.properties(body, "properties") == {"a": 1, "b": 2, "dct:c": 3}


def test_a_property_in_two_spellings_is_refused():
    with pytest.raises(InvalidInputError, match="twice") as caught:
        wire.properties({"properties": {"a": 1, "edc:a": 2}}, "properties")
    assert caught.value.path == "$.properties.a"


@pytest.mark.parametrize("value", [["x", 1], [""], 5, [None], {"a": 1}])
def test_a_list_of_texts_has_texts_only(value):
    assert wire.texts({"a": "x"}, "a") == ["x"]
    assert wire.texts({}, "a") == []
    with pytest.raises(InvalidInputError):
        wire.texts({"a": value}, "a")


def test_a_document_has_its_own_context_and_no_empty_members():
    assert wire.document("Asset", "a", x=None, y=0) == {
        "@context": wire.CONTEXT,
        "@type": "Asset",
        "@id": "a",
        "y": 0,
    }
    assert wire.document("Partner", "a", name="n")["name"] == "n"


@pytest.mark.parametrize("empty", [None, [], {}, ""])
def test_an_unsupported_member_may_be_there_as_long_as_it_says_nothing(empty):
    wire.refuse_unsupported({"a": empty}, "a", "these are")
    with pytest.raises(InvalidInputError, match="these are not supported yet") as caught:
        wire.refuse_unsupported({"edc:a": [1]}, "a", "these are")
    assert caught.value.path == "$.a"
