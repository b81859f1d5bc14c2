"""Partners on the wire: our own document, since EDC has no list of them."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from comity import errors
from comity.management import query, wire

Document = dict[str, Any]


class PartnerForm(Struct, frozen=True):
    """A partner as the operator names it: a DID, an address, or an id with an address."""

    participant: str
    name: str
    address: str
    purpose: list[str]
    spatial: list[str]
    keys: list[Document] | None
    pin: bool


def decode(body: Document) -> PartnerForm:
    """Read a partner.

    Raises:
        InvalidInputError: with the place of what is wrong.
    """
    keys = query.get(body, "keys")
    if keys is not None and not (isinstance(keys, list) and all(isinstance(each, dict) for each in keys)):
        raise errors.InvalidInputError("keys must be a list of public JWKs", path="$.keys")
    for at, key in enumerate(keys or []):
        if not isinstance(key.get("kid"), str):
            raise errors.InvalidInputError("a pinned key needs its kid", path=f"$.keys[{at}].kid")
    return PartnerForm(
        wire.text(body, "participant", required=True),
        wire.text(body, "name"),
        wire.text(body, "address"),
        wire.texts(body, "purpose"),
        wire.texts(body, "spatial"),
        keys,
        query.get(body, "pin", default=False) is True,
    )


def encode(  # noqa: PLR0913  a partner has these members
    participant_id: str,
    *,
    name: str,
    address: str,
    keys: list[Document],
    pinned: bool,
    attributes: dict[str, list[str]],
    created_at: int,
) -> Document:
    """Write a partner."""
    return wire.document(
        "Partner",
        participant_id,
        name=name,
        address=address,
        keys=keys,
        pinned=pinned,
        **attributes,
        createdAt=created_at,
    )
