"""What has been delivered of the commitments of a framework agreement: reported by one party, confirmed by another.

A delivery counts as reported at once, and as confirmed when another party says so. Quantities are decimal numbers.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from comity import errors
from comity.controlplane import framework_signing as signing
from comity.controlplane import frameworks
from comity.controlplane.connector import Connector
from comity.db import frameworks as rows
from comity.db.store import Transaction
from comity.framework import check
from comity.framework import notice as forms
from comity.framework.document import Framework

Document = dict[str, Any]
MOST = 10_000
"""How many deliveries a partner may report under one framework agreement."""


async def deliver(
    connector: Connector, urn: str, commitment_id: str, quantity: str, note: str
) -> rows.Delivery:
    """Report what was delivered of a commitment of ours, tell the other parties, and return it.

    Raises:
        NotFoundError: there is no such framework agreement.
        InvalidInputError: it is no commitment of ours, or no quantity.
        ConflictError: it is not in force for us.
    """

    async def unit(tx: Transaction) -> rows.Delivery:
        row = await rows.load(tx, urn)
        ours = await rows.find_party(tx, row.urn, connector.participant_id)
        if ours is None or not ours.agreed_at:
            raise errors.ConflictError("it is not signed here")
        delivery = rows.Delivery(
            id=connector.new_id(),
            urn=row.urn,
            framework_id=row.framework_id,
            commitment_id=commitment_id,
            quantity=quantity,
            note=forms.text({"evidence": note}, "evidence"),
            reported_by=connector.participant_id,
            created_at=connector.now_ms(),
        )
        _check(frameworks.read(row), delivery)
        await rows.save_delivery(tx, delivery)
        await signing.tell(connector, tx, row.urn, {"event": "delivered", **_said(delivery)})
        return delivery

    return await connector.database.write(unit)


def _said(delivery: rows.Delivery) -> Document:
    return {
        "delivery": delivery.id,
        "commitment": delivery.commitment_id,
        "quantity": delivery.quantity,
        "evidence": delivery.note,
    }


def _check(framework: Framework, delivery: rows.Delivery) -> None:
    """Refuse what is no quantity of a commitment of who reports it."""
    check.quantity(delivery.quantity)
    found = [each for each in framework.commitments if each.id == delivery.commitment_id]
    if not found or found[0].party != delivery.reported_by:
        theirs = [each.id for each in framework.commitments if each.party == delivery.reported_by]
        raise errors.InvalidInputError(
            f"{delivery.commitment_id[:100]} is no commitment of {delivery.reported_by}",
            path="$.commitment",
            hint=f"there is: {', '.join(theirs)}" if theirs else "it made none",
        )


async def confirm(connector: Connector, urn: str, delivery_id: str) -> None:
    """Confirm what a partner reported to have delivered, and tell it.

    Raises:
        NotFoundError: there is no such delivery.
        ConflictError: it is our own, or confirmed already.
    """

    async def unit(tx: Transaction) -> None:
        row = await rows.load(tx, urn)
        delivery = await rows.find_delivery(tx, delivery_id)
        if delivery is None or delivery.framework_id != row.framework_id:
            raise errors.NotFoundError(f"there is no delivery {delivery_id[:200]} under it")
        if delivery.reported_by == connector.participant_id or delivery.confirmed_by:
            raise errors.ConflictError("it is our own, or confirmed already")
        await rows.save_delivery(tx, msgspec.structs.replace(delivery, confirmed_by=connector.participant_id))
        said = {"event": "confirmed", "delivery": delivery.id}
        await signing.tell(connector, tx, delivery.urn, said, only=delivery.reported_by)

    await connector.database.write(unit)


async def take(
    connector: Connector, tx: Transaction, row: rows.Framework, party: rows.Party, notice: Document
) -> None:
    """Take a partner's report of a delivery."""
    delivery = rows.Delivery(
        id=forms.name(notice, "delivery"),
        urn=row.urn,
        framework_id=row.framework_id,
        commitment_id=forms.name(notice, "commitment"),
        quantity=forms.name(notice, "quantity"),
        note=forms.text(notice, "evidence"),
        reported_by=party.participant_id,
        created_at=connector.now_ms(),
    )
    _check(frameworks.read(row), delivery)
    if await rows.find_delivery(tx, delivery.id) is not None:
        return
    if await rows.count_deliveries(tx, row.framework_id, party.participant_id) >= MOST:
        raise errors.InvalidInputError(f"a party may report {MOST} deliveries", path="$.delivery")
    await rows.save_delivery(tx, delivery)


async def take_confirmation(
    connector: Connector, tx: Transaction, row: rows.Framework, party: rows.Party, notice: Document
) -> None:
    """Take a partner's confirmation of a delivery of ours."""
    delivery = await rows.find_delivery(tx, forms.name(notice, "delivery"))
    ours = delivery is not None and delivery.reported_by == connector.participant_id
    if delivery is None or not ours or delivery.framework_id != row.framework_id:
        raise errors.InvalidInputError("there is no such delivery of ours", path="$.delivery")
    if not delivery.confirmed_by:
        await rows.save_delivery(tx, msgspec.structs.replace(delivery, confirmed_by=party.participant_id))


def progress(framework: Framework, delivered: list[rows.Delivery]) -> list[Document]:
    """Return each commitment with how much of it was reported and how much of that is confirmed."""
    return [
        {
            **msgspec.to_builtins(each),
            "delivered": _sum(delivered, each.id),
            "confirmed": _sum([one for one in delivered if one.confirmed_by], each.id),
        }
        for each in framework.commitments
    ]


def _sum(delivered: list[rows.Delivery], commitment_id: str) -> str:
    total = sum(
        (Decimal(each.quantity) for each in delivered if each.commitment_id == commitment_id), Decimal(0)
    )
    return format(total, "f")
