"""Endpoints of what was received: decode, one use case, encode.

What is decided is `controlplane.received`; the table of all endpoints is `endpoints`.
"""

from __future__ import annotations

from collections.abc import Sequence

from comity.api.management.call import Call, Document
from comity.controlplane import received
from comity.controlplane.connector import Connector
from comity.management import received as forms


async def find(connector: Connector, call: Call) -> list[Document]:  # noqa: ARG001  there is nothing to ask
    """GET received."""
    return [_document(held, locked) for held, locked in await received.find(connector)]


async def open_(connector: Connector, call: Call) -> Document:
    """POST received/{id}/open."""
    return _document(await received.open_(connector, call.id, _access(call, forms.decode(call.body))))


async def attest(connector: Connector, call: Call) -> Document:
    """POST received/{id}/attest."""
    form = forms.decode(call.body, statement=True)
    return _document(await received.attest(connector, call.id, form.statement, _access(call, form)))


def _access(call: Call, form: forms.AccessForm) -> received.Access:
    return received.Access(
        purpose=form.purpose, person=form.person, nationalities=tuple(form.nationality), by=call.caller
    )


def _document(held: received.Held, locked: Sequence[str] = ()) -> Document:
    delivery = held.delivery
    return forms.encode(
        delivery.transfer_id,
        agreement_id=delivery.agreement_id,
        counterparty_id=delivery.counterparty_id,
        asset_id=delivery.asset_id,
        destination=delivery.destination,
        name=delivery.name,
        sha256=delivery.sha256,
        files=delivery.files,
        size_bytes=delivery.size_bytes,
        received_at=delivery.at,
        deleted_at=delivery.deleted_at,
        policy=held.agreement.document,
        locked=locked,
    )
