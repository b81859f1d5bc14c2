"""Negotiations, agreements and transfers: begun, shown, moved on."""

import msgspec
import pytest

from comity.controlplane import edrs, offers, processes, transfer_moves
from comity.db import agreements, negotiations, pulls, transfers
from comity.dsp import transfer
from comity.dsp.negotiation import Agreement
from comity.errors import ConflictError, InvalidInputError, LocalProtocolError, NotFoundError, StorageError
from comity.management import offers as offer_forms
from comity.management import policy, query
from comity.management import processes as forms
from support.bench import ADDRESS, THEM, US

RULES = {"permission": [{"action": "use"}]}
OFFER = {"@id": "urn:offer", "@type": "Offer", "target": "asset", "assigner": THEM, **RULES}
NEVER = {"permission": [{"action": "use", "constraint": [
    {"leftOperand": "dateTime", "operator": "lteq", "rightOperand": "2020-01-01"}]}]}  # fmt: skip


def spec(*criteria, **more):
    listed = [dict(zip(("operandLeft", "operator", "operandRight"), each, strict=True)) for each in criteria]
    return query.parse({"filterExpression": listed, **more})


async def request(bench, **changes):
    form = forms.decode_contract_request({"policy": OFFER, **changes})
    return (await processes.request_contract(bench.connector, form))[0]


async def agree(bench, name="urn:agreement", *, role="consumer", finalized=True, party=THEM):
    """An agreement with its negotiation, as after a negotiation."""
    provider, consumer = (party, US) if role == "consumer" else (US, party)
    negotiation_id = await request(bench)
    document = {**OFFER, "@id": name, "@type": "Agreement", "assigner": provider, "assignee": consumer,
                "timestamp": "2026-11-24T17:00:00Z"}  # fmt: skip
    made = Agreement(
        id=name, negotiation_id=negotiation_id, role=role, counterparty_id=party, provider_id=provider,
        consumer_id=consumer, asset_id="asset", document=document, message_sha256="0" * 64, finalized=finalized,
        created_at=bench.now_ms,
    )  # fmt: skip
    await bench.database.write(lambda tx: agreements.insert(tx, made))
    return negotiation_id


async def ask(bench, **changes):
    body = {"contractId": "urn:agreement", "transferType": "HttpData-PULL", **changes}
    return (await processes.request_transfer(bench.connector, forms.decode_transfer_request(body)))[0]


async def test_a_negotiation_begins_with_a_request_on_its_way(bench):
    name = await request(bench)
    (row,) = await bench.outbox(name)
    assert row.url == f"{ADDRESS}/negotiations/request"
    message = msgspec.json.decode(row.body)
    assert message["offer"] == {"@id": "urn:offer", "@type": "Offer", "target": "asset", **RULES}
    shown = await processes.load_negotiation(bench.connector, name)
    assert (shown["state"], shown["type"], shown["counterPartyId"]) == ("REQUESTING", "CONSUMER", THEM)
    assert (shown["assetId"], shown["offeredBy"], shown["offer"]["@id"]) == ("asset", "CONSUMER", "urn:offer")
    assert "correlationId" not in shown
    await bench.acknowledge(name)
    shown = await processes.load_negotiation(bench.connector, name)
    assert (shown["state"], shown["correlationId"]) == ("REQUESTED", "urn:theirs")


async def test_a_request_goes_to_the_address_that_is_given(bench):
    name = await request(bench, counterPartyAddress="https://other.example/dsp/")
    assert (await bench.outbox(name))[0].url == "https://other.example/dsp/negotiations/request"


@pytest.mark.parametrize(
    "address",
    [
        "them.example",
        "ftp://x",
        "https://",
        "https://u@x",
        "https://x?y",
        "http://127.0.0.1/x",
        "https://x/\n",
    ],
)
async def test_an_address_that_cannot_be_used_is_refused(bench, address):
    for begin in (request, ask):
        with pytest.raises(InvalidInputError) as caught:
            await begin(bench, counterPartyAddress=address)
        assert caught.value.path == "$.counterPartyAddress"
    assert await bench.outbox() == []


async def test_who_is_no_partner_is_not_asked(bench):
    with pytest.raises(NotFoundError, match="not a partner"):
        await request(bench, counterPartyId="did:web:stranger.example")
    assert await processes.find_negotiations(bench.connector, spec()) == []


