"""Takes what has ended out of the way: a negotiation that led to nothing, what was made ready for a transfer.

The evidence keeps what happened. What is still needed, or not over yet, stays.
"""

from __future__ import annotations

from comity import errors
from comity.controlplane.connector import Connector
from comity.db import agreements, approvals, negotiations, outbox, transfers
from comity.db.store import Transaction
from comity.dsp import machine, terms


async def remove_negotiation(connector: Connector, name: str) -> None:
    """Delete a negotiation that was ended without an agreement.

    Raises:
        NotFoundError: there is none with this id.
        ConflictError: it is not TERMINATED, led to an agreement, or a message of it is still on its way.
    """

    async def unit(tx: Transaction) -> None:
        record = await negotiations.load(tx, name)
        if await agreements.find_by_negotiation(tx, name) is not None:
            raise errors.ConflictError(f"negotiation {name} led to an agreement, which stays")
        if record.state != terms.TERMINATED:
            raise errors.ConflictError(
                f"negotiation {name} has not ended: it is {record.state or 'INITIAL'}",
                hint="terminate it first",
            )
        if await outbox.find_of_process(tx, name):
            raise errors.ConflictError(
                f"a message of negotiation {name} is still on its way", hint="try again later"
            )
        await approvals.remove_of(tx, name)
        await negotiations.remove(tx, record)

    await connector.database.write(unit)


async def deprovision(connector: Connector, name: str) -> None:
    """Free what was made ready for a transfer that has ended: nothing is here, so this only says that it may be.

    Raises:
        NotFoundError: there is none with this id.
        ConflictError: it has not ended.
    """
    record = await connector.database.read(lambda tx: transfers.load(tx, name))
    if record.state not in machine.TERMINAL:
        raise errors.ConflictError(
            f"transfer {name} has not ended: it is {record.state or 'INITIAL'}",
            hint="complete or terminate it first",
        )
