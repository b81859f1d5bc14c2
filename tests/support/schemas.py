"""Which of the specification's schemas is for which document, and what it has against one."""

from __future__ import annotations

from typing import Any

from support import specification

PRESENT = specification.PRESENT

PLACES = {
    "CatalogRequestMessage": "catalog/catalog-request-message",
    "Catalog": "catalog/catalog",
    "Dataset": "catalog/dataset",
    "DatasetRequestMessage": "catalog/dataset-request-message",
    "CatalogError": "catalog/catalog-error",
    "ContractRequestMessage": "negotiation/contract-request-message",
    "ContractOfferMessage": "negotiation/contract-offer-message",
    "ContractAgreementMessage": "negotiation/contract-agreement-message",
    "ContractAgreementVerificationMessage": "negotiation/contract-agreement-verification-message",
    "ContractNegotiationEventMessage": "negotiation/contract-negotiation-event-message",
    "ContractNegotiationTerminationMessage": "negotiation/contract-negotiation-termination-message",
    "ContractNegotiation": "negotiation/contract-negotiation",
    "ContractNegotiationError": "negotiation/contract-negotiation-error",
    "TransferRequestMessage": "transfer/transfer-request-message",
    "TransferStartMessage": "transfer/transfer-start-message",
    "TransferSuspensionMessage": "transfer/transfer-suspension-message",
    "TransferCompletionMessage": "transfer/transfer-completion-message",
    "TransferTerminationMessage": "transfer/transfer-termination-message",
    "TransferProcess": "transfer/transfer-process",
    "TransferError": "transfer/transfer-error",
}


def problems(document: Any) -> list[str]:
    """What the schemas say against a message; nothing if they are not here."""
    if not PRESENT:
        return []
    kind = document.get("@type")
    if kind not in PLACES:
        return [f"{kind!r} is no message of the protocol"]
    found = specification.errors_of(f"{PLACES[kind]}-schema.json", document)
    return [f"{kind}{each[1:300]}" for each in found]
