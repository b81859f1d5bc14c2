"""Partners on the wire: our own document, since EDC has no list of them.

A pinned key must be a public one with its kid; what a policy may ask of a partner are purpose, spatial and
the classes of data that it may have.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from msgspec import UNSET, Struct, UnsetType

from comity import errors
from comity.identity import did, jose
from comity.management import approvals, names, wire
from comity.odrl import catenax, operands

Document = dict[str, Any]
ATTRIBUTES = {"purpose": "purpose", "spatial": "spatial", "distributionClass": "comity:distributionClass"}
"""What may be said of a partner -> the operand by which a policy asks for it."""


class PartnerForm(Struct, frozen=True):
    """A partner as the operator names it: a DID, an address, or an id with an address.

    What is not said is None: of a partner that is on the list it stays. `approval` has its own word for that, since
    None is nobody.
    """

    participant: str
    name: str | None = None
    address: str | None = None
    purpose: list[str] | None = None
    spatial: list[str] | None = None
    classes: list[str] | None = None
    keys: list[Document] | None = None
    pin: bool | None = None
    signed: bool | None = None
    approval: approvals.Rule | UnsetType | None = UNSET
    attributes: dict[str, list[str]] | None = None


def decode(body: Document) -> PartnerForm:
    """Read a partner.

    Raises:
        InvalidInputError: with the place of what is wrong.
    """
    participant = wire.check_id(wire.text(body, "participant", required=True), "$.participant")
    _check(lambda: _check_participant(participant), "$.participant")
    readers: dict[str, Callable[[], Any]] = {
        "name": partial(wire.text, body, "name"),
        "address": partial(wire.text, body, "address"),
        "purpose": partial(wire.texts, body, "purpose"),
        "spatial": partial(wire.texts, body, "spatial"),
        "distributionClass": partial(wire.texts, body, "distributionClass"),
        "keys": lambda: _keys(names.get(body, "keys")),
        "pin": partial(wire.flag, body, "pin"),
        "signed": partial(wire.flag, body, "signed"),
        "approval": partial(approvals.read, body),
        "attributes": partial(_attributes, body),
    }
    said = {name: read() for name, read in readers.items() if names.get(body, name) is not None}
    if "distributionClass" in said:
        said["classes"] = said.pop("distributionClass")
    return PartnerForm(participant, **said)


def _attributes(body: Document) -> dict[str, list[str]]:
    """Return what else is said of a partner, by the operands of Catena-X and of one's own that ask for it."""
    found: dict[str, list[str]] = {}
    for written, said in read_attributes(body).items():
        name = catenax.operand(written)
        if name not in operands.attributes():
            raise errors.InvalidInputError(
                f"no policy asks a partner for {written[:100]}",
                path=f"$.attributes.{written[:100]}",
                hint=f"there is: {', '.join(operands.attributes())}",
            )
        found[name] = said
    return found


def read_attributes(body: Document) -> dict[str, list[str]]:
    """Read the member `attributes`: lists of texts by name.

    Raises:
        InvalidInputError: it is something else.
    """
    given = dict(wire.bare_items(wire.mapping(body, "attributes")))
    for name, said in given.items():
        if not (isinstance(said, list) and all(isinstance(each, str) for each in said)):
            raise errors.InvalidInputError(
                "a list of texts is needed here", path=f"$.attributes.{name[:100]}"
            )
    return given


def _check_participant(participant: str) -> None:
    if participant.startswith(("http://", "https://")):
        did.format_did_web(participant)
    elif participant.startswith("did:web:"):
        did.document_url(participant, insecure=True)


def _keys(keys: Any) -> list[Document]:
    """Return the keys to pin; one that could never prove anything is refused now."""
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
    approval: Document | None = None,
    signed: bool = False,
) -> Document:
    """Write a partner."""
    return wire.document(
        "Partner",
        participant_id,
        name=name,
        address=address,
        keys=keys,
        pinned=pinned,
        signed=signed,
        **{written: attributes.get(name, []) for written, name in ATTRIBUTES.items()},
        attributes={name: said for name, said in attributes.items() if name not in ATTRIBUTES.values()}
        or None,
        approval=approval or None,
        createdAt=created_at,
    )
