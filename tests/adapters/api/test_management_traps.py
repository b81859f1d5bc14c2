"""What trips other connectors' clients: empty bodies, null fields, doubled slashes, other names of one field.

Each of these is how a client that people use sends it; see also `test_management` for what holds of every endpoint.
"""

import pytest

from comity.api.management import endpoints
from support.dealing import agree, reaches, transfer
from support.edc import criterion, query

QUERIES = sorted(key for key, row in endpoints.ENDPOINTS.items() if row.takes == "QuerySpec")
NOTHING = [
    None,
    b"",
    b" \n",
    {},
    {"@context": None, "@type": None, "offset": None, "limit": None, "sortField": None, "sortOrder": None},
    {"filterExpression": None},
    {"filterExpression": []},
    {"filterExpression": {}},
]


@pytest.mark.parametrize("key", QUERIES, ids=" ".join)
@pytest.mark.parametrize("version", ["v3", "v4alpha", ""])
async def test_a_query_of_nothing_in_any_form_is_the_first_page(api, key, version):
    _, noun, rest = key
    before = f"/management/{version}" if version else "/management"
    for path in (f"{before}/{noun}/{rest}", f"{before}//{noun}//{rest}/", f"{before}/{noun}/{rest}?"):
        for body in NOTHING:
            answer = await api.post(path, body)
            assert (answer.status, answer.json) == (200, []), (path, body, answer)


async def test_suspend_and_resume_need_no_body_and_no_single_slash(consumer, offered):
    name = await transfer(consumer, offered, await agree(consumer, offered))
    await reaches(consumer, f"transferprocesses/{name}", "STARTED")
    for move, state, body in (
        ("suspend", "SUSPENDED", None),
        ("resume", "STARTED", None),
        ("suspend", "SUSPENDED", {"reason": None}),
        ("resume", "STARTED", b""),
    ):
        answer = await consumer.post(f"/management/v3//transferprocesses/{name}/{move}", body)
        assert (answer.status, answer.body) == (204, b"")
        await reaches(consumer, f"transferprocesses/{name}", state)


async def test_scopes_and_a_query_that_are_null_are_none(consumer, offered):
    for body in (
        {**offered, "additionalScopes": None, "querySpec": None},
        {**offered, "additionalScopes": [], "querySpec": {}},
        {**offered, "@context": None, "@type": "CatalogRequest"},
    ):
        assert (await consumer.post("catalog/request", body)).status == 200
    answer = await consumer.post("catalog/request", {**offered, "additionalScopes": ["a:b"]})
    assert (answer.status, answer.problem["path"]) == (400, "$.additionalScopes")


@pytest.mark.parametrize("field", ["contractAgreementId", "contractId", "agreementId"])
@pytest.mark.parametrize("before", ["", "edc:", "https://w3id.org/edc/v0.0.1/ns/"])
async def test_transfers_are_found_by_each_name_of_their_agreement(consumer, offered, field, before):
    agreement = await agree(consumer, offered)
    name = await transfer(consumer, offered, agreement)
    wanted = query(
        criterion(before + field, "=", agreement), offset=0, limit=10, sortField="createdAt", sortOrder="DESC"
    )
    assert [each["@id"] for each in await consumer.found("transferprocesses/request", wanted)] == [name]
    other = query(criterion(before + field, "=", "another"))
    assert await consumer.found("transferprocesses/request", other) == []


@pytest.mark.parametrize("key", [key for key in QUERIES if key[1] != "assets"], ids=" ".join)
async def test_a_field_that_there_is_not_is_400_in_filter_and_order(api, key):
    _, noun, rest = key
    for body, place in (
        (query(criterion("nothing", "=", 1)), "$.filterExpression[0].operandLeft"),
        (query(sortField="nothing"), "$.sortField"),
    ):
        answer = await api.post(f"{noun}/{rest}", body)
        assert (answer.status, answer.problem["path"]) == (400, place)


async def test_pages_of_a_list_follow_each_other_without_gap_or_repeat(api):
    for at in range(7):
        address = {"type": "HttpData", "baseUrl": "http://127.0.0.1:1/"}
        properties = {"kind": "even" if at % 2 == 0 else "odd", "rank": 10 - at}
        await api.created("assets", {"@id": f"a{at}", "properties": properties, "dataAddress": address})
    for more, expected in (
        ({}, ["a0", "a1", "a2", "a3", "a4", "a5", "a6"]),
        ({"sortField": "createdAt", "sortOrder": "DESC"}, ["a6", "a5", "a4", "a3", "a2", "a1", "a0"]),
        ({"sortField": "rank"}, ["a6", "a5", "a4", "a3", "a2", "a1", "a0"]),
        ({"sortField": "rank", "sortOrder": "DESC"}, ["a0", "a1", "a2", "a3", "a4", "a5", "a6"]),
    ):
        paged = []
        for offset in range(0, 9, 3):
            paged += await api.found("assets/request", query(offset=offset, limit=3, **more))
        assert [each["@id"] for each in paged] == expected
    even = query(criterion("kind", "=", "even"), offset=1, limit=2, sortField="id", sortOrder="DESC")
    assert [each["@id"] for each in await api.found("assets/request", even)] == ["a4", "a2"]
    one = query(criterion("https://w3id.org/edc/v0.0.1/ns/id", "=", "a3"))
    assert [each["@id"] for each in await api.found("assets/request", one)] == ["a3"]
