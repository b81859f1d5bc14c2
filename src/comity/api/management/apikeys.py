"""Endpoints of API keys: decode, one use case, encode.

What is decided is `controlplane.apikeys`; the table of all endpoints is `endpoints`.
"""

from __future__ import annotations

from comity.api.management.call import Call, Document
from comity.controlplane import apikeys
from comity.controlplane.connector import Connector
from comity.management import apikeys as forms


async def create_key(connector: Connector, call: Call) -> Document:
    """POST apikeys."""
    made, secret = await apikeys.create(connector, forms.decode(call.body, now_ms=connector.now_ms()))
    return forms.encode(
        made.id, role=made.role, expires_at=made.expires_at, created_at=made.created_at, secret=secret
    )


async def find_keys(connector: Connector, call: Call) -> list[Document]:  # noqa: ARG001  there is nothing to ask
    """GET apikeys."""
    return [
        forms.encode(each.id, role=each.role, expires_at=each.expires_at, created_at=each.created_at)
        for each in await apikeys.find_all(connector)
    ]


async def remove_key(connector: Connector, call: Call) -> None:
    """DELETE apikeys/{id}."""
    await apikeys.remove(connector, call.id)
