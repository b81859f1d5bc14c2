"""Which purpose has to be stated, so that a policy allows anything."""

import pytest

from comity.odrl import purposes


def constraint(operand, operator, right):
    return {"leftOperand": operand, "operator": operator, "rightOperand": right}


REPAIR = constraint("purpose", "eq", "repair")
UNTIL = constraint("dateTime", "lteq", "2020-01-01")


def permission(*constraints):
    return {"action": "use", "constraint": list(constraints)}


@pytest.mark.parametrize(
    ("permissions", "wanted"),
    [
        ([permission()], ()),
        ([permission(UNTIL, constraint("recipient", "eq", "did:web:x"))], ()),
        ([permission(REPAIR)], ("repair",)),
        ([permission(UNTIL, REPAIR)], ("repair",)),
        ([permission(constraint("purpose", "isAnyOf", ["service", "repair"]))], ("repair", "service")),
        ([permission(REPAIR), permission(constraint("purpose", "eq", "service"))], ("repair", "service")),
        ([permission(REPAIR), permission()], ()),
        ([permission({"or": [REPAIR, UNTIL]})], ("repair",)),
        ([permission({"and": [REPAIR, UNTIL]})], ("repair",)),
        ([permission(constraint("purpose", "neq", "war"))], ("purpose neq war",)),
        ([permission(REPAIR, constraint("unknownOperand", "eq", "x"))], ()),
    ],
)
def test_a_purpose_is_asked_for_where_nothing_is_allowed_without_one(permissions, wanted):
    assert purposes.wanted({"permission": permissions}) == wanted


def test_a_purpose_that_is_forbidden_has_to_be_told_apart():
    policy = {"permission": [permission()], "prohibition": [permission(constraint("purpose", "eq", "war"))]}
    assert purposes.wanted(policy) == ("war",)
