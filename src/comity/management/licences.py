"""Licences on the wire: our own document, for EDC has none.

A licence is known by its number, which offers name (`comity:licence eq NUMBER`).
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from comity import errors
from comity.management import names, wire
from comity.odrl import values

Document = dict[str, Any]
UNITS = ("transfer", "file")
MOST = 2**53 - 1
_MS = 1000


class LicenceForm(Struct, frozen=True):
    """A licence as somebody writes it down; `until` is its last moment, in ms."""

    number: str
    quantity: int
    unit: str
    until: int


def decode(body: Document) -> LicenceForm:
    """Read a licence.

    Raises:
        InvalidInputError: with the place of what is wrong.
    """
    number = wire.check_id(wire.text(body, "number", required=True), "$.number")
    quantity = names.get(body, "quantity")
    if isinstance(quantity, bool) or not isinstance(quantity, int) or not 0 < quantity <= MOST:
        raise errors.InvalidInputError("quantity must be a whole number from 1 on", path="$.quantity")
    unit = wire.text(body, "unit") or UNITS[0]
    if unit not in UNITS:
        raise errors.InvalidInputError(f"unit must be one of {', '.join(UNITS)}", path="$.unit")
    until = values.read_time(wire.text(body, "until", required=True))
    if until is None:
        raise errors.InvalidInputError(
            "until is no date",
            path="$.until",
            hint="write 2027-12-31 (that whole day, UTC) or 2027-12-31T12:00:00Z",
        )
    return LicenceForm(number, quantity, unit, int(until[1]) // _MS)


def encode(  # noqa: PLR0913  a licence has these members
    number: str,
    *,
    quantity: int,
    unit: str,
    until: int,
    used: int,
    created_at: int,
    uses: list[Document] | None = None,
) -> Document:
    """Write a licence, with what was taken of it where that is asked for."""
    return wire.document(
        "Licence",
        number,
        quantity=quantity,
        unit=unit,
        until=until,
        used=used,
        left=max(0, quantity - used),
        createdAt=created_at,
        uses=uses,
    )


def encode_use(  # noqa: PLR0913  a use has these members
    *, transfer_id: str, agreement_id: str, counterparty_id: str, asset_id: str, amount: int, at: int
) -> Document:
    """Write what a transfer took."""
    return {
        "transferId": transfer_id,
        "agreementId": agreement_id,
        "counterPartyId": counterparty_id,
        "assetId": asset_id,
        "amount": amount,
        "at": at,
    }
