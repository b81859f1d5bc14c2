"""Every error that Comity raises on purpose, as one tree.

    ComityError                      code (stable), hint (what to do)
      ProtocolError                  the Dataspace Protocol was broken ...
        LocalProtocolError             ... by us: an illegal move was asked for      -> management API 409
        RemoteProtocolError            ... by the partner                            -> DSP 400
      InvalidInputError              a body or setting is malformed, .path says where -> 400
      IdentityError                  the caller's token does not hold, .step           -> 401
      PolicyError                    a policy says no, .reasons                       -> 403 (DSP: 404)
      NotFoundError                  not there, or not yours: the same answer         -> 404
      ConflictError                  the thing exists already or is in use            -> 409
        LostRaceError                  somebody else changed it at the same time
      CrowdedError                   as much of it is there as may be, .retry_after_s  -> 429
      DeliveryError                  a message did not reach the partner
        TransientDeliveryError         it is tried again, .retry_after_s
        PermanentDeliveryError         it is given up, .status and .reason are the partner's words
      StorageError                   files and back ends
      DatabaseError                  the store did not take it                        -> 503
        UnstampedError                 it may take nothing now: time stamps are missing
      SettingsError                  the operator's settings are wrong

`api/problems.py` turns classes into answers. A partner is told what it did wrong, never our facts, paths or stack.
"""

from __future__ import annotations

from collections.abc import Sequence


def install(extra: str) -> str:
    """Return how an extra of Comity is installed: no index has the package, and one of its name would be another's."""
    return f"pip install '.[{extra}]' in a clone of Comity"


class ComityError(Exception):
    """Root of all: a sentence for people, a stable code for programs and a hint that says what to do."""

    code = "error"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ProtocolError(ComityError):
    """A message or a move that the Dataspace Protocol does not allow."""

    code = "protocol"


class LocalProtocolError(ProtocolError):
    """We were asked for a move that the protocol does not allow now."""

    code = "illegal-move"


class RemoteProtocolError(ProtocolError):
    """The partner sent a message that the protocol does not allow now."""

    code = "illegal-message"


class InvalidInputError(ComityError):
    """A body, a query or a value is malformed; `path` names the place as a JSON path such as `$.offer.target`."""

    code = "invalid-input"

    def __init__(self, message: str, *, path: str = "$", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.path = path


class IdentityError(ComityError):
    """A token does not prove who is asking; `step` names the check that failed."""

    code = "identity"

    def __init__(self, message: str, *, step: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.step = step


class PolicyError(ComityError):
    """A policy says no; `reasons` name the terms that failed, never the facts."""

    code = "policy"

    def __init__(self, message: str, *, reasons: Sequence[str] = (), hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.reasons = tuple(reasons)


class NotFoundError(ComityError):
    """There is no such thing, or it is not the caller's: both look the same."""

    code = "not-found"


class ConflictError(ComityError):
    """The thing exists already, or something else still needs it; it may be gone after `retry_after_s` seconds."""

    code = "conflict"

    def __init__(self, message: str, *, hint: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


class CrowdedError(ComityError):
    """As much of something is there as may be: worth trying again after `retry_after_s` seconds."""

    code = "crowded"

    def __init__(self, message: str, *, retry_after_s: float, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


class LostRaceError(ConflictError):
    """Somebody else changed the thing at the same time; the store runs the unit again before anybody hears of it."""


class DeliveryError(ComityError):
    """A message did not reach the partner, or the partner did not take it."""

    code = "delivery"


class TransientDeliveryError(DeliveryError):
    """It is worth trying again, not before `retry_after_s` seconds if the partner said so.

    `outcome_unknown` is True when the partner may have taken the message although no answer came.
    """

    code = "delivery-transient"

    def __init__(
        self, message: str, *, retry_after_s: float | None = None, outcome_unknown: bool = False
    ) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.outcome_unknown = outcome_unknown


class PermanentDeliveryError(DeliveryError):
    """The partner refused: `status` is its HTTP status, `reason` its own words."""

    code = "delivery-refused"

    def __init__(self, message: str, *, status: int = 0, reason: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.reason = reason


class StorageError(ComityError):
    """A file or a storage back end could not be read or written."""

    code = "storage"


class DatabaseError(ComityError):
    """The store did not take or give a row; nothing was changed."""

    code = "database"


class UnstampedError(DatabaseError):
    """Nothing new may proceed: the evidence has had no time stamp for longer than the operator allows."""

    code = "unstamped"


class KeyAwayError(DatabaseError):
    """The token that holds our keys does not sign now: nothing goes out unsigned, and nothing was changed."""

    code = "key-away"


class SettingsError(ComityError):
    """The settings do not describe a connector that can run."""

    code = "settings"
