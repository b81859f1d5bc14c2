"""Transfers, their data, whole exchanges and the evidence, driven through the management APIs of two connectors."""

import asyncio

import pytest

from comity.evidence import proving
from support import pair as pairs
from support.dealing import CONTENT, agree, fetch, offer, reaches, transfer
from support.edc import EDC, USE, criterion, query


async def exchange(consumer, party, folder):
    body = {"counterPartyId": party["counterPartyId"], "assetId": "part", "destination": str(folder)}
    return await consumer.created("exchanges", body)


async def ends(consumer, name):
    async def ended():
        found = (await consumer.get(f"exchanges/{name}")).json
        return found if found["stage"] in {"COMPLETED", "FAILED"} else None

    return await pairs.wait_for(ended)


async def test_a_file_is_transferred_and_fetched_with_its_data_address(pair, consumer, offered):
    agreement = await agree(consumer, offered)
    name = await transfer(consumer, offered, agreement, dataDestination={"type": "HttpProxy"})
    await reaches(consumer, f"transferprocesses/{name}", "STARTED")
    edr = (await consumer.get(f"edrs/{name}/dataaddress?auto_refresh=True")).json
    assert edr["@type"] == "DataAddress"
    assert edr["type"] == edr["endpointType"] == "https://w3id.org/idsa/v4.1/HTTP"
    assert edr["@context"]["@vocab"] == EDC
    assert await fetch(edr) == (200, CONTENT)
    assert await fetch(edr, Range="bytes=0-9") == (206, CONTENT[:10])
    shown = (await consumer.get(f"transferprocesses/{name}")).json
    assert (shown["@type"], shown["type"], shown["state"]) == ("TransferProcess", "CONSUMER", "STARTED")
    assert shown["contractId"] == agreement
    for field in ("contractAgreementId", "contractId", "agreementId", EDC + "contractId"):
        assert await consumer.found("transferprocesses/request", query(criterion(field, "=", agreement))) == [
            shown
        ]
    suspended = await consumer.post(f"transferprocesses/{name}/suspend")
    assert (suspended.status, suspended.body) == (204, b"")
    await reaches(consumer, f"transferprocesses/{name}", "SUSPENDED")
    assert (await consumer.get(f"edrs/{name}/dataaddress")).status == 404
    assert (await fetch(edr))[0] in {401, 403, 404}
    assert (await consumer.post(f"transferprocesses/{name}/resume")).status == 204
    await reaches(consumer, f"transferprocesses/{name}", "STARTED")
    anew = await pairs.wait_for(lambda: consumer.get(f"edrs/{name}/dataaddress"))
    assert await fetch(anew.json) == (200, CONTENT)
    ended = await consumer.post(f"transferprocesses/{name}/terminate", {"@id": name, "reason": "enough"})
    assert (ended.status, ended.body) == (204, b"")
    await reaches(consumer, f"transferprocesses/{name}", "TERMINATED")
    assert (await consumer.get(f"transferprocesses/{name}")).json["errorDetail"] == "enough"


async def test_the_data_of_a_back_end_is_transferred(pair, provider, consumer, offered, back_end):
    await offer(
        provider,
        "remote",
        {"type": "HttpData", "baseUrl": back_end, "path": "/part.step", "proxyPath": "false"},
    )
    name = await transfer(consumer, offered, await agree(consumer, offered, "remote"))
    await reaches(consumer, f"transferprocesses/{name}", "STARTED")
    edr = (await consumer.get(f"edrs/{name}/dataaddress")).json
    assert await fetch(edr) == (200, CONTENT)
    assert back_end not in str(edr)
    assert (await consumer.post(f"transferprocesses/{name}/complete")).status == 204
    await reaches(consumer, f"transferprocesses/{name}", "COMPLETED")


