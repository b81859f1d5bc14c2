"""Checks documents against the protocol's own JSON schemas where they are; they are read in place, never copied."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import referencing

ROOT = Path(__file__).parents[2]
SPEC = Path(os.environ.get("COMITY_SPEC_DIR") or ROOT / ".." / "shared" / "data" / "dsp-2025-1")
PRESENT = SPEC.is_dir()
BASE = "https://w3id.org/dspace/2025/1/"

PLACES = {
    "CatalogRequestMessage": "catalog/catalog-request-message",
    "Catalog": "catalog/catalog",
    "Dataset": "catalog/dataset",
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


@cache
def _registry() -> referencing.Registry[Any]:
    resources = []
    for path in SPEC.rglob("*-schema.json"):
        text = path.read_text().replace(".json#definitions/", ".json#/definitions/")  # three refs lack the slash
        schema = json.loads(text)
        resources.append((schema["$id"], referencing.Resource.from_contents(schema)))
    return referencing.Registry().with_resources(resources)


@cache
def _validator(kind: str) -> jsonschema.protocols.Validator:
    schema = {"$ref": f"{BASE}{PLACES[kind]}-schema.json"}
    return jsonschema.Draft201909Validator(schema, registry=_registry())


def problems(document: Any) -> list[str]:
    """What the schemas say against a message; nothing if they are not here."""
    if not PRESENT:
        return []
    kind = document.get("@type")
    if kind not in PLACES:
        return [f"{kind!r} is no message of the protocol"]
    return [f"{kind}{each.json_path[1:]}: {each.message[:300]}" for each in _validator(kind).iter_errors(document)]
