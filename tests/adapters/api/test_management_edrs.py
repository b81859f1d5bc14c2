"""Endpoint data references as the Python SDK asks for them: one call to negotiate and start, then address and token."""

import pytest
from msgspec.structs import replace

from comity.db import pulls
from support import pair as pairs
from support.dealing import CONTENT, ENDED, agree, dataset_of, fetch, reaches, transfer
from support.edc import SPELLINGS, compact, criterion, query

CONTEXT = ["https://w3id.org/tractusx/policy/v1.0.0", "http://www.w3.org/ns/odrl.jsonld"]


async def offer_of(consumer, party, name="part"):
    (policy, *_) = (await dataset_of(consumer, party, name))["hasPolicy"]
    return {**policy, "@type": "odrl:Offer", "assigner": party["counterPartyId"], "target": name}


async def negotiate(consumer, party, name="part"):
    """As the SDK does: no counterPartyId, the provider is the offer's assigner."""
    sent = {key: value for key, value in party.items() if key != "counterPartyId"}
    body = {"@type": "ContractRequest", **sent, "policy": await offer_of(consumer, party, name)}
    return await consumer.created("edrs", {"@context": CONTEXT, **body, "callbackAddresses": []})


async def entry_of(consumer, negotiation):
    wanted = query(
        criterion("contractNegotiationId", "=", negotiation),
        offset=0, limit=10, sortField="createdAt", sortOrder="DESC",
    )  # fmt: skip

    async def there():
        return await consumer.found("edrs/request", wanted)

    (found,) = await pairs.wait_for(there)
    return found


async def test_one_call_negotiates_and_starts_and_the_entry_leads_to_the_data(pair, consumer, offered):
    negotiation = await negotiate(consumer, offered)
    entry = await entry_of(consumer, negotiation)
    assert await reaches(consumer, f"contractnegotiations/{negotiation}", *ENDED) == "FINALIZED"
    agreed = (await consumer.get(f"contractnegotiations/{negotiation}")).json["contractAgreementId"]
    assert entry["createdAt"] > 0
    assert {key: entry[key] for key in entry if key not in {"createdAt", "@context"}} == {
        "@type": "EndpointDataReferenceEntry",
        "@id": entry["transferProcessId"],
        "transferProcessId": entry["transferProcessId"],
        "agreementId": agreed,
        "contractNegotiationId": negotiation,
        "assetId": "part",
        "providerId": pair.provider.did,
    }
    address = (await consumer.get(f"edrs/{entry['@id']}/dataaddress?auto_refresh=True")).json
    assert await fetch(address) == (200, CONTENT)


@pytest.mark.parametrize("spell", SPELLINGS, ids=lambda spell: spell.__name__)
async def test_one_call_is_taken_in_any_spelling(consumer, offered, spell):
    body = spell({**offered, "policy": await offer_of(consumer, offered)})
    assert await entry_of(consumer, await consumer.created("edrs", body))


async def test_entries_are_found_by_all_that_names_them_and_by_nothing_else(
    pair, consumer, provider, offered
):
    entry = await entry_of(consumer, await negotiate(consumer, offered))
    other = await entry_of(consumer, await negotiate(consumer, offered))
    for field in ("transferProcessId", "agreementId", "contractNegotiationId", "id", "@id"):
        named = query(criterion(field, "=", entry.get(field, entry["@id"])))
        assert await consumer.found("edrs/request", named) == [entry]
    for field in ("contractAgreementId", "contractId", "https://w3id.org/edc/v0.0.1/ns/agreementId"):
        assert await consumer.found("edrs/request", query(criterion(field, "=", entry["agreementId"]))) == [
            entry
        ]
    for field, value in (
        ("assetId", "part"),
        ("providerId", pair.provider.did),
        ("createdAt", entry["createdAt"]),
    ):
        assert entry in await consumer.found("edrs/request", query(criterion(field, "=", value)))
        assert await consumer.found("edrs/request", query(criterion(field, "=", "another"))) == []
    assert await consumer.found("edrs/request") == [entry, other]
    answer = await consumer.post("edrs/request", query(criterion("state", "=", "STARTED")))
    assert (answer.status, answer.problem["path"]) == (400, "$.filterExpression[0].operandLeft")
    assert await provider.found("edrs/request") == []  # what we serve is no entry of ours


async def test_a_transfer_begun_step_by_step_has_an_entry_while_it_runs(consumer, offered):
    name = await transfer(consumer, offered, await agree(consumer, offered))
    await reaches(consumer, f"transferprocesses/{name}", "STARTED")
    assert [each["@id"] for each in await consumer.found("edrs/request")] == [name]
    assert (await consumer.post(f"transferprocesses/{name}/suspend")).status == 204
    await reaches(consumer, f"transferprocesses/{name}", "SUSPENDED")
    assert await consumer.found("edrs/request") == []
    assert (await consumer.get(f"edrs/{name}/dataaddress")).problem["type"] == "not-found"