async def test_data_is_received_into_a_folder(pair, consumer, offered, tmp_path):
    destination = {"type": "File", "path": str(tmp_path / "got")}
    name = await transfer(consumer, offered, await agree(consumer, offered), dataDestination=destination)
    await reaches(consumer, f"transferprocesses/{name}", "COMPLETED")
    assert (tmp_path / "got" / "part.step").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("change", "status", "path"),
    [
        ({"contractId": None}, 400, "$.contractId"),
        ({"contractId": "nothing"}, 404, None),
        ({"transferType": "HttpData-PUSH"}, 400, "$.dataDestination"),
        ({"transferType": "AmazonS3-PUSH"}, 400, "$.transferType"),
        ({"dataDestination": {"type": "HttpData", "baseUrl": "https://x"}}, 400, "$.dataDestination.type"),
        ({"transferType": None}, 400, "$.transferType"),
        ({"dataDestination": {"type": "Kafka"}}, 400, "$.dataDestination.type"),
        ({"dataDestination": {"type": "AmazonS3"}}, 400, "$.dataDestination.bucketName"),
        ({"dataDestination": {"type": "File"}}, 400, "$.dataDestination.path"),
        ({"dataDestination": {"type": "File", "path": "/etc"}}, 422, None),
        ({"dataDestination": []}, 400, "$.dataDestination"),
        ({"callbackAddresses": [{"uri": "http://127.0.0.1:1/"}]}, 400, "$.callbackAddresses[0].events"),
        ({"counterPartyAddress": "nowhere"}, 400, "$.counterPartyAddress"),
    ],
)
async def test_a_transfer_that_cannot_be_is_refused_with_its_place(
    pair, consumer, offered, change, status, path
):
    agreement = await agree(consumer, offered)
    body = {**offered, "contractId": agreement, "transferType": "HttpData-PULL", **change}
    answer = await consumer.post("transferprocesses", body)
    assert answer.status == status
    assert answer.problem.get("path") == path
    assert await consumer.found("transferprocesses/request") == []


async def test_the_provider_of_an_agreement_cannot_ask_for_its_data(pair, provider, consumer, offered):
    agreement = await agree(consumer, offered)
    body = {"contractId": agreement, "transferType": "HttpData-PULL"}
    answer = await provider.post("transferprocesses", body)
    assert (answer.status, answer.problem["path"]) == (400, "$.contractId")


async def test_moves_that_the_protocol_does_not_allow_are_conflicts(pair, provider, consumer, offered):
    agreement = await agree(consumer, offered)
    negotiation = (await consumer.get(f"contractagreements/{agreement}/negotiation")).json["@id"]
    for move in ("terminate", "accept", "request", "verify", "finalize", "agree", "offer"):
        answer = await consumer.post(
            f"contractnegotiations/{negotiation}/{move}", {"policy": USE, "reason": "x"}
        )
        assert (answer.status, answer.problem["type"]) == (409, "illegal-move"), move
    assert (await consumer.get(f"contractnegotiations/{negotiation}")).json["state"] == "FINALIZED"
    name = await transfer(consumer, offered, agreement)
    await reaches(consumer, f"transferprocesses/{name}", "STARTED")
    answer = await consumer.post(f"transferprocesses/{name}/resume")
    assert (answer.status, answer.problem["type"]) == (409, "illegal-move")
    await consumer.post(f"transferprocesses/{name}/terminate")
    await reaches(consumer, f"transferprocesses/{name}", "TERMINATED")
    for move in ("suspend", "resume", "complete", "terminate"):
        assert (await consumer.post(f"transferprocesses/{name}/{move}")).status == 409


async def test_an_exchange_that_the_partner_holds_back_shows_what_it_waits_for(
    pair, consumer, offered, tmp_path
):
    pair.provider.connector.limits.open_processes = 0
    name = await exchange(consumer, offered, tmp_path / "got")

    async def told():
        return (await consumer.get(f"exchanges/{name}")).json["error"]

    assert "limits.open_processes" in await pairs.wait_for(told)
    assert (await consumer.get(f"exchanges/{name}")).json["stage"] == "NEGOTIATING"


