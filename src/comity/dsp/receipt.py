"""Receipts as notices: the receiver says what it has received whole, and later that it has deleted it.

Each names the agreement, both ids of the transfer, and the digest that stands for all of it: that of the manifest of a
package, or of the single resource. Time is the receiver's.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct, field

from comity import errors
from comity.dsp import codec, messages

Document = dict[str, Any]
DELIVERY, DELETION = "comity:DeliveryReceiptNotice", "comity:DeletionReceiptNotice"
CONTRADICTION = "comity:contradiction"
"""Member of the answer: in what a receipt is not what the provider knows."""

Digest = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
Count = Annotated[int, Meta(ge=0, le=2**53)]


class Receipt(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The members of a receipt; `by` is who deleted, `by_hand` that it was not this connector that did.

    `enforcement` says of each term of the agreement who sees to it (`odrl.enforcement`).
    """

    type: str = field(name="@type")
    agreement_id: messages.Pid = field(name="agreementId")
    provider_pid: messages.Pid = field(name="providerPid")
    consumer_pid: messages.Pid = field(name="consumerPid")
    manifest_sha256: Digest | None = field(default=None, name="comity:manifestSha256")
    resource_sha256: Digest | None = field(default=None, name="comity:sha256")
    files: Count = field(name="comity:files")
    size_bytes: Count = field(name="dcat:byteSize")
    time: Annotated[str, Meta(max_length=64)] = field(name="comity:time")
    by: Annotated[str, Meta(max_length=1024)] = field(default="", name="comity:by")
    by_hand: bool = field(default=False, name="comity:byHand")
    enforcement: Annotated[list[Document], Meta(max_length=1000)] = field(
        default_factory=list, name="comity:enforcement"
    )

    @property
    def sha256(self) -> str:
        """The digest that stands for all of it."""
        return self.manifest_sha256 or self.resource_sha256 or ""

    def document(self) -> Document:
        """Return it as a notice."""
        return dict(msgspec.to_builtins(self))


def read(document: Document) -> tuple[Receipt, int]:
    """Return a receipt and its time (ms).

    Raises:
        InvalidInputError: it is none, with the place.
    """
    receipt = codec.convert(document, Receipt)
    if not receipt.sha256:
        raise errors.InvalidInputError(
            "a receipt has the digest of what it is about: comity:manifestSha256 or comity:sha256"
        )
    if not receipt.by.isprintable():
        raise errors.InvalidInputError("a name has no control characters", path="$.comity:by")
    try:
        at = datetime.fromisoformat(receipt.time)
        at = (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise errors.InvalidInputError("a time is written as in ISO 8601", path="$.comity:time") from None
    return receipt, round(at.timestamp() * 1000)


def moment(at_ms: int) -> str:
    """Write a time as receipts have it."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
