"""From an error of the management API back to the error of `comity.errors` that it was.

The body is a list of `{"message", "type", "path", "hint"}`, `type` being the stable code of the class. An answer
without a known code is read by its HTTP status; an answer that is no such list comes from someone else.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from comity import errors

Document = dict[str, Any]
CHANGED = "storage-changed"
_SERVER_ERROR = 500


class UnreachableError(errors.DeliveryError):
    """The connector itself does not answer, so nothing is known of what was asked of it."""

    code = "unreachable"


class UnauthorizedError(errors.IdentityError):
    """The connector does not take our key: most often it is another connector than we think."""

    code = "unauthorized"


class HashError(errors.ComityError):
    """The bytes of a file are not those that were published."""

    code = "hash-mismatch"


def read(status: int, body: bytes, *, address: str) -> errors.ComityError:
    """Return the error that an answer with this status and body stands for."""
    if _is_for_partners(body):
        return UnreachableError(
            f"{address} is where partners reach a connector, not its management API",
            hint="management.listen in comity.toml names the address of the management API",
        )
    problems = _problems(body)
    if not problems:
        return _foreign(status, address)
    first = problems[0]
    message = "; ".join(str(each["message"]) for each in problems)
    make = _BY_CODE.get(str(first.get("type") or "")) or _BY_STATUS.get(status)
    error = make(message, first) if make else _unknown(status, message)
    error.hint = str(first.get("hint") or "") or error.hint
    return error


def _is_for_partners(body: bytes) -> bool:
    """Tell whether the answer is a connector's to who asks its other port for what is not there."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(said, dict) and said.keys() == {"code", "message"} and said["code"] == "not-found"


def _problems(body: bytes) -> list[Document]:
    try:
        listed = json.loads(body)
    except (ValueError, RecursionError):
        return []
    listed = listed if isinstance(listed, list) else [listed]
    return [each for each in listed if isinstance(each, dict) and isinstance(each.get("message"), str)]


def _foreign(status: int, address: str) -> UnreachableError:
    return UnreachableError(
        f"what answers at {address} is no connector's management API (HTTP status {status})",
        hint="is another program listening there? management.listen in comity.toml names the address",
    )


def _unknown(status: int, message: str) -> errors.ComityError:
    if status >= _SERVER_ERROR:
        return errors.ComityError(f"the connector failed: {message}", hint="its log says why")
    return errors.ComityError(message)


def _invalid(message: str, problem: Document) -> errors.ComityError:
    return errors.InvalidInputError(message, path=str(problem.get("path") or "$"))


def _identity(message: str, problem: Document) -> errors.ComityError:
    return errors.IdentityError(message, step=str(problem.get("step") or "identity"))


def _unauthorized(message: str, problem: Document) -> errors.ComityError:
    problem.pop("hint", None)  # it is for those who write programs
    return UnauthorizedError(
        message,
        step="key",
        hint="is COMITY_API_KEY the right key? does the connector of another data folder listen there? "
        "--data names yours",
    )


def _policy(message: str, problem: Document) -> errors.ComityError:
    reasons = problem.get("reasons")
    return errors.PolicyError(
        message, reasons=[str(each) for each in reasons] if isinstance(reasons, list) else ()
    )


def _transient(message: str, problem: Document) -> errors.ComityError:  # noqa: ARG001  one form for all
    error = errors.TransientDeliveryError(message)
    error.hint = "try again later; is the partner's connector running?"
    return error


def _changed(message: str, problem: Document) -> errors.ComityError:  # noqa: ARG001  one form for all
    error = errors.StorageError(message)
    error.code = CHANGED
    return error


def _plain(kind: type[errors.ComityError]) -> Callable[[str, Document], errors.ComityError]:
    return lambda message, _: kind(message)


_PLAIN = (
    errors.LocalProtocolError,
    errors.RemoteProtocolError,
    errors.NotFoundError,
    errors.ConflictError,
    errors.DeliveryError,
    errors.PermanentDeliveryError,
    errors.StorageError,
    errors.DatabaseError,
    errors.SettingsError,
)
_BY_CODE: dict[str, Callable[[str, Document], errors.ComityError]] = {
    errors.InvalidInputError.code: _invalid,
    errors.IdentityError.code: _identity,
    UnauthorizedError.code: _unauthorized,
    errors.PolicyError.code: _policy,
    errors.TransientDeliveryError.code: _transient,
    CHANGED: _changed,
    **{kind.code: _plain(kind) for kind in _PLAIN},
}
_BY_STATUS: dict[int, Callable[[str, Document], errors.ComityError]] = {
    400: _invalid,
    401: _unauthorized,
    403: _policy,
    404: _plain(errors.NotFoundError),
    409: _plain(errors.ConflictError),
    413: _invalid,
    502: _plain(errors.DeliveryError),
    503: _plain(errors.DatabaseError),
}


class RevisionWarning(UserWarning):
    """What is read is of a revision that its owner has superseded or recalled."""


def warn(record: Mapping[str, Any]) -> None:
    """Warn of what became of a revision that is read, as the connector says it."""
    if record.get("became"):
        warnings.warn(str(record["became"]), RevisionWarning, stacklevel=2)
