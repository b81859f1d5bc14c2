"""What is carried on a medium, on the wire of the management API: what to write or take, and what became of it.

Whether it may be, and what that does, is `controlplane.carrying` and `carried`.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from comity import errors
from comity.management import names, wire

Document = dict[str, Any]


class WriteForm(Struct, frozen=True, kw_only=True):
    """What is to be written where: an agreement, or an asset, with the partner if several have agreements about it."""

    medium: str
    agreement_id: str
    counterparty_id: str
    asset_id: str
    revision: int
    purpose: str


class TakeForm(Struct, frozen=True, kw_only=True):
    """A medium that is to be taken, where to, and the code that opens it."""

    medium: str
    destination: str
    code: str


def decode_write(body: Document) -> WriteForm:
    """Read what is to be written.

    Raises:
        InvalidInputError: with the place of what is wrong.
    """
    form = WriteForm(
        medium=wire.text(body, "medium", required=True),
        agreement_id=wire.text(body, "agreementId"),
        counterparty_id=wire.text(body, "counterPartyId"),
        asset_id=wire.text(body, "assetId"),
        revision=_number(body, "revision"),
        purpose=wire.text(body, "purpose"),
    )
    if bool(form.agreement_id) == bool(form.asset_id):
        raise errors.InvalidInputError("name either an agreement or an asset", path="$.agreementId")
    return form


def _number(body: Document, name: str) -> int:
    value = wire.reference(names.get(body, name)) or 0
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**31:
        raise errors.InvalidInputError(f"{name} must be a number from 1 on", path=f"$.{name}")
    return value


def decode_take(body: Document) -> TakeForm:
    """Read which medium is to be taken.

    Raises:
        InvalidInputError: with the place of what is wrong.
    """
    return TakeForm(
        medium=wire.text(body, "medium", required=True),
        destination=wire.text(body, "destination") or "store:",
        code=wire.text(body, "code"),
    )


def decode_medium(body: Document) -> str:
    """Read which medium is meant.

    Raises:
        InvalidInputError: none is named.
    """
    return wire.text(body, "medium", required=True)


def encode_written(  # noqa: PLR0913  what was written has these members
    transfer_id: str,
    *,
    agreement_id: str,
    counterparty_id: str,
    asset_id: str,
    place: str,
    files: int,
    size_bytes: int,
    code: str,
) -> Document:
    """Write down a package that is on a medium."""
    return wire.document(
        "CarriedPackage",
        transfer_id,
        agreementId=agreement_id,
        counterPartyId=counterparty_id,
        assetId=asset_id,
        place=place,
        files=files,
        sizeBytes=size_bytes,
        code=code,
    )


def encode_outcome(  # noqa: PLR0913  an outcome has these members
    transfer_id: str,
    *,
    state: str,
    place: str,
    counterparty_id: str,
    asset_id: str,
    kind: str,
    why: str,
    hint: str,
) -> Document:
    """Write down what became of a package or a receipt on a medium."""
    said = {
        "transferId": transfer_id,
        "place": place,
        "counterPartyId": counterparty_id,
        "assetId": asset_id,
        "receipt": kind,
        "why": why,
        "hint": hint,
    }
    return wire.document("Carried", None, state=state, **{name: each for name, each in said.items() if each})
