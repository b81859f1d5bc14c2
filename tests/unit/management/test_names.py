"""One name, its spellings, and paths into objects."""

import pytest

from comity.management import names

DCT = "http://purl.org/dc/terms/"
EDC = names.EDC


@pytest.mark.parametrize(
    ("written", "one"),
    [
        ("name", "name"),
        ("edc:name", "name"),
        (EDC + "name", "name"),
        ("dct:type", DCT + "type"),
        ("dcterms:type", DCT + "type"),
        (DCT + "type", DCT + "type"),
        ("https://purl.org/dc/terms/type", DCT + "type"),
        ("cx-common:version", "https://w3id.org/catenax/ontology/common#version"),
        ("aas-semantics:semanticId", "https://admin-shell.io/aas/3/0/HasSemantics/semanticId"),
        ("comity:files", "comity:files"),
        ("urn:uuid:1", "urn:uuid:1"),
        ("@id", "@id"),
    ],
)
def test_a_name_has_one_canonical_spelling(written, one):
    assert names.canonical(written) == one


@pytest.mark.parametrize(
    "stored", ["dct:type", DCT + "type", "dcterms:type", "https://purl.org/dc/terms/type"]
)
@pytest.mark.parametrize("value", [{"@id": "urn:t"}, [{"@id": "urn:t"}], "urn:t"])
@pytest.mark.parametrize(
    "asked",
    [
        f"'{DCT}type'.'@id'",
        "'dct:type'.'@id'",
        f"properties.'{DCT}type'.'@id'",
        "'https://purl.org/dc/terms/type'.'@id'",
    ],
)
def test_a_path_finds_an_object_in_either_spelling(stored, value, asked):
    assert names.find_all({stored: value}, asked) == ["urn:t"]


@pytest.mark.parametrize("asked", [DCT + "type", "dct:type", f"'{DCT}type'", "properties.dct:type"])
def test_a_name_with_dots_in_it_is_a_name_first(asked):
    assert names.find_all({"dct:type": "x"}, asked) == ["x"]


def test_a_path_goes_into_nested_objects_and_lists():
    document = {"a": [{"b": {"c": 1}}, {"b": {"c": [2, None]}}, 3]}
    assert names.find_all(document, "a.b.c") == [1, 2]
    assert names.find_all(document, "a.b.d") == []
    assert names.find_all(document, "a.c") == []


def test_a_property_whose_name_has_a_dot_is_found_by_it():
    assert names.find_all({"v1.2": "x"}, "v1.2") == ["x"]


@pytest.mark.parametrize("asked", ["", ".", "''", "'", "properties", "properties."])
def test_a_path_that_leads_nowhere_finds_nothing(asked):
    assert names.find_all({"a": 1}, asked) == []


def test_null_is_absent():
    assert names.find_all({"a": None}, "a") == []
    assert names.get({"a": None, "edc:a": 1}, "a") == 1
    assert names.get({"a": None}, "a", 7) == 7
