"""Endpoints of checkpoints of the evidence, and of what partners' show: decode, one use case, encode.

The table is `endpoints`.
"""

from __future__ import annotations

from typing import Any

from comity.api.management import call as calls
from comity.api.management.call import Call
from comity.controlplane import checkpoints, comparing, heads, witnessing
from comity.controlplane.connector import Connector
from comity.management import query, wire

Document = dict[str, Any]


async def find(connector: Connector, call: Call) -> Document:
    """GET evidence/checkpoints?limit=."""
    return await heads.show(connector, limit=calls.number(call, "limit", 100, query.MAX_LIMIT, least=1))


async def make(connector: Connector, call: Call) -> Document:  # noqa: ARG001  the signature of every endpoint
    """POST evidence/checkpoints."""
    await checkpoints.make(connector)
    return await heads.show(connector, limit=100)


async def compare(connector: Connector, call: Call) -> Document:
    """POST evidence/compare."""
    return {"state": await comparing.compare(connector, wire.text(call.body, "checkpoint"))}


async def acknowledge(connector: Connector, call: Call) -> None:
    """POST evidence/{id}/acknowledge."""
    await witnessing.acknowledge(connector, call.id, call.caller)
