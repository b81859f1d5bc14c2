"""Negotiations, agreements and transfers on the wire (EDC management API v3).

A message on its way is shown as EDC shows it: leading to REQUESTED is REQUESTING. Those names are computed here and
stored nowhere.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from comity import errors
from comity.management import policy, revisions, webhooks, wire
from comity.management.offers import BUCKETS
from comity.odrl import enforcement

Document = dict[str, Any]
PROTOCOL = wire.PROTOCOL
PROTOCOLS = frozenset({"", "dataspace-protocol-http", PROTOCOL})
"""Names of the one protocol that is spoken; clients that know no versions leave theirs out."""

NEGOTIATION_FIELDS = (
    "type", "protocol", "state", "stateTimestamp", "counterPartyId", "counterPartyAddress", "assetId", "correlationId",
    "contractAgreementId", "errorDetail", "createdAt",
)  # fmt: skip
NEGOTIATION_ALIASES = {
    "agreementId": "contractAgreementId",
    "contractAgreement.id": "contractAgreementId",
    "contractOffers.assetId": "assetId",
}
AGREEMENT_FIELDS = (
    "agreementId", "providerId", "consumerId", "assetId", "contractSigningDate", "contractNegotiationId", "createdAt",
)  # fmt: skip
TRANSFER_FIELDS = (
    "type", "protocol", "state", "stateTimestamp", "correlationId", "assetId", "contractId", "transferType",
    "counterPartyId", "counterPartyAddress", "errorDetail", "createdAt",
)  # fmt: skip
TRANSFER_ALIASES = {"contractAgreementId": "contractId", "agreementId": "contractId"}
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
    """A negotiation that somebody wants: with whom, where (empty: as listed), about which offer, who is told of it."""

    counterparty_id: str
    address: str
    offer: policy.Offer
    callbacks: tuple[webhooks.Callback, ...] = ()


class TransferRequest(Struct, frozen=True):
    """A transfer that somebody wants under an agreement; `destination` is a folder, or empty for the address only.

    `endpoint`, in place of a folder, is where the provider is to push to, with the `properties` of that address.
    Without both, `properties` are of a bucket of ours, in EDC's words.
    `counterparty_id` and `asset_id`, where given, must be those of the agreement. `purpose` is told to the partner,
    and so is the number of the `revision` that is wanted, 0 for the newest.
    """

    counterparty_id: str
    address: str
    agreement_id: str
    asset_id: str
    transfer_type: str
    destination: str
    endpoint: str = ""
    properties: dict[str, str] = {}
    callbacks: tuple[webhooks.Callback, ...] = ()
    private_properties: Document = {}
    purpose: str = ""
    revision: int = 0


class Shown(Struct, frozen=True, kw_only=True):
    """What a negotiation and a transfer show alike; `state` is what the function of that name says."""

    id: str
    role: str
    state: str
    counterparty_id: str
    counterparty_address: str
    correlation_id: str | None
    asset_id: str
    error: str
    created_at: int
    updated_at: int


def state(stored: str | None, leads_to: str | None) -> str:
    """Return the state to show: that of the message on its way, or the stored one."""
    if leads_to and leads_to != stored:
        return ON_ITS_WAY[leads_to]
    return stored or "INITIAL"


def check_protocol(body: Document) -> None:
    """Refuse a protocol that is not spoken here; v4 may call it `profile`, by the same name.

    Raises:
        InvalidInputError: it is another one.
    """
    for name in ("protocol", "profile"):
        if wire.text(body, name) not in PROTOCOLS:
            raise errors.InvalidInputError(f"the {name} must be {PROTOCOL}", path=f"$.{name}")


def decode_contract_request(body: Document) -> ContractRequest:
    """Read a contract request; the provider is named by counterPartyId or as the offer's assigner.

    Raises:
        InvalidInputError: with the place of what is wrong.
    """
    check_protocol(body)
    offer = policy.read_offer(body)
    if not offer.id:
        raise errors.InvalidInputError(
            "the offer's @id is missing: take it from the catalog", path="$.policy.@id"
        )
    _check_target(offer)
    party = wire.party(body, offer.assigner)
    return ContractRequest(
        party, wire.text(body, "counterPartyAddress"), offer, webhooks.decode_callbacks(body)
    )


def decode_contract_offer(body: Document) -> ContractRequest:
    """Read an offer that we make without having been asked; every term must be one that can be enforced.

    Raises:
        InvalidInputError: with the place of what is wrong.
    """
    check_protocol(body)
    offer = policy.read_offer(body, enforced=True)
    _check_target(offer)
    party = wire.party(body)
    return ContractRequest(
        party, wire.text(body, "counterPartyAddress"), offer, webhooks.decode_callbacks(body)
    )


def _check_target(offer: policy.Offer) -> None:
    if not offer.target:
        raise errors.InvalidInputError(
            "the offer's target is missing: the dataset's id", path="$.policy.target"
        )


def decode_transfer_request(body: Document) -> TransferRequest:
    """Read a transfer request.

    Raises:
        InvalidInputError: with the place of what is wrong.
    """
    check_protocol(body)
    return TransferRequest(
        wire.text(body, "counterPartyId"),
        wire.text(body, "counterPartyAddress"),
        wire.text(body, "contractId", required=True),
        wire.text(body, "assetId"),
        wire.text(body, "transferType", required=True),
        *_destination(body),
        webhooks.decode_callbacks(body),
        wire.properties(body, "privateProperties"),
        wire.text(body, "purpose"),
        revisions.number(body),
    )


def _destination(body: Document) -> tuple[str, str, dict[str, str]]:
    """Return the folder to receive into, or an endpoint and its properties, or of a bucket these alone.

    HttpProxy is EDC's word for none of them.
    """
    path = "$.dataDestination"
    address = wire.properties(body, "dataDestination")
    kind = wire.text(address, "type", required=bool(address.keys() - {"@type"}), path=path)
    if kind == "File":
        return wire.text(address, "path", required=True, path=path), "", {}
    if kind == "HttpData":
        endpoint = wire.text(address, "baseUrl", required=True, path=path)
        others = address.keys() - {"@type", "type", "baseUrl"}
        return "", endpoint, {name: wire.text(address, name, path=path) for name in sorted(others)}
    if kind in BUCKETS:
        members = sorted(address.keys() - {"@type"})
        return "", "", {name: wire.text(address, name, path=path) for name in members}
    if kind not in {"", "HttpProxy"}:
        raise errors.InvalidInputError(
            "dataDestination may be a File with the path of a folder, HttpData with a baseUrl to push to, or a bucket:"
            f" {', '.join(BUCKETS)}",
            path=f"{path}.type",
        )
    return "", "", {}


def encode_negotiation(
    shown: Shown, *, agreement_id: str | None, offer: Document, offered_by: str
) -> Document:
    """Write a negotiation; `offer` and `offeredBy` are ours: what a person decides about."""
    return _encode(
        "ContractNegotiation",
        shown,
        profile=PROTOCOL,
        contractAgreementId=agreement_id,
        offer=wire.policy(offer),
        offeredBy=offered_by.upper(),
    )


def _encode(kind: str, shown: Shown, **members: Any) -> Document:
    return wire.document(
        kind,
        shown.id,
        type=shown.role.upper(),
        protocol=PROTOCOL,
        state=shown.state,
        stateTimestamp=shown.updated_at,
        counterPartyId=shown.counterparty_id,
        counterPartyAddress=shown.counterparty_address,
        correlationId=shown.correlation_id,
        assetId=shown.asset_id,
        **members,
        callbackAddresses=[],
        errorDetail=shown.error or None,
        createdAt=shown.created_at,
    )


def encode_agreement(name: str, document: Document, *, negotiation_id: str, created_at: int) -> Document:
    """Write an agreement; `policy` is the agreement as it stands, verbatim, and beside it how each term is enforced."""
    signed = document.get("timestamp")
    dated = {**document, "timestamp": signed if signed and isinstance(signed, str) else None}
    return wire.document(
        "ContractAgreement",
        name,
        agreementId=name,
        contractNegotiationId=negotiation_id,
        providerId=document["assigner"],
        consumerId=document["assignee"],
        assetId=document["target"],
        contractSigningDate=_signed_s(signed, created_at),
        policy=wire.policy(document),
        createdAt=created_at,
        **{enforcement.MEMBER: enforcement.document(dated)},
    )


def _signed_s(timestamp: Any, created_at: int) -> int:
    """Return when the provider signed, in seconds: the same on both sides; else when it was stored here."""
    try:
        signed = datetime.fromisoformat(timestamp)
        return int((signed if signed.tzinfo else signed.replace(tzinfo=UTC)).timestamp())
    except (TypeError, ValueError, OverflowError):
        return created_at // 1000


def encode_transfer(
    shown: Shown, *, agreement_id: str, transfer_type: str, purpose: str = "", revision: int = 0
) -> Document:
    """Write a transfer; the agreement is named as both EDC and its clients look for it."""
    return _encode(
        "TransferProcess",
        shown,
        contractId=agreement_id,
        contractAgreementId=agreement_id,
        agreementId=agreement_id,
        transferType=transfer_type,
        purpose=purpose or None,
        revision=revision or None,
    )


def encode_destination(folder: str) -> Document:
    """Write the folder that a transfer's data is received into."""
    return {"@type": "DataAddress", "type": "File", "path": folder}
