"""How the connector is: what it needs to do its work, and whether it has that now.

Only the store can fail on its own, and the time stamps where the operator cannot do without; whether a partner is away
is no matter of this connector's health.
"""

from __future__ import annotations

from msgspec import Struct

from comity import errors
from comity.controlplane.connector import Connector
from comity.db import probe


class Component(Struct, frozen=True):
    """A part and what is wrong with it, empty if nothing is."""

    name: str
    failure: str = ""


async def check(connector: Connector) -> list[Component]:
    """Return every part that can fail on its own."""
    try:
        await connector.database.read(probe.answers)
    except errors.DatabaseError as error:
        return [Component("store", error.message)]
    return [Component("store"), Component("time stamps", connector.halt.reason)]
