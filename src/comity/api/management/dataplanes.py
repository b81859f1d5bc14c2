"""Endpoints of data planes: what EDC's clients ask for is answered, what cannot be is refused with its reason.

The one that there is, is this process; the table of all endpoints is `endpoints`.
"""

from __future__ import annotations

from comity import errors
from comity.api.management.call import Call, Document
from comity.controlplane.connector import Connector
from comity.dsp import transfer
from comity.management import dataplanes as forms


async def find(connector: Connector, call: Call) -> list[Document]:  # noqa: ARG001  there is nothing to ask
    """GET dataplanes."""
    return [forms.encode(connector.data_address, transfer.FORMATS, connector.now_ms())]


async def register(connector: Connector, call: Call) -> None:  # noqa: ARG001  whatever it is, it is refused
    """PUT dataplanes."""
    raise forms.refuse()


async def remove(connector: Connector, call: Call) -> None:  # noqa: ARG001  ours is all that there is
    """DELETE dataplanes/{id}."""
    if call.id == forms.OWN:
        raise errors.ConflictError("this data plane is part of the connector: it cannot be removed")
    raise errors.NotFoundError(f"there is no data plane {call.id}")
