"""The two doors at which the kit makes the connector begin a negotiation or a transfer; the use cases do it."""

from __future__ import annotations

from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from comity import strict_json
from comity.controlplane import negotiation_moves, transfer_moves
from comity.controlplane.connector import Connector
from comity.controlplane.transfer_moves import Wanted
from comity.db import agreements, partners
from comity.db.store import Transaction
from comity.dsp import negotiation, terms
from conformance.tck import table

NEGOTIATIONS = "/negotiations"
TRANSFERS = "/transfers"

Document = dict[str, Any]


def application(connector: Connector) -> ASGIApp:
    """Return the application that takes the kit's wishes."""

    async def negotiate(request: Request) -> Response:
        await begin_negotiation(connector, strict_json.decode_object(await request.body()))
        return Response(status_code=204)

    async def transfer(request: Request) -> Response:
        await begin_transfer(connector, strict_json.decode_object(await request.body()))
        return Response(status_code=204)

    return Starlette(
        routes=[
            Route(NEGOTIATIONS, negotiate, methods=["POST"]),
            Route(TRANSFERS, transfer, methods=["POST"]),
        ]
    )


async def begin_negotiation(connector: Connector, wish: Document) -> None:
    """Ask for a dataset with the offer id as the kit gave it."""
    offer = negotiation.message_offer(table.USE, offer_id=wish["offerId"], target=wish["datasetId"])

    async def unit(tx: Transaction) -> None:
        partner = await partners.load(tx, wish["providerId"])
        await negotiation_moves.request(connector, tx, partner, offer, wish["connectorAddress"])

    await connector.database.write(unit)


async def begin_transfer(connector: Connector, wish: Document) -> None:
    """Ask for the data of an agreement."""

    async def unit(tx: Transaction) -> None:
        agreement = await agreements.find_of_party(
            tx, wish["agreementId"], wish["providerId"], terms.CONSUMER
        )
        if agreement is None:
            raise LookupError(
                f"the kit asks for a transfer under {wish['agreementId']}, which is not planted"
            )
        wanted = Wanted(format=wish["format"])
        await transfer_moves.request(connector, tx, agreement, wish["connectorAddress"], wanted)

    await connector.database.write(unit)
