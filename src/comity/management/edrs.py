"""Endpoint data references on the wire (EDC's EDR API): which data can be fetched now, where, and with which token.

An entry stands for a transfer that was started for us and runs; what it says besides are names of other records.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from comity import errors
from comity.management import wire

Document = dict[str, Any]
FIELDS = ("transferProcessId", "agreementId", "contractNegotiationId", "assetId", "providerId", "createdAt")
ALIASES = {"contractAgreementId": "agreementId", "contractId": "agreementId", "counterPartyId": "providerId"}
AUTO_REFRESH = "auto_refresh"
TOKEN_REFRESH = "tx-auth:"  # noqa: S105  a prefix
_CONTEXT = {**wire.CONTEXT, "tx-auth": "https://w3id.org/tractusx/auth/"}
_SWITCH = {"true": True, "false": False}


def encode_entry(  # noqa: PLR0913  EDC's document has these members
    transfer_id: str,
    *,
    agreement_id: str,
    negotiation_id: str,
    asset_id: str,
    provider_id: str,
    created_at: int,
) -> Document:
    """Write an entry; `created_at` (ms) is when the address came."""
    return wire.document(
        "EndpointDataReferenceEntry",
        transfer_id,
        transferProcessId=transfer_id,
        agreementId=agreement_id,
        contractNegotiationId=negotiation_id or None,
        assetId=asset_id,
        providerId=provider_id,
        createdAt=created_at,
    )


def encode_address(kind: str, endpoint: str, authorization: str, refresh: Mapping[str, str]) -> Document:
    """Write where, and with which token, data can be fetched; `refresh` is what Tractus-X says of another token."""
    document = wire.document(
        "DataAddress",
        type=kind,
        endpointType=kind,
        endpoint=endpoint,
        authorization=authorization,
        authType="bearer",
    )
    if not refresh:
        return document
    return {**document, "@context": _CONTEXT, **{TOKEN_REFRESH + name: refresh[name] for name in refresh}}


def wants_refresh(parameters: Mapping[str, str]) -> bool:
    """Return whether a request for an address asks for a token that is still good; clients write `True` and `true`.

    Raises:
        InvalidInputError: the parameter says neither true nor false.
    """
    said = _SWITCH.get(parameters.get(AUTO_REFRESH, "false").lower())
    if said is None:
        raise errors.InvalidInputError(f"{AUTO_REFRESH} must be true or false", path=f"$.{AUTO_REFRESH}")
    return said
