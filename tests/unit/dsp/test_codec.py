import json

import pytest

from comity import errors
from comity.dsp import codec, messages, terms
from comity.dsp.messages import ContractAgreementVerificationMessage as Verification
from comity.dsp.messages import ContractNegotiationEventMessage as Event
from comity.dsp.messages import ContractRequestMessage as Request

PIDS = {"providerPid": "urn:p", "consumerPid": "urn:c"}
GOOD = {"@context": [terms.CONTEXT], "@type": "ContractAgreementVerificationMessage", **PIDS}
REQUEST = {
    "@context": [terms.CONTEXT],
    "@type": "ContractRequestMessage",
    "consumerPid": "urn:c",
    "callbackAddress": "https://a.example",
    "offer": {"@id": "urn:o", "target": "asset"},
}


def body(document, **changes):
    return json.dumps({**document, **changes}).encode()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"@context": terms.CONTEXT},
        {"@context": ["https://w3id.org/edc/dspace/v0.0.1", terms.CONTEXT, {"x": "https://x.example/"}]},
        {"@type": "dspace:ContractAgreementVerificationMessage"},
        {"@type": "https://w3id.org/dspace/2025/1/ContractAgreementVerificationMessage"},
        {"@type": ["ContractAgreementVerificationMessage"]},
        {"@id": None},
        {"somethingElse": {"a": [1]}},
    ],
)
def test_what_is_plain_although_not_by_the_letter_is_read(changes):
    message, document = codec.decode(body(GOOD, **changes), Verification)
    assert message.provider_pid == "urn:p"
    assert message.consumer_pid == "urn:c"
    assert message.id is None
    assert document == {**GOOD, **changes}


def test_an_id_is_kept():
    assert codec.decode(body(GOOD, **{"@id": "urn:m"}), Verification)[0].id == "urn:m"


def test_one_of_several_expected_messages_is_read():
    message, _ = codec.decode(body(GOOD), Event, Verification)
    assert type(message) is Verification
    with pytest.raises(errors.InvalidInputError, match=r"Event.* or ContractAgreement.*, got 'Contract"):
        codec.decode(body(REQUEST), Event, Verification)


@pytest.mark.parametrize(
    ("document", "changes", "path", "words"),
    [
        (GOOD, {"@context": None}, "$.@context", "must name https://w3id.org/dspace/2025/1/context.jsonld"),
        (GOOD, {"@context": []}, "$.@context", "must name"),
        (
            GOOD,
            {"@context": "https://w3id.org/dspace/2024/1/context.json"},
            "$.@context",
            "2024-1, and .* 2025-1",
        ),
        (GOOD, {"@context": {"@vocab": terms.CONTEXT}}, "$.@context", "must name"),
        (GOOD, {"@context": 1}, "$.@context", "must name"),
        (
            GOOD,
            {"@type": "ContractRequestMessage"},
            "$.@type",
            "expected ContractAgreementV.*, got 'ContractR",
        ),
        (GOOD, {"@type": None}, "$.@type", "got None"),
        (GOOD, {"@type": {"@id": "x"}}, "$.@type", "got {'@id': 'x'}"),
        (GOOD, {"@type": ["a", "b"]}, "$.@type", "expected"),
        (GOOD, {"@type": []}, "$.@type", "expected"),
        (GOOD, {"@type": [["Catalog"]]}, "$.@type", "expected"),
        (GOOD, {"@type": 5}, "$.@type", "got 5"),
        (GOOD, {"@type": "dspace:"}, "$.@type", "got ''"),
        (GOOD, {"providerPid": None}, "$", "missing required field `providerPid`"),
        (GOOD, {"providerPid": 1}, "$.providerPid", "expected `str`, got `int`"),
        (GOOD, {"providerPid": ""}, "$.providerPid", "length >= 1"),
        (GOOD, {"providerPid": "x" * 1025}, "$.providerPid", "length <= 1024"),
        (GOOD, {"providerPid": ["urn:p"]}, "$.providerPid", "expected `str`"),
        (GOOD, {"@id": 7}, "$.@id", "expected `str"),
        (GOOD, {"@id": ""}, "$.@id", "length >= 1"),
        (GOOD, {"@id": "x" * 1025}, "$.@id", "length <= 1024"),
        (REQUEST, {"offer": None}, "$", "missing required field `offer`"),
        (REQUEST, {"offer": "urn:o"}, "$.offer", "expected `object`"),
        (REQUEST, {"offer": [REQUEST["offer"]]}, "$.offer", "expected `object`, got `array`"),
        (REQUEST, {"callbackAddress": "x" * 2049}, "$.callbackAddress", "length <= 2048"),
        (REQUEST, {"callbackAddress": {"@id": "x"}}, "$.callbackAddress", "expected `str"),
    ],
)
def test_a_wrong_message_is_refused_with_the_place_of_the_error(document, changes, path, words):
    expected = Verification if document is GOOD else Request
    with pytest.raises(errors.InvalidInputError, match=words) as caught:
        codec.decode(body(document, **changes), expected)
    assert caught.value.path == path
    assert len(caught.value.message) < 400


@pytest.mark.parametrize("event", [None, 1, "x" * 257])
def test_an_event_must_be_a_short_text(event):
    document = {**GOOD, "@type": "ContractNegotiationEventMessage"}
    with pytest.raises(errors.InvalidInputError):
        codec.decode(body(document, eventType=event), Event)


@pytest.mark.parametrize("whole", [b"", b"[]", b'"x"', b"null", b"{", b'{"@type": NaN}', b'{"a":1,"a":1}'])
def test_a_body_that_is_no_json_object_is_refused(whole):
    with pytest.raises(errors.InvalidInputError):
        codec.decode(whole, Verification)


def test_a_long_wrong_type_is_not_repeated_back():
    with pytest.raises(errors.InvalidInputError) as caught:
        codec.decode(body(GOOD, **{"@type": "x" * 100_000}), Verification)
    assert len(caught.value.message) < 400


def test_deep_content_of_a_field_that_may_be_anything_is_refused_as_too_deep():
    whole = (
        body(GOOD, **{"@type": "CatalogRequestMessage"})[:-1]
        + b',"filter":'
        + b"[" * 5000
        + b"]" * 5000
        + b"}"
    )
    with pytest.raises(errors.InvalidInputError, match="nested too deeply"):
        codec.decode(whole, messages.CatalogRequestMessage)


@pytest.mark.parametrize(
    ("name", "bare"),
    [("dspace:A", "A"), (terms.NAMESPACE + "A", "A"), ("A", "A"), (["A"], "A"), (None, None)],
)
def test_a_type_is_read_without_its_prefix(name, bare):
    assert codec.bare_type(name) == bare
