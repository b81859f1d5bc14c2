import json
from types import SimpleNamespace

import pytest

from comity import errors
from comity.api import app, partner_requests
from comity.client import problems


def read(status, *listed):
    return problems.read(status, json.dumps(listed).encode(), address="http://127.0.0.1:1")


@pytest.mark.parametrize(
    "kind",
    [
        errors.LocalProtocolError,
        errors.RemoteProtocolError,
        errors.InvalidInputError,
        errors.IdentityError,
        errors.PolicyError,
        errors.NotFoundError,
        errors.ConflictError,
        errors.DeliveryError,
        errors.TransientDeliveryError,
        errors.PermanentDeliveryError,
        errors.StorageError,
        errors.DatabaseError,
        errors.SettingsError,
    ],
)
def test_code_becomes_the_class_that_has_it_with_message_and_hint(kind):
    error = read(418, {"message": "so it is", "type": kind.code, "hint": "do this"})
    assert type(error) is kind
    assert (error.message, error.hint) == ("so it is", "do this")


def test_path_of_invalid_input_is_kept():
    assert read(400, {"message": "no", "type": "invalid-input", "path": "$.policy"}).path == "$.policy"


def test_reasons_of_a_policy_are_kept():
    error = read(403, {"message": "no", "type": "policy", "reasons": ["dateTime lteq 2020-01-01"]})
    assert error.reasons == ("dateTime lteq 2020-01-01",)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.InvalidInputError),
        (401, problems.UnauthorizedError),
        (403, errors.PolicyError),
        (404, errors.NotFoundError),
        (409, errors.ConflictError),
        (502, errors.DeliveryError),
        (503, errors.DatabaseError),
    ],
)
def test_unknown_code_is_read_by_its_status(status, kind):
    assert type(read(status, {"message": "m", "type": "news"})) is kind


def test_several_problems_become_one_sentence():
    assert (
        read(400, {"message": "a is missing"}, {"message": "b is wrong"}).message
        == "a is missing; b is wrong"
    )


async def test_the_port_for_partners_is_said_to_be_none_of_the_management_api():
    answer = await app._missing(None, SimpleNamespace(status_code=404))
    for body in (answer.body, partner_requests.no_endpoint(404).body):
        error = problems.read(404, body, address="http://alpha:8181")
        assert isinstance(error, problems.UnreachableError)
        assert (
            error.message == "http://alpha:8181 is where partners reach a connector, not its management API"
        )
        assert "management.listen" in error.hint


def test_failure_of_the_connector_points_to_its_log():
    error = read(500, {"message": "internal error", "type": "internal"})
    assert error.message == "the connector failed: internal error"
    assert error.hint == "its log says why"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'[{"message": 1}]', b"[" * 100_000, b"\xff"])
def test_answer_of_another_program_is_said_to_be_one(body):
    error = problems.read(502, body, address="http://127.0.0.1:1")
    assert isinstance(error, problems.UnreachableError)
    assert "http://127.0.0.1:1" in error.message


def test_wrong_key_suggests_that_another_connector_listens():
    assert (
        "another data folder"
        in read(401, {"message": "wrong key", "type": "unauthorized", "hint": "X-Api-Key"}).hint
    )