async def test_an_error_of_the_delivery_is_shown_while_it_is_retried(bench):
    name = await request(bench)
    (row,) = await bench.outbox(name)
    await bench.database.write(
        lambda tx: processes.outbox.postpone(
            tx, row.id, due_at=1, error="connection refused", outcome_unknown=False
        )
    )
    assert (await processes.load_negotiation(bench.connector, name))["errorDetail"] == "connection refused"
    (shown,) = await processes.find_negotiations(
        bench.connector, spec(("errorDetail", "contains", "refused"))
    )
    assert (shown["@id"], shown["state"]) == (name, "REQUESTING")


async def test_an_offer_of_ours_needs_an_asset(bench):
    form = forms.decode_contract_offer({"counterPartyId": THEM, "policy": {**OFFER, "@id": None}})
    with pytest.raises(InvalidInputError) as caught:
        await processes.offer_contract(bench.connector, form)
    assert caught.value.path == "$.policy.target"
    made = offer_forms.decode_asset(
        {"@id": "asset", "dataAddress": {"type": "HttpData", "baseUrl": "https://x"}}
    )
    await offers.create_asset(bench.connector, made)
    name, _ = await processes.offer_contract(bench.connector, form)
    shown = await processes.load_negotiation(bench.connector, name)
    assert (shown["state"], shown["type"], shown["offeredBy"]) == ("OFFERING", "PROVIDER", "PROVIDER")
    assert shown["offer"]["@id"].startswith("urn:test:")


async def test_negotiations_are_found_by_what_is_shown(bench):
    names = [await request(bench, policy={**OFFER, "target": f"asset-{at}"}) for at in range(3)]
    await bench.acknowledge(names[1])

    async def ids(*criteria, **more):
        return [
            each["@id"]
            for each in await processes.find_negotiations(bench.connector, spec(*criteria, **more))
        ]

    assert await ids() == names
    assert await ids(("state", "=", "REQUESTING")) == [names[0], names[2]]
    assert await ids(("assetId", "like", "%-1")) == [names[1]]
    assert await ids(("type", "=", "PROVIDER")) == []
    assert await ids(sortField="createdAt", sortOrder="DESC", limit=2) == [names[2], names[1]]
    with pytest.raises(InvalidInputError):
        await ids(("offer", "=", "x"))


async def test_a_persons_moves_follow_the_protocol(bench):
    name = await request(bench)
    with pytest.raises(LocalProtocolError):
        await processes.move_negotiation(bench.connector, name, "accept")
    await bench.acknowledge(name)
    await bench.change(negotiations, name, state="OFFERED", offered_by="provider")
    with pytest.raises(LocalProtocolError):
        await processes.move_negotiation(bench.connector, name, "agree")
    await processes.move_negotiation(bench.connector, name, "accept")
    assert (await processes.load_negotiation(bench.connector, name))["state"] == "ACCEPTING"
    with pytest.raises(NotFoundError):
        await processes.move_negotiation(bench.connector, "urn:none", "accept")


async def test_a_counter_offer_puts_other_terms_on_the_table(bench):
    name = await request(bench)
    await bench.acknowledge(name)
    await bench.change(negotiations, name, state="OFFERED", offered_by="provider")
    offer = policy.read_offer({"policy": NEVER})
    await processes.move_negotiation(bench.connector, name, "request", offer=offer)
    shown = await processes.load_negotiation(bench.connector, name)
    assert (shown["state"], shown["offeredBy"]) == ("REQUESTING", "CONSUMER")
    assert shown["offer"]["permission"] == NEVER["permission"]
    assert shown["offer"]["target"] == "asset"


async def test_the_reason_of_an_end_is_kept(bench):
    name = await request(bench)
    await processes.move_negotiation(bench.connector, name, "terminate", reason="too late")
    shown = await processes.load_negotiation(bench.connector, name)
    assert (shown["state"], shown["errorDetail"]) == ("TERMINATED", "too late")


async def test_an_agreement_and_its_negotiation_lead_to_each_other(bench):
    negotiation_id = await agree(bench)
    found = await processes.load_agreement_of(bench.connector, negotiation_id)
    assert found == await processes.load_agreement(bench.connector, "urn:agreement")
    assert (found["providerId"], found["consumerId"], found["assetId"]) == (THEM, US, "asset")
    assert (await processes.load_negotiation_of(bench.connector, "urn:agreement"))["@id"] == negotiation_id
    assert [found] == await processes.find_agreements(
        bench.connector, spec(("agreementId", "=", "urn:agreement"), sortField="createdAt", sortOrder="DESC")
    )
    with pytest.raises(NotFoundError, match="no negotiation urn:none"):
        await processes.load_agreement_of(bench.connector, "urn:none")
    with pytest.raises(NotFoundError, match="no agreement yet"):
        await processes.load_agreement_of(bench.connector, await request(bench))


