"""Why a partner may have an asset, and who could if it were otherwise: by the management API, with the facts it has."""

import pytest

from adapters.db.rows import AGREEMENT, NEGOTIATION, replace
from comity.db import agreements, negotiations, partners, retirements
from comity.db.partners import Partner
from comity.db.retirements import Retirement

BETA = "did:web:beta.example"
GAMMA = "did:web:gamma.example"


def atom(left, operator, right):
    return {"leftOperand": left, "operator": operator, "rightOperand": right}


def policy(*constraints):
    return {"@type": "Set", "permission": [{"action": "use", "constraint": list(constraints)}]}


UNTIL = atom("dateTime", "lteq", "2035-12-31")
REPAIR = atom("purpose", "eq", "repair")
MEMBER = atom("Membership", "eq", "active")


@pytest.fixture
async def offered(site, api):
    """An asset that all see, and that only partners with a purpose may have: Beta has it, Gamma has not."""
    await api.created("policydefinitions", {"@id": "seen", "policy": policy()})
    await api.created("policydefinitions", {"@id": "had", "policy": policy(UNTIL, REPAIR)})
    address = {"type": "HttpData", "baseUrl": "https://a.example/b"}
    await api.created("assets", {"@id": "asset", "properties": {}, "dataAddress": address})
    terms = {"accessPolicyId": "seen", "contractPolicyId": "had", "assetsSelector": []}
    await api.created("contractdefinitions", {"@id": "offer", **terms})
    for name, purpose in ((BETA, ["repair"]), (GAMMA, [])):
        row = Partner(
            id=name,
            name=name[8:],
            address="https://x",
            keys=[],
            pinned=True,
            attributes={"purpose": purpose},
            created_at=1,
        )
        await site.connector.database.write(lambda tx, row=row: partners.save(tx, row))


async def asked(api, verb, **body):
    answer = await api.post(f"policydefinitions/{verb}", {"assetId": "asset", **body})
    assert answer.status == 200, answer
    return answer.json


async def simulated(api, **supposed):
    found = (await asked(api, "simulate", **supposed))["partners"]
    return {
        each["name"][:4]: (each["before"]["outcome"], each["after"]["outcome"], each["changes"])
        for each in found
    }


async def test_each_rule_and_term_is_explained_with_the_fact_and_where_it_comes_from(api, offered):
    seen, had = (await asked(api, "explain", participant=BETA))["explanations"]
    assert (seen["about"], seen["allowed"]) == ("to see the offer offer", True)
    assert (had["about"], had["allowed"], had["because"]) == (
        "to agree to the offer offer",
        True,
        "permission[0] applies",
    )
    until, repair = had["rules"][0]["terms"]
    assert (until["term"], until["verdict"]) == ("dateTime lteq 2035-12-31", "holds")
    assert (repair["fact"], repair["enforced"]) == ("repair", "node-enforced")
    assert "list of partners" in repair["source"]


async def test_a_no_names_the_term_and_the_fact_that_is_missing(api, offered):
    _, had = (await asked(api, "explain", participant=GAMMA))["explanations"]
    assert (had["allowed"], had["because"]) == (False, "no permission applies: purpose eq repair: not stated")
    assert had["rules"][0]["terms"][1]["why"] == "not stated"


async def test_another_moment_and_another_purpose_have_other_answers(api, offered):
    _, late = (await asked(api, "explain", participant=BETA, at="2036-01-01T00:00:00Z"))["explanations"]
    assert late["because"] == "no permission applies: dateTime lteq 2035-12-31"
    assert late["rules"][0]["terms"][0]["fact"] == "2036-01-01T00:00:00Z"
    _, other = (await asked(api, "explain", participant=BETA, purpose="resale"))["explanations"]
    assert other["because"] == "no permission applies: purpose eq repair: not stated"


