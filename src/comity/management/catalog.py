"""Catalog requests on the wire (EDC management API v3); the catalog itself stays as the partner wrote it.

Here a request is read and a query made ready to travel in the protocol's filter.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from comity import errors
from comity.management import names, processes, query, wire

Document = dict[str, Any]
MESSAGE_CONTEXT = "https://w3id.org/dspace/2025/1/context.jsonld"


class CatalogRequest(Struct, frozen=True):
    """Whose catalog, where (empty: as listed), and which part of it: the partner filters, here it is cut."""

    counterparty_id: str
    address: str
    spec: query.Spec | None

    @property
    def filter(self) -> Document | None:
        """What the partner is asked to filter by."""
        if self.spec is None or not self.spec.criteria:
            return None
        listed = [{"@type": "Criterion", **each} for each in self.spec.criteria]
        return {"@type": "QuerySpec", "filterExpression": listed}


class DatasetRequest(Struct, frozen=True):
    """Which dataset of whom."""

    counterparty_id: str
    address: str
    dataset_id: str


def decode(body: Document) -> CatalogRequest:
    """Read a catalog request; without a query it is about the whole catalog.

    Raises:
        InvalidInputError: with the place of what is wrong.
    """
    processes.check_protocol(body)
    wire.refuse_unsupported(body, "additionalScopes", "scopes are")
    spec = wire.mapping(body, "querySpec")
    return CatalogRequest(
        wire.party(body),
        wire.text(body, "counterPartyAddress"),
        query.parse(spec, path="$.querySpec", limit=query.MAX_OFFSET) if spec else None,
    )


def decode_dataset(body: Document) -> DatasetRequest:
    """Read a request for one dataset.

    Raises:
        InvalidInputError: with the place of what is wrong.
    """
    processes.check_protocol(body)
    dataset_id = wire.identifier(body)
    if not dataset_id:
        raise errors.InvalidInputError("the dataset's @id is missing", path="$.@id")
    return DatasetRequest(wire.party(body), wire.text(body, "counterPartyAddress"), dataset_id)


def encode_missing(participant_id: str, reason: str) -> Document:
    """Write a catalog that could not be fetched: without datasets, and why."""
    return {
        "@context": [MESSAGE_CONTEXT],
        "@id": f"urn:comity:catalog:{participant_id}",
        "@type": "Catalog",
        "participantId": participant_id,
        "dataset": [],
        "comity:errorDetail": reason,
    }


def cut(document: Document, spec: query.Spec | None) -> Document:
    """Return the part of a catalog that a query asks for, in its order.

    A catalog without datasets has an empty list: tractusx-sdk takes one that has no list for one that is not empty.
    """
    member = "dcat:dataset" if "dcat:dataset" in document else "dataset"
    if member not in document:
        return {**document, member: []}
    if spec is None:
        return document
    listed = document[member] if isinstance(document[member], list) else [document[member]]
    order = spec.sort_field if names.canonical(spec.sort_field) != "createdAt" else ""
    return {**document, member: query.page(listed, spec, order)}
