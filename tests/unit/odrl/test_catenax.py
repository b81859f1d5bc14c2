"""Catena-X's words, as its profile writes them and as others do (CX-0152, cx-odrl-profile)."""

from datetime import UTC, datetime, timedelta

import pytest

from comity import errors
from comity.odrl import catenax, compare, duties, enforcement, evaluate, model, operands

NOW = datetime(2027, 6, 1, tzinfo=UTC)
FACTS = {
    "recipient": "did:web:consumer",
    "dateTime": NOW,
    "elapsedTime": timedelta(days=1),
    "count": 1,
    "purpose": ("cx.dcm.base:1",),
    "Membership": ("active",),
    "BusinessPartnerNumber": ("BPNL012345678910",),
    "FrameworkAgreement": ("DataExchangeGovernance:1.0",),
}


def atom(left, operator, right):
    return {"leftOperand": left, "operator": operator, "rightOperand": right}


def rule(*atoms, action="use"):
    return [{"action": action, "constraint": [{"and": list(atoms)}]}]


ACCESS = {
    "@context": ["https://w3id.org/catenax/2025/9/policy/odrl.jsonld"],
    "@type": "Set",
    "@id": "some-id",
    "permission": rule(
        atom("Membership", "eq", "active"),
        atom("BusinessPartnerNumber", "isAnyOf", ["BPNL012345678910"]),
        action="access",
    ),
}
USAGE = {
    "@type": "Set",
    "@id": "some-id",
    "permission": rule(
        atom("FrameworkAgreement", "eq", "DataExchangeGovernance:1.0"),
        atom("ContractReference", "isAllOf", ["ContractID250620197"]),
        atom("UsagePurpose", "isAnyOf", ["cx.dcm.base:1"]),
        atom("DataUsageEndDefinition", "eq", "cx.dataUsageEnd.unlimited:1"),
    ),
    "prohibition": rule(
        atom("UsageRestriction", "isAllOf", ["cx.thirdParty.forbidden:1", "cx.manipulation.forbidden:1"])
    ),
    "obligation": rule(atom("DataProvisioningEndDate", "eq", "2027-12-15T12:00:00Z")),
}


def permit(*atoms):
    return {"permission": rule(*atoms)}


def without(*names):
    return {name: fact for name, fact in FACTS.items() if name not in names}


def test_the_access_policy_of_the_profile_is_for_seeing_and_not_for_using():
    model.check(ACCESS)
    assert evaluate.evaluate(ACCESS, FACTS, action="access").allowed
    assert not evaluate.evaluate(ACCESS, FACTS).allowed
    assert evaluate.evaluate(ACCESS, without("Membership"), action="access").reasons == (
        "Membership eq active: not stated",
    )


def test_a_permission_to_use_is_one_to_see():
    assert evaluate.evaluate({"permission": [{"action": "use"}]}, {}, action="access").allowed


def test_the_usage_policy_of_the_profile_is_decided_by_what_can_be_checked():
    model.check(USAGE)
    decision = evaluate.evaluate(USAGE, FACTS)
    assert decision.allowed
    assert decision.elsewhere == (
        "ContractReference isAllOf [ContractID250620197]",
        "DataUsageEndDefinition eq cx.dataUsageEnd.unlimited:1",
    )
    assert evaluate.evaluate(USAGE, without("FrameworkAgreement")).reasons == (
        "FrameworkAgreement eq DataExchangeGovernance:1.0: not stated",
    )
    assert evaluate.evaluate(USAGE, {**FACTS, "purpose": "cx.pcf.base:1"}).reasons == (
        "UsagePurpose isAnyOf [cx.dcm.base:1]",
    )


@pytest.mark.parametrize(
    ("action", "allowed"),
    [
        ("use", True),
        ("read", True),
        ("distribute", False),
        ("grantUse", False),
        ("modify", False),
        ("derive", True),
    ],
)
def test_a_restriction_of_use_forbids_what_it_names(action, allowed):
    assert evaluate.evaluate(USAGE, FACTS, action=action).allowed is allowed


