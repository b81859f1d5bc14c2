import pytest

from comity import errors
from comity.cli import ids

A = "urn:uuid:11111111-aaaa-4aaa-8aaa-000000000001"
B = "urn:uuid:11111111-bbbb-4bbb-8bbb-000000000002"
C = "urn:uuid:22222222-cccc-4ccc-8ccc-000000000003"


def test_ids_are_shortened_only_as_far_as_they_stay_apart():
    assert ids.shorten([A, B, C]) == {A: "00000001", B: "00000002", C: "00000003"}


def test_ids_that_a_person_made_up_are_not_shortened():
    name = "turbine-housing-drawings-2026"
    assert ids.shorten([name, "urn:other:thing-with-a-long-name"])[name] == name


def test_one_id_twice_is_still_shortened():
    assert ids.shorten([A, A]) == {A: "00000001"}


def test_ids_of_one_moment_are_told_apart_by_their_ends():
    one = "urn:uuid:01a20ebc-ee0b-7768-afb9-eed1c1497874"
    two = "urn:uuid:01a20ebc-ee0b-7ee1-a0aa-0dd1c1497874"
    assert ids.shorten([one, two, C]) == {one: "ed1c1497874", two: "dd1c1497874", C: "00000003"}
    assert ids.find("ed1c1497874", [one, two, C], "transfer") == one


@pytest.mark.parametrize("text", [A, "urn:uuid:11111111-a", "11111111-a", "00000001", "01"])
def test_unique_beginning_or_end_is_enough(text):
    assert ids.find(text, [A, B, C], "transfer") == A


def test_exact_id_wins_over_longer_ones_that_begin_with_it():
    assert ids.find("a", ["a", "ab"], "asset") == "a"


def test_what_fits_several_is_refused_and_names_them():
    with pytest.raises(errors.InvalidInputError, match="could be 2 transfers") as caught:
        ids.find("1111", [A, B, C], "transfer")
    assert "11111111-aaaa" in caught.value.hint
    assert "11111111-bbbb" in caught.value.hint


@pytest.mark.parametrize("text", ["3", "", "uuid"])
def test_beginning_of_none_is_not_found(text):
    with pytest.raises(errors.NotFoundError) as caught:
        ids.find(text, [A, B], "transfer", hint="comity transfers shows them")
    assert caught.value.hint == "comity transfers shows them"


PACT = f"urn:comity:framework:9e4791e8-b144-454f-bc35-43deab65dc40#sha256:e0062561{'0' * 56}"
TEXTS = "urn:comity:framework:9e4791e8-b144-454f-bc35-43deab65dc40:texts:e006256100000000"


def test_a_framework_agreement_is_short_by_the_hash_that_was_signed():
    assert ids.shorten([PACT, TEXTS, A]) == {
        PACT: "framework:e0062561",
        TEXTS: "texts:e0062561",
        A: "00000001",
    }
    assert ids.within(f"purpose eq repair, under {PACT}") == "purpose eq repair, under framework:e0062561"


@pytest.mark.parametrize("text", [PACT, PACT[:40], "9e4791e8", "e0062561", "framework:e0"])
def test_a_framework_agreement_is_found_by_how_its_id_its_hash_or_its_short_form_begins(text):
    other = f"urn:comity:framework:0d6e8d0e-2e55-4dd7-acc9-f56857fa7771#sha256:{'1' * 64}"
    assert ids.find(text, [other, PACT, A], "framework agreement") == PACT
