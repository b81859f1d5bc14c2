"""Endpoints of endpoint data references (`/v3/edrs`): decode, one use case, encode.

What is decided is `controlplane.edrs`; the table of all endpoints is `endpoints`.
"""

from __future__ import annotations

from comity.api.management import call as calls
from comity.api.management.call import Call, Document
from comity.controlplane import edrs
from comity.controlplane.connector import Connector
from comity.management import edrs as forms
from comity.management import processes as process_forms
from comity.management import query, wire


async def negotiate(connector: Connector, call: Call) -> Document:
    """POST edrs: negotiate, and start the transfer when the agreement is in force."""
    form = process_forms.decode_contract_request(call.body)
    calls.check_secrets(call, (each.auth_code_id for each in form.callbacks))
    return wire.id_response(*await edrs.negotiate(connector, form, by=call.caller))


async def find(connector: Connector, call: Call) -> list[Document]:
    """POST edrs/request."""
    return await edrs.find(connector, query.parse(call.body))


async def data_address(connector: Connector, call: Call) -> Document:
    """GET edrs/{id}/dataaddress?auto_refresh=."""
    refresh = forms.wants_refresh(call.parameters)
    return await edrs.load_address(connector, call.id, auto_refresh=refresh)


async def refresh(connector: Connector, call: Call) -> Document:
    """POST edrs/{id}/refresh."""
    return await edrs.load_address(connector, call.id, force=True)


async def forget(connector: Connector, call: Call) -> None:
    """DELETE edrs/{id}."""
    await edrs.forget(connector, call.id)
