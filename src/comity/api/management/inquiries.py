"""Endpoints of inquiries: decode, one use case, encode.

What is decided is `controlplane.inquiries` and `inquiry_decisions` beside it; all endpoints are in `endpoints`.
"""

from __future__ import annotations

from comity.api.management.call import Call, Document
from comity.controlplane import inquiries, inquiry_decisions
from comity.controlplane.connector import Connector
from comity.management import inquiries as forms
from comity.management import query, wire


async def ask(connector: Connector, call: Call) -> Document:
    """POST inquiries."""
    made = await inquiries.ask(connector, forms.decode(call.body), by=call.caller)
    return wire.id_response(made.id, made.created_at)


async def find(connector: Connector, call: Call) -> list[Document]:
    """POST inquiries/request."""
    return await inquiries.find(connector, query.parse(call.body))


async def load(connector: Connector, call: Call) -> Document:
    """GET inquiries/{id}."""
    return await inquiries.load(connector, call.id)


async def say(connector: Connector, call: Call) -> Document:
    """POST inquiries/{id}/say."""
    return await inquiry_decisions.say(
        connector, call.id, wire.text(call.body, "text", required=True), by=call.caller
    )


async def answer(connector: Connector, call: Call) -> Document:
    """POST inquiries/{id}/answer."""
    text = wire.text(call.body, "text", required=True)
    return await inquiry_decisions.answer(connector, call.id, text, by=call.caller)


async def grant(connector: Connector, call: Call) -> Document:
    """POST inquiries/{id}/grant."""
    limits, text = forms.decode_limits(call.body), wire.text(call.body, "text")
    return await inquiry_decisions.grant(connector, call.id, limits, text, by=call.caller)


async def refuse(connector: Connector, call: Call) -> Document:
    """POST inquiries/{id}/refuse."""
    reason = wire.text(call.body, "text", required=True)
    return await inquiry_decisions.refuse(connector, call.id, reason, by=call.caller)


async def revoke(connector: Connector, call: Call) -> Document:
    """POST inquiries/{id}/revoke."""
    reason = wire.text(call.body, "text", required=True)
    return await inquiry_decisions.revoke(connector, call.id, reason, by=call.caller)


async def withdraw(connector: Connector, call: Call) -> Document:
    """POST inquiries/{id}/withdraw."""
    return await inquiry_decisions.withdraw(connector, call.id, wire.text(call.body, "text"), by=call.caller)
