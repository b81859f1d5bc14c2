"""What is written is valid by the protocol's own schema, which is read where it is and not copied."""

import json

import pytest

from comity.odrl import model
from support import specification

EXAMPLES = specification.examples("negotiation")

pytestmark = specification.missing


def atomic(left="count", operator="lt", right="3", **more):
    return {"leftOperand": left, "operator": operator, "rightOperand": right, **more}


TERMS = [
    {"permission": {"action": "use"}},
    {"prohibition": {"odrl:action": {"@id": "odrl:use"}}, "permission": [], "obligation": []},
    {
        "permission": {"action": "use", "constraint": [], "dct:title": "t"},
        "obligation": {"action": "delete"},
    },
    {"permission": {"action": "use"}, "profile": "urn:a", "dct:title": "t"},
    {"permission": {"action": "use"}, "profile": ["urn:a", {"@id": "urn:b"}]},
    {"permission": {"action": "use", "duty": [{"action": "pay"}], "uid": "urn:r", "assignee": "a"}},
    *(
        {"permission": {"action": "use", "constraint": constraint}}
        for constraint in [
            atomic(),
            atomic(right=5),
            atomic(right=5.5),
            atomic(right=True),
            atomic(right=[5, "a", {"@id": "b"}]),
            atomic(right={"@value": 5, "@type": "xsd:integer"}),
            atomic(left={"@id": "odrl:dateTime"}, operator={"@id": "odrl:lteq"}, right="2027-12-31"),
            atomic(operator="term-lteq", unit="h"),
            {"or": []},
            {"odrl:and": atomic()},
            {"xone": [atomic(), {"andSequence": [atomic(right=1), {"or": [atomic()]}]}], "x:y": None},
        ]
    ),
]


def errors_of(definition, value):
    return specification.errors_of(f"negotiation/contract-schema.json#/definitions/{definition}", value)


def test_the_schema_can_say_no():
    assert errors_of("Offer", {"@id": "x", "permission": []})
    assert errors_of("Offer", {"@id": "x", "permission": [{"action": {"@id": "use"}}]})
    assert errors_of("Agreement", {"@id": "x", "@type": "Agreement", "permission": [{"action": "use"}]})


@pytest.mark.parametrize("terms", TERMS)
def test_an_offer_is_valid(terms):
    assert errors_of("Offer", model.offer(model.parse(terms), "urn:o")) == []
    assert errors_of("Offer", model.format(model.parse({"@id": "urn:o", "@type": "Set", **terms}))) == []


@pytest.mark.parametrize("terms", TERMS)
def test_an_offer_in_a_message_is_valid(terms):
    assert errors_of("MessageOffer", model.offer(model.parse(terms), "urn:o", "urn:a")) == []
    spelled = {"uid": "urn:o", "@type": "odrl:Offer", "odrl:target": {"@id": "urn:a"}, **terms}
    assert errors_of("MessageOffer", model.format(model.parse(spelled))) == []


@pytest.mark.parametrize("terms", TERMS)
def test_an_agreement_is_valid(terms):
    parties = {"target": "urn:a", "assigner": "did:web:a", "assignee": "did:web:b"}
    found = model.agreement(model.parse(terms), "urn:x", timestamp="2026-01-01T00:00:00.5+01:00", **parties)
    assert errors_of("Agreement", found) == []
    spelled = {"@id": "urn:o", "@type": "odrl:Agreement", **{f"odrl:{k}": v for k, v in parties.items()}}
    assert errors_of("Agreement", model.format(model.parse({**spelled, **terms}))) == []


def policies(value):
    if isinstance(value, dict):
        if "permission" in value or "prohibition" in value:
            yield value
        for member in value.values():
            yield from policies(member)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_the_policies_in_the_specs_examples_are_written_as_they_stand(path):
    for policy in policies(json.loads(path.read_text(encoding="utf-8"))):
        assert model.format(model.parse(policy)) == policy
