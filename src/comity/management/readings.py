"""What is read at a partner, on the wire: our own documents.

Who reads it and what for is said once, when the reading begins.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from comity import errors
from comity.management import received, wire
from comity.management.received import AccessForm

Document = dict[str, Any]
FIELDS = (
    "stage", "counterPartyId", "assetId", "purpose", "person", "agreementId", "transferId", "createdAt",
)  # fmt: skip


class ReadingForm(Struct, frozen=True):
    """What is to be read, by whom and what for; `offer` as it was shown."""

    counterparty_id: str
    asset_id: str
    access: AccessForm
    offer_id: str = ""
    offer: Document | None = None
    revision: int = 0


def decode(body: Document) -> ReadingForm:
    """Read a wish to read something.

    Raises:
        InvalidInputError: with the place of what is wrong.
    """
    revision = body.get("revision") or 0
    if isinstance(revision, bool) or not isinstance(revision, int) or revision < 0:
        raise errors.InvalidInputError("revision must be a number", path="$.revision")
    return ReadingForm(
        wire.party(body),
        wire.text(body, "assetId", required=True),
        received.decode(body),
        wire.text(body, "offerId"),
        wire.mapping(body, "policy") or None,
        revision,
    )
