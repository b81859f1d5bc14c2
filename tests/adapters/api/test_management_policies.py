"""What a policy definition would do: is it valid, and which of its terms is evaluated how, in which scope."""

import pytest

from comity.db import offers
from support.edc import SPELLINGS, USE, compact

UNTIL = {"leftOperand": "dateTime", "operator": "lteq", "rightOperand": "2030-01-01"}
TWICE = {"leftOperand": "count", "operator": "lteq", "rightOperand": 2}
HERE = {"leftOperand": "spatial", "operator": "eq", "rightOperand": "urn:de"}
POLICY = {
    "@type": "Set",
    "permission": [
        {"action": "use", "constraint": [UNTIL, {"or": [TWICE, HERE]}]},
        {"action": "distribute"},
    ],
    "prohibition": [{"action": "use", "constraint": [{"xone": [UNTIL, HERE]}]}],
}
SCOPES = ["catalog", "contract.negotiation", "transfer.process", "policy.monitor"]


async def plan_of(api, scope="contract.negotiation", policy="p"):
    answer = await api.post(f"policydefinitions/{policy}/evaluationplan", compact({"policyScope": scope}))
    assert answer.status == 200, answer
    return answer.json


@pytest.fixture
async def stored(api):
    await api.created("policydefinitions", {"@id": "p", "policy": POLICY})


async def test_a_plan_has_edcs_form_and_a_step_for_every_term(api, stored):
    plan = await plan_of(api)
    assert plan["@type"] == "PolicyEvaluationPlan"
    assert (plan["preValidators"], plan["postValidators"], plan["obligationSteps"]) == ([], [], [])
    use, distribute = plan["permissionSteps"]
    assert {use["@type"], distribute["@type"]} == {"PermissionStep"}
    assert use["dutySteps"] == use["ruleFunctions"] == use["filteringReasons"] == []
    until, either = use["constraintSteps"]
    assert until["@type"] == "AtomicConstraintStep"
    assert until["functionName"] == "dateTime"
    assert until["functionParams"] == ["'dateTime'", "lteq", "2030-01-01"]
    assert until["isFiltered"] is False
    assert either["@type"] == "OrConstraintStep"
    assert [each["functionName"] for each in either["constraintSteps"]] == ["count", "spatial"]
    assert "does not decide about use" in distribute["evaluation"]
    (forbidden,) = plan["prohibitionSteps"]
    assert forbidden["@type"] == "ProhibitionStep"
    assert forbidden["constraintSteps"][0]["@type"] == "XoneConstraintStep"


@pytest.mark.parametrize("scope", SCOPES)
async def test_a_plan_says_what_its_scope_means_here(api, stored, scope):
    plan = await plan_of(api, scope)
    assert plan["policyScope"] == scope
    counted = plan["permissionSteps"][0]["constraintSteps"][1]["constraintSteps"][0]["evaluation"]
    assert ("first use" in counted) == (scope == "catalog")
    others = [(await plan_of(api, each))["evaluation"] for each in SCOPES]
    assert len(set(others)) == len(SCOPES)


@pytest.mark.parametrize("scope", ["catalog.request", "request.catalog", "request.contract.negotiation"])
async def test_a_scope_that_edc_has_within_one_of_ours_means_that(api, stored, scope):
    assert (await plan_of(api, scope))["policyScope"] in SCOPES


@pytest.mark.parametrize("spell", SPELLINGS, ids=lambda spell: spell.__name__)
async def test_a_scope_is_taken_in_any_spelling(api, stored, spell):
    body = spell({"policyScope": "catalog"})
    assert (await api.post("policydefinitions/p/evaluationplan", body)).status == 200


@pytest.mark.parametrize(
    "body", [None, {}, {"policyScope": ""}, {"policyScope": "nothing"}, {"policyScope": 7}]
)
async def test_a_plan_without_a_scope_that_there_is_is_refused(api, stored, body):
    answer = await api.post("policydefinitions/p/evaluationplan", body)
    assert (answer.status, answer.problem["path"]) == (400, "$.policyScope")


async def test_what_was_published_is_valid(api, stored):
    answer = await api.post("policydefinitions/p/validate")
    assert answer.status == 200
    assert (answer.json["@type"], answer.json["isValid"], answer.json["errors"]) == (
        "PolicyValidationResult",
        True,
        [],
    )


@pytest.mark.parametrize(
    ("policy", "place", "said"),
    [
        (
            {"permission": [{"action": "use", "constraint": [{**UNTIL, "leftOperand": "cx:Membership"}]}]},
            "$.permission[0].constraint[0]",
            "unknown operand",
        ),
        ({**USE, "obligation": [{"action": "cx:pay"}]}, "$.obligation[0].action", "unknown duty"),
        ({"permission": [{"action": "cx:fly"}]}, "$.permission[0].action", "nothing is known of its action"),
        ({**USE, "limit": 7}, "$.limit", "unknown member limit"),
        ({"permission": [{"action": "use", "until": "x"}]}, "$.permission[0].until", "never applies"),
    ],
)
async def test_what_an_older_version_stored_is_said_not_to_be_valid_and_the_plan_says_why(
    site, api, policy, place, said
):
    row = offers.PolicyDefinition(id="old", policy=policy, private_properties={}, created_at=1)
    await site.connector.database.write(lambda tx: offers.insert(tx, row))
    answer = (await api.post("policydefinitions/old/validate")).json
    assert answer["isValid"] is False
    assert answer["errors"][0].startswith(f"{place}: ")
    plan = await plan_of(api, policy="old")
    assert said in str(plan)
    assert '"isFiltered": true' not in str(plan)  # nothing is ever left out


async def test_a_policy_that_is_not_there_has_neither(api):
    assert (await api.post("policydefinitions/x/validate")).status == 404
    assert (await api.post("policydefinitions/x/evaluationplan", {"policyScope": "catalog"})).status == 404
