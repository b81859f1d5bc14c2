"""Release rules: offers inherit them, may be stricter, and cannot say the contrary."""

import pytest

from comity import errors
from comity.framework import document, release
from comity.odrl import model
from support import agreeing


def constraint(operand, operator, right):
    return {"leftOperand": operand, "operator": operator, "rightOperand": right}


def offer(*constraints, action="use", **more):
    return {"@type": "Set", "permission": [{"action": action, "constraint": list(constraints)}], **more}


def inherited(policy):
    return release.inherit(policy, agreeing.URN, document.read(agreeing.document()))


def test_an_offer_inherits_the_rules_and_that_the_agreement_is_in_force():
    made = inherited(offer(constraint("recipient", "isAnyOf", [agreeing.B])))
    rules = agreeing.document()["releaseRules"]
    assert made["permission"][0]["constraint"] == [
        constraint("recipient", "isAnyOf", [agreeing.B]),
        *rules["permission"][0]["constraint"],
        constraint("comity:frameworkAgreement", "eq", agreeing.URN),
    ]
    assert made["prohibition"] == rules["prohibition"]
    assert inherited(made) == made
    model.parse(made)


def test_of_several_ways_to_be_released_any_one_must_hold():
    rules = {
        "permission": [
            {"action": "use", "constraint": [constraint("spatial", "eq", place)]} for place in ("AA", "BB")
        ]
    }
    framework = document.read(agreeing.document(releaseRules=rules))
    made = release.inherit(offer(), agreeing.URN, framework)
    ways = made["permission"][0]["constraint"][0]["or"]
    assert [way["and"][0]["rightOperand"] for way in ways] == ["AA", "BB"]


def test_the_rules_of_a_parent_are_inherited_as_well():
    child = document.read(agreeing.document(parent=agreeing.URN, releaseRules=agreeing.FREE))
    parent = document.read(agreeing.document())
    made = release.inherit(offer(), agreeing.URN, child, parent)
    assert [each["leftOperand"] for each in made["permission"][0]["constraint"]] == [
        "spatial",
        "comity:frameworkAgreement",
    ]
    with pytest.raises(errors.InvalidInputError, match="spatial isAnyOf AA, BB"):
        release.inherit(offer(constraint("spatial", "eq", "ZZ")), agreeing.URN, child, parent)


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        (offer(constraint("spatial", "eq", "ZZ")), "spatial isAnyOf AA, BB"),
        (offer(constraint("spatial", "isAnyOf", ["ZZ", "YY"])), "can never hold together"),
        (offer(action="distribute"), "which is prohibited"),
        (offer(action="sell"), "which is not released"),
        (offer(constraint("recipient", "eq", "did:web:d.example")), "did:web:d.example, who is no party"),
        (offer(constraint("dateTime", "gteq", "2133-01-01")), "begins after its end, 2099-12-31"),
        (offer(constraint("dateTime", "lteq", "2015-01-01")), "ends before it begins, 2020-01-01"),
        (
            offer(constraint("comity:frameworkAgreement", "eq", "urn:another")),
            "another framework agreement, urn:another",
        ),
    ],
)
def test_a_contradiction_is_refused_and_named(policy, said):
    with pytest.raises(errors.InvalidInputError, match="Joint production") as caught:
        inherited(policy)
    assert said in caught.value.message


def test_a_stricter_offer_is_no_contradiction():
    made = inherited(
        offer(constraint("spatial", "eq", "AA"), constraint("dateTime", "lteq", "2027-12-31T00:00:00Z"))
    )
    assert len(made["permission"][0]["constraint"]) == 4


@pytest.mark.parametrize(
    ("rule", "said", "clash"),
    [
        (("spatial", "isNoneOf", ["AA", "BB"]), ("spatial", "eq", "AA"), True),
        (("spatial", "isAnyOf", ["AA"]), ("spatial", "neq", "AA"), True),
        (("spatial", "isNoneOf", ["AA"]), ("spatial", "isAnyOf", ["AA", "BB"]), False),
        (("dateTime", "lteq", "2027-12-31"), ("dateTime", "gteq", "2028-01-01"), True),
        (("dateTime", "lteq", "2027-12-31"), ("dateTime", "gteq", "2027-12-31"), False),
        (("count", "lteq", "3"), ("count", "lteq", "9"), False),
    ],
)
def test_two_terms_that_never_hold_together_are_a_contradiction(rule, said, clash):
    rules = offer(constraint(*rule))
    found = release.contradictions(offer({"and": [constraint(*said)]}), rules)
    assert bool(found) == clash
