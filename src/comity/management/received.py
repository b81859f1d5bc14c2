"""What was received, on the wire: our own documents, since EDC leaves it to whoever fetches.

Who opens it, and what for, is what an operator says; the terms are the agreement's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from comity import errors
from comity.management import wire

Document = dict[str, Any]


class AccessForm(Struct, frozen=True):
    """Who wants to open something and what for, as an operator says it; `statement` is what a person attests."""

    purpose: str
    person: str
    nationality: list[str]
    statement: str


def decode(body: Document, *, statement: bool = False) -> AccessForm:
    """Read an access, or an attestation, which has a `statement`.

    Raises:
        InvalidInputError: with the place of what is wrong.
    """
    form = AccessForm(
        wire.text(body, "purpose"),
        wire.text(body, "person"),
        wire.texts(body, "nationality"),
        wire.text(body, "statement", required=statement),
    )
    if form.nationality and not form.person:
        raise errors.InvalidInputError("a nationality is a person's: name the person", path="$.person")
    return form


def encode(  # noqa: PLR0913  what was received has these members
    transfer_id: str,
    *,
    agreement_id: str,
    counterparty_id: str,
    asset_id: str,
    destination: str,
    name: str,
    sha256: str,
    files: int | None,
    size_bytes: int | None,
    received_at: int | None,
    deleted_at: int | None,
    policy: Document,
    locked: Sequence[str] = (),
    lies: str = "",
    exports: Sequence[Document] = (),
    copies_wait: bool = False,
    seal: Document | None = None,
    revision: int = 0,
    revision_state: str = "",
    became: str = "",
) -> Document:
    """Write what a transfer brought, its terms, and the terms by which it is locked."""
    return wire.document(
        "Received",
        transfer_id,
        agreementId=agreement_id,
        counterPartyId=counterparty_id,
        assetId=asset_id,
        destination=destination,
        name=name or None,
        sha256=sha256,
        files=files,
        sizeBytes=size_bytes,
        receivedAt=received_at,
        deletedAt=deleted_at,
        policy=wire.policy(policy),
        locked=list(locked),
        exports=list(exports) or None,
        copiesWait=copies_wait or None,
        lies=lies or None,
        seal=seal,
        revision=revision or None,
        revisionState=revision_state or None,
        became=became or None,
    )


def decode_export(body: Document) -> tuple[AccessForm, str]:
    """Read an access whose copy goes to a destination.

    Raises:
        InvalidInputError: with the place of what is wrong.
    """
    return decode(body), wire.text(body, "destination", required=True)


def decode_parameters(parameters: Mapping[str, str]) -> AccessForm:
    """Read an access as the query of a request for a file says it.

    Raises:
        InvalidInputError: with the place of what is wrong.
    """
    named = [each.strip() for each in parameters.get("nationality", "").split(",")]
    said = {name: parameters[name] for name in ("purpose", "person") if name in parameters}
    return decode({**said, "nationality": [each for each in named if each]})


def decode_export_parameter(parameters: Mapping[str, str]) -> bool:
    """Read from the query of a request for a file whether it leaves the node.

    Raises:
        InvalidInputError: it says neither yes nor no: what leaves must not pass for what does not.
    """
    said = parameters.get("export", "false")
    if said not in {"true", "false"}:
        raise errors.InvalidInputError("export is true or false", path="$.export")
    return said == "true"


def encode_file(path: str, size_bytes: int, sha256: str, media_type: str) -> Document:
    """Write a file of the store."""
    return {"path": path, "sizeBytes": size_bytes, "sha256": sha256, "mediaType": media_type}


def encode_store(folder: str, files: int, size_bytes: int, free_bytes: int) -> Document:
    """Write what the store is."""
    return {"folder": folder, "files": files, "sizeBytes": size_bytes, "freeBytes": free_bytes}


def encode_check(files: int, size_bytes: int, damaged: Sequence[str], missing: Sequence[str]) -> Document:
    """Write what was found when all of something was read again."""
    return {"files": files, "sizeBytes": size_bytes, "damaged": list(damaged), "missing": list(missing)}
