"""Endpoints of licences: decode, one use case, encode.

What is decided is `controlplane.licences`; the table of all endpoints is `endpoints`.
"""

from __future__ import annotations

import msgspec

from comity.api.management.call import Call, Document
from comity.controlplane import licences
from comity.controlplane.connector import Connector
from comity.db.licences import Licence, Use
from comity.management import licences as forms


async def put(connector: Connector, call: Call) -> Document:
    """POST licences."""
    return _licence(await licences.put(connector, forms.decode(call.body)))


async def find(connector: Connector, call: Call) -> list[Document]:  # noqa: ARG001  there is nothing to ask
    """GET licences."""
    return [_licence(each) for each in await licences.find_all(connector)]


async def load(connector: Connector, call: Call) -> Document:
    """GET licences/{id}."""
    found, uses = await licences.load(connector, call.id)
    return _licence(found, [_use(each) for each in uses])


def _licence(licence: Licence, uses: list[Document] | None = None) -> Document:
    return forms.encode(**msgspec.structs.asdict(licence), uses=uses)


def _use(use: Use) -> Document:
    members = msgspec.structs.asdict(use)
    del members["number"]
    return forms.encode_use(**members)
