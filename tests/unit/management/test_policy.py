"""Policies on the wire: stored in one spelling, sent as they were offered."""

import pytest

from comity.errors import InvalidInputError
from comity.management import policy

UNTIL = {"leftOperand": "dateTime", "operator": "lteq", "rightOperand": "2027-12-31"}
RULE = {"action": "use", "constraint": [UNTIL]}
PREFIXED = {
    "@context": "http://www.w3.org/ns/odrl.jsonld",
    "@type": "odrl:Offer",
    "@id": "offer-1",
    "odrl:target": {"@id": "asset-1"},
    "odrl:assigner": {"@id": "did:web:them"},
    "odrl:permission": {
        "odrl:action": {"@id": "odrl:use"},
        "odrl:constraint": {
            "odrl:leftOperand": {"@id": "odrl:dateTime"},
            "odrl:operator": {"@id": "odrl:lteq"},
            "odrl:rightOperand": "2027-12-31",
        },
    },
}


def test_a_definition_is_stored_in_the_protocols_spelling():
    expected = {"@id": "offer-1", "@type": "Offer", "permission": [RULE]}
    assert policy.read({"policy": PREFIXED}) == expected
    assert policy.read({"edc:policy": {"permission": [RULE]}}) == {"@type": "Set", "permission": [RULE]}


def test_an_offer_in_other_spellings_becomes_the_protocols():
    found = policy.read_offer({"policy": PREFIXED})
    assert found == policy.Offer("offer-1", "asset-1", "did:web:them", {"permission": [RULE]})


def test_an_offer_in_the_protocols_names_stays_letter_for_letter():
    right = {"@value": 5, "@type": "xsd:integer"}
    rule = {
        "action": "use",
        "constraint": [{"leftOperand": "count", "operator": "lteq", "rightOperand": right}],
    }
    given = {"@id": "o", "@type": "Offer", "target": "a", "permission": [rule], "other": 1}
    found = policy.read_offer({"policy": given})
    assert found.terms == {"permission": [rule], "other": 1}
    assert found.terms["permission"][0] is rule


def test_what_comes_from_a_partner_may_have_terms_that_are_unknown_here():
    rule = {"action": "use", "constraint": [{**UNTIL, "leftOperand": "moonPhase"}]}
    assert policy.read_offer({"policy": {"permission": [rule]}}).terms == {"permission": [rule]}
    with pytest.raises(InvalidInputError) as caught:
        policy.read_offer({"policy": {"permission": [rule]}}, enforced=True)
    assert caught.value.path.startswith("$.policy.permission[0].constraint[0]")


@pytest.mark.parametrize(
    ("given", "path"),
    [
        (None, "$.policy"),
        ([], "$.policy"),
        ("x", "$.policy"),
        ({}, "$.policy.permission"),
        ({"permission": []}, "$.policy.permission"),
        ({"permission": [1]}, "$.policy.permission[0]"),
        ({"permission": [{"action": "fly"}]}, "$.policy.permission[0].action"),
        ({"permission": [RULE], "obligation": [{"action": "use"}]}, "$.policy.obligation"),
        (
            {"permission": [{"action": "use", "constraint": [{**UNTIL, "operator": "near"}]}]},
            "$.policy.permission[0].",
        ),
        ({"permission": [RULE], "permision": []}, "$.policy.permision"),
        ({"permission": [RULE], "odrl:permission": [RULE]}, "$.policy.permission"),
    ],
)
def test_a_policy_that_cannot_be_kept_is_refused_with_its_place(given, path):
    with pytest.raises(InvalidInputError) as caught:
        policy.read({"policy": given})
    assert caught.value.path.startswith(path)


@pytest.mark.parametrize(
    "given",
    [
        {"permission": {"action": "use"}},
        {"permission": [{"action": {"@id": "use"}}]},
        {
            "permission": [
                {
                    "action": "use",
                    "constraint": {"leftOperand": "count", "operator": "lt", "rightOperand": "5"},
                }
            ]
        },
        {
            "permission": [
                {
                    "action": "use",
                    "constraint": [{"leftOperand": {"@id": "count"}, "operator": "lt", "rightOperand": "5"}],
                }
            ]
        },
        {
            "permission": [
                {
                    "action": "use",
                    "constraint": [{"or": {"leftOperand": "count", "operator": "lt", "rightOperand": "5"}}],
                }
            ]
        },
    ],
)
def test_an_offer_in_another_form_than_the_protocols_is_written_in_its_form(given):
    (rule,) = policy.read_offer({"policy": {"@id": "o", **given}}).terms["permission"]
    assert rule["action"] == "use"
    for constraint in rule.get("constraint", []):
        (atom,) = constraint.get("or", [constraint])
        assert atom == {"leftOperand": "count", "operator": "lt", "rightOperand": "5"}


def test_an_offer_in_the_protocols_form_stays_letter_for_letter():
    constraint = {
        "leftOperand": "count",
        "operator": "lt",
        "rightOperand": {"@value": "5", "@type": "xsd:integer"},
    }
    rules = [{"action": "use", "constraint": [{"and": [constraint, constraint]}], "x:note": 1}]
    assert policy.read_offer({"policy": {"@id": "o", "permission": rules}}).terms == {"permission": rules}


@pytest.mark.parametrize(
    ("given", "written"),
    [(5, "5"), (1.5, "1.5"), (True, "true"), ("5", "5"), (["5"], ["5"]), ({"@value": "5"}, {"@value": "5"})],
)
def test_a_right_operand_goes_out_as_the_schema_has_it(given, written):
    for constraint in (
        {"leftOperand": "count", "operator": "lteq", "rightOperand": given},
        {"and": [{"leftOperand": "count", "operator": "lteq", "rightOperand": given}]},
    ):
        rule = {"action": "use", "constraint": [constraint]}
        (found,) = policy.read_offer({"policy": {"permission": [rule]}}).terms["permission"]
        (sent,) = found["constraint"]
        assert sent.get("and", [sent])[0]["rightOperand"] == written


def test_an_operator_that_the_schema_does_not_have_is_refused_also_in_what_comes_from_a_partner():
    constraint = {"leftOperand": "count", "operator": "atMost", "rightOperand": "5"}
    with pytest.raises(InvalidInputError) as caught:
        policy.read_offer({"policy": {"permission": [{"action": "use", "constraint": [constraint]}]}})
    assert caught.value.path == "$.policy.permission[0].constraint[0].operator"


@pytest.mark.parametrize("profile", [{"@id": "urn:p"}, [{"@id": "urn:p"}]])
def test_a_profile_goes_out_as_text(profile):
    found = policy.read_offer({"policy": {"profile": profile, "permission": [{"action": "use"}]}})
    assert found.terms["profile"] == "urn:p"
