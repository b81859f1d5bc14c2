from datetime import UTC, datetime, timedelta

import pytest

from comity.odrl import evaluate, explain

NOW = datetime(2027, 6, 1, 12, tzinfo=UTC)
FACTS = {"recipient": "did:web:b", "dateTime": NOW, "purpose": ("repair", "assembly"), "count": 3}


def atom(left, operator, right):
    return {"leftOperand": left, "operator": operator, "rightOperand": right}


def permit(*constraints, **more):
    return {"permission": [{"action": "use", "constraint": list(constraints)}], **more}


def findings(policy, facts=FACTS):
    return explain.explain(policy, facts).rules[0].terms


def test_a_yes_names_the_rule_that_applies_and_every_fact():
    said = explain.explain(
        permit(atom("purpose", "eq", "repair"), atom("dateTime", "lteq", "2027-12-31")), FACTS
    )
    assert (said.allowed, said.because) == (True, "permission[0] applies")
    assert said.rules[0].effect == "applies"
    assert said.rules[0].terms == (
        explain.Finding(
            "$.permission[0].constraint[0]",
            "purpose eq repair",
            "holds",
            "assembly, repair",
            "the purposes that the list of partners states for the partner",
            "node-enforced",
            "",
        ),
        explain.Finding(
            "$.permission[0].constraint[1]",
            "dateTime lteq 2027-12-31",
            "holds",
            "2027-06-01T12:00:00Z",
            "the time at this connector",
            "provider-enforced",
            "",
        ),
    )


@pytest.mark.parametrize(
    ("constraint", "verdict", "fact", "why"),
    [
        (atom("count", "lteq", "2"), "fails", "3", ""),
        (atom("spatial", "eq", "DE"), "cannot be told", "", "not stated"),
        (atom("mood", "eq", "good"), "cannot be told", "", "unknown operand"),
        (atom("comity:personNationality", "eq", "DE"), "not decided here", "", ""),
        (atom("Liability", "eq", "cx.grossNegligence:1"), "not decided here", "", ""),
        (atom("count", "near", "2"), "cannot be told", "3", "unknown operator"),
    ],
)
def test_a_term_says_whether_it_holds_and_why(constraint, verdict, fact, why):
    [found] = findings(permit(constraint))
    assert (found.verdict, found.fact, found.why) == (verdict, fact, why)


def test_the_members_of_a_logical_constraint_are_said_one_by_one():
    found = findings(permit({"or": [atom("count", "eq", "1"), atom("count", "eq", "3")]}))
    assert [(each.path[25:], each.verdict) for each in found] == [
        ("t[0]", "holds"),
        ("t[0].or[0]", "fails"),
        ("t[0].or[1]", "holds"),
    ]


@pytest.mark.parametrize(
    ("policy", "because", "effects"),
    [
        (permit(atom("count", "lt", "3")), "no permission applies: count lt 3", ["does not apply"]),
        (
            permit(prohibition=[{"action": "use", "constraint": [atom("count", "eq", "3")]}]),
            "prohibition[0] forbids it: prohibited: count eq 3",
            ["applies", "forbids it"],
        ),
        (
            permit(
                prohibition=[
                    {"action": "use", "constraint": [atom("count", "eq", "4")]},
                    {"action": "distribute"},
                ]
            ),
            "permission[0] applies",
            ["applies", "does not forbid it", "is not about this"],
        ),
        (
            permit(obligation=[{"action": "delete"}, {"action": "pay"}]),
            "no permission applies: obligation: pay: unknown duty",
            ["applies", "follows from having agreed", "says no: unknown duty"],
        ),
        (
            permit(atom("comity:personNationality", "eq", "DE")),
            "permission[0] applies; not decided here: comity:personNationality eq DE",
            ["applies"],
        ),
        (
            {"permission": [{"action": "x:fly"}]},
            "no permission applies: permission[0]: unknown action x:fly",
            ["does not apply"],
        ),
    ],
)
def test_the_rule_that_decides_is_named(policy, because, effects):
    said = explain.explain(policy, FACTS)
    assert said.because == because
    assert [each.effect for each in said.rules] == effects
    decided = evaluate.evaluate(policy, FACTS)
    assert (said.allowed, said.reasons) == (decided.allowed, decided.reasons)


@pytest.mark.parametrize(
    ("fact", "text"),
    [
        (None, ""),
        (timedelta(days=2, seconds=30), "2 d 30 s"),
        (timedelta(seconds=30), "30 s"),
        ({"b", "a"}, "a, b"),
        ("a\nb", "a?b"),
    ],
)
def test_a_fact_is_shown_as_a_person_reads_it(fact, text):
    assert explain.show(fact) == text


def test_the_constraint_of_a_duty_says_when_it_is_due_and_is_not_decided():
    due = atom("dateTime", "lteq", "2027-12-31")
    said = explain.explain(permit(obligation=[{"action": "delete", "constraint": [{"and": [due]}]}]), FACTS)
    assert [(each.verdict, each.fact) for each in said.rules[1].terms] == [
        ("says when", ""),
        ("says when", ""),
    ]
