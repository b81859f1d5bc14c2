"""The endpoints of inquiries: what is wrong in a body is named, who is nobody decides nothing, a query is checked."""

import pytest

ASKED = {"agreementId": "urn:a", "kind": "question", "text": "Why?", "manifestSha256": "0" * 64}


@pytest.mark.parametrize(
    ("changes", "status", "path"),
    [
        ({"agreementId": ""}, 400, "$.agreementId"),
        ({"kind": None}, 400, "$.kind"),
        ({"text": 1}, 400, "$.text"),
        ({"text": "x" * 10_001}, 400, "$.text"),
        ({"files": {"a": 1}}, 400, "$.files"),
        ({"limits": []}, 400, "$.limits"),
        ({"limits": {"plant": "7"}}, 400, "$.limits.plant"),
        ({"limits": {"quantity": -1}}, 400, "$.limits.quantity"),
        ({"limits": {"quantity": True}}, 400, "$.limits.quantity"),
        ({"limits": {"lotFrom": 1}}, 400, "$.limits.lotFrom"),
        ({}, 404, None),
        ({"agreementId": "urn:a\0"}, 404, None),
    ],
)
async def test_what_is_asked_wrongly_is_refused_with_its_place(api, changes, status, path):
    answer = await api.post("inquiries", {**ASKED, **changes})
    assert (answer.status, answer.problem.get("path")) == (status, path)


@pytest.mark.parametrize("verb", ["say", "answer", "grant", "refuse", "revoke", "withdraw"])
async def test_one_that_is_not_there_is_not_found(api, verb):
    assert (await api.get("inquiries/urn:x")).status == 404
    assert (await api.post(f"inquiries/urn:x/{verb}", {"text": "Why?"})).status == 404


@pytest.mark.parametrize("verb", ["say", "answer", "refuse", "revoke"])
async def test_what_must_be_said_is_asked_for(api, verb):
    answer = await api.post(f"inquiries/urn:x/{verb}", {})
    assert (answer.status, answer.problem["path"]) == (400, "$.text")


async def test_a_query_about_a_field_that_there_is_not_is_refused(api):
    assert (await api.post("inquiries/request", {})).json == []
    wanted = {"operandLeft": "mood", "operator": "=", "operandRight": "good"}
    assert (await api.post("inquiries/request", {"filterExpression": [wanted]})).status == 400
