"""Endpoints of approvals: decode, one use case, encode.

What is decided is `controlplane.approvals`; the table of all endpoints is `endpoints`.
"""

from __future__ import annotations

from comity.api.management.call import Call, Document, Endpoint
from comity.controlplane import approvals
from comity.controlplane.connector import Connector
from comity.management import query, wire


async def find(connector: Connector, call: Call) -> list[Document]:
    """POST approvals/request."""
    return await approvals.find(connector, query.parse(call.body))


async def load(connector: Connector, call: Call) -> Document:
    """GET approvals/{id}."""
    return await approvals.load(connector, call.id)


def settle(*, approved: bool) -> Endpoint:
    """Return the endpoint POST approvals/{id}/approve or POST approvals/{id}/refuse."""

    async def endpoint(connector: Connector, call: Call) -> Document:
        reason = wire.text(call.body, "reason")
        return await approvals.settle(connector, call.id, call.caller, approved=approved, reason=reason)

    return endpoint
