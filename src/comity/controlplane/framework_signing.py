"""A DSP negotiation about a framework agreement is its signing: what each of its messages says of who has signed.

The provider needs the partner's signature over its request, the consumer the one over the agreement: messages whose
target is the URN with the hash. Without it (a partner that does not sign what it sends) the parties have agreed, and it
is said openly that the signature is not held.
"""

from __future__ import annotations

import base64
from typing import Any

import msgspec

from comity import errors
from comity.controlplane import notify
from comity.controlplane.connector import Connector
from comity.controlplane.process import Incoming
from comity.db import frameworks as rows
from comity.db import partners
from comity.db.store import Transaction
from comity.dsp import messages, terms
from comity.dsp.negotiation import Negotiation
from comity.framework import document as documents
from comity.identity import verify

Document = dict[str, Any]
NOTICE = "comity:FrameworkNotice"
NOT_HELD = "agreed; its signature is not held: it does not sign what it sends"
BEAT_PARTS = 8
"""How many times within a lease the other side is asked whether all is as it was."""


async def note(tx: Transaction, incoming: Incoming, record: Negotiation) -> None:
    """Note whether a message that commits a partner to a framework agreement carries its signature."""
    kinds = {
        terms.PROVIDER: messages.ContractRequestMessage,
        terms.CONSUMER: messages.ContractAgreementMessage,
    }
    if not documents.is_urn(record.asset_id) or not isinstance(incoming.message, kinds[record.role]):
        return
    if await rows.find(tx, record.asset_id) is None:
        return
    held = _is_signed(incoming)
    known = await rows.find_party(tx, record.asset_id, record.counterparty_id)
    party = known or rows.Party(urn=record.asset_id, participant_id=record.counterparty_id, changed_at=0)
    if not party.held:
        detail = "" if held else NOT_HELD
        await rows.save_party(tx, msgspec.structs.replace(party, held=held, detail=detail))


def _is_signed(incoming: Incoming) -> bool:
    """Return whether the partner signed the message itself, or a token that binds its body: both were verified."""
    if incoming.caller.arrival.signed:
        return True
    try:
        return "body_sha256" in verify.peek(incoming.caller.token).claims
    except errors.IdentityError:
        return False


async def finalized(connector: Connector, tx: Transaction, record: Negotiation) -> None:
    """Take that both sides have agreed to a framework agreement; others who have are told of who joined."""
    row = await rows.find(tx, record.asset_id) if documents.is_urn(record.asset_id) else None
    if row is None or not _document(row).lets_sign(record.counterparty_id):
        return  # whoever offers another's framework agreement to us does not become a party of it
    now_ms, agreement_id = connector.now_ms(), record.agreement_id or ""
    for party in await rows.find_parties(tx, row.urn):
        if party.agreed_at or party.participant_id not in {
            connector.participant_id,
            record.counterparty_id,
        }:
            continue
        joined = msgspec.structs.replace(
            party, agreed_at=now_ms, agreement_id=agreement_id, state=rows.AGREED
        )
        if party.own:
            joined = msgspec.structs.replace(joined, held=True, changed_at=now_ms)
        else:  # who offered it asks first: then both have finalized
            joined = renewed(connector, joined, at=now_ms if record.role == terms.PROVIDER else 0)
        await rows.save_party(tx, joined)
    await supersede(tx, row)
    for each in await rows.find_signatures(tx, row.urn):
        if each.party == connector.participant_id:
            await tell(connector, tx, row.urn, attached(each), only=record.counterparty_id)
    if record.role == terms.PROVIDER:
        await _introduce(connector, tx, row.urn, record.counterparty_id)


async def _introduce(connector: Connector, tx: Transaction, urn: str, joined: str) -> None:
    """Tell the other parties of who has just joined, and that one of them."""
    for each in await rows.find_parties(tx, urn):
        if each.own or not each.agreed_at:
            continue
        said = {"event": "acceded", "party": each.participant_id, "agreementId": each.agreement_id}
        if each.participant_id == joined:
            await tell(connector, tx, urn, said, without=joined)
        else:
            await tell(connector, tx, urn, said, only=joined)


def attached(kept: rows.Signature) -> Document:
    """Return what a notice says of a signatory's own signature."""
    return {"event": "signature", "content": base64.b64encode(kept.content).decode()}


def renewed(connector: Connector, party: rows.Party, *, at: int = 0) -> rows.Party:
    """Return the row of a partner that was just heard of; it is asked again after a part of the lease, or `at`."""
    now_ms, lease_ms = connector.now_ms(), connector.framework_lease_ms
    return msgspec.structs.replace(
        party, fresh_until=now_ms + lease_ms, beat_at=at or now_ms + lease_ms // BEAT_PARTS
    )


def _document(row: rows.Framework) -> documents.Framework:
    return msgspec.json.decode(row.document, type=documents.Framework)


async def supersede(tx: Transaction, row: rows.Framework) -> None:
    """Let an amendment that others have agreed to take the place of the version that it names."""
    replaces = _document(row).replaces
    old = await rows.find(tx, replaces) if replaces else None
    if old is not None and not old.replaced_by:
        await rows.replace(tx, old.urn, row.urn)


async def tell(
    connector: Connector, tx: Transaction, urn: str, said: Document, *, without: str = "", only: str = ""
) -> None:
    """Send a notice about a framework agreement to the parties that have agreed to it."""
    for party in await rows.find_parties(tx, urn):
        if party.own or not party.agreed_at or party.participant_id == without:
            continue
        partner = await partners.find(tx, party.participant_id)
        if partner is not None and only in {"", partner.id}:
            notice = {"@type": NOTICE, "frameworkAgreement": urn, **said}
            await notify.send(connector, tx, partner, notice, subject=urn)
