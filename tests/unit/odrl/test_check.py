import pytest

from comity import errors
from comity.odrl import model

ATOMIC = {"leftOperand": "count", "operator": "lt", "rightOperand": "3"}


def permit(*constraints, **more):
    return {"permission": [{"action": "use", "constraint": list(constraints), **more}]}


GOOD = {
    "@type": "Set",
    **permit(ATOMIC, {"or": [ATOMIC, {"and": [ATOMIC]}]}, **{"dct:title": "t"}),
    "prohibition": [{"action": "distribute"}],
}


def test_a_policy_that_can_be_enforced_is_taken():
    assert model.check(GOOD) is None
    assert model.check(model.parse(GOOD)) is None


C = "$.permission[0].constraint[0]"


@pytest.mark.parametrize(
    ("policy", "path", "words"),
    [
        ({}, "$.permission", "Nothing is permitted"),
        ({"permission": [{"action": "read"}]}, "$.permission", "Nothing is permitted"),
        ({"prohibition": [{"action": "use"}]}, "$.permission", "Nothing is permitted"),
        ({**permit(), "obligation": {"action": "pay"}}, "$.obligation[0].action", "pay: unknown duty"),
        ({**permit(), "permissions": []}, "$.permissions", "Nothing is known of permissions"),
        (permit(target="a"), "$.permission[0].target", "cannot say target"),
        (permit(assignee="a"), "$.permission[0].assignee", "cannot say assignee"),
        (permit(duty=[{"action": "pay"}]), "$.permission[0].duty", "cannot say duty"),
        (permit(constraints=[]), "$.permission[0].constraints", "cannot say constraints"),
        ({"permission": {"action": "USE"}}, "$.permission[0].action", "Unknown action USE"),
        ({**permit(), "prohibition": {"action": "x"}}, "$.prohibition[0].action", "Unknown action x"),
        (permit({**ATOMIC, "leftOperand": "mood"}), C, "mood lt 3: unknown operand"),
        (permit({**ATOMIC, "operator": "near"}), C, "count near 3: unknown operator"),
        (permit({**ATOMIC, "operator": "term-lteq"}), C, "count term-lteq 3: unknown operator"),
        (permit({**ATOMIC, "rightOperand": "few"}), C, "count lt few: a value that cannot be read"),
        (permit({"or": []}), C, "or(): it is empty"),
        (permit({"or": [ATOMIC, {**ATOMIC, "unit": "h"}]}), f"{C}.or[1]", "unknown member unit"),
    ],
)
def test_a_policy_that_cannot_be_enforced_is_refused_with_its_place(policy, path, words):
    with pytest.raises(errors.InvalidInputError) as caught:
        model.check(policy)
    assert caught.value.path == path
    assert words in caught.value.message


@pytest.mark.parametrize(
    ("policy", "hint"),
    [
        ({}, '{"action": "use"}'),
        (permit(target="a"), "contract definition"),
        (permit({**ATOMIC, "leftOperand": "mood"}), "recipient, dateTime, purpose, spatial, count"),
        (permit({**ATOMIC, "operator": "near"}), "isAnyOf"),
        (permit({**ATOMIC, "rightOperand": "few"}), "count takes a number"),
    ],
)
def test_the_refusal_says_what_to_do(policy, hint):
    with pytest.raises(errors.InvalidInputError) as caught:
        model.check(policy)
    assert hint in caught.value.hint
