from datetime import UTC, datetime

import pytest

from comity import errors
from comity.odrl import evaluate, model

NOW = datetime(2027, 6, 1, 12, tzinfo=UTC)
FACTS = {
    "recipient": "did:web:consumer",
    "dateTime": NOW,
    "purpose": {"production"},
    "spatial": "DE",
    "count": 3,
}


def atomic(left, operator, right):
    return {"leftOperand": left, "operator": operator, "rightOperand": right}


YES = atomic("count", "eq", 3)
NO = atomic("count", "eq", 4)
UNKNOWN = atomic("cx-policy:Mood", "eq", "active")


def permit(*constraints, **more):
    return {"@id": "urn:p", "permission": [{"action": "use", "constraint": list(constraints), **more}]}


def forbid(*constraints, action="use", **more):
    return {**permit(), "prohibition": [{"action": action, "constraint": list(constraints), **more}]}


def decide(policy, facts=FACTS, **more):
    return evaluate.evaluate(policy, facts, **more)


def test_a_permission_without_constraints_allows():
    assert decide(permit()) == evaluate.Decision(allowed=True, reasons=())


def test_json_and_what_was_parsed_from_it_are_decided_alike():
    assert decide(model.parse(permit(NO))) == decide(permit(NO))


@pytest.mark.parametrize("policy", [{}, {"permission": []}, {"prohibition": [{"action": "use"}]}])
def test_without_a_permission_nothing_is_allowed(policy):
    assert not decide(policy).allowed


def test_without_a_permission_the_reason_says_so():
    assert decide({}).reasons == ("no permission for use",)
    assert decide({"permission": [{"action": "read"}]}).reasons == ("no permission for use",)


@pytest.mark.parametrize(
    "constraint",
    [
        atomic("recipient", "eq", "did:web:consumer"),
        atomic("recipient", "isAnyOf", ["did:web:other", "did:web:consumer"]),
        atomic("dateTime", "lteq", {"@value": "2027-12-31", "@type": "xsd:date"}),
        atomic("purpose", "eq", "production"),
        atomic("spatial", "isNoneOf", ["XX", "YY"]),
        atomic({"@id": "odrl:count"}, {"@id": "odrl:lt"}, 5),
    ],
)
def test_a_constraint_that_holds_allows(constraint):
    assert decide(permit(constraint)).allowed


@pytest.mark.parametrize(
    ("constraint", "reason"),
    [
        (atomic("dateTime", "lteq", "2026-12-31"), "dateTime lteq 2026-12-31"),
        (atomic("recipient", "eq", "did:web:other"), "recipient eq did:web:other"),
        (atomic("purpose", "isAnyOf", ["a", "b"]), "purpose isAnyOf [a, b]"),
        (atomic("count", "lt", {"@value": 3, "@type": "xsd:integer"}), "count lt 3"),
        (UNKNOWN, "cx-policy:Mood eq active: unknown operand"),
        (atomic("count", "resembles", 3), "count resembles 3: unknown operator"),
        (atomic("recipient", "lt", "did:web:z"), "recipient lt did:web:z: lt has no meaning for recipient"),
        (atomic("dateTime", "gt", "soon"), "dateTime gt soon: a value that cannot be read"),
        (atomic("count", "lt", [4, 5]), "count lt [4, 5]: an order needs one value"),
        ({**YES, "unit": "odrl:hour"}, "count eq 3: unknown member unit"),
        (atomic("purpose", "isA", "making"), "purpose isA making"),
    ],
)
def test_a_constraint_that_does_not_hold_is_named(constraint, reason):
    assert decide(permit(constraint)) == evaluate.Decision(allowed=False, reasons=(reason,))


def test_a_missing_fact_means_no():
    assert decide(permit(YES), {}).reasons == ("count eq 3: not stated",)


def test_a_fact_of_the_wrong_kind_means_no():
    assert not decide(permit(atomic("count", "neq", 4)), {"count": "3"}).allowed


def test_no_reason_tells_a_fact():
    policy = permit(*(atomic(left, "eq", "1") for left in ("recipient", "purpose", "spatial", "count")))
    told = " ".join(decide(policy).reasons)
    assert len(decide(policy).reasons) == 4
    assert not any(secret in told for secret in ("consumer", "production", "DE", "3"))


