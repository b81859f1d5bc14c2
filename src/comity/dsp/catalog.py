"""The catalog's documents: catalog, dataset, offer, distribution, data service; and ids of offers.

Source: Dataspace Protocol 2025-1, "Catalog Protocol"; DCAT 3 for the properties. An offer's id names its contract
definition, its asset and the digest of its terms: change the terms, and the old id is unknown.
"""

from __future__ import annotations

import base64
from typing import Any

from msgspec import Struct

from comity import errors
from comity.dsp import messages, negotiation, transfer

Document = dict[str, Any]
OFFER_PREFIX = "urn:comity:offer:"
SERVICE_ID = "urn:comity:service:dsp"


class OfferId(Struct, frozen=True):
    """What an offer's id says."""

    definition_id: str
    asset_id: str
    terms: str


def format_offer_id(offer: OfferId) -> str:
    """Write an offer's id as an URI."""
    return f"{OFFER_PREFIX}{_encode(offer.definition_id)}:{_encode(offer.asset_id)}:{offer.terms}"


def parse_offer_id(text: str) -> OfferId | None:
    """Read an id written by `format_offer_id`; None for any other text."""
    parts = text.removeprefix(OFFER_PREFIX).split(":")
    if not text.startswith(OFFER_PREFIX) or len(parts) != 3:  # noqa: PLR2004  the three parts above
        return None
    try:
        found = OfferId(_decode(parts[0]), _decode(parts[1]), parts[2])
    except ValueError:  # not base64, or not UTF-8 in it
        return None
    return found if format_offer_id(found) == text else None


def _encode(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def _decode(text: str) -> str:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()


def service(dsp_address: str) -> Document:
    """Return the data service through which datasets are negotiated and transferred."""
    return {"@id": SERVICE_ID, "@type": "DataService", "endpointURL": dsp_address}


def offer(policy: Document, offer_id: str) -> Document:
    """Return an offer as a dataset carries it: without target."""
    return {"@id": offer_id, "@type": "Offer", **negotiation.content(policy)}


def dataset(asset_id: str, properties: Document, offers: list[Document], dsp_address: str) -> Document:
    """Return a dataset with its offers and its distributions: over HTTP, by pull or by push."""
    described = {name: value for name, value in properties.items() if not name.startswith("@")}
    return {
        "@id": asset_id,
        "@type": "Dataset",
        **described,
        "hasPolicy": offers,
        "distribution": [
            {"@type": "Distribution", "format": each, "accessService": service(dsp_address)}
            for each in transfer.FORMATS
        ],
    }


def catalog(participant_id: str, catalog_id: str, datasets: list[Document], dsp_address: str) -> Document:
    """Return a root catalog; an empty one has no `dataset` at all, as the schema asks."""
    return {
        "@context": messages.CONTEXT,
        "@id": catalog_id,
        "@type": "Catalog",
        "participantId": participant_id,
        "service": [service(dsp_address)],
        **({"dataset": datasets} if datasets else {}),
    }


def formats(dataset: Document) -> set[str]:
    """Return in which formats a dataset can be had; what cannot be read is not among them."""
    listed = dataset.get("distribution") or dataset.get("dcat:distribution") or []
    found: set[str] = set()
    for each in listed if isinstance(listed, list) else [listed]:
        named = each.get("format", each.get("dct:format")) if isinstance(each, dict) else None
        named = named.get("@id") if isinstance(named, dict) else named
        if isinstance(named, str):
            found.add(named)
    return found


def listed(document: Document, *names: str) -> list[Any]:
    """Return the members under one of several spellings of a name, one alone as a list of it.

    Raises:
        InvalidInputError: it is given in two spellings.
    """
    given = [name for name in names if document.get(name)]
    if len(given) > 1:
        raise errors.InvalidInputError("this is given twice, in two spellings", path=f"$.{given[0]}")
    value = document[given[0]] if given else []
    return value if isinstance(value, list) else [value]


def read_datasets(document: Document) -> list[Document]:
    """Return the datasets of a catalog that came from a partner, one or many.

    Raises:
        InvalidInputError: it is not a catalog.
    """
    datasets = listed(document, "dataset", "dcat:dataset")
    if not all(isinstance(each, dict) and isinstance(each.get("@id"), str) for each in datasets):
        raise errors.InvalidInputError(
            "a dataset of the catalog is not an object with an @id", path="$.dataset"
        )
    return datasets
