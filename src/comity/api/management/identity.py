"""Endpoints of our own identity and its keys: decode, one use case, encode.

What is decided is `controlplane.keyring`; the table of all endpoints is `endpoints`.
"""

from __future__ import annotations

from comity.api.management.call import Call, Document
from comity.controlplane import keyring
from comity.controlplane.connector import Connector
from comity.management import identity as forms


async def show(connector: Connector, call: Call) -> Document:  # noqa: ARG001  there is nothing to ask
    """GET identity."""
    return forms.encode(connector.participant_id, keyring.show(connector))


async def rotate(connector: Connector, call: Call) -> Document:
    """POST identity/rotate."""
    lead_s, grace_s = forms.decode_rotation(call.body)
    await keyring.rotate(connector, lead_s=lead_s, grace_s=grace_s)
    return forms.encode(connector.participant_id, keyring.show(connector))


async def retire(connector: Connector, call: Call) -> None:
    """DELETE identity/{id}."""
    await keyring.retire(connector, call.id)