def test_every_failing_term_is_named_once():
    reasons = decide(permit(NO, YES, NO, atomic("spatial", "eq", "FR"))).reasons
    assert reasons == ("count eq 4", "spatial eq FR")


def test_reasons_are_few_however_many_terms_fail():
    policy = permit(*(atomic("count", "eq", number) for number in range(100, 200)))
    assert len(decide(policy).reasons) == evaluate.MAX_REASONS


def test_a_reason_is_short_and_on_one_line():
    reason = decide(permit(atomic("purpose", "eq", "a\nb\x1b[31m" + "x" * 1_000))).reasons[0]
    assert reason.startswith("purpose eq a?b?[31m")
    assert len(reason) == 200


def test_one_of_several_permissions_is_enough():
    rules = [{"action": "use", "constraint": [NO]}, {"action": "use", "constraint": [YES]}]
    assert decide({"permission": rules}).allowed


@pytest.mark.parametrize(
    ("operator", "members", "allowed"),
    [
        ("and", [YES, YES], True),
        ("and", [YES, NO], False),
        ("and", [YES, UNKNOWN], False),
        ("and", [], True),
        ("andSequence", [YES, YES], True),
        ("andSequence", [NO, YES], False),
        ("or", [NO, YES], True),
        ("or", [UNKNOWN, YES], True),
        ("or", [NO, NO], False),
        ("or", [NO, UNKNOWN], False),
        ("or", [], False),
        ("xone", [YES, NO], True),
        ("xone", [YES, YES], False),
        ("xone", [NO, NO], False),
        ("xone", [YES, UNKNOWN], False),
        ("xone", [YES, YES, UNKNOWN], False),
        ("xone", [], False),
    ],
)
def test_logical_constraints_in_a_permission(operator, members, allowed):
    assert decide(permit({operator: members})).allowed is allowed


@pytest.mark.parametrize(
    ("operator", "members", "allowed"),
    [
        ("and", [YES, YES], False),
        ("and", [YES, NO], True),
        ("and", [NO, UNKNOWN], True),
        ("and", [YES, UNKNOWN], False),
        ("or", [NO, NO], True),
        ("or", [NO, UNKNOWN], False),
        ("or", [], False),
        ("xone", [YES, YES, UNKNOWN], True),
        ("xone", [NO, NO], True),
        ("xone", [YES, UNKNOWN], False),
        ("xone", [], False),
    ],
)
def test_logical_constraints_in_a_prohibition(operator, members, allowed):
    assert decide(forbid({operator: members})).allowed is allowed


@pytest.mark.parametrize(
    ("constraint", "reason"),
    [
        ({"or": [NO, atomic("spatial", "eq", "FR")]}, "or(count eq 4; spatial eq FR)"),
        ({"xone": []}, "xone(): it is empty"),
        ({"and": [YES, NO]}, "count eq 4"),
        ({"and": [YES], "unless": "x"}, "and(count eq 3): unknown member unless"),
    ],
)
def test_a_logical_constraint_that_does_not_hold_is_named(constraint, reason):
    assert decide(permit(constraint)).reasons == (reason,)


def test_a_prohibition_beats_a_permission():
    assert decide(forbid(YES)).reasons == ("prohibited: count eq 3",)
    assert decide(forbid()).reasons == ("prohibited: use",)


def test_a_prohibition_whose_constraint_fails_does_not_apply():
    assert decide(forbid(NO)).allowed


@pytest.mark.parametrize(
    "constraint",
    [
        UNKNOWN,
        atomic("count", "resembles", 4),
        atomic("dateTime", "gt", "soon"),
        atomic("purpose", "isA", "weapons"),
        {**NO, "unit": "odrl:hour"},
    ],
)
def test_a_prohibition_that_cannot_be_told_applies(constraint):
    assert not decide(forbid(constraint)).allowed


@pytest.mark.parametrize("operator", ["eq", "neq", "isAnyOf", "isNoneOf"])
def test_a_prohibition_about_a_missing_fact_applies(operator):
    assert not decide(forbid(atomic("spatial", operator, "XX")), {}).allowed


def test_a_prohibition_of_one_purpose_applies_to_several_at_once():
    facts = {"purpose": {"production", "weapons"}}
    assert not decide(forbid(atomic("purpose", "eq", "weapons")), facts).allowed


