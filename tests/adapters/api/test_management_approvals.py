"""Approvals over the API: a rule at a partner, who decides with which key, how a refusal and its reasons look."""

import pytest

from support import asgi

RULE = {"approvers": ["anna", "boris"], "fourEyes": True, "withinSeconds": 3600}
THEM = "urn:partner:them"


@pytest.fixture
async def people(api, site):
    """A client for each person."""
    made = {}
    for name, role in (("anna", "approver"), ("boris", "operator"), ("vera", "viewer")):
        key = (await api.post("apikeys", {"name": name, "role": role})).json["key"]
        made[name] = asgi.Client(site.parts.internal, key)
    return made


@pytest.fixture
async def waiting(api, people):
    """A request of ours for which two people are asked; the id of the negotiation, and of the approval."""
    partner = {"participant": THEM, "address": "http://127.0.0.1:9/dsp/2025-1", "approval": RULE}
    added = await api.post("partners", partner)
    assert added.json["approval"] == RULE
    offer = {
        "@id": "urn:o",
        "@type": "Offer",
        "target": "x",
        "assigner": THEM,
        "permission": [{"action": "use"}],
    }
    name = (await api.post("contractnegotiations", {"policy": offer})).json["@id"]
    shown = (await api.get(f"contractnegotiations/{name}")).json
    assert (shown["state"], shown["approval"]["state"]) == ("INITIAL", "WAITING")
    return name, shown["approval"]["@id"]


async def test_two_people_approve_each_with_their_own_key(api, people, waiting):
    _, name = waiting
    first = await people["anna"].post(f"approvals/{name}/approve", {"reason": "as ordered"})
    assert (first.status, first.json["missing"]) == (200, [{"people": 1, "approvers": ["boris"]}])
    again = await people["anna"].post(f"approvals/{name}/approve")
    assert (again.status, again.problem["type"]) == (409, "conflict")
    assert again.problem["message"] == "anna has approved it already, and nobody decides twice"
    assert (await people["boris"].post(f"approvals/{name}/approve")).json["state"] == "APPROVED"
    shown = (await api.get(f"approvals/{name}")).json
    assert [(each["by"], each["reason"]) for each in shown["decisions"]] == [
        ("anna", "as ordered"),
        ("boris", ""),
    ]
    assert shown["offer"]["permission"] == [{"action": "use"}]
    named = [each["type"] for each in (await api.get("events?types=approval")).json["events"]]
    assert named == ["approval.asked", "approval.approved"]


async def test_a_refusal_says_why_and_ends_it(api, people, waiting):
    negotiation, name = waiting
    without = await people["anna"].post(f"approvals/{name}/refuse")
    assert (without.status, without.problem["path"]) == (400, "$.reason")
    assert (await people["anna"].post(f"approvals/{name}/refuse", {"reason": "no"})).json[
        "state"
    ] == "REFUSED"
    shown = (await api.get(f"contractnegotiations/{negotiation}")).json
    assert (shown["state"], shown["errorDetail"]) == ("TERMINATED", "people at the consumer refused it: no")
    late = await people["boris"].post(f"approvals/{name}/approve")
    assert (late.status, late.problem["message"]) == (409, f"it was refused already: approval {name}")


async def test_nobody_else_decides(api, people, waiting):
    _, name = waiting
    assert (await people["vera"].post(f"approvals/{name}/approve")).problem["type"] == "role-too-low"
    nobody = await api.post(f"approvals/{name}/approve")
    assert (nobody.status, nobody.problem["type"]) == (403, "policy")
    assert "the key of the data folder is no person's" in nobody.problem["message"]
    (listed,) = (await people["vera"].post("approvals/request")).json
    assert (listed["@id"], listed["waitsFor"].split(" until ")[0]) == (
        name,
        "waits for 2 more approvals by anna, boris",
    )


async def test_who_could_not_be_one_of_four_eyes_with_the_others_asks_in_vain(people, api, waiting):
    offer = {
        "@id": "urn:o",
        "@type": "Offer",
        "target": "x",
        "assigner": THEM,
        "permission": [{"action": "use"}],
    }
    mine = await people["boris"].post("contractnegotiations", {"policy": offer})
    assert (mine.status, mine.problem["hint"]) == (403, "let somebody else ask for it")
    assert len((await api.post("contractnegotiations/request")).json) == 1
