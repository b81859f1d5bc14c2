"""Endpoints of secrets: decode, one use case, encode. All of them are an admin's.

What is decided is `controlplane.secrets`; the table of all endpoints is `endpoints`.
"""

from __future__ import annotations

from comity import errors
from comity.api.management.call import Call, Document
from comity.controlplane import secrets
from comity.controlplane.connector import Connector
from comity.management import secrets as forms
from comity.management import wire


async def create(connector: Connector, call: Call) -> Document:
    """POST secrets."""
    created = await secrets.create(connector, forms.decode(call.body))
    return wire.id_response(created.id, created.created_at)


async def change(connector: Connector, call: Call) -> None:
    """PUT secrets: the id is in the body."""
    form = forms.decode(call.body)
    if not form.id:
        raise errors.InvalidInputError("a change needs the id of what is changed", path="$.@id")
    await secrets.change(connector, form)


async def load(connector: Connector, call: Call) -> Document:
    """GET secrets/{id}, with its value."""
    return forms.encode(call.id, *await secrets.load(connector, call.id))


async def remove(connector: Connector, call: Call) -> None:
    """DELETE secrets/{id}."""
    await secrets.remove(connector, call.id)
