"""What falls away when other terms take the place of those that hold."""

from __future__ import annotations

import pytest

from comity.odrl import fallen, marking
from comity.odrl.marking import Said

BETA, GAMMA = "did:web:beta.example", "did:web:gamma.example"


def terms(*marks: str, **said: object) -> dict[str, object]:
    return marking.policy(Said(**said), marking.choose(marks)) or {"permission": [{"action": "use"}]}


BEFORE = terms("no-re-export", "current-only", recipients=[BETA], delete_after="P30D", until="2030-01-01")


def test_one_option_alone_would_take_all_the_others_away():
    assert fallen.terms(BEFORE, terms(count=10)) == [
        f"by {BETA}",
        "until 2030-01-01",
        "while its revision is released",
        f"never distribute to anybody but {BETA}",
        "must delete within P30D",
        "the marking no-re-export",
        "the marking current-only",
    ]


def test_the_same_kinds_with_other_values_and_more_of_them_are_said_on_purpose():
    more = terms(
        "no-re-export", "current-only", recipients=[GAMMA, BETA], delete_after="P60D", until="2040-01-01", count=1
    )  # fmt: skip
    assert fallen.terms(BEFORE, more) == []
    assert fallen.terms(terms("no-re-export"), terms("no-re-export", recipients=[BETA])) == []
    assert fallen.terms(terms("public"), terms(recipients=[BETA])) == []


def _rule(said: list[tuple[str, str, str]], action: str = "use") -> dict[str, object]:
    names = ("leftOperand", "operator", "rightOperand")
    return {"action": action, "constraint": [dict(zip(names, each, strict=True)) for each in said]}


def _permits(*ways: list[tuple[str, str, str]], action: str = "use") -> dict[str, object]:
    return {"permission": [_rule(way, action) for way in ways]}


COUNT, TO = ("count", "lteq", "3"), ("recipient", "eq", BETA)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (_permits([TO, COUNT], [COUNT]), _permits([COUNT]), []),
        (_permits([TO], [COUNT]), _permits([TO], []), [f"by {BETA}"]),
        (_permits([("dateTime", "gteq", "2027-01-01")]), terms(until="2030-01-01"), ["from 2027-01-01"]),
        (_permits([], action="read"), _permits([]), ["only read"]),
        ({"prohibition": [{"action": "use"}]}, _permits([]), ["nothing is permitted", "never use"]),
        (_permits([]) | {"profile": "http://x.example/p"}, _permits([]), ["the profile http://x.example/p"]),
        (
            _permits([]) | {"prohibition": [_rule([], "distribute")]},
            _permits([]) | {"prohibition": [_rule([COUNT], "distribute")]},
            ["never distribute"],
        ),
        (
            {"permission": {"action": "use", "constraint": [{"or": _rule([TO, COUNT])["constraint"]}]}},
            _permits([COUNT]),
            [f"(by {BETA} or at most 3 times)"],
        ),
    ],
)
def test_what_is_wider_in_kind_is_named(before, after, expected):
    assert fallen.terms(before, after) == expected
