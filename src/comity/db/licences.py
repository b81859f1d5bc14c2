"""Rows of licences: how much may be handed over under each, until when, and what was.

Who calls: the control plane, in the unit in which a transfer starts; the row is locked there, so that two transfers at
once cannot both take what is left of it.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from comity import errors
from comity.db.store import Transaction
from comity.db.table import Table

TRANSFER, FILE = "transfer", "file"
UNITS = (TRANSFER, FILE)


class Licence(Struct, frozen=True, kw_only=True):
    """A licence: `quantity` of `unit` may be handed over until `until` (ms, not after), `used` were."""

    number: str
    quantity: int
    unit: str
    until: int
    used: int = 0
    created_at: int

    def allows(self, now_ms: int, amount: int) -> bool:
        """Tell whether so much may be taken of it now; nothing is taken by what was counted and goes on."""
        return now_ms <= self.until and (amount == 0 or self.used + amount <= self.quantity)


class Use(Struct, frozen=True, kw_only=True):
    """What one transfer took of a licence."""

    number: str
    transfer_id: str
    agreement_id: str
    counterparty_id: str
    asset_id: str
    amount: int
    at: int


_TABLE = Table("licence", Licence)
_USES = Table("licence_use", Use)
_SAVE = _TABLE.upsert("number", "used", "created_at")
_COUNT = "UPDATE licence SET used = used + ?2 WHERE number = ?1 AND used + ?2 <= quantity AND until >= ?3"


async def find_all(tx: Transaction) -> list[Licence]:
    """Return all there are, oldest first."""
    return await _TABLE.all(tx, "ORDER BY created_at, number")


async def find_some(tx: Transaction, numbers: Sequence[str], *, lock: bool = False) -> list[Licence]:
    """Return those of some numbers that there are, in the order given; with `lock` for this unit alone to count on."""
    ending = "WHERE number = ?1" + (tx.lock if lock else "")
    found = [await _TABLE.one(tx, ending, each) for each in numbers]
    return [each for each in found if each is not None]


async def load(tx: Transaction, number: str) -> Licence:
    """Return a licence.

    Raises:
        NotFoundError: there is none with this number.
    """
    found = await find_some(tx, [number])
    if not found:
        raise errors.NotFoundError(
            f"there is no licence {number[:200]}", hint="add it with: comity licence add"
        )
    return found[0]


async def save(tx: Transaction, licence: Licence) -> None:
    """Store a licence, or change its quantity, unit and end; what was used stays."""
    await tx.run(_SAVE, *_TABLE.row(licence))


async def count(tx: Transaction, use: Use) -> None:
    """Take some of a licence for a transfer.

    Raises:
        PolicyError: less than that is left, or it has ended.
    """
    if await tx.run(_COUNT, use.number, use.amount, use.at) == 0:
        raise errors.PolicyError(
            f"less than {use.amount} is left of licence {use.number}",
            reasons=(f"comity:licence eq {use.number}",),
        )
    await tx.run(_USES.insert, *_USES.row(use))


async def find_uses(tx: Transaction, number: str, *, limit: int) -> list[Use]:
    """Return what was taken of a licence, the newest first."""
    return await _USES.all(tx, "WHERE number = ?1 ORDER BY at DESC, transfer_id LIMIT ?2", number, limit)
