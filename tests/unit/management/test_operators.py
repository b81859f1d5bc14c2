"""What each operator holds of, and that none can be made to take long."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.management.operators import OPERATORS

HOLDS = [
    ("=", ["x"], "x", True),
    ("=", ["x"], "X", False),
    ("=", [5], "5", True),
    ("=", [5], 5.0, True),
    ("=", [True], "true", True),
    ("=", [True], 1, False),
    ("=", [1], True, False),
    ("=", [{"@id": "urn:a"}], "urn:a", True),
    ("=", ["urn:a"], {"@id": "urn:a"}, True),
    ("=", [{"@value": "v", "@type": "t"}], "v", True),
    ("=", ["a", "b"], "b", True),
    ("!=", ["x"], "y", True),
    ("!=", ["x"], "x", False),
    ("!=", ["a", "b"], "b", False),
    ("!=", [5], "5", False),
    ("in", ["a"], ["b", "a"], True),
    ("in", [1], ["1"], True),
    ("in", ["a"], [], False),
    ("in", ["a"], [{"@id": "a"}], True),
    ("not in", ["a"], ["b"], True),
    ("not in", ["a", "b"], ["b"], False),
    ("contains", ["abc"], "b", True),
    ("contains", ["abc"], "d", False),
    ("contains", ["ab", "cd"], "cd", True),
    ("contains", ["ab", "cd"], "c", False),
    ("like", ["abc"], "a%", True),
    ("like", ["abc"], "%c", True),
    ("like", ["abc"], "%b%", True),
    ("like", ["abc"], "a_c", True),
    ("like", ["abc"], "abc", True),
    ("like", ["abc"], "ab", False),
    ("like", ["abc"], "b%", False),
    ("like", ["abc"], "%b", False),
    ("like", ["ab"], "a%b%b", False),
    ("like", ["a"], "a%a", False),
    ("like", ["aXbYc"], "a%b%c", True),
    ("like", ["a\nb"], "a%b", True),
    ("like", ["a.c"], "a.c", True),
    ("like", ["abc"], "a.c", False),
    ("like", ["ABC"], "abc", False),
    ("ilike", ["ABC"], "a%c", True),
    ("ilike", ["ABD"], "a%c", False),
    ("<", [1], 2, True),
    ("<", [2], 2, False),
    ("<", ["9"], "10", True),
    ("<=", [2], 2, True),
    (">", [10], "9", True),
    (">=", [2], 3, False),
    ("<", ["2026-01-01"], "2026-02-01", True),
    (">", [10**400], 1, True),
    (">", [{"@value": "7"}], 5, True),
]


@pytest.mark.parametrize(("operator", "values", "wanted", "holds"), HOLDS)
def test_an_operator_holds_of_what_it_says(operator, values, wanted, holds):
    assert OPERATORS[operator](values, wanted) is holds


def test_all_of_edcs_operators_are_there():
    assert set(OPERATORS) == {"=", "!=", "like", "ilike", "in", "not in", "contains", "<", "<=", ">", ">="}


def test_a_pattern_made_to_take_long_does_not():
    began = time.perf_counter()
    assert not OPERATORS["like"](["a" * 100_000], "%a" * 900 + "b")
    assert OPERATORS["like"](["a" * 100_000], "%a" * 900 + "%")
    assert time.perf_counter() - began < 2


def _reference(value, pattern):
    """The definition of like, by every way of splitting."""
    if not pattern:
        return not value
    if pattern[0] == "%":
        return any(_reference(value[at:], pattern[1:]) for at in range(len(value) + 1))
    return bool(value) and pattern[0] in {"_", value[0]} and _reference(value[1:], pattern[1:])


@given(st.text("ab\n", max_size=8), st.text("ab%_", max_size=6))
def test_like_is_what_its_definition_says(value, pattern):
    assert OPERATORS["like"]([value], pattern) is _reference(value, pattern)


@given(
    st.lists(st.integers() | st.text(max_size=3) | st.booleans(), min_size=1, max_size=3), st.text(max_size=3)
)
def test_denying_operators_are_the_opposite(values, wanted):
    assert OPERATORS["!="](values, wanted) is not OPERATORS["="](values, wanted)
    assert OPERATORS["not in"](values, [wanted]) is not OPERATORS["in"](values, [wanted])
