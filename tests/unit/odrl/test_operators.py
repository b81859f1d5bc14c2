from datetime import UTC, date, datetime

import pytest

from comity.odrl import operators, values, vocabulary

A, B, C = "did:web:a", "did:web:b", "did:web:c"


def verdict(fact, operator, right, kind):
    known = operators.fact(fact, kind)
    assert known is not None
    return operators.test(operator, kind)(known, values.read(values.wire(right), kind))


@pytest.mark.parametrize(
    ("fact", "operator", "right", "expected"),
    [
        (A, "eq", A, True),
        (A, "eq", B, False),
        ([A, B], "eq", [B, A], True),
        ([A, B], "eq", A, True),
        (A, "eq", [A, B], None),
        (A, "neq", A, False),
        (A, "neq", B, True),
        ([A, B], "neq", A, None),
        (A, "isAnyOf", [A, B], True),
        (A, "isAnyOf", B, False),
        ({A, C}, "isAnyOf", [A, B], True),
        (A, "isNoneOf", [A, B], False),
        (C, "isNoneOf", [A, B], True),
        ({A, C}, "isNoneOf", [A, B], None),
        ((A, B, C), "isAllOf", [A, B], True),
        (A, "isAllOf", [A, B], False),
        (A, "isA", A, True),
        (A, "isA", B, None),
        (A, "isPartOf", [A, B], True),
        ("DE-BY", "isPartOf", "DE", None),
        ([A, B], "hasPart", A, True),
        (A, "hasPart", [A, B], None),
    ],
)
def test_operators_on_text(fact, operator, right, expected):
    assert verdict(fact, operator, right, "text") is expected


@pytest.mark.parametrize(
    ("fact", "operator", "right", "expected"),
    [
        (5, "eq", 5, True),
        (5, "eq", "5.0", True),
        (5, "eq", 6, False),
        (5, "eq", [5, 6], None),
        (5, "neq", 6, True),
        (5, "neq", 5, False),
        (5, "lt", 5, False),
        (4, "lt", 5, True),
        (5, "lt", "5.5", True),
        (5, "lteq", 5, True),
        (6, "lteq", 5, False),
        (5, "gt", 5, False),
        (6, "gt", 5, True),
        (5, "gteq", 5, True),
        (4, "gteq", 5, False),
        (5, "isAnyOf", [4, 5], True),
        (5, "isAnyOf", [4, 6], False),
        (5, "isNoneOf", [4, 6], True),
        (5, "isNoneOf", [4, 5], False),
        (5, "isAllOf", [5, "5.0"], True),
        (5, "isAllOf", [5, 6], False),
        (5, "isA", 5, True),
        (5, "isPartOf", [6], False),
        (5, "hasPart", 5, True),
    ],
)
def test_operators_on_numbers(fact, operator, right, expected):
    assert verdict(fact, operator, right, "number") is expected


DAY = "2027-12-31"


@pytest.mark.parametrize(
    ("fact", "operator", "right", "expected"),
    [
        (datetime(2027, 12, 31, 23, 59, 59, 999_999, UTC), "lteq", DAY, True),
        (datetime(2028, 1, 1, tzinfo=UTC), "lteq", DAY, False),
        (datetime(2027, 12, 31, tzinfo=UTC), "lt", DAY, False),
        (datetime(2027, 12, 30, 23, 59, tzinfo=UTC), "lt", DAY, True),
        (datetime(2027, 12, 31, 23, 59, tzinfo=UTC), "gt", DAY, False),
        (datetime(2028, 1, 1, tzinfo=UTC), "gt", DAY, True),
        (datetime(2027, 12, 31, tzinfo=UTC), "gteq", DAY, True),
        (datetime(2027, 12, 30, 23, tzinfo=UTC), "gteq", DAY, False),
        (datetime(2027, 12, 31, 12, tzinfo=UTC), "eq", DAY, True),
        (datetime(2027, 12, 30, 12, tzinfo=UTC), "neq", DAY, True),
        (datetime(2027, 12, 31, 12, tzinfo=UTC), "isPartOf", DAY, True),
        (datetime(2027, 12, 31, 5, tzinfo=UTC), "lt", "2027-12-31T06:00Z", True),
        (datetime(2027, 12, 31, 6, tzinfo=UTC), "eq", "2027-12-31T08:00+02:00", True),
        (datetime(2027, 12, 31, 6), "eq", "2027-12-31T06:00:00Z", True),  # noqa: DTZ001  naive is UTC
    ],
)
def test_operators_on_times(fact, operator, right, expected):
    assert verdict(fact, operator, right, "time") is expected


@pytest.mark.parametrize("kind", ["text", "time", "number"])
def test_an_unknown_operator_has_no_test(kind):
    assert operators.test("resembles", kind) is None


@pytest.mark.parametrize("operator", sorted(vocabulary.ORDER))
def test_text_has_no_order(operator):
    assert operators.test(operator, "text") is None


@pytest.mark.parametrize("kind", ["time", "number"])
def test_every_known_operator_has_a_test_for_what_can_be_ordered(kind):
    assert all(operators.test(operator, kind) for operator in vocabulary.OPERATORS)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, "text"),
        ("", "time"),
        (5, "text"),
        ([], "text"),
        (["a", 5], "text"),
        (date(2027, 12, 31), "time"),
        (1_700_000_000_000, "time"),
        ("5", "number"),
        (True, "number"),
        (float("nan"), "number"),
    ],
)
def test_a_fact_of_another_kind_is_no_fact(value, kind):
    assert operators.fact(value, kind) is None


@pytest.mark.parametrize(("verdict_", "opposite"), [(True, False), (False, True), (None, None)])
def test_what_cannot_be_told_has_no_opposite(verdict_, opposite):
    assert operators.negate(verdict_) is opposite
