import json

import msgspec
import pytest

from comity.dsp import messages, terms

PIDS = {"context": messages.CONTEXT, "provider_pid": "urn:p", "consumer_pid": "urn:c"}


def test_a_message_is_written_with_the_schemas_names_and_without_what_is_absent():
    message = messages.ContractNegotiationTerminationMessage(**PIDS, id="urn:m", reason=["because"])
    assert json.loads(messages.encode(message)) == {
        "@context": [terms.CONTEXT],
        "@type": "ContractNegotiationTerminationMessage",
        "@id": "urn:m",
        "providerPid": "urn:p",
        "consumerPid": "urn:c",
        "reason": ["because"],
    }


def test_a_message_is_always_written_in_the_same_bytes():
    offer = {
        "permission": [{"action": "use"}],
        "@type": "Offer",
        "target": "a",
        "@id": "urn:o",
        "b": {"z": 1, "y": 2},
    }
    first = messages.ContractRequestMessage(
        context=messages.CONTEXT, consumer_pid="urn:c", offer=offer, callback_address="https://a.example"
    )
    assert messages.encode(first) == messages.encode(msgspec.structs.replace(first))
    written = (
        b'{"permission":[{"action":"use"}],"@type":"Offer","target":"a","@id":"urn:o","b":{"z":1,"y":2}}'
    )
    assert b'"offer":' + written in messages.encode(first)
    error = {"reason": ["y"], "@type": "CatalogError", "@context": messages.CONTEXT}
    assert messages.encode_document(error).startswith(b'{"reason":["y"],"@type":"CatalogError"')


@pytest.mark.parametrize(
    ("message", "key"),
    [
        (messages.ContractNegotiationEventMessage(**PIDS, event_type="ACCEPTED"), "ACCEPTED"),
        (messages.ContractNegotiationEventMessage(**PIDS, event_type="FINALIZED"), "FINALIZED"),
    ],
)
def test_an_event_is_named_with_what_happened(message, key):
    assert messages.event_key(message) == f"ContractNegotiationEventMessage:{key}"


def test_any_other_message_is_named_by_its_type():
    assert messages.event_key(messages.TransferCompletionMessage(**PIDS)) == "TransferCompletionMessage"


def test_a_message_cannot_be_changed_after_it_was_made():
    message = messages.TransferCompletionMessage(**PIDS)
    with pytest.raises(AttributeError):
        message.consumer_pid = "urn:other"
