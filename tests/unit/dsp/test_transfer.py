import pytest

from comity import errors
from comity.dsp import machine, messages, terms, transfer
from comity.dsp.transfer import EDC, Access

ENDPOINT = "https://beta.example/data/1"


def a_transfer(**more):
    values = {
        "id": "urn:us",
        "role": terms.CONSUMER,
        "counterparty_id": "did:web:beta",
        "counterparty_address": "https://beta.example/dsp",
        "counterparty_pid": "urn:them",
        "state": terms.STARTED,
        "version": 1,
        "agreement_id": "urn:a",
        "asset_id": "asset",
        "format": transfer.PULL,
        "created_at": 1,
        "updated_at": 1,
    }
    return transfer.Transfer(**{**values, **more})


def address(endpoint=ENDPOINT, **properties):
    listed = [{"@type": "EndpointProperty", "name": n, "value": v} for n, v in properties.items()]
    return {"@type": "DataAddress", "endpoint": endpoint, "endpointProperties": listed}


def test_pids_go_by_the_role():
    assert (a_transfer().consumer_pid, a_transfer().provider_pid) == ("urn:us", "urn:them")
    ours = a_transfer(role=terms.PROVIDER)
    assert (ours.consumer_pid, ours.provider_pid) == ("urn:them", "urn:us")
    assert a_transfer(counterparty_pid=None).provider_pid == ""
    assert a_transfer(role=terms.PROVIDER, counterparty_pid=None).consumer_pid == ""


def test_our_data_address_is_read_as_it_was_meant():
    written = transfer.data_address(ENDPOINT, "secret")
    assert transfer.access(written) == Access(ENDPOINT, "Bearer secret")
    names = {each["name"] for each in written["endpointProperties"]}
    assert {"authorization", "authType", EDC + "endpoint", EDC + "authorization"} == names


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (address(), Access(ENDPOINT, None)),
        (address(authorization="t"), Access(ENDPOINT, "Bearer t")),
        (address(authorization="t", authType="bearer"), Access(ENDPOINT, "Bearer t")),
        (address(authorization="t", authType="Bearer"), Access(ENDPOINT, "Bearer t")),
        (address(authorization="Bearer t"), Access(ENDPOINT, "Bearer t")),
        (address(authorization="Basic dDp0", authType="basic"), Access(ENDPOINT, "Basic dDp0")),
        (address(authorization="raw", authType="apikey"), Access(ENDPOINT, "raw")),
        (address(**{"authorization": "raw", EDC + "authType": "apikey"}), Access(ENDPOINT, "raw")),
        (
            address(None, **{EDC + "endpoint": ENDPOINT, EDC + "authorization": "t"}),
            Access(ENDPOINT, "Bearer t"),
        ),
        ({"endpoint": ENDPOINT + "?sig=1"}, Access(ENDPOINT + "?sig=1", None)),
        (
            {"endpoint": ENDPOINT, "endpointProperties": {"name": "authorization", "value": "t"}},
            Access(ENDPOINT, "Bearer t"),
        ),
        (
            {"endpoint": ENDPOINT, "endpointProperties": ["x", {"name": 1}, {"name": "authorization"}]},
            Access(ENDPOINT, None),
        ),
    ],
)
def test_a_data_address_is_read_in_either_spelling(given, found):
    assert transfer.access(given) == found


def test_the_endpoint_may_be_one_of_the_properties():
    given = {"endpointProperties": [{"name": "endpoint", "value": ENDPOINT}]}
    assert transfer.access(given) == Access(ENDPOINT, None)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"endpoint": 1},
        {"endpoint": ["https://a.example"]},
        {"endpoint": "file:///etc/passwd"},
        {"endpoint": "https://"},
        {"endpoint": "https://a.example/#x"},
        {"endpointProperties": "x"},
        {"endpointProperties": [{"name": "endpoint", "value": 1}]},
    ],
)
def test_an_address_without_a_usable_endpoint_is_refused(given):
    with pytest.raises(errors.InvalidInputError) as caught:
        transfer.access(given)
    assert caught.value.path == "$.dataAddress.endpoint"


@pytest.mark.parametrize("token", ["a\r\nX-Api-Key: b", "a\nb", "a\x00", "é", " ", "a  b"])
def test_a_token_that_would_break_a_header_is_refused(token):
    with pytest.raises(errors.InvalidInputError, match="visible ASCII") as caught:
        transfer.access(address(authorization=token))
    assert caught.value.path == "$.dataAddress.endpointProperties"


def test_the_request_names_agreement_format_and_where_answers_go():
    message = transfer.request_message(
        a_transfer(counterparty_pid=None), callback_address="https://alpha.example", message_id="urn:m"
    )
    assert message == messages.TransferRequestMessage(
        context=messages.CONTEXT,
        id="urn:m",
        consumer_pid="urn:us",
        agreement_id="urn:a",
        format="HttpData-PULL",
        callback_address="https://alpha.example",
    )


def test_later_messages_carry_both_pids():
    record = a_transfer()
    built = [
        transfer.start_message(record, None, message_id="urn:m"),
        transfer.suspension_message(record, "a pause", message_id="urn:m"),
        transfer.completion_message(record, message_id="urn:m"),
        transfer.termination_message(record, "no", code="x", message_id="urn:m"),
        transfer.answer(record, terms.STARTED),
    ]
    assert {(each.consumer_pid, each.provider_pid) for each in built} == {("urn:us", "urn:them")}
    assert [messages.event_key(each) for each in built[:4]] == [
        machine.START,
        machine.SUSPENSION,
        machine.COMPLETION,
        machine.TRANSFER_TERMINATION,
    ]
    assert (built[1].reason, built[3].reason, built[3].code) == (["a pause"], ["no"], "x")


@pytest.mark.parametrize(
    ("message", "path"),
    [
        (machine.START, "/transfers/urn:them/start"),
        (machine.SUSPENSION, "/transfers/urn:them/suspension"),
        (machine.COMPLETION, "/transfers/urn:them/completion"),
        (machine.TRANSFER_TERMINATION, "/transfers/urn:them/termination"),
    ],
)
def test_a_message_goes_to_the_bindings_path(message, path):
    assert a_transfer().path(message) == path


def test_the_request_goes_to_a_path_without_a_pid():
    assert a_transfer(counterparty_pid=None).path(machine.TRANSFER_REQUEST) == "/transfers/request"
