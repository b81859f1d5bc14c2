"""Negotiations, agreements and transfers on the wire."""

import pytest

from comity.errors import InvalidInputError
from comity.management import processes

OFFER = {
    "@id": "o",
    "@type": "Offer",
    "target": "a",
    "assigner": "did:web:them",
    "permission": [{"action": "use"}],
}
TRANSFER = {"contractId": "c", "transferType": "HttpData-PULL"}


@pytest.mark.parametrize(
    ("stored", "leads_to", "shown"),
    [
        (None, "REQUESTED", "REQUESTING"),
        (None, "OFFERED", "OFFERING"),
        ("OFFERED", "ACCEPTED", "ACCEPTING"),
        ("REQUESTED", "AGREED", "AGREEING"),
        ("AGREED", "VERIFIED", "VERIFYING"),
        ("VERIFIED", "FINALIZED", "FINALIZING"),
        ("REQUESTED", "TERMINATED", "TERMINATING"),
        ("REQUESTED", "STARTED", "STARTING"),
        ("STARTED", "SUSPENDED", "SUSPENDING"),
        ("STARTED", "COMPLETED", "COMPLETING"),
        ("TERMINATED", "TERMINATED", "TERMINATED"),  # ended here already, the partner is only told
        ("FINALIZED", "", "FINALIZED"),
        (None, "", "INITIAL"),
    ],
)
def test_a_state_on_its_way_is_shown_as_edc_does(stored, leads_to, shown):
    assert processes.state(stored, leads_to) == shown


def test_a_contract_request_names_the_provider_or_its_offer_does():
    found = processes.decode_contract_request({"policy": OFFER})
    assert (found.counterparty_id, found.address, found.offer.id) == ("did:web:them", "", "o")
    named = {"counterPartyId": "did:web:b", "counterPartyAddress": "https://b", "policy": OFFER}
    found = processes.decode_contract_request(named)
    assert (found.counterparty_id, found.address) == ("did:web:b", "https://b")


@pytest.mark.parametrize("protocol", [None, "", "dataspace-protocol-http", "dataspace-protocol-http:2025-1"])
def test_the_protocol_is_the_one_that_is_spoken(protocol):
    processes.decode_contract_request({"protocol": protocol, "policy": OFFER})


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"protocol": "dataspace-protocol-http:2024-1"}, "$.protocol"),
        ({"protocol": 5}, "$.protocol"),
        ({"policy": None}, "$.policy"),
        ({"policy": {**OFFER, "@id": None}}, "$.policy.@id"),
        ({"policy": {**OFFER, "@id": "x" * 1025}}, "$.policy.@id"),
        ({"policy": {**OFFER, "target": "x" * 1025}}, "$.policy.target"),
        ({"policy": {**OFFER, "target": None}}, "$.policy.target"),
        ({"policy": {**OFFER, "target": {"a": 1}}}, "$.policy.target"),
        ({"policy": {**OFFER, "permission": None}}, "$.policy.permission"),
        ({"policy": {**OFFER, "assigner": None}}, "$.counterPartyId"),
        ({"callbackAddresses": [{"uri": "https://x"}]}, "$.callbackAddresses[0].events"),
        ({"counterPartyAddress": 5}, "$.counterPartyAddress"),
    ],
)
def test_a_contract_request_that_cannot_be_is_refused_with_its_place(changes, path):
    with pytest.raises(InvalidInputError) as caught:
        processes.decode_contract_request({"policy": OFFER, **changes})
    assert caught.value.path == path


def test_an_offer_of_ours_needs_no_id_but_a_partner():
    form = processes.decode_contract_offer({"counterPartyId": "b", "policy": {**OFFER, "@id": None}})
    assert (form.counterparty_id, form.offer.id) == ("b", "")
    with pytest.raises(InvalidInputError) as caught:
        processes.decode_contract_offer({"policy": OFFER})
    assert caught.value.path == "$.counterPartyId"


@pytest.mark.parametrize(
    ("destination", "folder"),
    [
        (None, ""),
        ({}, ""),
        ({"type": "HttpProxy"}, ""),
        ({"@type": "DataAddress"}, ""),
        ({"@type": "DataAddress", "type": "HttpProxy"}, ""),
        ({"edc:type": "File", "edc:path": "/in"}, "/in"),
    ],
)
def test_a_transfer_goes_into_a_folder_or_nowhere(destination, folder):
    assert (
        processes.decode_transfer_request({**TRANSFER, "dataDestination": destination}).destination == folder
    )


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"contractId": None}, "$.contractId"),
        ({"transferType": None}, "$.transferType"),
        ({"transferType": 5}, "$.transferType"),
        ({"dataDestination": "x"}, "$.dataDestination"),
        ({"dataDestination": {"type": "Kafka"}}, "$.dataDestination.type"),
        ({"dataDestination": {"path": "/x"}}, "$.dataDestination.type"),
        ({"dataDestination": {"type": "File"}}, "$.dataDestination.path"),
        ({"callbackAddresses": [1]}, "$.callbackAddresses[0]"),
        ({"privateProperties": [{"a": 1}]}, "$.privateProperties"),
        ({"protocol": "x"}, "$.protocol"),
    ],
)
def test_a_transfer_request_that_cannot_be_is_refused_with_its_place(changes, path):
    with pytest.raises(InvalidInputError) as caught:
        processes.decode_transfer_request({**TRANSFER, **changes})
    assert caught.value.path == path


@pytest.mark.parametrize(
    ("timestamp", "signed_s"),
    [
        ("2026-11-24T17:00:00Z", 1795539600),
        ("2026-11-24T18:00:00.999+01:00", 1795539600),
        ("2026-11-24T17:00:00", 1795539600),
        (None, 5),
        ("yesterday", 5),
        (7, 5),
        ({}, 5),
    ],
)
def test_an_agreement_was_signed_when_its_provider_says(timestamp, signed_s):
    document = {
        "@id": "g",
        "assigner": "p",
        "consumer": "c",
        "assignee": "c",
        "target": "a",
        "timestamp": timestamp,
    }
    written = processes.encode_agreement("g", document, negotiation_id="n", created_at=5999)
    assert written["contractSigningDate"] == signed_s
    assert (written["providerId"], written["consumerId"], written["assetId"]) == ("p", "c", "a")
    assert {name: value for name, value in written["policy"].items() if name != "@context"} == document


def test_every_field_that_may_be_asked_for_is_in_the_document():
    shown = processes.Shown(
        id="n", role="consumer", state="s", counterparty_id="c", counterparty_address="u", asset_id="a",
        correlation_id="x", error="e", created_at=1, updated_at=2,
    )  # fmt: skip
    negotiation = processes.encode_negotiation(shown, agreement_id="g", offer={}, offered_by="provider")
    assert set(processes.NEGOTIATION_FIELDS) | set(processes.NEGOTIATION_ALIASES.values()) <= set(negotiation)
    transfer = processes.encode_transfer(shown, agreement_id="g", transfer_type="t")
    assert set(processes.TRANSFER_FIELDS) | set(processes.TRANSFER_ALIASES) <= set(transfer)
    document = {"assigner": "p", "assignee": "c", "target": "a"}
    agreement = processes.encode_agreement("g", document, negotiation_id="n", created_at=1)
    assert set(processes.AGREEMENT_FIELDS) <= set(agreement)