@pytest.mark.parametrize(
    "name",
    [
        "Membership",
        "membership",
        "cx-policy:Membership",
        "https://w3id.org/catenax/policy/Membership",
        "https://w3id.org/catenax/2025/9/policy/Membership",
        {"@id": "cx-policy:Membership"},
    ],
)
def test_every_spelling_of_a_name_is_read_and_the_full_one_written(name):
    policy = permit(atom(name, "eq", "active"))
    model.check(policy)
    [written] = model.terms(model.parse(policy))["permission"][0]["constraint"][0]["and"]
    assert written == atom("https://w3id.org/catenax/2025/9/policy/Membership", "eq", "active")
    assert compare.same(policy, permit(atom("Membership", "eq", "active")))


@pytest.mark.parametrize(
    ("operand", "operator", "wrong", "right"),
    [
        ("DataUsageEndDefinition", "eq", "cx.dataUsageEnd.unlimited", "cx.dataUsageEnd.unlimited:1"),
        ("DataUsageEndDefinition", "eq", "cx.datausageend.unlimited:1", "cx.dataUsageEnd.unlimited:1"),
        ("UsagePurpose", "isAnyOf", "cx.dcm.base", ["cx.dcm.base:1"]),
        ("UsagePurpose", "isAnyOf", ["ModifyAndAmendData"], ["ModifyAndAmendData"]),
        ("AffiliatesRegion", "isAnyOf", ["cx.region.Europe"], ["cx.region.europe:1"]),
        ("DataUsageEndDurationDays", "eq", 2, "2"),
        ("DataFrequency", "eq", "cx.dataFrequency.once", "cx.dataFrequency.once:1"),
        ("Membership", "eq", {"@value": "Active"}, "active"),
    ],
)
def test_a_value_in_another_form_is_read_and_the_right_form_written(operand, operator, wrong, right):
    policy = permit(atom(operand, operator, wrong))
    model.check(policy)
    [written] = model.terms(model.parse(policy))["permission"][0]["constraint"][0]["and"]
    assert written["rightOperand"] == right
    assert compare.same(policy, permit(atom(operand, operator, right)))


def test_a_restriction_by_its_name_in_the_schema_is_that_restriction():
    policy = {
        **USAGE,
        "prohibition": rule(atom("UsageRestriction", "isAllOf", ["ThirdPartyForbiddenRightOperand"])),
    }
    model.check(policy)
    assert not evaluate.evaluate(policy, FACTS, action="distribute").allowed


def test_a_constraint_that_is_an_object_is_read():
    policy = {
        "permission": {"action": "use", "constraint": atom("cx-policy:UsagePurpose", "eq", "cx.dcm.base:1")}
    }
    model.check(policy)
    assert evaluate.evaluate(policy, FACTS).allowed


@pytest.mark.parametrize(
    ("left", "right", "facts", "allowed"),
    [
        ("DataUsageEndDate", "2027-12-15T12:00:00Z", {}, True),
        ("DataUsageEndDate", "2026-12-15T12:00:00Z", {}, False),
        ("DataUsageEndDurationDays", "2", {}, True),
        ("DataUsageEndDurationDays", "P2D", {}, True),
        ("DataUsageEndDurationDays", "2", {"elapsedTime": timedelta(days=3)}, False),
        ("DataFrequency", "cx.dataFrequency.once:1", {}, True),
        ("DataFrequency", "cx.dataFrequency.once:1", {"count": 2}, False),
        ("DataFrequency", "cx.dataFrequency.unlimited:1", {"count": 2_000}, True),
    ],
)
def test_ends_and_frequency_are_checked(left, right, facts, allowed):
    policy = permit(atom(left, "eq", right))
    model.check(policy)
    assert evaluate.evaluate(policy, {**FACTS, **facts}).allowed is allowed


