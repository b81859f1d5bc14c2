"""Endpoints of what is read at a partner without being received: decode, one use case, encode.

What is decided is `controlplane.readings` and `reading_files`; the table of all endpoints is `endpoints`.
"""

from __future__ import annotations

from starlette.responses import Response

from comity.api.management.call import Call, Document
from comity.api.management.streaming import Streamed
from comity.controlplane import reading_files, readings
from comity.controlplane.connector import Connector
from comity.controlplane.received import Access
from comity.dataplane import serve
from comity.management import query, wire
from comity.management import readings as forms
from comity.storage.source import Source
from comity.techdata import manifest


async def start(connector: Connector, call: Call) -> Document:
    """POST readings."""
    form = forms.decode(call.body)
    wanted = readings.Wanted(
        counterparty_id=form.counterparty_id,
        asset_id=form.asset_id,
        offer_id=form.offer_id,
        shown=form.offer,
        revision=form.revision,
    )
    access = Access(
        purpose=form.access.purpose,
        person=form.access.person,
        nationalities=tuple(form.access.nationality),
        by=call.caller,
    )
    return _document(await readings.start(connector, wanted, access))


async def load(connector: Connector, call: Call) -> Document:
    """GET readings/{id}."""
    return _document(await readings.status(connector, call.id))


async def find(connector: Connector, call: Call) -> list[Document]:
    """POST readings/request."""
    return [_document(each) for each in await readings.find(connector, query.parse(call.body))]


async def end(connector: Connector, call: Call) -> None:
    """DELETE readings/{id}."""
    await readings.end(connector, call.id)


async def find_files(connector: Connector, call: Call) -> list[Document]:
    """GET readings/{id}/files."""
    found = await reading_files.find(connector, call.id, by=call.caller)
    if isinstance(found, serve.Package):
        return [_entry(path, source) for path, source in found.files.items()]
    return [{**_entry(found.name, found), "single": True}]


def _entry(path: str, source: Source) -> Document:
    said = {"path": path, "sizeBytes": source.size_bytes, "sha256": source.sha256 or None}
    return {name: each for name, each in said.items() if each is not None} | {"mediaType": source.media_type}


async def load_manifest(connector: Connector, call: Call) -> Response:
    """GET readings/{id}/manifest."""
    found = await reading_files.load_manifest(connector, call.id, by=call.caller)
    return Response(found.manifest, media_type=manifest.MEDIA_TYPE)


async def read(connector: Connector, call: Call) -> Response:
    """GET and HEAD readings/{id}/files/{path}."""
    reply, still_allowed = await reading_files.answer(
        connector, call.id, call.path, call.method, call.headers, by=call.caller
    )
    return Streamed(reply, connector.readers, call.id, still_allowed)


def _document(shown: Document) -> Document:
    return {"@context": wire.CONTEXT, **shown}
