"""Rows of inquiries, on both sides under the id that the asker gave, and of the steps of each.

What may follow on what is decided in `techdata.inquiry` and `controlplane.inquiries`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct, convert

from comity import errors
from comity.db import listing
from comity.db.store import Row, Transaction
from comity.db.table import Table
from comity.management import query
from comity.management.approvals import Decision, Need
from comity.techdata.inquiry import Limits, Proposal

Document = dict[str, Any]
SENT, TAKEN, NOT_TAKEN, RECEIVED = "sent", "taken", "refused", "received"
"""What became of a step's notice: ours on its way, taken, refused; or the partner's."""


class Inquiry(Struct, frozen=True, kw_only=True):
    """An inquiry about a revision; `role` is ours, `manifest_sha256` the revision, `wanted` the limits asked for.

    `granted` are the limits of a deviation, `revoked_at` when it was taken back, 0 if it was not; `decided_by` are who
    answered, `revision` what was published because of it.
    `needs`, `decisions` and `proposed` are for four eyes at the owner. `said` is why it was not taken. Times in ms.
    """

    id: str
    role: str
    counterparty_id: str
    agreement_id: str
    asset_id: str
    manifest_sha256: str
    kind: str
    text: str
    files: list[str] = []
    wanted: Limits | None = None
    proposal: Proposal | None = None
    answer_by: str = ""
    by_whom: str = ""
    state: str
    granted: Limits | None = None
    decided_by: list[str] = []
    revision: int = 0
    revision_sha256: str = ""
    revoked_at: int = 0
    needs: list[Need] = []
    decisions: list[Decision] = []
    proposed: Limits | None = None
    said: str = ""
    created_at: int
    updated_at: int

    @property
    def limits(self) -> Limits:
        """The limits of the deviation that was granted; those that hold nothing where none was."""
        return self.granted or Limits()


class Step(Struct, frozen=True, kw_only=True):
    """Something that happened to an inquiry; `role` is whose step it was, `delivery` what became of its notice."""

    id: str
    inquiry_id: str
    event: str
    role: str
    text: str = ""
    by_whom: list[str] = []
    delivery: str
    said: str = ""
    at: int


_DOCUMENTS = ("files", "wanted", "proposal", "granted", "decided_by", "needs", "decisions", "proposed")
_TABLE = Table("inquiry", Inquiry, documents=_DOCUMENTS)
_STEPS = Table("inquiry_step", Step, documents=("by_whom",))
_SAVE = _TABLE.upsert("id", "role", "created_at")
_SETTLE = (
    "UPDATE inquiry_step SET delivery = ?3, said = ?4 WHERE inquiry_id = ?1 AND id = ?2 AND delivery = 'sent'"
)
_HOLDS = "WHERE asset_id = ?1 AND granted <> ?2 AND revoked_at = 0 AND role = ?3"
_GRANTED_BY_US = f"{_HOLDS} ORDER BY created_at, id"
_GRANTED = f"{_HOLDS} AND counterparty_id = ?4 ORDER BY created_at, id"
_OPEN = "SELECT count(*) FROM inquiry WHERE agreement_id = ?1 AND counterparty_id = ?2 AND state = 'OPEN'"
_LENGTH = "SELECT count(*) FROM inquiry_step WHERE inquiry_id = ?1"
_LISTING = listing.Listing(
    _TABLE.name,
    _TABLE.columns,
    {
        "@id": listing.Column("id"),
        "kind": listing.Column("kind"),
        "state": listing.Column("state"),
        "counterPartyId": listing.Column("counterparty_id"),
        "agreementId": listing.Column("agreement_id"),
        "assetId": listing.Column("asset_id"),
        "createdAt": listing.Column("created_at", number=True),
    },
)


def _value(found: Inquiry) -> Inquiry:
    """Return a row with its documents as values."""
    return convert({name: getattr(found, name) for name in found.__struct_fields__}, Inquiry)


async def insert(tx: Transaction, new: Inquiry) -> None:
    """Store a new one."""
    await tx.run(_TABLE.insert, *_TABLE.row(new))


async def save(tx: Transaction, changed: Inquiry) -> None:
    """Store what became of one."""
    await tx.run(_SAVE, *_TABLE.row(changed))


async def find(tx: Transaction, name: str) -> Inquiry | None:
    """Return the one with an id, or None; nobody else changes it until the unit has ended."""
    found = await _TABLE.one(tx, f"WHERE id = ?1{tx.lock}", name)
    return _value(found) if found else None


async def load(tx: Transaction, name: str) -> Inquiry:
    """Return the one with an id; nobody else changes it until the unit has ended.

    Raises:
        NotFoundError: there is none.
    """
    found = await find(tx, name)
    if found is None:
        raise errors.NotFoundError(f"there is no inquiry {name[:200]}", hint="comity inquiries shows them")
    return found


async def find_granted(tx: Transaction, asset_id: str, owner_id: str = "") -> list[Inquiry]:
    """Return those by which deviations from an asset hold, oldest first: granted by us, or to us by its owner."""
    if owner_id:
        found = await _TABLE.all(tx, _GRANTED, asset_id, b"null", "consumer", owner_id)
    else:
        found = await _TABLE.all(tx, _GRANTED_BY_US, asset_id, b"null", "provider")
    return [_value(each) for each in found]


async def find_of_agreement(tx: Transaction, agreement_id: str) -> list[Inquiry]:
    """Return those under an agreement, oldest first."""
    rows = await _TABLE.all(tx, "WHERE agreement_id = ?1 ORDER BY created_at, id", agreement_id)
    return [_value(each) for each in rows]


async def count_open(tx: Transaction, agreement_id: str, counterparty_id: str) -> int:
    """Return how many are open under an agreement with a partner."""
    row = await tx.one(_OPEN, agreement_id, counterparty_id)
    return int(row[0]) if row else 0


async def find_page(
    tx: Transaction, spec: query.Spec, write: Callable[[Inquiry], Document]
) -> list[Document]:
    """Return a page of documents."""

    async def made(row: Row) -> Document:
        return write(_value(_TABLE.value(row)))

    return await _LISTING.find(tx, spec, made)


async def add_step(tx: Transaction, new: Step) -> None:
    """Store something that happened."""
    await tx.run(_STEPS.insert, *_STEPS.row(new))


async def find_steps(tx: Transaction, name: str) -> list[Step]:
    """Return what happened to an inquiry, oldest first."""
    return await _STEPS.all(tx, "WHERE inquiry_id = ?1 ORDER BY at, id", name)


async def count_steps(tx: Transaction, name: str) -> int:
    """Return how long the thread of an inquiry is."""
    row = await tx.one(_LENGTH, name)
    return int(row[0]) if row else 0


async def settle_step(tx: Transaction, name: str, step_id: str, *, taken: bool, said: str = "") -> None:
    """Keep what became of a notice of ours."""
    await tx.run(_SETTLE, name, step_id, TAKEN if taken else NOT_TAKEN, said[:500])
