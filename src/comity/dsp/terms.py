"""The protocol's own words: context, versions, roles, states.

Source: Dataspace Protocol 2025-1, sections "Contract Negotiation Protocol" and "Transfer Process Protocol", and its
JSON schemas. Whatever has a name there is named so here.
"""

from __future__ import annotations

from typing import Literal

CONTEXT = "https://w3id.org/dspace/2025/1/context.jsonld"
EDC_CONTEXT = "https://w3id.org/edc/dspace/v0.0.1"
"""Says what the words of EDC's query are; without it EDC drops them from a filter and shows everything."""
NAMESPACE = "https://w3id.org/dspace/2025/1/"
VERSION = "2025-1"
EARLIER = {"https://w3id.org/dspace/2024/1/": "2024-1", "https://w3id.org/dspace/v0.8/": "0.8"}
NAMESPACES = (NAMESPACE, *EARLIER)
VERSION_PATH = "/dsp/2025-1"

Role = Literal["consumer", "provider"]
CONSUMER: Literal["consumer"] = "consumer"
PROVIDER: Literal["provider"] = "provider"

REQUESTED = "REQUESTED"
OFFERED = "OFFERED"
ACCEPTED = "ACCEPTED"
AGREED = "AGREED"
VERIFIED = "VERIFIED"
FINALIZED = "FINALIZED"
TERMINATED = "TERMINATED"
STARTED = "STARTED"
SUSPENDED = "SUSPENDED"
COMPLETED = "COMPLETED"

NEGOTIATION = "negotiation"
TRANSFER = "transfer"


PREFIXES = {
    "dspace": NAMESPACE,
    "odrl": "http://www.w3.org/ns/odrl/2/",
    "dcat": "http://www.w3.org/ns/dcat#",
    "dct": "http://purl.org/dc/terms/",
    "dcterms": "http://purl.org/dc/terms/",
    "dc": "http://purl.org/dc/elements/1.1/",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    "xs": "http://www.w3.org/2001/XMLSchema#",
}
"""Prefixes that are read here without looking into a context, and what they stand for."""

_DEFINED = (
    "Action Agreement Assertion Asset Catalog CatalogError CatalogRequestMessage CatalogService Constraint"
    " ContractAgreementMessage ContractAgreementVerificationMessage ContractNegotiation ContractNegotiationError"
    " ContractNegotiationEventMessage ContractNegotiationTerminationMessage ContractOfferMessage"
    " ContractRequestMessage DataAddress DataService Dataset DatasetRequestMessage Distribution Duty"
    " EndpointProperty LeftOperand Offer Operator Permission Policy Prohibition RightOperand Rule Set"
    " TransferCompletionMessage TransferError TransferProcess TransferRequestMessage TransferStartMessage"
    " TransferSuspensionMessage TransferTerminationMessage VersionsError"
    " ACCEPTED AGREED COMPLETED FINALIZED OFFERED REQUESTED STARTED SUSPENDED TERMINATED VERIFIED"
    " accessService action agreement agreementId and andSequence assignee assigner callbackAddress catalog code"
    " constraint consumerPid dataAddress dataset distribution duty endpoint endpointDescription"
    " endpointProperties endpointType endpointURL eq eventType filter format gt gteq hasPart hasPolicy id isA"
    " isAllOf isAnyOf isNoneOf isPartOf leftOperand lt lteq name neq obligation offer operator or"
    " participantId permission profile prohibit prohibition providerPid reason rightOperand service"
    " serviceEndpoint state target timestamp type uid use value xone"
)
OWN = frozenset(_DEFINED.split())
"""The names that the protocol's contexts define and protect (dspace.jsonld, odrl.jsonld), and `uid`."""


def other(role: str) -> str:
    """Return the role on the other side."""
    return PROVIDER if role == CONSUMER else CONSUMER
