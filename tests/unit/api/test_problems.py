"""What each error becomes on the management API."""

import inspect
import json

import pytest
from starlette.requests import Request

from comity import errors
from comity.api import problems
from comity.api.body import NotJsonError, TooLargeError

MADE = [
    (errors.InvalidInputError("m", path="$.a", hint="h"), 400, {"path": "$.a", "hint": "h"}),
    (TooLargeError("m"), 413, {"path": "$"}),
    (NotJsonError("m"), 415, {"path": "$"}),
    (errors.NotFoundError("m"), 404, {}),
    (problems.MethodError("GET", {"PUT", "POST"}), 405, {"hint": problems.ALL_ENDPOINTS}),
    (errors.ConflictError("m"), 409, {}),
    (errors.LocalProtocolError("m"), 409, {}),
    (errors.RemoteProtocolError("m"), 502, {}),
    (errors.PolicyError("m", reasons=["dateTime lteq 2020"]), 403, {"reasons": ["dateTime lteq 2020"]}),
    (
        errors.TransientDeliveryError("m"),
        502,
        {"hint": "try again later; is the partner's connector running?"},
    ),
    (errors.PermanentDeliveryError("m", status=404, reason="r"), 502, {}),
    (errors.DatabaseError("m"), 503, {}),
    (errors.StorageError("m"), 422, {}),
    (errors.IdentityError("m", step="did"), 422, {"step": "did"}),
    (errors.ComityError("m"), 500, {}),
]


@pytest.mark.parametrize(("error", "status", "more"), MADE, ids=lambda each: type(each).__name__)
def test_an_error_has_its_status_and_says_what_and_where(error, status, more):
    answer = problems.answer(error)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    assert json.loads(answer.body) == [{"message": error.message, "type": error.code, **more}]


def test_every_error_has_a_status():
    for kind in vars(errors).values():
        if inspect.isclass(kind) and issubclass(kind, errors.ComityError):
            assert any(issubclass(kind, listed) for listed, _ in problems.STATUSES)


def test_the_first_row_that_fits_is_never_hidden_by_one_before():
    kinds = [kind for kind, _ in problems.STATUSES]
    for at, kind in enumerate(kinds):
        assert not any(issubclass(kind, before) for before in kinds[:at]), kind


def test_headers_say_when_to_try_again_and_what_is_allowed():
    assert int(problems.answer(errors.DatabaseError("m")).headers["retry-after"]) > 0
    assert (
        problems.answer(errors.TransientDeliveryError("m", retry_after_s=2.1)).headers["retry-after"] == "3"
    )
    assert "retry-after" not in problems.answer(errors.TransientDeliveryError("m")).headers
    assert problems.answer(problems.MethodError("GET", {"PUT", "POST"})).headers["allow"] == "POST, PUT"


def test_a_wrong_key_is_401_with_what_to_do():
    answer = problems.unauthorized()
    assert answer.status_code == 401
    assert "www-authenticate" in answer.headers
    assert "X-Api-Key" in json.loads(answer.body)[0]["hint"]


def test_an_unexpected_error_is_told_by_its_id_only(caplog):
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/x",
        "headers": [],
        "query_string": b"",
        "server": ("h", 80),
    }
    answer = problems.unexpected(Request(scope), ZeroDivisionError("secret"))
    (problem,) = json.loads(answer.body)
    assert (answer.status_code, problem["type"]) == (500, "internal")
    assert "secret" not in str(problem)
    assert problem["id"] in caplog.text
    assert "ZeroDivisionError: secret" in caplog.text