async def test_an_exchange_goes_on_under_one_id_and_the_next_reuses_the_agreement(
    pair, consumer, offered, tmp_path
):
    hold = pair.provider.hold("/negotiations/request")
    name = await exchange(consumer, offered, tmp_path / "got")
    await hold.arrived.wait()
    assert await exchange(consumer, offered, tmp_path / "got") == name
    pair.provider.release(hold)
    first = await ends(consumer, name)
    assert (first["stage"], first["@type"], first["error"]) == ("COMPLETED", "Exchange", "")
    assert first["bytesDone"] == first["bytesTotal"] == len(CONTENT)
    assert (tmp_path / "got" / "part.step").read_bytes() == CONTENT
    again = await exchange(consumer, offered, tmp_path / "again")
    assert again != name
    second = await ends(consumer, again)
    assert second["agreementId"] == first["agreementId"]
    assert second["transferId"] != first["transferId"]
    assert len(await consumer.found("contractnegotiations/request")) == 1
    assert [each["@id"] for each in await consumer.found("exchanges/request")] == [name, again]
    wanted = query(criterion("stage", "=", "COMPLETED"), sortField="createdAt", sortOrder="DESC", limit=1)
    (newest,) = await consumer.found("exchanges/request", wanted)
    assert newest["@id"] == again
    assert newest["@context"]["@vocab"] == EDC


async def test_exchanges_asked_for_at_once_are_one(pair, consumer, offered, tmp_path):
    names = await asyncio.gather(*(exchange(consumer, offered, tmp_path / "got") for _ in range(5)))
    assert len(set(names)) == 1
    assert len(await consumer.found("contractnegotiations/request")) == 1
    assert (await ends(consumer, names[0]))["stage"] == "COMPLETED"


async def test_an_exchange_needs_a_dataset_and_an_offer_that_there_are(pair, consumer, offered):
    body = {"counterPartyId": pair.provider.did, "assetId": "part", "offerId": "urn:nothing"}
    answer = await consumer.post("exchanges", body)
    assert (answer.status, answer.problem["type"]) == (404, "not-found")
    answer = await consumer.post("exchanges", {**body, "assetId": "nothing"})
    assert answer.status in {404, 502}
    assert "nothing" in answer.problem["message"]


async def test_an_offer_whose_id_has_changed_is_found_by_its_terms(pair, consumer, offered, tmp_path):
    body = {"counterPartyId": pair.provider.did, "assetId": "part", "destination": str(tmp_path / "got")}
    gone = {"@id": "urn:an-id-of-a-moment", "@type": "Offer", "permission": [{"action": "use"}]}
    others = {**gone, "permission": [{"action": "play"}]}
    answer = await consumer.post("exchanges", {**body, "offerId": gone["@id"], "policy": others})
    assert (answer.status, answer.problem["type"]) == (404, "not-found")
    answer = await consumer.post("exchanges", {**body, "offerId": gone["@id"], "policy": gone})
    assert answer.status == 200
    assert (await ends(consumer, answer.json["@id"]))["stage"] == "COMPLETED"


async def test_evidence_comes_in_pages_that_chain(pair, consumer, offered):
    agreement = await agree(consumer, offered)
    negotiation = (await consumer.get(f"contractagreements/{agreement}/negotiation")).json
    await pair.consumer.reaches(negotiation["@id"], "FINALIZED")
    whole = (await consumer.get("evidence")).json
    assert [each["seq"] for each in whole["entries"]] == list(range(1, whole["head"]["size"] + 1))
    assert whole["entries"][-1]["hash"] == whole["head"]["hash"]
    pieces = [
        (await consumer.get(f"evidence?after={at}&limit=1")).json["entries"]
        for at in range(len(whole["entries"]))
    ]
    assert [each for piece in pieces for each in piece] == whole["entries"]
    assert (await consumer.get(f"evidence?after={whole['head']['size']}")).json["entries"] == []
    assert {each["record"]["direction"] for each in whole["entries"]} == {"in", "out"}


async def test_an_evidence_bundle_comes_byte_for_byte_as_it_was_sealed(pair, consumer, offered):
    agreement = await agree(consumer, offered)
    answer = await consumer.post(f"contractagreements/{agreement}/evidence")
    assert (answer.status, answer.json["type"]) == (200, "comity:EvidenceBundle")
    assert proving.prove(answer.body).agreed.id == agreement
    missing = await consumer.post("contractagreements/none/evidence")
    assert (missing.status, missing.problem["type"]) == (404, "not-found")
