"""Endpoints that say what a policy definition would do: decode, one use case, encode.

What is decided is `controlplane.policies`; the table of all endpoints is `endpoints`.
"""

from __future__ import annotations

from comity.api.management.call import Call, Document
from comity.controlplane import explaining, policies
from comity.controlplane.connector import Connector
from comity.management import explaining as questions
from comity.management import plans


async def validate(connector: Connector, call: Call) -> Document:
    """POST policydefinitions/{id}/validate."""
    return await policies.validate(connector, call.id)


async def plan(connector: Connector, call: Call) -> Document:
    """POST policydefinitions/{id}/evaluationplan."""
    return await policies.plan(connector, call.id, plans.decode_scope(call.body))


async def explain(connector: Connector, call: Call) -> Document:
    """POST policydefinitions/explain."""
    return await explaining.explain(connector, questions.decode(call.body))


async def simulate(connector: Connector, call: Call) -> Document:
    """POST policydefinitions/simulate."""
    return await explaining.simulate(connector, questions.decode_simulation(call.body))
