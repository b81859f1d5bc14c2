"""What the kit finds at the connector: its partner, datasets under one contract definition, agreements in force.

Everything is written in one transaction with the product's own rows; the ids are those of the kit's example.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from comity.controlplane import content, offering
from comity.controlplane.connector import Connector
from comity.db import agreements, negotiations, offers, partners
from comity.db.partners import Partner
from comity.db.store import Transaction
from comity.dsp import negotiation, terms
from comity.dsp.negotiation import Agreement, Negotiation
from conformance.tck import table

KIT = "TCK_PARTICIPANT"
BACK_END = "http://127.0.0.1:9/"
TRANSFERRED = "ATP0101"
"""The asset that all agreements are about; no byte of it is asked for."""


async def plant(connector: Connector, kit_address: str) -> None:
    """Store what the kit expects; `kit_address` is where the kit takes messages."""
    await connector.database.write(lambda tx: _plant(connector, tx, kit_address))


async def _plant(connector: Connector, tx: Transaction, kit_address: str) -> None:
    now_ms = connector.now_ms()
    await partners.save(
        tx,
        Partner(
            id=KIT, name=KIT, address=kit_address, keys=[], pinned=False, attributes={}, created_at=now_ms
        ),
    )
    for name in (*table.PROVIDER_NEGOTIATIONS, *table.CATALOG, TRANSFERRED):
        if name != table.UNKNOWN:
            await offers.insert(tx, _asset(connector, name, now_ms))
    policy = offers.PolicyDefinition(id="P123", policy=table.USE, private_properties={}, created_at=now_ms)
    await offers.insert(tx, policy)
    definition = offers.ContractDefinition(
        id="CD123",
        access_policy_id=policy.id,
        contract_policy_id=policy.id,
        assets_selector=[],
        private_properties={},
        created_at=now_ms,
    )
    await offers.insert(tx, definition)
    for record, agreement in _agreements(connector, kit_address, now_ms):
        await negotiations.insert(tx, record)
        await agreements.insert(tx, agreement)


def _asset(connector: Connector, name: str, now_ms: int) -> offers.Asset:
    address = {"type": "HttpData", "baseUrl": BACK_END}
    return offers.Asset(
        id=name,
        properties={"name": name},
        private_properties={},
        data_address_sealed=connector.seal.close(msgspec.json.encode(address), content.ADDRESS + name),
        created_at=now_ms,
    )


def _agreements(
    connector: Connector, kit_address: str, now_ms: int
) -> Iterator[tuple[Negotiation, Agreement]]:
    """Yield negotiations that are over, with their agreements, one for each script of a transfer."""
    parties = {
        terms.PROVIDER: (connector.participant_id, KIT),
        terms.CONSUMER: (KIT, connector.participant_id),
    }
    for role, scripts in (
        (terms.PROVIDER, table.PROVIDER_TRANSFERS),
        (terms.CONSUMER, table.CONSUMER_TRANSFERS),
    ):
        for name in scripts:
            offer = negotiation.message_offer(table.USE, offer_id=f"offer-{name}", target=TRANSFERRED)
            record = _negotiation(role, name, offer, kit_address, now_ms)
            yield record, _agreement(record, *parties[role])


def _negotiation(role: str, name: str, offer: dict[str, Any], kit_address: str, now_ms: int) -> Negotiation:
    return Negotiation(
        id=f"negotiation-{name}",
        role=role,
        counterparty_id=KIT,
        counterparty_address=kit_address,
        counterparty_pid=f"kit-{name}",
        state=terms.FINALIZED,
        version=0,
        asset_id=TRANSFERRED,
        offer=offer,
        offered_by=terms.PROVIDER,
        agreement_id=name,
        created_at=now_ms,
        updated_at=now_ms,
    )


def _agreement(record: Negotiation, provider_id: str, consumer_id: str) -> Agreement:
    name = record.agreement_id or ""
    document = negotiation.agreement_document(
        record.offer,
        agreement_id=name,
        provider_id=provider_id,
        consumer_id=consumer_id,
        timestamp="2025-01-01T00:00:00Z",
    )
    return Agreement(
        id=name,
        negotiation_id=record.id,
        role=record.role,
        counterparty_id=KIT,
        provider_id=provider_id,
        consumer_id=consumer_id,
        asset_id=record.asset_id,
        document=document,
        message_sha256="",
        finalized=True,
        created_at=record.created_at,
    )


async def offer_ids(connector: Connector) -> dict[str, str]:
    """Return the id of the standing offer of each dataset that the kit negotiates about."""

    async def unit(tx: Transaction) -> dict[str, str]:
        kit, now_ms = await partners.load(tx, KIT), connector.now_ms()
        found = {
            name: await offering.find_by_asset(tx, kit, name, now_ms) for name in table.PROVIDER_NEGOTIATIONS
        }
        return {name: standing[0].offer_id for name, standing in found.items()}

    return await connector.database.read(unit)
