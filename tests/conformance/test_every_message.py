"""The ear that every test has: it catches a wrong message, here and in another process, and lets a right one pass."""

import subprocess
import sys

import pytest

from comity.dsp import messages
from support import listening, specification, wire

pytestmark = specification.missing

ID = "urn:uuid:11111111-1111-4111-8111-111111111111"
RIGHT = {"@context": messages.CONTEXT, "@type": "CatalogError", "code": "x", "reason": ["y"]}
WRONG = {
    "a required member is missing": {**RIGHT, "@type": "ContractNegotiationError"},
    "a context that is a text": {**RIGHT, "@context": wire.CONTEXT},
    "an unknown type": {**RIGHT, "@type": "ContractSurpriseMessage"},
    "an empty list of datasets": {
        "@context": messages.CONTEXT, "@id": "urn:c", "@type": "Catalog", "participantId": "urn:p", "dataset": [],
    },
    "no rules": {
        "@context": messages.CONTEXT, "@type": "ContractRequestMessage", "consumerPid": ID,
        "callbackAddress": "https://a.example", "offer": {"@id": "urn:o", "@type": "Offer", "target": "a"},
    },
    "a reason that is a text": {
        "@context": messages.CONTEXT, "@type": "TransferSuspensionMessage", "providerPid": ID, "consumerPid": ID,
        "reason": "because",
    },
    "a data address without a type": {
        "@context": messages.CONTEXT, "@type": "TransferStartMessage", "providerPid": ID, "consumerPid": ID,
        "dataAddress": {"endpoint": "https://a.example"},
    },
    "a version answer without a path": {"protocolVersions": [{"version": "2025-1", "binding": "HTTPS"}]},
}  # fmt: skip


@pytest.fixture
def own(tmp_path, monkeypatch):
    """An ear beside the one of the session, which hears what is passed to it here only."""
    return listening.Ear(tmp_path / "messages")


def test_a_right_message_passes(own):
    own.hear(messages._encoder.encode(RIGHT))
    assert own.take() == []
    assert own.heard == {"CatalogError"}


@pytest.mark.parametrize("document", WRONG.values(), ids=WRONG)
def test_a_wrong_message_is_caught(own, document):
    own.hear(messages._encoder.encode(document))
    assert len(own.take()) >= 1
    assert own.take() == []


def test_the_ear_of_the_session_hears_what_is_encoded_and_would_fail_this_test(ear):
    kind = messages.ContractAgreementVerificationMessage
    body = messages.encode(kind(context="no list", id=ID, provider_pid=ID, consumer_pid=ID))
    assert body.startswith(b'{"@type":"ContractAgreementVerificationMessage"')
    wrong = ear.take()
    assert "no list" in wrong[0]


def test_messages_that_differ_in_ids_only_are_checked_once(own, monkeypatch):
    checked = []
    monkeypatch.setattr(own, "problems", lambda document: checked.append(document) or [])
    for _ in range(3):
        own.hear(messages._encoder.encode({**RIGHT, "@id": wire.new_id()}))
    own.hear(messages._encoder.encode({**RIGHT, "code": "z"}))
    assert len(checked) == 2


SCRIPT = """
from comity.dsp import messages
for code in ("x", 5):
    messages.encode_document({"@context": messages.CONTEXT, "@type": "CatalogError", "code": code})
"""


def test_what_another_process_encodes_is_heard(ear):
    subprocess.run([sys.executable, "-c", SCRIPT], check=True, timeout=60)
    wrong = ear.take()
    assert len(wrong) == 1
    assert "5 is not of type" in wrong[0]


def test_there_is_no_exception_without_a_reason():
    assert all(len(reason.split()) > 3 for reason in {**listening.NOT_MESSAGES, **listening.EXCEPTIONS})
