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


def other(role: str) -> str:
    """Return the role on the other side."""
    return PROVIDER if role == CONSUMER else CONSUMER
