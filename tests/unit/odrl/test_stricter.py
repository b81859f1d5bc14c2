"""Which of two terms is the stricter, and when neither is: held against what evaluation says of every value around."""

from datetime import UTC, datetime, timedelta
from itertools import product

from comity.odrl import operators, read, stricter

ORDERED = ("lt", "lteq", "eq", "gteq", "gt")
SETS = ("eq", "neq", "isAnyOf", "isNoneOf")
RIGHTS = ("2026-12-31", "2027-01-01", "2027-01-01T12:00:00Z", "2027-01-02")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
WORDS = ("a", "b", "c", "d")
LISTS = (["a"], ["b"], ["a", "b"], ["b", "c"])


def constraints(operand, *said):
    listed = [{"leftOperand": operand, "operator": each, "rightOperand": right} for each, right in said]
    return (
        read.parse({"@type": "Set", "permission": [{"action": "use", "constraint": listed}]})
        .permission[0]
        .constraints
    )


def keeps(constraint, value):
    return constraint.test(operators.fact(value, constraint.known.kind), constraint.values) is True


def around(right):
    """The first and the last moment of a day or a time, and the moments beside them."""
    low, high = constraints("dateTime", ("eq", right))[0].values[0]
    return [EPOCH + timedelta(microseconds=each + step) for each in (low, high) for step in (-1, 0, 1)]


def test_of_two_times_it_says_what_evaluation_says():
    moments = [moment for right in RIGHTS for moment in around(right)]
    for said in product(product(ORDERED, RIGHTS), repeat=2):
        first, second = constraints("dateTime", *said)
        kept = [each for each in moments if keeps(first, each)]
        assert stricter.implied(second, [first]) <= all(keeps(second, each) for each in kept), said
        possible = any(keeps(second, each) for each in kept)
        assert (stricter.contradiction([first, second]) == ()) == possible, said


def test_of_two_sets_it_says_what_evaluation_says():
    for pair in product(product(SETS, LISTS), repeat=2):
        said = [(operator, right[0] if operator in {"eq", "neq"} else right) for operator, right in pair]
        both = constraints("spatial", *said)
        possible = any(all(keeps(each, word) for each in both) for word in WORDS)
        assert (stricter.contradiction(both) == ()) == possible, said
        assert not stricter.implied(both[1], both[:1]), said


def test_what_is_of_another_operand_or_cannot_be_read_is_left_alone():
    two = constraints("dateTime", ("lteq", "2027-01-01")) + constraints("elapsedTime", ("lteq", "P1D"))
    assert stricter.contradiction(two) == ()
    assert not stricter.implied(two[1], two[:1])
    odd = constraints("dateTime", ("lteq", "someday"), ("gteq", "2027-01-01"))
    assert stricter.contradiction(odd) == ()
    assert not stricter.implied(odd[0], odd[1:])
