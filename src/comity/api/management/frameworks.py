"""Endpoints of framework agreements: decode, one use case, encode.

What is decided is `controlplane`'s; the table of all endpoints is `endpoints`. A framework agreement is named by its
URN with the hash, or by its id while there is one version of it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable

from comity import errors
from comity.api.management.call import Call, Document
from comity.controlplane import framework_deliveries as deliveries
from comity.controlplane import framework_proposals as proposals
from comity.controlplane import framework_signatures as signatures
from comity.controlplane import framework_stops as stops
from comity.controlplane import framework_view as view
from comity.controlplane.connector import Connector
from comity.db import frameworks as rows
from comity.management import wire


async def propose(connector: Connector, call: Call) -> Document:
    """POST frameworks."""
    document = wire.mapping(call.body, "document", required=True)
    urn = await proposals.propose(connector, document, wire.text(call.body, "folder", required=True))
    return await view.load(connector, urn)


async def find(connector: Connector, call: Call) -> list[Document]:  # noqa: ARG001  there is nothing to ask
    """GET frameworks."""
    return await view.find_all(connector)


async def load(connector: Connector, call: Call) -> Document:
    """GET frameworks/{id}."""
    return await view.load(connector, call.id)


async def offered(connector: Connector, call: Call) -> Document:
    """POST frameworks/offered: a partner's, as it offers it to us."""
    urn = wire.text(call.body, "frameworkAgreement", required=True)
    found = await proposals.offered(connector, wire.party(call.body), urn)
    return wire.document("OfferedFramework", urn, document=found.document, textsId=found.texts)


async def sign(connector: Connector, call: Call) -> Document:
    """POST frameworks/sign."""
    urn = wire.text(call.body, "frameworkAgreement", required=True)
    begun = await proposals.sign(
        connector, wire.party(call.body), urn, accede=wire.flag(call.body, "accede"), by=call.caller
    )
    return wire.id_response(begun.id, begun.created_at)


def change(state: str) -> Callable[[Connector, Call], Awaitable[None]]:
    """Return the endpoint that suspends, resumes or ends."""

    async def run(connector: Connector, call: Call) -> None:
        """POST frameworks/{id}/suspend, resume and end."""
        reason = wire.text(call.body, "reason", required=state != rows.AGREED)
        await stops.change(connector, call.id, state, reason)

    return run


async def deliver(connector: Connector, call: Call) -> Document:
    """POST frameworks/deliveries."""
    made = await deliveries.deliver(
        connector,
        wire.text(call.body, "frameworkAgreement", required=True),
        wire.text(call.body, "commitment", required=True),
        wire.text(call.body, "quantity", required=True),
        wire.text(call.body, "evidence"),
    )
    return wire.id_response(made.id, made.created_at)


async def confirm(connector: Connector, call: Call) -> None:
    """POST frameworks/{id}/confirm."""
    await deliveries.confirm(connector, call.id, wire.text(call.body, "delivery", required=True))


async def attach(connector: Connector, call: Call) -> Document:
    """POST frameworks/{id}/signatures: a file with a signature, in base64."""
    text = call.body.get("content")
    try:
        content = base64.b64decode(text if isinstance(text, str) else "", validate=True)
    except (binascii.Error, ValueError):
        content = b""
    if not content:
        raise errors.InvalidInputError("content is the file of a signature, in base64", path="$.content")
    verdict = await signatures.attach(connector, call.id, content)
    return wire.document(
        "FrameworkSignature",
        signer=verdict.signer,
        signedAt=verdict.signed_at,
        valid=verdict.valid,
        detail=verdict.detail,
    )