@pytest.mark.parametrize(
    ("supposed", "beta", "gamma"),
    [
        ({}, ("may have it", "may have it", False), ("sees it", "sees it", False)),
        ({"at": "2036-01-01"}, ("may have it", "sees it", True), ("sees it", "sees it", False)),
        (
            {"participant": GAMMA, "attributes": {"purpose": ["repair"]}},
            ("may have it", "may have it", False),
            ("sees it", "may have it", True),
        ),
        ({"attributes": {"purpose": []}}, ("may have it", "sees it", True), ("sees it", "sees it", False)),
        (
            {"policy": policy(MEMBER)},
            ("may have it", "sees nothing", True),
            ("sees it", "sees nothing", True),
        ),
        (
            {"policy": policy(MEMBER), "attributes": {"cx-policy:Membership": ["active"]}},
            ("may have it", "may have it", False),
            ("sees it", "may have it", True),
        ),
        (
            {"without": ["urn:comity:framework:1"]},
            ("may have it", "may have it", False),
            ("sees it", "sees it", False),
        ),
    ],
)
async def test_what_would_change_is_said_for_every_partner(api, offered, supposed, beta, gamma):
    assert await simulated(api, **supposed) == {"beta": beta, "gamm": gamma}


async def test_an_asset_that_nothing_offers_is_seen_by_nobody(api, offered):
    assert (await api.delete("contractdefinitions/offer")).status == 204
    assert (await asked(api, "explain", participant=BETA))["explanations"] == []
    found = (await asked(api, "simulate"))["partners"]
    assert {each["after"]["because"] for each in found} == {"nothing offers it"}


@pytest.mark.parametrize(
    ("verb", "body", "status", "said"),
    [
        ("explain", {"participant": "did:web:nobody.example"}, 404, "is not a partner"),
        ("explain", {"participant": BETA, "assetId": "other"}, 404, "other"),
        ("explain", {}, 400, "participant"),
        ("explain", {"participant": BETA, "at": "soon"}, 400, "no date or time"),
        ("simulate", {"assetId": "other"}, 404, "other"),
        ("simulate", {"participant": "did:web:nobody.example"}, 404, "is not a partner"),
        ("simulate", {"attributes": {"purpose": "repair"}}, 400, "a list of texts"),
        ("simulate", {"policy": policy(atom("mood", "eq", "x"))}, 400, "unknown operand"),
    ],
)
async def test_a_question_that_cannot_be_answered_is_refused(api, offered, verb, body, status, said):
    answer = await api.post(f"policydefinitions/{verb}", {"assetId": "asset", **body})
    assert answer.status == status
    assert said in str(answer.json)


async def test_a_licence_that_had_ended_would_give_nothing(api, offered):
    await api.post("licences", {"number": "L-1", "quantity": 3, "until": "2035-12-31"})
    licensed = policy(atom("comity:licence", "eq", "L-1"))
    assert (await simulated(api, policy=licensed))["beta"] == ("may have it", "may have it", False)
    ended = await simulated(api, policy=licensed, without=["L-1"])
    assert ended["beta"] == ("may have it", "sees nothing", True)


async def test_each_agreement_is_explained_from_its_own_day_on_and_a_retired_one_gives_nothing(
    site, api, offered
):
    within = policy(atom("elapsedTime", "lteq", "P30D"))
    row = replace(AGREEMENT, role="provider", counterparty_id=BETA, document=within, created_at=0)

    async def agreed(tx):
        await negotiations.insert(tx, replace(NEGOTIATION, role="provider", counterparty_id=BETA))
        await agreements.insert(tx, row)
        await agreements.finalize(tx, row.negotiation_id)

    await site.connector.database.write(agreed)
    answers = [await asked(api, "explain", participant=BETA, at=day) for day in ("1970-01-20", "1970-02-20")]
    early, late = (each["explanations"][-1] for each in answers)
    assert early["about"] == f"to get data under the agreement {row.id}"
    assert (early["allowed"], late["because"]) == (True, "no permission applies: elapsedTime lteq P30D")
    retired = Retirement(
        negotiation_id=row.negotiation_id, agreement_id=row.id, reason="too old", created_at=1
    )
    await site.connector.database.write(lambda tx: retirements.insert(tx, retired))
    last = (await asked(api, "explain", participant=BETA))["explanations"][-1]
    assert (last["allowed"], last["because"]) == (False, "this agreement was retired: too old")
