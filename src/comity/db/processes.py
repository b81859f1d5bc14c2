"""Rows of processes, what negotiations and transfers have in common: changed by compare-and-set on their version.

A lost race is a ConflictError, which a partner sees as 503: try again. What may change is decided in `controlplane`.
Every change of a state is an event, recorded here, in the same transaction, whoever makes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct

from comity import errors
from comity.db import events, listing
from comity.db.store import Row, Transaction
from comity.db.table import Table
from comity.dsp.process import Process
from comity.management import events as forms
from comity.management import query

P = TypeVar("P", bound=Process)
_CHANGING = ("counterparty_pid", "state", "last_received", "error", "updated_at")
_BY_PARTY = "WHERE counterparty_id = ?1 AND role = ?2 AND counterparty_pid = ?3"
_OPEN = "(state IS NULL OR state NOT IN ('FINALIZED', 'COMPLETED', 'TERMINATED'))"  # as in migration 0003
_OPEN_OF_ASSET = f"WHERE asset_id = ?1 AND role = ?2 AND {_OPEN}"
_OPEN_WITH = f"WHERE counterparty_id = ?1 AND {_OPEN}"


class Processes(Generic[P]):
    """The rows of one kind, in `table`; `changing` are columns of its own that `save` writes.

    `columns` are those that a query may be about beside the common ones; `data` makes the data of an event, the names
    of which begin with `family`.
    """

    def __init__(
        self,
        table: Table[P],
        *,
        changing: Sequence[str],
        columns: Mapping[str, listing.Column],
        family: str,
        data: Callable[[P], Struct],
    ) -> None:
        self._table, self._family, self._data = table, family, data
        self._changing = (*_CHANGING, *changing)
        changes = ", ".join(f"{column} = ?{at}" for at, column in enumerate(self._changing, 4))
        self._update = (
            f"UPDATE {table.name} SET version = version + 1, events = ?3, {changes}"
            " WHERE id = ?1 AND version = ?2"
        )
        intent = (listing.intent(table.name, "leads_to"), listing.intent(table.name, "last_error"))
        self._listing = listing.Listing(
            table.name,
            ", ".join((table.columns, *intent)),
            {
                "@id": listing.Column("id"),
                "type": listing.Column("upper(role)"),
                "state": listing.shown_state(table.name),
                "stateTimestamp": listing.Column("updated_at", number=True),
                "counterPartyId": listing.Column("counterparty_id"),
                "counterPartyAddress": listing.Column("counterparty_address"),
                "assetId": listing.Column("asset_id"),
                "correlationId": listing.Column("counterparty_pid"),
                "createdAt": listing.Column("created_at", number=True),
                **columns,
            },
        )

    async def find(self, tx: Transaction, process_id: str) -> P | None:
        """Return one by our id, or None."""
        return await self._table.one(tx, f"WHERE id = ?1{tx.lock}", process_id)

    async def find_with(self, tx: Transaction, process_id: str, counterparty_id: str) -> P | None:
        """Return one by our id if it is with this partner; another's takes no longer to refuse than none at all."""
        return await self._table.one(
            tx, f"WHERE id = ?1 AND counterparty_id = ?2{tx.lock}", process_id, counterparty_id
        )

    async def load(self, tx: Transaction, process_id: str) -> P:
        """Return one by our id.

        Raises:
            NotFoundError: there is none.
        """
        found = await self.find(tx, process_id)
        if found is None:
            raise errors.NotFoundError(f"there is no {self._table.name} {process_id}")
        return found

    async def find_all(self, tx: Transaction) -> list[P]:
        """Return all there are, oldest first."""
        return await self._table.all(tx, "ORDER BY created_at, id")

    async def find_by_party(
        self, tx: Transaction, counterparty_id: str, role: str, counterparty_pid: str
    ) -> P | None:
        """Return the one in which we have `role` and the partner calls `counterparty_pid`, or None."""
        return await self._table.one(tx, _BY_PARTY + tx.lock, counterparty_id, role, counterparty_pid)

    async def find_open(self, tx: Transaction) -> list[P]:
        """Return those that have not ended."""
        return await self._table.all(tx, f"WHERE {_OPEN}{tx.lock}")

    async def find_open_with(self, tx: Transaction, counterparty_id: str) -> list[P]:
        """Return those with a partner that have not ended."""
        return await self._table.all(tx, _OPEN_WITH + tx.lock, counterparty_id)

    async def find_open_of_asset(self, tx: Transaction, asset_id: str, role: str) -> list[P]:
        """Return those about an asset, in which we have a role, that have not ended."""
        return await self._table.all(tx, _OPEN_OF_ASSET + tx.lock, asset_id, role)

    async def count_open_with(self, tx: Transaction, counterparty_id: str) -> int:
        """Return how many with a partner have not ended."""
        row = await tx.one(f"SELECT count(*) FROM {self._table.name} {_OPEN_WITH}", counterparty_id)
        return int(row[0]) if row else 0

    async def find_page(
        self, tx: Transaction, spec: query.Spec, write: Callable[[P, str, str], dict[str, Any]]
    ) -> list[dict[str, Any]]:
        """Return a page of documents.

        `write` makes one of a process, the state that its message on its way leads to, and what went wrong with that.
        """

        async def made(row: Row) -> dict[str, Any]:
            *columns, leads_to, error = row
            return write(self._table.value(tuple(columns)), leads_to or "", error or "")

        return await self._listing.find(tx, spec, made)

    async def insert(self, tx: Transaction, new: P) -> P:
        """Store a new one, record the event of it, and return it."""
        await tx.run(self._table.insert, *self._table.row(new))
        await self._tell(tx, new)
        return msgspec.structs.replace(new, told=new.state)

    async def save(self, tx: Transaction, changed: P, *, through: str | None = None) -> P:
        """Store a change of the one that was loaded with this version, and return it with the next version.

        A change of its state is recorded as an event; so is the state that it went `through` in the same step.

        Raises:
            ConflictError: somebody else changed it in between.
        """
        moved = changed.state != changed.told
        passed = through is not None and through not in {changed.told, changed.state}
        number = changed.events + passed + moved
        values = self._table.values(changed, self._changing)
        if await tx.run(self._update, changed.id, changed.version, number, *values) != 1:
            raise errors.LostRaceError(
                f"{self._table.name} {changed.id} was changed by somebody else at the same time"
            )
        saved = msgspec.structs.replace(
            changed, version=changed.version + 1, events=number, told=changed.state
        )
        if passed:
            await self._tell(tx, msgspec.structs.replace(saved, state=through, events=number - moved))
        if moved:
            await self._tell(tx, saved)
        return saved

    async def _tell(self, tx: Transaction, record: P) -> None:
        """Record that a process has reached its state."""
        name = forms.name_of(self._family, record.state)
        await events.add(
            tx, name, record.id, number=record.events, at=record.updated_at, data=self._data(record)
        )
