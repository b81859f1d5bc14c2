"""Retired agreements on the wire (Tractus-X's retirement API): which agreement, why, since when.

Two of the members are in a namespace of Tractus-X; they are read in any spelling and written with its prefix.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from comity import errors
from comity.management import names, wire

Document = dict[str, Any]
TX = "https://w3id.org/tractusx/v0.0.1/ns/"
FIELDS = ("agreementId", "reason", "agreementRetirementDate", "contractNegotiationId", "createdAt")
_TX_MEMBERS = frozenset({"reason", "agreementRetirementDate"})
ALIASES = {before + name: name for before in ("tx:", TX) for name in sorted(_TX_MEMBERS)}
_CONTEXT = {**wire.CONTEXT, "tx": TX}


class Retirement(Struct, frozen=True):
    """An agreement that is to be retired, and why."""

    agreement_id: str
    reason: str


def member(body: Document, name: str) -> Any:
    """Return a member in Tractus-X's namespace or in EDC's, None if it is absent."""
    for spelled in (f"tx:{name}", TX + name):
        if body.get(spelled) is not None:
            return body[spelled]
    return names.get(body, name)


def decode(body: Document) -> Retirement:
    """Read a retirement; the agreement is named as `agreementId` or, as older clients do, as `contractAgreementId`.

    Raises:
        InvalidInputError: with the place of what is wrong.
    """
    named = wire.text(body, "agreementId") or wire.text(body, "contractAgreementId")
    if not named:
        raise errors.InvalidInputError("agreementId is missing", path="$.agreementId")
    reason = wire.text({"reason": member(body, "reason")}, "reason", required=True)
    return Retirement(named, reason)


def document(agreement_id: str, negotiation_id: str, reason: str, created_at: int) -> Document:
    """Return a retired agreement as queries look at it: every member by its bare name."""
    return wire.document(
        "AgreementsRetirementEntry",
        agreement_id,
        agreementId=agreement_id,
        contractNegotiationId=negotiation_id,
        reason=reason,
        agreementRetirementDate=created_at // 1000,
        createdAt=created_at,
    )


def show(found: Document) -> Document:
    """Return such a document as it is answered: with Tractus-X's members under its prefix."""
    renamed = {f"tx:{name}" if name in _TX_MEMBERS else name: value for name, value in found.items()}
    return {**renamed, "@context": _CONTEXT}
