"""Endpoints that ask where and how a partner is talked to: decode, one use case, encode.

What is decided is `controlplane.discovery`; the table of all endpoints is `endpoints`.
"""

from __future__ import annotations

from comity.api.management.call import Call, Document
from comity.controlplane import discovery
from comity.controlplane.connector import Connector
from comity.management import discovery as forms


async def find_one(connector: Connector, call: Call) -> Document:
    """POST connectordiscovery/dspversionparams."""
    return await discovery.find_one(connector, forms.decode_one(call.body))


async def find_all(connector: Connector, call: Call) -> list[Document]:
    """POST connectordiscovery/connectors."""
    return await discovery.find_all(connector, forms.decode_all(call.body))


async def find_versions(connector: Connector, call: Call) -> Document:
    """POST protocol-versions/request."""
    return await discovery.find_versions(connector, forms.decode_one(call.body))