@pytest.mark.parametrize(
    ("policy", "path", "said"),
    [
        (permit(atom("Membership", "eq", "lapsed")), "$.permission[0].constraint[0].and[0]", "takes active"),
        (
            permit(atom("DataUsageEndDurationDays", "eq", "-1")),
            "$.permission[0].constraint[0].and[0]",
            "P30D",
        ),
        (
            permit(atom("DataUsageEndDurationDays", "eq", ["1", {}])),
            "$.permission[0].constraint[0].and[0]",
            "P30D",
        ),
        (permit(atom("DataFrequency", "eq", "twice")), "$.permission[0].constraint[0].and[0]", "a number"),
        (permit(atom("DataUsageEndDate", "gt", "2027-01-01")), "$.permission[0].constraint[0].and[0]", ""),
        (
            permit(atom("UsageRestriction", "isAllOf", "cx.thirdParty.forbidden:1")),
            "$.permission[0].constraint[0].and[0]",
            "prohibition",
        ),
        (
            {**USAGE, "prohibition": rule(atom("UsageRestriction", "isAllOf", "cx.resale.forbidden:1"))},
            "$.prohibition[0].constraint[0].and[0]",
            "cx.thirdParty.forbidden:1",
        ),
        ({**USAGE, "obligation": rule(atom("count", "lt", "3"))}, "$.obligation[0]", "Known duties"),
        ({**USAGE, "obligation": [{"action": "use"}]}, "$.obligation[0]", "Known duties"),
    ],
)
def test_what_the_profile_does_not_know_is_refused_with_what_it_does(policy, path, said):
    with pytest.raises(errors.InvalidInputError) as caught:
        model.check(policy)
    assert caught.value.path == path
    assert said in (caught.value.hint or "")


def test_what_the_contract_alone_says_does_not_choose_between_others():
    policy = {
        "permission": [
            {
                "action": "use",
                "constraint": [
                    {"or": [atom("Liability", "eq", "cx.grossNegligence:1"), atom("count", "lt", "0")]}
                ],
            }
        ]
    }
    assert not evaluate.evaluate(policy, FACTS).allowed
    with pytest.raises(errors.InvalidInputError, match="nothing checks"):
        model.check(policy)
    beside = {"and": [atom("Liability", "eq", "cx.grossNegligence:1"), atom("count", "lteq", "1")]}
    policy = {"permission": [{"action": "use", "constraint": [{"or": [beside, atom("count", "lt", "0")]}]}]}
    model.check(policy)
    assert evaluate.evaluate(policy, FACTS).allowed
    assert not evaluate.evaluate(policy, {**FACTS, "count": 2}).allowed


@pytest.mark.parametrize(
    ("value", "due", "enforced"),
    [
        (
            "cx.data.deletion:1",
            (duties.Deletion("$.permission[0].constraint[0].and[0]", events=(catenax.AGREEMENT_END,)),),
            "attested",
        ),
        ("cx.data.keeping:1", (), "contract-only"),
    ],
)
def test_the_end_of_a_contract_says_whether_data_are_deleted(value, due, enforced):
    policy = model.parse(permit(atom("ContractTermination", "eq", value)))
    assert evaluate.evaluate(policy, FACTS).allowed
    assert duties.deletions(policy) == due
    assert [each.enforced for each in enforcement.terms(policy)] == [enforced]


def test_every_operand_is_written_with_its_full_name_and_says_what_it_means():
    for each in catenax.OPERANDS:
        assert each.written == catenax.NAMESPACE + each.name
        assert operands.find(catenax.operand(f"cx-policy:{each.name.upper()}")) is each
        assert each.meaning.endswith(".")


def test_a_word_of_another_vocabulary_is_none_of_catenax():
    assert catenax.operand("other:Membership") == "other:Membership"
    assert catenax.action("other:access") == "other:access"
    assert catenax.action("cx-policy:access") == "access"


def test_the_action_to_see_is_written_with_its_full_name():
    assert model.terms(model.parse(ACCESS))["permission"][0]["action"] == catenax.NAMESPACE + "access"
