"""Exports what is held of an agreement as one bundle, which a third party checks without us (`evidence.proving`).

A checkpoint of each chain is made for it, so that every record can be proven. What could still be used, a token or a
body with a credential, stays here, and the bundle says so. It is checked before it is handed out: what does not hold
here would not hold there.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Iterable
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from msgspec import Struct

from comity import strict_json
from comity.controlplane import checkpoints, frameworks
from comity.controlplane.connector import Connector
from comity.controlplane.export_heads import Heads
from comity.controlplane.export_records import Exhibits
from comity.db import agreements, evidence, negotiations, public_keys, transfers
from comity.db import checkpoints as stored
from comity.db import frameworks as framework_rows
from comity.db.store import Transaction
from comity.dsp.negotiation import Agreement, Negotiation
from comity.dsp.transfer import Transfer
from comity.evidence import proving, sealing, stamp
from comity.evidence.bundle import packed
from comity.odrl import enforcement

Document = dict[str, Any]
PAUSES, PAUSE_S = 30, 0.1


class Case(Struct, frozen=True, kw_only=True):
    """An agreement and all that is about it: rows, frameworks that it names, and the keys of both sides."""

    agreement: Agreement
    negotiation: Negotiation
    transfers: list[Transfer]
    frameworks: list[Document]
    subjects: list[Document]
    keys: list[Document]


async def export(connector: Connector, agreement_id: str) -> bytes:
    """Return the bundle of an agreement.

    Raises:
        NotFoundError, ConflictError: there is no such agreement, or two partners use its id.
        BundleError: what the store holds of it does not hold.
    """
    case = await connector.database.read(lambda tx: _gather(connector, tx, agreement_id))
    await checkpoints.make(connector)
    await _answered(connector, case.agreement.counterparty_id)
    trusted = stamp.certificates(connector.stamp_roots) if connector.stamp_roots else []
    heads = Heads(case.agreement.counterparty_id, case.keys, trusted)
    exhibits = Exhibits(connector, case.agreement.counterparty_id, [each["id"] for each in case.subjects])
    records: list[Document] = []
    for chain in await connector.database.read(evidence.find_chains):
        head = await connector.database.read(functools.partial(stored.find_last, chain=chain))
        if head is not None:
            found = await exhibits.find(chain, head.size)
            rows = [each["seq"] for each in found]
            await connector.database.read(functools.partial(heads.add, head=head, rows=rows))
            records += found
    parts = _parts(connector, case, heads.found, records, trusted)
    now_s = connector.now_ms() // 1000
    key = connector.signing_keys.signing_key()
    data = sealing.sealed(parts, key, issuer=connector.participant_id, now_s=now_s)
    await asyncio.to_thread(proving.prove, data)
    return data


async def _answered(connector: Connector, partner: str) -> None:
    """Wait a little until the partner has cosigned what it was told; without that, an earlier checkpoint goes along."""
    for _ in range(PAUSES):
        if not await connector.database.read(functools.partial(stored.is_told, participant_id=partner)):
            return
        await asyncio.sleep(PAUSE_S)


def _parts(
    connector: Connector,
    case: Case,
    heads: list[Document],
    records: list[Document],
    trusted: Iterable[x509.Certificate],
) -> Document:
    agreement = case.agreement
    return {
        "head": {
            "exporter": connector.participant_id,
            "partner": agreement.counterparty_id,
            "exportedAt": connector.now_ms(),
        },
        "agreement": {
            "id": agreement.id,
            "negotiationId": agreement.negotiation_id,
            "document": agreement.document,
            "offer": case.negotiation.offer,
            "createdAt": agreement.created_at,
            "finalized": agreement.finalized,
        },
        "subjects": case.subjects,
        "keys": case.keys,
        "authorities": [each.public_bytes(Encoding.PEM).decode() for each in trusted],
        "checkpoints": heads,
        "records": records,
        "frameworks": case.frameworks,
        "terms": enforcement.document(agreement.document),
    }


async def _gather(connector: Connector, tx: Transaction, agreement_id: str) -> Case:
    agreement = await agreements.load(tx, agreement_id)
    partner = agreement.counterparty_id
    negotiation = await negotiations.load(tx, agreement.negotiation_id)
    under = [
        each
        for each in await transfers.find_by_agreement(tx, agreement_id)
        if (each.counterparty_id, each.role) == (partner, agreement.role)
    ]
    found, more = [], []
    for urn in sorted(frameworks.named_in(agreement.document)):
        framework, subjects = await _framework(tx, urn, partner)
        found += framework
        more += subjects
    own = [_subject("negotiation", negotiation, agreement.id), {"id": agreement.id, "kind": "agreement"}]
    listed = [*own, *(_subject("transfer", each, agreement.id) for each in under), *more]
    return Case(
        agreement=agreement,
        negotiation=negotiation,
        transfers=under,
        frameworks=found,
        subjects=list({each["id"]: each for each in reversed(listed)}.values())[::-1],
        keys=[
            {"participantId": each.participant_id, "kid": each.kid, "jwk": each.jwk, "seenAt": each.seen_at}
            for each in await public_keys.find_all(tx)
            if each.participant_id in {partner, connector.participant_id}
        ],
    )


def _subject(kind: str, record: Negotiation | Transfer, agreement_id: str) -> Document:
    said = {
        "counterpartyPid": record.counterparty_pid or "",
        "agreementId": agreement_id,
        "state": record.state or "",
    }
    return {"id": record.id, "kind": kind, **{name: value for name, value in said.items() if value}}


async def _framework(tx: Transaction, urn: str, partner: str) -> tuple[list[Document], list[Document]]:
    """Return a framework agreement as the bundle has it, and what is about it; with its signing by this partner."""
    row = await framework_rows.find(tx, urn)
    if row is None:
        return [], []
    party = await framework_rows.find_party(tx, urn, partner)
    subjects: list[Document] = [{"id": urn, "kind": "framework"}]
    signing: Document = {}
    signed = await _signed(tx, party.agreement_id, partner) if party and party.agreement_id else None
    if signed is not None:
        negotiation = await negotiations.load(tx, signed.negotiation_id)
        subjects += [_subject("negotiation", negotiation, signed.id), {"id": signed.id, "kind": "agreement"}]
        signing = {"agreementId": signed.id, "negotiationId": negotiation.id}
    attached = [
        {
            "party": each.party,
            "mediaType": each.media_type,
            "content": packed(each.content),
        }
        for each in await framework_rows.find_signatures(tx, urn)
    ]
    framework = {"urn": urn, "document": strict_json.decode_object(row.document), **signing}
    return [framework | ({"signatures": attached} if attached else {})], subjects


async def _signed(tx: Transaction, agreement_id: str, partner: str) -> Agreement | None:
    for role in ("provider", "consumer"):
        found = await agreements.find_of_party(tx, agreement_id, partner, role)
        if found is not None:
            return found
    return None
