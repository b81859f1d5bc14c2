"""What an error becomes on the management API: one table of statuses, one form of body, EDC's.

A body is a list of problems, each with message, type (a stable code), path (where) and hint (what to do). What is not a
`ComityError` is answered with an id that the log has too, and nothing else of it.
"""

from __future__ import annotations

import logging
import math
import secrets
from collections.abc import Iterable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from comity import errors
from comity.api.body import EncodedError, NotJsonError, TooLargeError, TooSlowError
from comity.controlplane.repeats import KeyReusedError

JSON = "application/json"
RETRY_S = 2
ALL_ENDPOINTS = "all endpoints, each with an example, are at /management/docs"
_UNAVAILABLE = 503

log = logging.getLogger(__name__)


class MethodError(errors.NotFoundError):
    """The endpoint is there, but not with this method."""

    code = "wrong-method"

    def __init__(self, method: str, allowed: Iterable[str]) -> None:
        self.allowed = ", ".join(sorted(allowed))
        super().__init__(f"{method[:20]} is not possible here; there is: {self.allowed}", hint=ALL_ENDPOINTS)


class RoleError(errors.ComityError):
    """The API key is a good one, but its role does not suffice."""

    code = "role-too-low"

    def __init__(self, role: str, needed: str) -> None:
        super().__init__(
            f"this needs the role {needed}; this API key has the role {role}",
            hint="ask an admin for another key",
        )


class ConditionError(errors.ComityError):
    """What is read has another entity tag than the request asks for."""

    code = "condition"


class RangeError(errors.ComityError):
    """Not one range of bytes inside what is read is asked for; `content_range` says how long that is."""

    code = "range"

    def __init__(self, message: str, *, content_range: str) -> None:
        super().__init__(message)
        self.content_range = content_range


STATUSES: tuple[tuple[type[errors.ComityError], int], ...] = (
    (TooLargeError, 413),
    (TooSlowError, 408),
    (NotJsonError, 415),
    (EncodedError, 415),
    (errors.InvalidInputError, 400),
    (RoleError, 403),
    (errors.CrowdedError, 429),
    (MethodError, 405),
    (errors.NotFoundError, 404),
    (KeyReusedError, 422),
    (ConditionError, 412),
    (RangeError, 416),
    (errors.ConflictError, 409),
    (errors.RemoteProtocolError, 502),
    (errors.ProtocolError, 409),
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
    if isinstance(error, errors.IdentityError):
        problem["step"] = error.step
    if hint := error.hint or _hint(error):
        problem["hint"] = hint
    return _response([problem], status, _headers(error, status))


def _hint(error: errors.ComityError) -> str:
    """Return what can be done about an error whose place of origin could not know who reads it."""
    if isinstance(error, errors.TransientDeliveryError):
        return "try again later; is the partner's connector running?"
    return ""


def _headers(error: errors.ComityError, status: int) -> dict[str, str]:
    if isinstance(error, MethodError):
        return {"Allow": error.allowed}
    if isinstance(error, RangeError):
        return {"Content-Range": error.content_range}
    if status == _UNAVAILABLE:
        return {"Retry-After": str(RETRY_S)}
    wait_s = getattr(error, "retry_after_s", None)
    if wait_s is not None:
        return {"Retry-After": str(math.ceil(wait_s))}
    return {}


def unauthorized() -> Response:
    """Return the answer to a request without a valid API key."""
    problem = {
        "message": "the API key is missing or wrong",
        "type": "unauthorized",
        "hint": "send it as X-Api-Key; one lies in keys/management.key of the data folder, others are made with: comity"
        " apikey add",
    }
    return _response([problem], 401, {"WWW-Authenticate": "Bearer"})


def unexpected(request: Request, error: Exception) -> Response:
    """Log an error that nobody foresaw, and return the answer that names it by its id only."""
    name = secrets.token_hex(8)
    log.error("error %s at %s %s", name, request.method, request.url.path, exc_info=error)
    problem = {"message": "an unexpected error; the log has it under its id", "type": "internal", "id": name}
    return _response([problem], 500, {})


def _response(body: list[dict[str, Any]], status: int, headers: dict[str, str]) -> Response:
    return Response(msgspec.json.encode(body), status, headers, JSON)
