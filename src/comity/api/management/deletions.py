"""Endpoints of deletions and receipts: decode, one use case, encode.

What is decided is `controlplane.deletions` and `controlplane.receipts`; the table of all endpoints is `endpoints`.
"""

from __future__ import annotations

from comity.api.management.call import Call, Document
from comity.controlplane import deletions
from comity.controlplane.connector import Connector
from comity.management import deletions as forms
from comity.management import query

OPERATOR = "operator"
"""Who orders with the data folder's own key, which has no name."""


async def delete(connector: Connector, call: Call) -> list[Document]:
    """POST deletions."""
    order = forms.decode(call.body)
    return await deletions.delete(connector, order.name, by=call.caller or OPERATOR, by_hand=order.by_hand)


async def find(connector: Connector, call: Call) -> list[Document]:
    """POST deletions/request."""
    return await deletions.find(connector, query.parse(call.body))


async def find_receipts(connector: Connector, call: Call) -> list[Document]:
    """POST receipts/request."""
    return await deletions.find_receipts(connector, query.parse(call.body))
