"""Inquiries on the wire of the management API: what somebody asks the owner of a revision, and what came of it.

What may follow on what is `techdata.inquiry`'s part; limits are read here, and checked there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from comity import errors
from comity.management import names, wire

Document = dict[str, Any]
FIELDS = ("type", "kind", "state", "counterPartyId", "agreementId", "assetId", "createdAt")
_TEXTS = ("lotFrom", "lotTo", "serialFrom", "serialTo", "until", "conditions")


class AskedForm(Struct, frozen=True, kw_only=True):
    """What somebody asks; `manifest_sha256` is empty for the revision that was received last."""

    agreement_id: str
    kind: str
    text: str
    files: list[str]
    manifest_sha256: str
    limits: Document
    proposal: str
    answer_by: str


def decode(body: Document) -> AskedForm:
    """Read what somebody asks.

    Raises:
        InvalidInputError: with the place of what is wrong.
    """
    return AskedForm(
        agreement_id=wire.text(body, "agreementId", required=True),
        kind=wire.text(body, "kind", required=True),
        text=wire.text(body, "text", required=True),
        files=wire.texts(body, "files"),
        manifest_sha256=wire.text(body, "manifestSha256"),
        limits=decode_limits(body),
        proposal=wire.text(body, "proposal"),
        answer_by=wire.text(body, "answerBy"),
    )


def decode_limits(body: Document) -> Document:
    """Read the member `limits`, empty if it is absent.

    Raises:
        InvalidInputError: with the place of what is wrong, or of a limit that is not known.
    """
    said = wire.mapping(body, "limits")
    for name in said:
        if name not in {*_TEXTS, "quantity"}:
            raise errors.InvalidInputError(
                f"there is no limit {name[:100]}",
                path=f"$.limits.{name[:100]}",
                hint=f"there are: {', '.join((*_TEXTS, 'quantity'))}",
            )
    found: Document = {name: wire.text(said, name, path="$.limits") for name in _TEXTS}
    quantity = names.get(said, "quantity", 0)
    if isinstance(quantity, bool) or not isinstance(quantity, int) or not 0 <= quantity < 2**53:
        raise errors.InvalidInputError("quantity must be a whole number", path="$.limits.quantity")
    return {name: value for name, value in {**found, "quantity": quantity}.items() if value}


def show(  # noqa: PLR0913  an inquiry has these members
    name: str,
    *,
    role: str,
    kind: str,
    state: str,
    counterparty_id: str,
    agreement_id: str,
    asset_id: str,
    manifest_sha256: str,
    text: str,
    files: Sequence[str],
    limits: Document | None,
    proposal: Document | None,
    answer_by: str,
    overdue: bool,
    asked_by: str,
    granted: Document | None,
    decided_by: Sequence[str],
    revision: int,
    revision_sha256: str,
    revoked_at: int,
    proposed: Document | None,
    waits_for: str,
    error: str,
    created_at: int,
    updated_at: int,
) -> Document:
    """Write an inquiry; `type` is our role in it: the consumer asked, the provider decides."""
    return wire.document(
        "Inquiry",
        name,
        type=role.upper(),
        kind=kind,
        state=state,
        counterPartyId=counterparty_id,
        agreementId=agreement_id,
        assetId=asset_id,
        manifestSha256=manifest_sha256,
        text=text,
        files=list(files),
        limits=limits,
        proposal=proposal,
        answerBy=answer_by or None,
        overdue=overdue,
        askedBy=asked_by or None,
        granted=granted,
        decidedBy=list(decided_by),
        revision=revision or None,
        revisionSha256=revision_sha256 or None,
        revokedAt=revoked_at or None,
        proposed=proposed,
        waitsFor=waits_for or None,
        error=error or None,
        createdAt=created_at,
        updatedAt=updated_at,
    )


def step(  # noqa: PLR0913  a step has these members
    event: str, *, role: str, by: Sequence[str], text: str, delivery: str, error: str, at: int
) -> Document:
    """Write a step of the thread; `type` is whose it was, `delivery` what became of its notice."""
    shown: Document = {"event": event, "type": role.upper(), "by": list(by), "text": text}
    shown |= {"delivery": delivery, "at": at}
    return shown | ({"error": error} if error else {})
