"""Receipts and deletions on the wire of the management API: what queries ask of them, and an order to delete.

How one is shown is `controlplane.deletions`' part.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from comity import errors
from comity.management import names, wire

Document = dict[str, Any]
DELETION_FIELDS = (
    "transferId",
    "agreementId",
    "counterPartyId",
    "assetId",
    "type",
    "state",
    "receivedAt",
    "dueAt",
    "deletedAt",
    "createdAt",
)
RECEIPT_FIELDS = ("transferId", "agreementId", "counterPartyId", "kind", "type", "state", "createdAt")
OPEN, OVERDUE, DELETED = "OPEN", "OVERDUE", "DELETED"


class Order(Struct, frozen=True):
    """What was received in a transfer, or under an agreement, is to be deleted, or was so `by_hand`."""

    name: str
    by_hand: bool


def decode(body: Document) -> Order:
    """Read an order.

    Raises:
        InvalidInputError: with the place of what is wrong.
    """
    named = [name for name in ("transferId", "agreementId") if wire.text(body, name)]
    if len(named) != 1:
        raise errors.InvalidInputError("either transferId or agreementId is needed", path="$.transferId")
    by_hand = names.get(body, "byHand")
    if by_hand is not None and not isinstance(by_hand, bool):
        raise errors.InvalidInputError("byHand must be true or false", path="$.byHand")
    return Order(wire.text(body, named[0]), bool(by_hand))


def state(due_at: int | None, deleted_at: int | None, now_ms: int) -> str:
    """Return how a deletion stands at a time (ms)."""
    if deleted_at is not None:
        return DELETED
    return OVERDUE if due_at is not None and due_at < now_ms else OPEN
