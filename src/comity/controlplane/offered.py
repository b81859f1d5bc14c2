"""What is offered, written so that each change of it is an event too, in the same transaction.

The rows are `db.offers`' part, the names of the events `management.events`'.
"""

from __future__ import annotations

from msgspec import Struct

from comity.controlplane.connector import Connector
from comity.db import events, offers
from comity.db.offers import Asset, ContractDefinition, PolicyDefinition
from comity.db.store import Transaction
from comity.management import events as forms

Offered = Asset | PolicyDefinition | ContractDefinition
_DATA: dict[type[Struct], tuple[str, type[Struct]]] = {
    Asset: ("asset.", forms.AssetData),
    PolicyDefinition: ("policy.definition.", forms.PolicyDefinitionData),
    ContractDefinition: ("contract.definition.", forms.ContractDefinitionData),
}


async def insert(connector: Connector, tx: Transaction, new: Offered) -> Offered:
    """Store a new one and return it.

    Raises:
        ConflictError: the id is taken.
    """
    await offers.insert(tx, new)
    await _tell(connector, tx, type(new), new.id, forms.CREATED)
    return new


async def save(connector: Connector, tx: Transaction, changed: Offered) -> None:
    """Replace one; its time of creation stays.

    Raises:
        NotFoundError: there is none with this id.
    """
    await offers.save(tx, changed)
    await _tell(connector, tx, type(changed), changed.id, forms.UPDATED)


async def put(connector: Connector, tx: Transaction, value: Offered) -> None:
    """Store one, new or changed."""
    new = await offers.put(tx, value)
    await _tell(connector, tx, type(value), value.id, forms.CREATED if new else forms.UPDATED)


async def remove(connector: Connector, tx: Transaction, kind: type[offers.T], name: str) -> None:
    """Delete one.

    Raises:
        NotFoundError: there is none with this id.
        ConflictError: something needs it.
    """
    await offers.remove(tx, kind, name)
    await _tell(connector, tx, kind, name, forms.DELETED)


async def _tell(connector: Connector, tx: Transaction, kind: type[Struct], name: str, change: str) -> None:
    prefix, data = _DATA[kind]
    await events.add(tx, prefix + change, name, number=0, at=connector.now_ms(), data=data(name))
