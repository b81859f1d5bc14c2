"""The identity without proof that EDC's `iam-mock` and the conformance kit use: raw JSON in the Authorization header.

Anyone can claim anything with it. It is here for tests against other connectors, and whoever calls it does so
behind a flag that warns.
"""

from __future__ import annotations

from typing import Final

import msgspec

from comity import errors
from comity.identity import jose

_MAX_HEADER: Final = 8192
_MAX_ID: Final = 1024
_REGION: Final = "any"


def format(participant_id: str, audience: str) -> str:  # noqa: A001  # text is parsed and formatted in this project
    """Return the Authorization header that claims to come from `participant_id`.

    EDC's `iam-mock` makes a claim of `region` too and answers 500 where there is none.
    """
    return msgspec.json.encode({"region": _REGION, "audience": audience, "clientId": participant_id}).decode()


def parse(header: str | None) -> str:
    """Return the participant that the header claims; unknown members do not matter.

    Raises:
        IdentityError: it is not JSON with a `clientId` (step `header`).
    """
    try:
        claimed = jose.decode_object((header or "")[: _MAX_HEADER + 1].encode("utf-8")).get("clientId")
    except ValueError as error:
        raise _refusal(f"it cannot be read: {error}") from None
    if not isinstance(claimed, str) or not 0 < len(claimed) <= _MAX_ID or not claimed.isprintable():
        raise _refusal("clientId must be a text")
    return claimed


def _refusal(why: str) -> errors.IdentityError:
    return errors.IdentityError(
        f"the Authorization header is not of the mock identity: {why}",
        step="header",
        hint='send {"clientId": "<participant id>", "audience": "<address>"}',
    )
