"""Endpoints of revisions: decode, one use case, encode.

What is decided is `controlplane.revisions` and `revisions_asked`; the table of all endpoints is `endpoints`.
"""

from __future__ import annotations

from comity.api.management import call as calls
from comity.api.management.call import Call, Document
from comity.controlplane import revisions, revisions_asked
from comity.controlplane.connector import Connector
from comity.management import revisions as forms


async def find_last(connector: Connector, call: Call) -> list[Document]:
    """GET revisions?counterPartyId=."""
    return await revisions_asked.find_last(connector, call.parameters.get("counterPartyId", ""))


async def find(connector: Connector, call: Call) -> list[Document]:
    """GET revisions/{id}?counterPartyId=&revision=."""
    return await revisions_asked.find(
        connector, call.id, call.parameters.get("counterPartyId", ""), _number(call, "revision")
    )


async def load_manifest(connector: Connector, call: Call) -> Document:
    """GET revisions/{id}/manifest?revision=."""
    return await revisions_asked.load_manifest(connector, call.id, _number(call, "revision"))


async def find_changes(connector: Connector, call: Call) -> Document:
    """GET revisions/{id}/changes?revision=&since=&counterPartyId=."""
    return await revisions_asked.find_changes(
        connector,
        call.id,
        call.parameters.get("counterPartyId", ""),
        _number(call, "revision"),
        _number(call, "since"),
    )


async def applies(connector: Connector, call: Call) -> Document:
    """POST revisions/applies."""
    return await revisions_asked.applies(connector, forms.decode_question(call.body))


async def recall(connector: Connector, call: Call) -> None:
    """POST revisions/{id}/recall."""
    number, reason = forms.decode_recall(call.body)
    await revisions.recall(connector, call.id, number, reason, by=call.caller)


def _number(call: Call, name: str) -> int:
    return calls.number(call, name, 0, forms.MOST)
