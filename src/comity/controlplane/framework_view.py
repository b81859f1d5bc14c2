"""Framework agreements as our own people see them: the document, who signed, whether in force, what was delivered.

Whether signatories' own signatures hold is found out each time that one agreement is shown.
"""

from __future__ import annotations

from typing import Any

import msgspec

from comity.controlplane import framework_deliveries as deliveries
from comity.controlplane import framework_signatures as signatures
from comity.controlplane import frameworks
from comity.controlplane.connector import Connector
from comity.controlplane.framework_proposals import texts_id
from comity.controlplane.signatories import Verdict
from comity.db import frameworks as rows
from comity.db.store import Transaction
from comity.management import wire

Document = dict[str, Any]
SIGNED, AGREED, OPEN = "signed", "agreed", "open"


async def load(connector: Connector, urn: str) -> Document:
    """Return a framework agreement.

    Raises:
        NotFoundError: there is none.
        ConflictError: an id of which there are several versions.
    """

    async def unit(tx: Transaction) -> tuple[rows.Framework, Document, list[rows.Signature]]:
        row = await rows.load(tx, urn)
        return row, await _document(connector, tx, row), await rows.find_signatures(tx, row.urn)

    row, found, kept = await connector.database.read(unit)
    verdicts = [await signatures.verify(connector, row, each) for each in kept]
    found["signatures"] = [_signature(*each) for each in zip(kept, verdicts, strict=True)]
    return found


async def find_all(connector: Connector) -> list[Document]:
    """Return all framework agreements, oldest first."""

    async def unit(tx: Transaction) -> list[Document]:
        return [await _document(connector, tx, each) for each in await rows.find_all(tx)]

    return await connector.database.read(unit)


async def _document(connector: Connector, tx: Transaction, row: rows.Framework) -> Document:
    parties = await rows.find_parties(tx, row.urn)
    framework = frameworks.read(row)
    delivered = await rows.find_deliveries(tx, row.framework_id)
    names = {each.participant_id: each.name for each in framework.parties}
    return wire.document(
        "FrameworkAgreement",
        row.urn,
        title=framework.title,
        state=_state(parties),
        replacedBy=row.replaced_by or None,
        proposer=row.proposer,
        document=msgspec.json.decode(row.document),
        textsId=texts_id(row.urn),
        parties=[await _party(connector, tx, row, each, names) for each in parties],
        commitments=deliveries.progress(framework, delivered),
        deliveries=[msgspec.to_builtins(_Delivery.of(each)) for each in delivered],
        createdAt=row.created_at,
    )


def _state(parties: list[rows.Party]) -> str:
    """Return signed only where both sides' signatures are held."""
    ours = [each for each in parties if each.own and each.agreed_at]
    others = [each for each in parties if not each.own and each.agreed_at]
    if not ours or not others:
        return OPEN
    return SIGNED if any(each.held for each in others) else AGREED


async def _party(
    connector: Connector, tx: Transaction, row: rows.Framework, party: rows.Party, names: dict[str, str]
) -> Document:
    reason = ""
    if not party.own:
        reason = await frameworks.in_force(tx, row.urn, (party.participant_id,), connector.now_ms())
    found = {
        "participantId": party.participant_id,
        "name": names.get(party.participant_id, ""),
        "own": party.own,
        "state": party.state,
        "signatureHeld": party.held,
        "detail": party.detail,
        "agreementId": party.agreement_id,
        "agreedAt": party.agreed_at,
        "reason": party.reason,
        "freshUntil": party.fresh_until,
    }
    return found if party.own else {**found, "inForce": not reason, "notInForce": reason}


class _Delivery(msgspec.Struct, rename="camel"):
    id: str
    commitment_id: str
    quantity: str
    evidence: str
    reported_by: str
    confirmed_by: str
    created_at: int

    @classmethod
    def of(cls, row: rows.Delivery) -> _Delivery:
        return cls(
            row.id,
            row.commitment_id,
            row.quantity,
            row.note,
            row.reported_by,
            row.confirmed_by,
            row.created_at,
        )


def _signature(row: rows.Signature, verdict: Verdict) -> Document:
    return {
        "party": row.party,
        "mediaType": row.media_type,
        "sha256": row.sha256,
        "signer": verdict.signer,
        "signedAt": verdict.signed_at,
        "valid": verdict.valid,
        "detail": verdict.detail,
    }
