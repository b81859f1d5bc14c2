import pytest

from comity import errors
from comity.cli import people

ALPHA = {"@id": "did:web:alpha.example", "name": "Alpha Works", "address": "https://alpha.example/dsp/2025-1"}
BETA = {"@id": "did:web:h%3A8443:b", "name": "Beta", "address": "https://h:8443/b/dsp/2025-1"}
BETTER = {"@id": "did:web:better.example", "name": "Better", "address": "https://better.example/dsp/2025-1"}


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("did:web:alpha.example", ALPHA),
        ("alpha works", ALPHA),
        ("alpha", ALPHA),
        ("did:web:al", ALPHA),
        ("https://alpha.example", ALPHA),
        ("https://alpha.example/dsp/2025-1/", ALPHA),
        ("https://h:8443/b/", BETA),
        ("Beta", BETA),
        ("bett", BETTER),
    ],
)
def test_partner_is_found_by_name_did_address_or_their_beginning(text, meant):
    assert people.choose([ALPHA, BETA, BETTER], text) is meant


def test_name_that_could_be_several_is_refused_and_names_them():
    with pytest.raises(errors.InvalidInputError, match="could be 2 partners") as caught:
        people.choose([ALPHA, BETA, BETTER], "be")
    assert BETA["@id"] in caught.value.hint


@pytest.mark.parametrize("text", ["gamma", "", "https://gamma.example", "http://"])
def test_somebody_who_is_not_on_the_list_is_not_found(text):
    with pytest.raises(errors.NotFoundError) as caught:
        people.choose([ALPHA, BETA], text)
    assert "comity partner add" in caught.value.hint


def test_partners_of_one_name_are_told_apart_by_their_ids():
    twin = {**BETTER, "name": "Beta"}
    assert people.names([ALPHA, BETA, twin]) == {
        ALPHA["@id"]: "Alpha Works",
        BETA["@id"]: BETA["@id"],
        twin["@id"]: twin["@id"],
    }
