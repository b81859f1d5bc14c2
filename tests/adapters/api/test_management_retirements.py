"""Retired agreements: what is open ends with the reason, what is new is refused with it, and it can be undone."""

import pytest

from support import pair as pairs
from support.dealing import CONTENT, agree, fetch, reaches, transfer
from support.edc import criterion, query

TX = "https://w3id.org/tractusx/v0.0.1/ns/"
REASON = "the part is no longer made"
CONTEXT = {"tx": TX, "edc": "https://w3id.org/edc/v0.0.1/ns/"}


def retirement(agreement):
    """As the Python SDK writes it."""
    return {"@context": CONTEXT, "edc:agreementId": agreement, "tx:reason": REASON}


async def retire(api, agreement):
    answer = await api.post("contractagreements/retirements", retirement(agreement))
    assert (answer.status, answer.body) == (204, b"")


async def test_a_retired_agreement_is_listed_found_and_reactivated(consumer, offered):
    first, second = await agree(consumer, offered), await agree(consumer, offered)
    await retire(consumer, first)
    await retire(consumer, second)
    listed = await consumer.found("contractagreements/retirements/request")
    assert [each["agreementId"] for each in listed] == [first, second]
    shown = listed[0]
    assert shown["@type"] == "AgreementsRetirementEntry"
    assert shown["tx:reason"] == REASON
    assert shown["@context"]["tx"] == TX
    assert shown["tx:agreementRetirementDate"] == shown["createdAt"] // 1000
    for field, value in (("agreementId", first), ("id", first), ("createdAt", shown["createdAt"])):
        wanted = query(criterion(field, "=", value))
        assert shown in await consumer.found("contractagreements/retirements/request", wanted)
    for field in ("reason", "tx:reason", TX + "reason"):
        wanted = query(criterion(field, "like", "%no longer%"), sortField="createdAt", sortOrder="DESC")
        assert await consumer.found("contractagreements/retirements/request", wanted) == listed[::-1]
    again = await consumer.post("contractagreements/retirements", retirement(first))
    assert (again.status, again.problem["type"]) == (409, "conflict")
    gone = await consumer.delete(f"/management/v3//contractagreements/retirements/{first}")
    assert (gone.status, gone.body) == (204, b"")
    assert (await consumer.delete(f"contractagreements/retirements/{first}")).status == 404
    assert await consumer.found("contractagreements/retirements/request") == listed[1:]


@pytest.mark.parametrize(
    ("body", "status", "path"),
    [
        ({"tx:reason": "x"}, 400, "$.agreementId"),
        ({"agreementId": "urn:a"}, 400, "$.reason"),
        ({"agreementId": "urn:a", "reason": 7}, 400, "$.reason"),
        ({"agreementId": "urn:nothing", "reason": "x"}, 404, None),
        (None, 400, "$.agreementId"),
    ],
)
async def test_a_retirement_that_cannot_be_is_refused(api, body, status, path):
    answer = await api.post("contractagreements/retirements", body)
    assert (answer.status, answer.problem.get("path")) == (status, path)
    assert await api.found("contractagreements/retirements/request") == []


@pytest.mark.parametrize("who", ["provider", "consumer"])
async def test_what_is_open_ends_on_both_sides_and_no_byte_follows(pair, provider, consumer, offered, who):
    agreement = await agree(consumer, offered)
    name = await transfer(consumer, offered, agreement)
    await reaches(consumer, f"transferprocesses/{name}", "STARTED")
    edr = (await consumer.get(f"edrs/{name}/dataaddress")).json
    assert await fetch(edr) == (200, CONTENT)
    ended = await transfer(consumer, offered, agreement)
    await reaches(consumer, f"transferprocesses/{ended}", "STARTED")
    assert (await consumer.post(f"transferprocesses/{ended}/complete")).status == 204
    await reaches(consumer, f"transferprocesses/{ended}", "COMPLETED")
    await retire({"provider": provider, "consumer": consumer}[who], agreement)
    if who == "provider":  # from the moment of the answer on
        assert (await fetch(edr))[0] in {401, 403}
    await reaches(consumer, f"transferprocesses/{name}", "TERMINATED")
    shown = (await consumer.get(f"transferprocesses/{name}")).json
    assert REASON in shown["errorDetail"]
    await reaches(provider, f"transferprocesses/{shown['correlationId']}", "TERMINATED")
    assert (await fetch(edr))[0] in {401, 403}
    assert await reaches(consumer, f"transferprocesses/{ended}", "COMPLETED")


async def test_a_provider_refuses_new_requests_with_the_reason_until_it_is_undone(
    pair, provider, consumer, offered
):
    agreement = await agree(consumer, offered)
    await retire(provider, agreement)
    name = await transfer(consumer, offered, agreement)
    await reaches(consumer, f"transferprocesses/{name}", "TERMINATED")
    assert REASON in (await consumer.get(f"transferprocesses/{name}")).json["errorDetail"]
    assert await provider.found("transferprocesses/request") == []
    assert (await provider.delete(f"contractagreements/retirements/{agreement}")).status == 204
    name = await transfer(consumer, offered, agreement)
    await reaches(consumer, f"transferprocesses/{name}", "STARTED")


async def test_a_consumer_asks_for_nothing_under_it_and_negotiates_anew_for_an_exchange(
    consumer, offered, tmp_path
):
    agreement = await agree(consumer, offered)
    await retire(consumer, agreement)
    body = {**offered, "contractId": agreement, "transferType": "HttpData-PULL"}
    answer = await consumer.post("transferprocesses", body)
    assert (answer.status, answer.problem["type"]) == (409, "conflict")
    assert REASON in answer.problem["message"]
    assert await consumer.found("transferprocesses/request") == []
    wanted = {
        "counterPartyId": offered["counterPartyId"],
        "assetId": "part",
        "destination": str(tmp_path / "x"),
    }
    exchange = await consumer.created("exchanges", wanted)

    async def done():
        found = (await consumer.get(f"exchanges/{exchange}")).json
        return found if found["stage"] == "COMPLETED" else None

    assert (await pairs.wait_for(done))["agreementId"] not in {None, agreement}


async def test_an_end_that_is_on_its_way_already_is_left_alone(pair, consumer, offered):
    agreement = await agree(consumer, offered)
    name = await transfer(consumer, offered, agreement)
    await reaches(consumer, f"transferprocesses/{name}", "STARTED")
    hold = pair.provider.hold("/termination")
    assert (await consumer.post(f"transferprocesses/{name}/terminate", {"reason": "enough"})).status == 204
    await retire(consumer, agreement)
    pair.provider.release(hold)
    await reaches(consumer, f"transferprocesses/{name}", "TERMINATED")
    assert (await consumer.get(f"transferprocesses/{name}")).json["errorDetail"] == "enough"
