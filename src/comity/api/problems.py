"""What an error becomes on the management API: one table of statuses, one form of body, EDC's.

A body is a list of problems, each with message, type (a stable code), path (where) and hint (what to do). What is not a
`ComityError` is answered with an id that the log has too.
"""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.responses import Response

from comity import errors
from comity.api.body import TooLargeError

STATUSES: tuple[tuple[type[errors.ComityError], int], ...] = (
    (TooLargeError, 413),
    (errors.InvalidInputError, 400),
    (errors.NotFoundError, 404),
    (errors.ConflictError, 409),
    (errors.LocalProtocolError, 409),
    (errors.PolicyError, 403),
    (errors.DeliveryError, 502),
    (errors.DatabaseError, 503),
    (errors.StorageError, 422),
    (errors.IdentityError, 422),
    (errors.ComityError, 500),
)
"""Error class -> status, the first that fits; IdentityError is about a partner here, a wrong API key is 401."""


def status_of(error: errors.ComityError) -> int:
    """Return the HTTP status for an error."""
    return next(status for kind, status in STATUSES if isinstance(error, kind))


def answer(error: errors.ComityError) -> Response:
    """Return the answer for an error."""
    status = status_of(error)
    problem: dict[str, Any] = {"message": error.message, "type": error.code}
    if isinstance(error, errors.InvalidInputError):
        problem["path"] = error.path
    if isinstance(error, errors.PolicyError):
        problem["reasons"] = list(error.reasons)
    if error.hint:
        problem["hint"] = error.hint
    headers = {"Retry-After": "2"} if status == 503 else None  # noqa: PLR2004  unavailable
    return Response(msgspec.json.encode([problem]), status, headers, "application/json")


def unauthorized() -> Response:
    """Return the answer to a request without a valid API key."""
    problem = {
        "message": "the API key is missing or wrong",
        "type": "unauthorized",
        "hint": "send it as X-Api-Key; it lies in keys/management.key of the data folder",
    }
    return Response(msgspec.json.encode([problem]), 401, {"WWW-Authenticate": "ApiKey"}, "application/json")