@pytest.mark.parametrize("said", ["True", "true", "TRUE", "False", "false"])
async def test_auto_refresh_is_taken_as_clients_write_it(consumer, offered, said):
    entry = await entry_of(consumer, await negotiate(consumer, offered))
    path = f"edrs/{entry['@id']}/dataaddress"
    plain = (await consumer.get(path)).json
    assert (await consumer.get(f"{path}?auto_refresh={said}")).json == plain


@pytest.mark.parametrize("said", ["", "1", "yes"])
async def test_auto_refresh_that_says_neither_is_refused(consumer, said):
    answer = await consumer.get(f"edrs/urn:x/dataaddress?auto_refresh={said}")
    assert (answer.status, answer.problem["path"]) == (400, "$.auto_refresh")


async def test_a_token_of_ours_needs_no_refresh_and_keeps_working(consumer, offered):
    entry = await entry_of(consumer, await negotiate(consumer, offered))
    address = (await consumer.get(f"edrs/{entry['@id']}/dataaddress")).json
    answer = await consumer.post(f"edrs/{entry['@id']}/refresh")
    assert (answer.status, answer.json) == (200, address)
    assert (await consumer.post("edrs/urn:nothing/refresh")).status == 404
    assert await fetch(address) == (200, CONTENT)


async def test_a_forgotten_entry_is_gone_and_the_transfer_goes_on(consumer, offered):
    entry = await entry_of(consumer, await negotiate(consumer, offered))
    name = entry["@id"]
    address = (await consumer.get(f"edrs/{name}/dataaddress")).json
    answer = await consumer.delete(f"edrs/{name}")
    assert (answer.status, answer.body) == (204, b"")
    assert await consumer.found("edrs/request") == []
    assert (await consumer.get(f"edrs/{name}/dataaddress")).status == 404
    assert (await consumer.delete(f"edrs/{name}")).status == 404
    assert (await consumer.get(f"transferprocesses/{name}/state")).json["state"] == "STARTED"
    assert await fetch(address) == (200, CONTENT)
    for move, state in (("suspend", "SUSPENDED"), ("resume", "STARTED")):
        assert (await consumer.post(f"transferprocesses/{name}/{move}")).status == 204
        await reaches(consumer, f"transferprocesses/{name}", state)
    assert (await consumer.get(f"edrs/{name}/dataaddress")).status == 200  # a new start brought a new address


async def test_an_address_that_data_is_being_fetched_with_is_not_forgotten(pair, consumer, offered):
    name = (await entry_of(consumer, await negotiate(consumer, offered)))["@id"]
    pull = pulls.Pull(transfer_id=name, destination="/x", state=pulls.RUNNING, updated_at=1)
    await pair.consumer.connector.database.write(lambda tx: pulls.save(tx, pull))
    assert (await consumer.delete(f"edrs/{name}")).problem["type"] == "conflict"
    done = replace(pull, state=pulls.DONE)
    await pair.consumer.connector.database.write(lambda tx: pulls.save(tx, done))
    assert (await consumer.delete(f"edrs/{name}")).status == 204


async def test_a_call_that_cannot_be_is_refused_with_its_place_and_begins_nothing(consumer, offered):
    policy = {"@id": "urn:o", "@type": "Offer", "target": "part", "permission": [{"action": "use"}]}
    for change, path in (
        ({"policy": None}, "$.policy"),
        ({"policy": {**policy, "@id": None}}, "$.policy.@id"),
        ({"counterPartyId": None}, "$.counterPartyId"),
        ({"protocol": "dataspace-protocol-http:2024/1"}, "$.protocol"),
    ):
        answer = await consumer.post("edrs", compact({**offered, "policy": policy, **change}))
        assert (answer.status, answer.problem["path"]) == (400, path)
    assert await consumer.found("contractnegotiations/request") == []
    assert await consumer.found("exchanges/request") == []


async def test_a_negotiation_that_ends_starts_nothing(consumer, offered):
    policy = {
        "@id": "urn:no-such-offer",
        "@type": "Offer",
        "target": "nothing",
        "permission": [{"action": "use"}],
    }
    name = await consumer.created("edrs", compact({**offered, "policy": policy}))
    assert await reaches(consumer, f"contractnegotiations/{name}", *ENDED) == "TERMINATED"
    (exchange,) = await consumer.found("exchanges/request")
    assert (exchange["stage"], exchange["negotiationId"]) == ("FAILED", name)
    assert await consumer.found("transferprocesses/request") == []
