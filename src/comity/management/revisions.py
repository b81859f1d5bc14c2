"""Revisions on the wire: our own documents, for EDC has none.

A revision is known by its asset and its number; a partner's by the partner besides.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from comity import errors
from comity.management import names, wire

Document = dict[str, Any]
KINDS = ("added", "removed", "changed", "renamed", "same")
MOST = 2**31 - 1
MAX_REASON = 1000


class QuestionForm(Struct, frozen=True):
    """What is asked about: an asset, ours or a partner's, and a unit of which some or all is known."""

    asset_id: str
    counterparty_id: str
    part: str
    serial_number: str
    lot: str
    plant: str


def decode_question(body: Document) -> QuestionForm:
    """Read the question which revision applies.

    Raises:
        InvalidInputError: with the place of what is wrong.
    """
    return QuestionForm(
        wire.text(body, "assetId", required=True),
        wire.text(body, "counterPartyId"),
        *(wire.text(body, name).strip() for name in ("part", "serialNumber", "lot", "plant")),
    )


def number(body: Document, name: str = "revision", *, required: bool = False) -> int:
    """Read the number of a revision, 0 if it is absent.

    Raises:
        InvalidInputError: it is none, or absent and required.
    """
    value = names.get(body, name)
    if value is None and not required:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= MOST:
        raise errors.InvalidInputError(f"{name} must be a whole number from 1 on", path=f"$.{name}")
    return value


def decode_recall(body: Document) -> tuple[int, str]:
    """Read which revision is recalled, and why.

    Raises:
        InvalidInputError: with the place of what is wrong.
    """
    reason = wire.text(body, "reason", required=True)
    if len(reason) > MAX_REASON or not reason.isprintable():
        raise errors.InvalidInputError(
            f"a reason has at most {MAX_REASON} printable characters", path="$.reason"
        )
    return number(body, required=True), reason


def encode(  # noqa: PLR0913  a revision has these members
    asset_id: str,
    *,
    number: int,
    state: str,
    manifest_sha256: str,
    effectivity: list[Document],
    title: str,
    counts: Document | None,
    reason: str,
    published_at: int,
    by: str = "",
    files: str = "",
    size_bytes: str = "",
    counterparty_id: str = "",
    agreement_id: str = "",
    told_at: int | None = None,
    transfer_id: str = "",
    held_by: Sequence[str] = (),
    notices: Sequence[Document] = (),
) -> Document:
    """Write a revision, ours or as a partner told us of it."""
    return wire.document(
        "Revision",
        None,
        assetId=asset_id,
        counterPartyId=counterparty_id or None,
        revision=number,
        state=state,
        title=title,
        manifestSha256=manifest_sha256,
        effectivity=effectivity,
        changes=counts,
        reason=reason or None,
        publishedAt=published_at or None,
        by=by or None,
        files=int(files) if files.isdecimal() else None,
        sizeBytes=int(size_bytes) if size_bytes.isdecimal() else None,
        agreementId=agreement_id or None,
        toldAt=told_at,
        receivedIn=transfer_id or None,
        heldBy=list(held_by) or None,
        notices=list(notices) or None,
    )


def encode_notice(counterparty_id: str, *, event: str, delivery: str, error: str, at: int) -> Document:
    """Write what a holder was told of a revision; `delivery` is what became of the notice."""
    shown: Document = {"counterPartyId": counterparty_id, "event": event, "delivery": delivery, "at": at}
    return shown | ({"error": error} if error else {})


def encode_changes(  # noqa: PLR0913  what changed has these members
    asset_id: str,
    revision: int,
    since: int,
    *,
    counts: Document,
    files: Document,
    complete: bool,
    counterparty_id: str = "",
) -> Document:
    """Write what changed by file."""
    listed = {kind: files.get(kind) or [] for kind in ("added", "removed", "changed", "renamed")}
    return wire.document(
        "RevisionChanges",
        None,
        assetId=asset_id,
        counterPartyId=counterparty_id or None,
        revision=revision,
        since=since or None,
        counts=counts,
        complete=complete,
        **listed,
    )


def encode_answer(  # noqa: PLR0913  an answer has these members
    asset_id: str,
    *,
    revision: int | None,
    manifest_sha256: str,
    deviations: list[Any],
    why: str,
    complete: bool,
    counterparty_id: str = "",
) -> Document:
    """Write which revision applies."""
    return wire.document(
        "RevisionAnswer",
        None,
        assetId=asset_id,
        counterPartyId=counterparty_id or None,
        revision=revision,
        manifestSha256=manifest_sha256 or None,
        deviations=deviations,
        why=why,
        complete=complete,
    )
