"""Who has to approve: how a rule is read, who of them may, when enough have, and what is said of it."""

import pytest

from comity.errors import ConflictError, InvalidInputError, PolicyError
from comity.management import approvals
from comity.management.approvals import Decision, Need, Rule

PAIR = Rule(("anna", "boris", "carla"), four_eyes=True, within_seconds=60)


def yes(name):
    return Decision(name, True, "", 1)


def test_a_rule_is_read_and_kept():
    said = {"approval": {"approvers": ["anna", "boris"], "fourEyes": True, "withinSeconds": 60}}
    rule = approvals.read(said)
    assert rule == Rule(("anna", "boris"), four_eyes=True, within_seconds=60)
    assert approvals.stored(approvals.document(rule)) == rule
    assert approvals.read({"approval": {"approvers": "anna"}}) == Rule(("anna",), within_seconds=259_200)


@pytest.mark.parametrize("said", [{}, {"approval": None}, {"approval": {}}])
def test_nothing_said_is_no_rule(said):
    assert approvals.read(said) is None
    assert approvals.document(None) == {}
    assert approvals.stored({}) is None


@pytest.mark.parametrize(
    ("said", "path"),
    [
        ("anna", "$.approval"),
        ({"fourEyes": True}, "$.approval.approvers"),
        ({"approvers": ["anna", "anna"]}, "$.approval.approvers"),
        ({"approvers": ["anna"], "fourEyes": "yes"}, "$.approval.fourEyes"),
        ({"approvers": ["anna"], "withinSeconds": 0}, "$.approval.withinSeconds"),
        ({"approvers": ["anna"], "withinSeconds": True}, "$.approval.withinSeconds"),
    ],
)
def test_what_is_no_rule_is_refused_with_its_place(said, path):
    with pytest.raises(InvalidInputError) as refused:
        approvals.read({"approval": said})
    assert refused.value.path == path


def test_a_rule_names_only_people_who_may_approve():
    with pytest.raises(InvalidInputError, match="no API key carla that may approve"):
        approvals.check(PAIR, ["anna", "boris"])
    approvals.check(PAIR, ["anna", "boris", "carla"], "anna")


def test_four_eyes_leave_two_people_beside_who_writes_the_offer():
    rule = Rule(("anna", "boris"), four_eyes=True)
    approvals.check(rule, ["anna", "boris"], "carla")
    with pytest.raises(InvalidInputError, match="beside anna, who writes this"):
        approvals.check(rule, ["anna", "boris"], "anna")
    approvals.check(Rule(("anna",)), ["anna"], "anna")  # one pair of eyes may be the writer's


def test_one_approval_is_enough_where_four_eyes_are_not_asked_for():
    needs = [approvals.need(Rule(("anna", "boris")), ["anna"])]
    assert approvals.missing(needs, []) == [(1, ("anna", "boris"))]
    assert approvals.missing(needs, [yes("anna")]) == []


def test_four_eyes_are_two_different_people_and_not_who_asked():
    needs = [approvals.need(PAIR, ["carla", ""])]
    assert needs == [Need(("anna", "boris", "carla"), 2, ("carla",))]
    assert approvals.missing(needs, [yes("anna")]) == [(1, ("boris",))]
    assert approvals.missing(needs, [yes("anna"), yes("anna")]) == [(1, ("boris",))]
    assert approvals.missing(needs, [yes("anna"), yes("boris")]) == []


def test_the_rules_of_an_offer_and_of_a_partner_are_both_met():
    needs = [Need(("anna",)), Need(("anna", "boris"), 2)]
    assert approvals.missing(needs, [yes("anna")]) == [(1, ("boris",))]
    assert approvals.missing(needs, [yes("boris")]) == [(1, ("anna",)), (1, ("anna",))]


@pytest.mark.parametrize(
    ("person", "error", "said"),
    [
        ("anna", ConflictError, "anna has approved it already, and nobody decides twice"),
        ("carla", PolicyError, "carla asked for it, and is none of the four eyes"),
        ("dora", PolicyError, "dora is not one of those who may approve it"),
        ("", PolicyError, "the key of the data folder is no person's"),
    ],
)
def test_who_may_not_decide_is_told_why(person, error, said):
    with pytest.raises(error, match=said):
        approvals.check_person([approvals.need(PAIR, ["carla"])], [yes("anna")], person)


def test_who_is_waited_for_is_said_in_a_sentence():
    shown = {
        "state": "WAITING",
        "dueAt": 1_790_000_000_000,
        "missing": [
            {"people": 1, "approvers": ["anna", "boris"]},
            {"people": 2, "approvers": ["carla", "dora"]},
        ],
    }
    assert approvals.waits_for(shown) == (
        "waits for 1 more approval by anna, boris and 2 more approvals by carla, dora until 2026-09-21 14:13:20 UTC"
    )
    assert approvals.waits_for({**shown, "state": "APPROVED"}) == ""
