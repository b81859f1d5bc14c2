"""Endpoints of what was received: decode, one use case, encode.

What is decided is `controlplane.received`; the table of all endpoints is `endpoints`.
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.responses import Response

from comity.api.management.call import Call, Document
from comity.api.management.streaming import Streamed
from comity.controlplane import kept, opening, received, seals
from comity.controlplane.connector import Connector
from comity.dataplane import serve
from comity.management import received as forms


async def find(connector: Connector, call: Call) -> list[Document]:
    """GET received?transferId=."""
    found = await received.find(connector, call.parameters.get("transferId", ""))
    return [_document(held, locked) for held, locked in found]


async def open_(connector: Connector, call: Call) -> Document:
    """POST received/{id}/open."""
    return _document(await received.open_(connector, call.id, _access(call, forms.decode(call.body))))


async def attest(connector: Connector, call: Call) -> Document:
    """POST received/{id}/attest."""
    form = forms.decode(call.body, statement=True)
    return _document(await received.attest(connector, call.id, form.statement, _access(call, form)))


async def store(connector: Connector, call: Call) -> Document:  # noqa: ARG001  there is nothing to ask
    """GET received/store."""
    return forms.encode_store(connector.kept.root, *await kept.sizes(connector))


async def files(connector: Connector, call: Call) -> list[Document]:
    """GET received/{id}/files."""
    _, found = await opening.files(connector, call.id)
    return [
        forms.encode_file(path, each.size_bytes or 0, each.sha256, each.media_type) for path, each in found
    ]


async def read_file(connector: Connector, call: Call) -> Response:
    """GET and HEAD received/{id}/files/{path}."""
    access, name = _access(call, forms.decode_parameters(call.parameters)), call.id
    export = forms.decode_export_parameter(call.parameters)
    source = await opening.open_file(
        connector, name, call.path, access, export=export, only_look=call.method == "HEAD"
    )
    storages = {"kept": kept.Storage(connector)}
    headers = {each.lower(): value for each, value in call.headers.items()}
    reply = await serve.resource(source, call.method, headers, storages)
    return Streamed(
        reply, connector.readers, name, still_allowed=lambda: opening.may_still(connector, name, access)
    )


async def export(connector: Connector, call: Call) -> Document:
    """POST received/{id}/export."""
    form, destination = forms.decode_export(call.body)
    held, note = await opening.export(connector, call.id, destination, _access(call, form))
    return {**_document(held), **({"note": note} if note else {})}


async def check(connector: Connector, call: Call) -> Document:
    """POST received/{id}/check."""
    return forms.encode_check(*await opening.check(connector, call.id))


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
        lies=held.lies,
        exports=[
            {"destination": each.destination, "person": each.person, "by": each.by_whom, "at": each.at}
            for each in held.exports
        ],
        copies_wait=held.copies_wait,
        seal=seals.shown(delivery.seal),
        revision=held.revision.number,
        revision_state=held.revision.state if held.revision.number else "",
        became=held.revision.words,
    )
