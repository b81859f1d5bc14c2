"""Events on the wire: names, CloudEvents 1.0, EDC's envelope, and whose they are."""

import json
import re

import msgspec
import pytest

from comity import errors
from comity.dsp import machine
from comity.management import events

DATA = events.NegotiationData(
    contract_negotiation_id="urn:uuid:1",
    type="CONSUMER",
    state="FINALIZED",
    counter_party_id="did:web:beta",
    counter_party_address="https://beta.example/dsp",
    correlation_id="urn:uuid:2",
    asset_id="bracket",
    contract_agreement_id="urn:uuid:3",
)
EVENT = events.Event(
    seq=41,
    id="urn:uuid:0e0ebe93-b00d-451e-918d-8f2c310d8b16",
    type="contract.negotiation.finalized",
    subject="urn:uuid:1",
    number=5,
    at=1_700_000_000_123,
    data=msgspec.json.encode(DATA),
)


def test_every_state_of_the_protocol_has_an_event():
    for table, prefix in (
        (machine.NEGOTIATION, events.NEGOTIATION),
        (machine.TRANSFER, events.TRANSFER),
    ):
        reached = {events.name_of(prefix, state) for state in (None, *table.values())}
        assert reached == {name for name in events.NAMES if name.startswith(prefix)}


def test_an_end_is_an_event_after_which_the_machine_allows_nothing():
    for table, prefix in (
        (machine.NEGOTIATION, events.NEGOTIATION),
        (machine.TRANSFER, events.TRANSFER),
    ):
        ends = {state for state in table.values() if state in machine.TERMINAL}
        assert {events.name_of(prefix, state) for state in ends} == {
            name for name in events.ENDS if name.startswith(prefix)
        }


def test_a_cloud_event_has_every_attribute_that_the_specification_asks_for():
    written = json.loads(msgspec.json.encode(events.cloud_event(EVENT, "did:web:alpha")))
    assert written == {
        "specversion": "1.0",
        "id": EVENT.id,
        "source": "did:web:alpha",
        "type": "contract.negotiation.finalized",
        "subject": "urn:uuid:1",
        "time": "2023-11-14T22:13:20.123Z",
        "datacontenttype": "application/json",
        "sequence": "00000000000000000041",
        "number": 5,
        "data": {
            "protocol": "dataspace-protocol-http:2025-1",
            "contractNegotiationId": "urn:uuid:1",
            "type": "CONSUMER",
            "state": "FINALIZED",
            "counterPartyId": "did:web:beta",
            "counterPartyAddress": "https://beta.example/dsp",
            "correlationId": "urn:uuid:2",
            "assetId": "bracket",
            "contractAgreementId": "urn:uuid:3",
        },
    }
    extensions = written.keys() - {"data"}
    assert all(re.fullmatch(r"[a-z0-9]{1,20}", name) for name in extensions)


def test_an_event_of_no_process_has_no_number():
    made = msgspec.structs.replace(EVENT, type="asset.created", subject="bracket", number=0)
    assert "number" not in events.cloud_event(made, "did:web:alpha")


def test_the_envelope_for_a_callback_is_that_of_edc():
    written = json.loads(msgspec.json.encode(events.envelope(EVENT)))
    assert written.keys() == {"id", "at", "type", "payload"}
    assert (written["id"], written["at"], written["type"]) == (
        EVENT.id,
        1_700_000_000_123,
        "ContractNegotiationFinalized",
    )
    assert written["payload"]["contractNegotiationId"] == "urn:uuid:1"


@pytest.mark.parametrize(
    ("prefixes", "name", "matches"),
    [
        ((), "asset.created", True),
        (("contract.negotiation",), "contract.negotiation.agreed", True),
        (("contract.negotiation.finalized",), "contract.negotiation.agreed", False),
        (("contract",), "contract.definition.created", True),
        (("transfer.process", "asset"), "asset.deleted", True),
        (("transfer.process",), "contract.negotiation.agreed", False),
        (("negotiation",), "contract.negotiation.agreed", False),
    ],
)
def test_an_event_is_wanted_by_the_beginning_of_its_name(prefixes, name, matches):
    assert events.wanted(prefixes, name) is matches


def test_types_may_be_those_that_only_edc_has():
    assert events.check_types(["transfer.process.provisioned", "contract", "contract"], "$.events") == (
        "transfer.process.provisioned",
        "contract",
    )


@pytest.mark.parametrize("wrong", ["contract.negotiations", "", "Contract", "x" * 300])
def test_a_type_that_no_event_has_is_refused_at_its_place(wrong):
    with pytest.raises(errors.InvalidInputError, match="no event has a name") as caught:
        events.check_types(["asset", wrong], "$.types")
    assert caught.value.path == "$.types[1]"
    assert "contract.negotiation.finalized" in caught.value.hint


def test_no_more_than_fifty_types_are_taken():
    with pytest.raises(errors.InvalidInputError, match="at most 50"):
        events.check_types(["asset"] * 51, "$.types")
