"""Licences: written down by our own people; counted where a transfer starts (`facts.count_licences`).

What is counted runs over all agreements that name the number. Less than what was used cannot be written down.
"""

from __future__ import annotations

from comity import errors
from comity.controlplane.connector import Connector
from comity.db import licences
from comity.db.licences import Licence, Use
from comity.db.store import Transaction
from comity.management.licences import LicenceForm

MOST_USES = 1000


async def put(connector: Connector, form: LicenceForm) -> Licence:
    """Write a licence down, or change its quantity and end; what was used of it stays.

    Raises:
        ConflictError: more was used than it would allow, or what was used was counted in another unit.
    """

    async def unit(tx: Transaction) -> Licence:
        known = await licences.find_some(tx, [form.number], lock=True)
        used = known[0].used if known else 0
        if form.quantity < used:
            raise errors.ConflictError(f"{used} of licence {form.number} are used already")
        if used and known[0].unit != form.unit:
            raise errors.ConflictError(
                f"what was used of licence {form.number} was counted by {known[0].unit}"
            )
        made = Licence(
            number=form.number,
            quantity=form.quantity,
            unit=form.unit,
            until=form.until,
            created_at=connector.now_ms(),
        )
        await licences.save(tx, made)
        return await licences.load(tx, form.number)

    return await connector.database.write(unit)


async def find_all(connector: Connector) -> list[Licence]:
    """Return every licence, oldest first."""
    return await connector.database.read(licences.find_all)


async def load(connector: Connector, number: str) -> tuple[Licence, list[Use]]:
    """Return a licence and the newest that was taken of it.

    Raises:
        NotFoundError: there is none with this number.
    """

    async def unit(tx: Transaction) -> tuple[Licence, list[Use]]:
        return await licences.load(tx, number), await licences.find_uses(tx, number, limit=MOST_USES)

    return await connector.database.read(unit)
