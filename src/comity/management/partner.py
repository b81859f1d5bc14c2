"""Partners on the wire: our own document, since EDC has no list of them.

A pinned key must be a public one with its kid; what a partner may be asked by policies are purpose and spatial.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from msgspec import Struct

from comity import errors
from comity.identity import did, jose
from comity.management import names, wire

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
    participant = wire.check_id(wire.text(body, "participant", required=True), "$.participant")
    _check(lambda: _check_participant(participant), "$.participant")
    return PartnerForm(
        participant,
        wire.text(body, "name"),
        wire.text(body, "address"),
        wire.texts(body, "purpose"),
        wire.texts(body, "spatial"),
        _keys(names.get(body, "keys")),
        wire.flag(body, "pin"),
    )


def _check_participant(participant: str) -> None:
    if participant.startswith(("http://", "https://")):
        did.format_did_web(participant)
    elif participant.startswith("did:web:"):
        did.document_url(participant, insecure=True)


def _keys(keys: Any) -> list[Document] | None:
    """Return the keys to pin; one that could never prove anything is refused now."""
    if keys is None:
        return None
    if not (isinstance(keys, list) and keys and all(isinstance(each, dict) for each in keys)):
        raise errors.InvalidInputError("keys must be a list of public JWKs", path="$.keys")
    for at, key in enumerate(keys):
        wire.check_id(key.get("kid"), f"$.keys[{at}].kid")
        _check(partial(jose.public_key, key), f"$.keys[{at}]")
    return keys


def _check(check: Callable[[], object], path: str) -> None:
    try:
        check()
    except errors.IdentityError as error:
        raise errors.InvalidInputError(error.message, path=path, hint=error.hint) from None


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
