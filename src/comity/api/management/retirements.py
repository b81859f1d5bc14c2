"""Endpoints of retired agreements: decode, one use case, encode.

What is decided is `controlplane.retirements`; the table of all endpoints is `endpoints`.
"""

from __future__ import annotations

from comity.api.management.call import Call, Document
from comity.controlplane import retirements
from comity.controlplane.connector import Connector
from comity.management import query
from comity.management import retirements as forms


async def retire(connector: Connector, call: Call) -> None:
    """POST contractagreements/retirements."""
    await retirements.retire(connector, forms.decode(call.body))


async def find(connector: Connector, call: Call) -> list[Document]:
    """POST contractagreements/retirements/request."""
    return await retirements.find(connector, query.parse(call.body))


async def reactivate(connector: Connector, call: Call) -> None:
    """DELETE contractagreements/retirements/{id}."""
    await retirements.reactivate(connector, call.id)