async def test_only_agreements_in_force_are_listed_and_two_partners_may_use_one_id(bench):
    other = "did:web:other.example"
    await bench.befriend(other)
    await agree(bench, "urn:draft", finalized=False)
    await agree(bench, "urn:same")
    await agree(bench, "urn:same", party=other)
    found = await processes.find_agreements(bench.connector, spec())
    assert [(each["@id"], each["providerId"]) for each in found] == [("urn:same", THEM), ("urn:same", other)]
    with pytest.raises(ConflictError):
        await processes.load_agreement(bench.connector, "urn:same")


async def test_a_transfer_into_a_folder_is_noted_with_its_request(bench, tmp_path):
    await agree(bench)
    folder = str(tmp_path / "shelf" / "in")
    name = await ask(bench, dataDestination={"type": "File", "path": folder})
    (row,) = await bench.outbox(name)
    assert row.url == f"{ADDRESS}/transfers/request"
    shown = await processes.load_transfer(bench.connector, name)
    assert (shown["state"], shown["type"], shown["contractId"]) == ("REQUESTING", "CONSUMER", "urn:agreement")
    assert shown["dataDestination"] == {"@type": "DataAddress", "type": "File", "path": folder}
    pull = await bench.database.read(lambda tx: pulls.find(tx, name))
    failed = msgspec.structs.replace(pull, state=pulls.FAILED, error="the hash is wrong")
    await bench.database.write(lambda tx: pulls.save(tx, failed))
    assert (await processes.load_transfer(bench.connector, name))["errorDetail"] == "the hash is wrong"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"transferType": "HttpData-PUSH"}, InvalidInputError),
        ({"transferType": "AmazonS3-PUSH"}, InvalidInputError),
        ({"dataDestination": {"type": "HttpData", "baseUrl": "https://x.example"}}, InvalidInputError),
        (
            {
                "transferType": "HttpData-PUSH",
                "dataDestination": {"type": "HttpData", "baseUrl": "https://x.example", "secretName": "s"},
            },
            InvalidInputError,
        ),
        ({"contractId": "urn:none"}, NotFoundError),
        ({"assetId": "other"}, InvalidInputError),
        ({"counterPartyId": "did:web:other"}, InvalidInputError),
        ({"dataDestination": {"type": "File", "path": "/etc"}}, StorageError),
        ({"dataDestination": {"type": "File", "path": "in"}}, StorageError),
    ],
)
async def test_a_transfer_that_cannot_be_is_refused(bench, changes, error):
    await agree(bench)
    with pytest.raises(error):
        await ask(bench, **changes)
    assert await processes.find_transfers(bench.connector, spec()) == []


async def test_data_is_asked_for_under_an_agreement_in_force_and_by_its_consumer(bench):
    await agree(bench, "urn:draft", finalized=False)
    with pytest.raises(ConflictError, match="not in force"):
        await ask(bench, contractId="urn:draft")
    await agree(bench, "urn:ours", role="provider")
    with pytest.raises(InvalidInputError, match="is the provider"):
        await ask(bench, contractId="urn:ours")


@pytest.mark.parametrize("left", ["contractId", "contractAgreementId", "agreementId"])
async def test_transfers_are_found_by_their_agreement_under_each_name(bench, left):
    await agree(bench)
    name = await ask(bench)
    found = await processes.find_transfers(bench.connector, spec((left, "=", "urn:agreement")))
    assert [each["@id"] for each in found] == [name]
    assert await processes.find_transfers(bench.connector, spec((left, "=", "urn:other"))) == []


async def test_the_data_address_is_there_while_the_transfer_is_started(bench):
    await agree(bench)
    name = await ask(bench)
    await bench.acknowledge(name)
    with pytest.raises(NotFoundError, match="no data to fetch now"):
        await edrs.load_address(bench.connector, name)
    address = msgspec.json.encode(transfer.data_address("https://them.example/data/1", "secret"))
    sealed = bench.connector.seal.close(address, transfer_moves.ADDRESS + name)
    await bench.change(transfers, name, state="STARTED", data_address_sealed=sealed)
    found = await edrs.load_address(bench.connector, name)
    assert (found["endpoint"], found["authorization"]) == ("https://them.example/data/1", "secret")
    assert found["@type"] == "DataAddress"
    await processes.move_transfer(bench.connector, name, "suspend", reason="a pause")
    assert (await processes.load_transfer(bench.connector, name))["state"] == "SUSPENDING"
    await bench.acknowledge(name)
    with pytest.raises(NotFoundError):
        await edrs.load_address(bench.connector, name)
