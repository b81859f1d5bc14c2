import json

import pytest

from interop.edc import drawing, terms
from interop.edc.relay import Crossing

PID = "0b0e3c1e-6a58-4c1b-9d7e-0d8f2f6a1c11"


def crossing(sender, path, message, status, answer=None):
    other = "EDC" if sender == "Comity" else "Comity"
    made = Crossing(1, sender, other, "POST", path, [], json.dumps(message).encode() if message else b"", 0.0)
    made.status = status
    made.answer = json.dumps(answer).encode() if answer else b""
    return made


def test_diagram_names_messages_statuses_and_states_in_both_directions():
    drawn = drawing.draw(
        [
            crossing(
                "Comity",
                "/negotiations/request",
                {"@type": "ContractRequestMessage"},
                201,
                {"@type": "ContractNegotiation", "state": "REQUESTED"},
            ),
            crossing(
                "EDC",
                "/negotiations/x/events",
                {"@type": "ContractNegotiationEventMessage", "eventType": "FINALIZED"},
                200,
            ),
        ],
        "Comity",
        "EDC",
    )
    head, asked, answer, event, taken = drawn.splitlines()
    assert head.split() == ["Comity", "EDC"]
    assert asked.strip("| ").startswith("- ContractRequestMessage --")
    assert asked.endswith("->|")
    assert answer.strip("| ") == "201 REQUESTED"
    assert event.strip("| ").startswith("<--")
    assert event.endswith("ContractNegotiationEventMessage FINALIZED -|")
    assert taken.strip("| ") == "200"
    assert len({len(line) for line in drawn.splitlines()[1:]}) == 1


def test_what_is_no_message_is_drawn_without_ids():
    sent = crossing("EDC", f"/inbox/{PID}", None, 204)
    sent.request = b"x" * 1234
    assert drawing.label(sent) == "POST /inbox/<id>, 1,234 bytes"
    assert drawing.place(f"/data/urn:uuid:{PID}?a=b") == "/data/<id>"


OURS = {
    "@id": "urn:a",
    "providerId": "p",
    "consumerId": "c",
    "assetId": "t",
    "contractSigningDate": 7,
    "policy": {
        "@context": "x",
        "permission": [
            {
                "action": "use",
                "constraint": [{"leftOperand": "odrl:recipient", "operator": "eq", "rightOperand": "c"}],
            }
        ],
        "assigner": "p",
        "assignee": "c",
        "target": "t",
    },
}
EDCS = {
    "@id": "a-record-of-its-own",
    "agreementId": "urn:a",
    "providerId": "p",
    "consumerId": "c",
    "assetId": "t",
    "contractSigningDate": 7,
    "policy": {
        "odrl:permission": {
            "odrl:action": {"@id": "odrl:use"},
            "odrl:constraint": {
                "odrl:leftOperand": {"@id": "odrl:recipient"},
                "odrl:operator": {"@id": "odrl:eq"},
                "odrl:rightOperand": "c",
            },
        },
        "odrl:prohibition": [],
        "odrl:obligation": [],
        "odrl:assigner": "p",
        "odrl:assignee": {"@id": "c"},
        "odrl:target": {"@id": "t"},
    },
}


def test_agreements_in_two_spellings_do_not_differ():
    assert terms.differences(OURS, EDCS) == []


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("agreementId", "urn:b", "id: 'urn:a' here, 'urn:b' at EDC"),
        ("contractSigningDate", 8, "contractSigningDate: 7 here, 8 at EDC"),
        (
            "policy",
            {**EDCS["policy"], "odrl:prohibition": {"odrl:action": {"@id": "odrl:use"}}},
            "prohibition",
        ),
        (
            "policy",
            {**EDCS["policy"], "odrl:permission": {"odrl:action": {"@id": "odrl:play"}}},
            "permission",
        ),
        ("policy", {**EDCS["policy"], "odrl:target": {"@id": "other"}}, "policy.target"),
    ],
)
def test_a_field_that_differs_is_named_with_both_values(name, value, said):
    (only,) = terms.differences(OURS, {**EDCS, name: value})
    assert said in only
