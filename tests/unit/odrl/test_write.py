import pytest

from comity import errors
from comity.odrl import compare, model

ATOMIC = {"leftOperand": "count", "operator": "lt", "rightOperand": "3"}
TERMS = {
    "permission": [{"action": "use", "constraint": [ATOMIC, {"xone": [ATOMIC]}], "dct:title": "t"}],
    "prohibition": [{"action": "distribute"}],
    "obligation": [{"action": "delete"}],
    "profile": "urn:profile",
}
PARTIES = {"target": "urn:a", "assigner": "did:web:a", "assignee": "did:web:b"}
AGREEMENT = {"@id": "urn:x", "@type": "Agreement", **PARTIES, "timestamp": "2026-01-01T00:00:00Z", **TERMS}


def test_a_policy_in_the_schemas_form_is_written_as_it_was():
    assert model.format(model.parse({"@context": ["x"], "dct:title": "t", **AGREEMENT})) == {
        "dct:title": "t",
        **AGREEMENT,
    }


def test_a_set_is_written_as_an_offer():
    found = model.format(model.parse({"@id": "urn:x", "@type": "Set", "permission": {"action": "odrl:use"}}))
    assert found == {"@id": "urn:x", "@type": "Offer", "permission": [{"action": "use"}]}


def test_empty_arrays_are_left_out():
    json = {"@id": "x", "permission": {"action": "use", "constraint": []}, "prohibition": [], "profile": []}
    assert model.format(model.parse(json)) == {
        "@id": "x",
        "@type": "Offer",
        "permission": [{"action": "use"}],
    }


def test_several_profiles_stay_an_array():
    found = model.format(model.parse({"@id": "x", "permission": {"action": "use"}, "profile": ["a", "b"]}))
    assert found["profile"] == ["a", "b"]


def test_a_number_is_written_as_a_string():
    json = {"@id": "x", "permission": {"action": "use", "constraint": {**ATOMIC, "rightOperand": 5}}}
    assert model.format(model.parse(json))["permission"][0]["constraint"][0]["rightOperand"] == "5"


def test_an_offer_for_a_catalog_has_no_target_and_no_parties():
    found = model.offer(model.parse(AGREEMENT), "urn:o")
    assert found == {"@id": "urn:o", "@type": "Offer", **TERMS}


def test_an_offer_for_a_message_has_its_target():
    assert model.offer(model.parse(TERMS), "urn:o", "urn:a")["target"] == "urn:a"


def test_an_agreement_has_the_terms_of_its_offer():
    offer = model.offer(model.parse(TERMS), "urn:o", "urn:a")
    when = "2026-01-01T00:00:00.123Z"
    found = model.agreement(model.parse(offer), "urn:x", timestamp=when, **PARTIES)
    assert found == {**AGREEMENT, "timestamp": when}
    assert compare.same(found, offer)


def test_terms_are_written_alone():
    assert model.terms(model.parse(AGREEMENT)) == TERMS


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"@id": None}, "$.@id"),
        ({"target": None}, "$.target"),
        ({"assigner": None}, "$.assigner"),
        ({"assignee": None}, "$.assignee"),
        ({"timestamp": "2026-01-01"}, "$.timestamp"),
        ({"timestamp": "2026-01-01T06:00Z"}, "$.timestamp"),
        ({"permission": [], "prohibition": None}, "$.permission"),
        ({"permission": {"action": "use", "target": "urn:other"}}, "$.permission[0].target"),
        (
            {"permission": {"action": "use", "constraint": {**ATOMIC, "operator": "near"}}},
            "$.permission[0].constraint[0].operator",
        ),
    ],
)
def test_what_the_schema_has_no_place_for_is_not_written(change, path):
    with pytest.raises(errors.InvalidInputError) as caught:
        model.format(model.parse({**AGREEMENT, **change}))
    assert caught.value.path == path


def test_the_schemas_odd_operator_is_written():
    constraint = {**ATOMIC, "operator": "term-lteq"}
    found = model.terms(model.parse({"permission": {"action": "use", "constraint": constraint}}))
    assert found["permission"][0]["constraint"] == [constraint]