def test_an_unknown_action_is_prohibited_but_not_permitted():
    assert not decide(forbid(action="teleport")).allowed
    reasons = decide({"permission": [{"action": "teleport"}]}).reasons
    assert reasons == ("permission[0]: unknown action teleport",)


def test_a_prohibition_of_a_narrower_action_leaves_use_allowed():
    assert decide(forbid(action="distribute")).allowed
    assert not decide(forbid(action="distribute"), action="distribute").allowed


def test_an_action_in_any_spelling_may_be_asked_for():
    assert decide(permit(), action="odrl:read").allowed
    assert not decide(permit(), action="sell").allowed


def test_an_unknown_action_is_never_allowed():
    policy = {"permission": [{"action": "teleport"}]}
    assert "unknown action teleport" in decide(policy, action="teleport").reasons


def test_a_duty_that_nothing_is_known_of_means_no():
    policy = {**permit(), "obligation": [{"action": "pay"}]}
    assert decide(policy).reasons == ("obligation: pay: unknown duty",)


def test_a_known_duty_follows_from_a_yes_and_does_not_decide_it():
    assert decide({**permit(), "obligation": [{"action": "delete"}]}).allowed
    assert not decide({**permit(NO), "obligation": [{"action": "delete"}]}).allowed


@pytest.mark.parametrize("member", ["constraints", "duty", "odrl:duty", "assignee", "target", "cx:limit"])
def test_a_permission_with_an_unknown_member_does_not_apply(member):
    decision = decide(permit(**{member: "something"}))
    assert decision.reasons == (f"permission[0]: unknown member {member.removeprefix('odrl:')}",)


def test_a_description_in_a_permission_does_not_matter():
    assert decide(permit(**{"@id": "urn:r", "dct:title": "all", "@type": "odrl:Permission"})).allowed


def test_a_policy_with_an_unknown_member_allows_nothing():
    assert decide({**permit(), "prohibitions": []}).reasons == ("unknown member prohibitions",)


def test_a_party_that_the_policy_names_too_may_stand_in_a_rule():
    assert decide({**permit(target="a", assignee={"@id": "b"}), "target": "a", "assignee": "b"}).allowed
    assert not decide({**permit(target="a"), "target": "other"}).allowed


def test_json_that_is_no_policy_is_refused():
    with pytest.raises(errors.InvalidInputError):
        decide({"permission": "use"})


NATIONALITY = atomic("comity:personNationality", "eq", "DE")


def test_a_prohibition_that_others_decide_does_not_forbid_here_and_is_named():
    decision = decide(forbid(NATIONALITY, YES))
    assert decision == evaluate.Decision(True, (), ("comity:personNationality eq DE",))
    assert decide(forbid(NATIONALITY, NO)).elsewhere == ()
    assert not decide(forbid(NATIONALITY, UNKNOWN)).allowed
    assert not decide(forbid(NATIONALITY, YES), everywhere=True).allowed


@pytest.mark.parametrize(
    ("operator", "members", "allowed"),
    [
        ("or", [NATIONALITY, NO], True),
        ("or", [NATIONALITY, UNKNOWN], False),
        ("or", [NATIONALITY, YES], True),
        ("and", [NATIONALITY, NO], False),
        ("and", [NATIONALITY, UNKNOWN], False),
        ("xone", [NATIONALITY, YES], True),
        ("xone", [NATIONALITY, YES, YES], False),
        ("xone", [NATIONALITY, UNKNOWN], False),
    ],
)
def test_doubt_outweighs_what_others_decide(operator, members, allowed):
    assert decide(permit({operator: members})).allowed is allowed


def test_a_fact_that_is_stated_decides_here_as_well():
    assert decide(permit(NATIONALITY), {**FACTS, "comity:personNationality": "DE"}).allowed
    assert not decide(permit(NATIONALITY), {**FACTS, "comity:personNationality": "FR"}).allowed
    assert decide(permit(atomic("count", "eq", 4)), {**FACTS, "count": evaluate.ELSEWHERE}).allowed


def test_only_what_is_left_by_the_rule_that_applies_is_named():
    policy = {
        "permission": [
            {"action": "use", "constraint": [NATIONALITY, NO]},
            {"action": "use", "constraint": [YES]},
        ]
    }
    assert decide(policy) == evaluate.Decision(True)
