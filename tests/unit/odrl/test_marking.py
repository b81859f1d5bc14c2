"""Release markings become terms that can be published, and each says what it needs."""

import pytest

from comity import errors
from comity.odrl import enforcement, marking, model

SAID = marking.Said(
    recipients=["did:web:a", "did:web:b"], nationalities=["AA"], licence="L-1", delete_after="P30D"
)


@pytest.mark.parametrize("each", marking.STANDARD, ids=lambda each: each.name)
def test_every_standard_marking_can_be_published_and_says_how_each_term_is_enforced(each):
    made = marking.policy(SAID, [each])
    model.check(model.parse(made))
    assert made["rdfs:label"] == each.name
    assert all(term.enforced for term in enforcement.terms(made))
    assert model.parse(marking.example(each))


@pytest.mark.parametrize(
    "each", [each for each in marking.STANDARD if each.needs], ids=lambda each: each.name
)
def test_a_marking_that_is_told_too_little_names_the_option(each):
    with pytest.raises(errors.InvalidInputError, match=marking.OPTIONS[each.needs[0]]):
        marking.policy(marking.Said(), [each])


def test_the_markings_of_one_offer_are_one_policy():
    chosen = marking.choose(["partners-only", "no-re-export", "delete-after", "partners-only"])
    made = marking.policy(
        marking.Said(
            recipients=["did:web:a"],
            until="2027-12-31",
            purposes=["production:programme-1"],
            delete_after="P30D",
        ),
        chosen,
    )
    assert made == {
        "@type": "Set",
        "rdfs:label": "partners-only, no-re-export, delete-after",
        "permission": [
            {
                "action": "use",
                "constraint": [
                    {"leftOperand": "recipient", "operator": "eq", "rightOperand": "did:web:a"},
                    {
                        "leftOperand": "comity:distributionClass",
                        "operator": "eq",
                        "rightOperand": "partners-only",
                    },
                    {"leftOperand": "dateTime", "operator": "lteq", "rightOperand": "2027-12-31"},
                    {"leftOperand": "purpose", "operator": "eq", "rightOperand": "production:programme-1"},
                ],
            }
        ],
        "prohibition": [
            {
                "action": "distribute",
                "constraint": [{"leftOperand": "recipient", "operator": "neq", "rightOperand": "did:web:a"}],
            }
        ],
        "obligation": [
            {
                "action": "delete",
                "constraint": [{"leftOperand": "elapsedTime", "operator": "lteq", "rightOperand": "P30D"}],
            }
        ],
    }


def test_an_unknown_marking_is_answered_with_those_that_there_are():
    with pytest.raises(errors.InvalidInputError, match="no marking secret") as caught:
        marking.choose(["secret"])
    assert "partners-only" in caught.value.hint


def test_a_marking_of_ones_own_is_a_row_of_the_same_kind():
    own = marking.Marking(name="example", means="An example.", classes=("inner",), must=("inform",))
    [chosen] = marking.choose(["example"], [*marking.STANDARD, own])
    assert marking.policy(marking.Said(), [chosen])["obligation"] == [{"action": "inform"}]
