"""Negotiations, agreements and transfers on the wire (EDC management API v3).

A message on its way is shown as EDC shows it: leading to REQUESTED is REQUESTING. Those names are computed here and
stored nowhere.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from comity import errors
from comity.management import query, wire

Document = dict[str, Any]
PROTOCOL = "dataspace-protocol-http:2025-1"
PROTOCOLS = frozenset({"", PROTOCOL})
NEGOTIATION_FIELDS = (
    "@id", "id", "type", "protocol", "state", "counterPartyId", "counterPartyAddress", "assetId", "correlationId",
    "contractAgreementId", "createdAt",
)  # fmt: skip
AGREEMENT_FIELDS = ("@id", "id", "agreementId", "providerId", "consumerId", "assetId", "contractSigningDate")
TRANSFER_FIELDS = (
    "@id", "id", "type", "state", "stateTimestamp", "correlationId", "assetId", "contractId", "contractAgreementId",
    "agreementId", "transferType", "counterPartyId", "createdAt",
)  # fmt: skip
ON_ITS_WAY = {
    "REQUESTED": "REQUESTING",
    "OFFERED": "OFFERING",
    "ACCEPTED": "ACCEPTING",
    "AGREED": "AGREEING",
    "VERIFIED": "VERIFYING",
    "FINALIZED": "FINALIZING",
    "TERMINATED": "TERMINATING",
    "STARTED": "STARTING",
    "SUSPENDED": "SUSPENDING",
    "COMPLETED": "COMPLETING",
}


class ContractRequest(Struct, frozen=True):
    """A negotiation that somebody wants: with whom, where (empty: as listed), about which offer."""

    counterparty_id: str
    address: str
    offer: Document


class TransferRequest(Struct, frozen=True):
    """A transfer that somebody wants under an agreement; `destination` is a folder, or empty for the address only."""

    address: str
    agreement_id: str
    transfer_type: str
    destination: str


def state(stored: str | None, leads_to: str | None) -> str:
    """Return the state to show: that of the message on its way, or the stored one."""
    return ON_ITS_WAY[leads_to] if leads_to else stored or "INITIAL"


def _check_protocol(body: Document) -> None:
    protocol = wire.text(body, "protocol")
    if protocol not in PROTOCOLS:
        raise errors.InvalidInputError(f"the protocol must be {PROTOCOL}", path="$.protocol")


def decode_contract_request(body: Document) -> ContractRequest:
    """Read a contract request; the provider is named by counterPartyId or as the offer's assigner.

    Raises:
        InvalidInputError: with the place of what is wrong.
    """
    _check_protocol(body)
    policy = wire.mapping(body, "policy", required=True)
    plain = {name.removeprefix("odrl:"): value for name, value in policy.items()}
    name = plain.get("@id")
    target = wire.reference(plain.get("target"))
    if not isinstance(name, str) or not name:
        raise errors.InvalidInputError(
            "the offer's @id is missing: take it from the catalog", path="$.policy.@id"
        )
    if not isinstance(target, str) or not target:
        raise errors.InvalidInputError(
            "the offer's target is missing: the dataset's id", path="$.policy.target"
        )
    party = wire.text(body, "counterPartyId") or wire.reference(plain.get("assigner"))
    if not isinstance(party, str) or not party:
        raise errors.InvalidInputError("counterPartyId is missing", path="$.counterPartyId")
    return ContractRequest(
        party, wire.text(body, "counterPartyAddress"), {**plain, "@id": name, "target": target}
    )


def decode_transfer_request(body: Document) -> TransferRequest:
    """Read a transfer request.

    Raises:
        InvalidInputError: with the place of what is wrong.
    """
    _check_protocol(body)
    address = wire.bare(wire.mapping(body, "dataDestination"))
    destination = ""
    if address.get("type") == "File":
        destination = wire.text(address, "path", required=True, path="$.dataDestination")
    elif address and address.get("type") != "HttpProxy":
        raise errors.InvalidInputError(
            "dataDestination may be a File with a path; pushing is not supported yet",
            path="$.dataDestination.type",
        )
    return TransferRequest(
        wire.text(body, "counterPartyAddress"),
        wire.text(body, "contractId", required=True),
        wire.text(body, "transferType", required=True),
        destination,
    )


def encode_negotiation(  # noqa: PLR0913  EDC's document has these members
    name: str,
    *,
    role: str,
    shown_state: str,
    counterparty_id: str,
    counterparty_address: str,
    asset_id: str,
    correlation_id: str | None,
    agreement_id: str | None,
    error: str,
    created_at: int,
) -> Document:
    """Write a negotiation."""
    return wire.document(
        "ContractNegotiation",
        name,
        type=role.upper(),
        protocol=PROTOCOL,
        state=shown_state,
        counterPartyId=counterparty_id,
        counterPartyAddress=counterparty_address,
        callbackAddresses=[],
        assetId=asset_id,
        correlationId=correlation_id,
        contractAgreementId=agreement_id,
        errorDetail=error or None,
        createdAt=created_at,
    )


def encode_agreement(name: str, document: Document, created_at: int) -> Document:
    """Write an agreement; `policy` is the agreement as it stands, verbatim."""
    return wire.document(
        "ContractAgreement",
        name,
        agreementId=name,
        providerId=document["assigner"],
        consumerId=document["assignee"],
        assetId=document["target"],
        contractSigningDate=created_at // 1000,
        policy=document,
    )


def encode_transfer(  # noqa: PLR0913  EDC's document has these members
    name: str,
    *,
    role: str,
    shown_state: str,
    counterparty_id: str,
    correlation_id: str | None,
    asset_id: str,
    agreement_id: str,
    transfer_type: str,
    error: str,
    created_at: int,
    updated_at: int,
) -> Document:
    """Write a transfer; the agreement is named as both EDC and its clients look for it."""
    return wire.document(
        "TransferProcess",
        name,
        type=role.upper(),
        state=shown_state,
        stateTimestamp=updated_at,
        counterPartyId=counterparty_id,
        correlationId=correlation_id,
        assetId=asset_id,
        contractId=agreement_id,
        contractAgreementId=agreement_id,
        agreementId=agreement_id,
        transferType=transfer_type,
        callbackAddresses=[],
        errorDetail=error or None,
        createdAt=created_at,
    )


def find_fields(document: Document) -> Document:
    """Return a document as filters see it: with its id under both names."""
    return {**document, "id": document.get("@id"), query.EDC + "id": document.get("@id")}
