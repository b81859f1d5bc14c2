"""What was received, on the wire: our own documents, since EDC leaves it to whoever fetches.

Who opens it, and what for, is what an operator says; the terms are the agreement's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from comity import errors
from comity.management import wire

Document = dict[str, Any]


class AccessForm(Struct, frozen=True):
    """Who wants to open something and what for, as an operator says it; `statement` is what a person attests."""

    purpose: str
    person: str
    nationality: list[str]
    statement: str


def decode(body: Document, *, statement: bool = False) -> AccessForm:
    """Read an access, or an attestation, which has a `statement`.

    Raises:
        InvalidInputError: with the place of what is wrong.
    """
    form = AccessForm(
        wire.text(body, "purpose"),
        wire.text(body, "person"),
        wire.texts(body, "nationality"),
        wire.text(body, "statement", required=statement),
    )
    if form.nationality and not form.person:
        raise errors.InvalidInputError("a nationality is a person's: name the person", path="$.person")
    return form


def encode(  # noqa: PLR0913  what was received has these members
    transfer_id: str,
    *,
    agreement_id: str,
    counterparty_id: str,
    asset_id: str,
    destination: str,
    name: str,
    sha256: str,
    files: int | None,
    size_bytes: int | None,
    received_at: int | None,
    deleted_at: int | None,
    policy: Document,
    locked: Sequence[str] = (),
) -> Document:
    """Write what a transfer brought, its terms, and the terms by which it is locked."""
    return wire.document(
        "Received",
        transfer_id,
        agreementId=agreement_id,
        counterPartyId=counterparty_id,
        assetId=asset_id,
        destination=destination,
        name=name or None,
        sha256=sha256,
        files=files,
        sizeBytes=size_bytes,
        receivedAt=received_at,
        deletedAt=deleted_at,
        policy=wire.policy(policy),
        locked=list(locked),
    )
