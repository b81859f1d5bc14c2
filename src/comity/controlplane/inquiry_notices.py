"""What partners say of inquiries: a holder asks, an owner decides; and what follows from the answers to our notices.

Only the consumer of an agreement asks under it, only its provider decides. Where the two cross, the owner's decision
stands: who withdraws what was decided already is told so, and hears the decision.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from comity import errors
from comity.controlplane import inquiry_steps as steps
from comity.controlplane import process, revisions
from comity.controlplane.connector import Connector
from comity.db import agreements, deliveries, outbox
from comity.db import inquiries as rows
from comity.db import revisions as revision_rows
from comity.db.inquiries import Inquiry
from comity.db.outbox import Outgoing
from comity.db.partners import Partner
from comity.db.store import Transaction
from comity.dsp import notice as notices
from comity.dsp import terms
from comity.dsp.negotiation import Agreement
from comity.management import events as event_forms
from comity.techdata import inquiry as forms

Document = dict[str, Any]
MOST_OPEN: Final = 1000
"""How many inquiries may be open under an agreement: people have to answer them."""


class _Path(msgspec.Struct, frozen=True, gc=False):
    path: str


class _Files(msgspec.Struct, frozen=True):
    """The paths in a manifest of ours; whoever asks may ask again and again, so no more of it is read."""

    files: tuple[_Path, ...]


async def receive_asked(
    connector: Connector, tx: Transaction, partner: Partner, notice: Document
) -> Document:
    """Take what a holder asks.

    Raises:
        InvalidInputError: it asks nothing that can be answered, or about what is not between us.
        RemoteProtocolError: an inquiry of this id is known.
    """
    said = forms.read_asked(notice)
    agreement = await _agreement(tx, partner, said.agreement_id)
    if agreement.asset_id != said.asset_id:
        raise errors.InvalidInputError(
            f"the agreement is about {agreement.asset_id[:200]}, and the inquiry is not", path="$.assetId"
        )
    await _check_revision(connector, tx, agreement, said)
    if await rows.find(tx, said.id) is not None:
        raise errors.RemoteProtocolError("an inquiry with this id is known already")
    if await rows.count_open(tx, agreement.id, partner.id) >= MOST_OPEN:
        raise errors.InvalidInputError(f"{MOST_OPEN} inquiries are open under this agreement: withdraw some")
    new = made(said, agreement, terms.PROVIDER, connector.now_ms())
    await rows.insert(tx, new)
    by = [said.by] if said.by else []
    await steps.add(
        connector, tx, new, forms.ASK, name=said.id, text=said.text, by=by, delivery=rows.RECEIVED
    )
    return {"state": new.state}


def made(said: forms.Asked, agreement: Agreement, role: str, now_ms: int) -> Inquiry:
    """Return the row of a new inquiry."""
    return Inquiry(
        id=said.id,
        role=role,
        counterparty_id=agreement.counterparty_id,
        agreement_id=agreement.id,
        asset_id=agreement.asset_id,
        manifest_sha256=said.manifest_sha256,
        kind=said.kind,
        text=said.text,
        files=said.files,
        wanted=said.limits,
        proposal=said.proposal,
        answer_by=said.answer_by,
        by_whom=said.by,
        state=forms.OPEN,
        created_at=now_ms,
        updated_at=now_ms,
    )


async def _agreement(tx: Transaction, partner: Partner, name: str) -> Agreement:
    """Return the agreement in force by which a partner holds what is ours."""
    found = await agreements.find_of_party(tx, name, partner.id, terms.PROVIDER)
    if found is not None and found.finalized:
        return found
    if await agreements.find_of_party(tx, name, partner.id, terms.CONSUMER) is not None:
        raise errors.InvalidInputError(
            "you are the provider of this agreement: who holds the revision asks, not its owner",
            path="$.agreementId",
        )
    raise errors.InvalidInputError("there is no agreement with this id between us", path="$.agreementId")


async def _check_revision(
    connector: Connector, tx: Transaction, agreement: Agreement, said: forms.Asked
) -> None:
    """Refuse an inquiry about what was never published or handed over, or a file that is not in it."""
    known = {
        each.manifest_sha256: each.number for each in await revision_rows.find_all(tx, agreement.asset_id)
    }
    number = known.get(said.manifest_sha256)
    if number is None:
        handed = await deliveries.find_handed(tx, agreement.id, agreement.counterparty_id)
        if said.manifest_sha256 in {each.sha256 for each in handed}:
            return
        raise errors.InvalidInputError(
            "no revision with this digest was handed to you under this agreement", path="$.manifestSha256"
        )
    if said.files:
        data = await revisions.manifest_of(connector, tx, agreement.asset_id, number)
        there = msgspec.json.decode(data, type=_Files).files
        missing = set(said.files).difference(each.path for each in there)
        if missing:
            raise errors.InvalidInputError(
                f"revision {number} has no file {min(missing)[:200]}", path="$.files"
            )


async def receive_event(
    connector: Connector, tx: Transaction, partner: Partner, notice: Document
) -> Document:
    """Take what the other side of an inquiry did.

    Raises:
        InvalidInputError: it says nothing that is known, or is about no inquiry between us.
        RemoteProtocolError: it may not happen now, or not by this side.
        ConflictError: the inquiry, or what it takes back, has not arrived here yet, so it is to be told again.
    """
    said = forms.read_event(notice)
    found = await rows.find(tx, said.inquiry_id)
    between_us = found is not None and (found.counterparty_id, found.agreement_id) == (
        partner.id,
        said.agreement_id,
    )
    if found is None or not between_us:
        if found is None and said.event in {forms.SAY, forms.WITHDRAW}:
            await _agreement(tx, partner, said.agreement_id)
            raise errors.ConflictError("there is no such inquiry here yet")
        raise errors.InvalidInputError("there is no such inquiry between us", path="$.inquiryId")
    of_owner = found.role == terms.CONSUMER
    if of_owner and found.state == forms.UNDELIVERED:  # it has it after all: only the answer had been lost
        found = msgspec.structs.replace(found, state=forms.OPEN, said="")
    _check(found, said.event, of_owner=of_owner)
    if await rows.count_steps(tx, found.id) >= steps.MAX_STEPS and said.event == forms.SAY:
        raise errors.RemoteProtocolError(f"its thread has {steps.MAX_STEPS} steps, which are enough")
    changed = steps.stepped(connector, found, said)
    await rows.save(tx, changed)
    await steps.add(
        connector,
        tx,
        changed,
        said.event,
        name=notice["@id"],
        text=said.text,
        by=said.by,
        delivery=rows.RECEIVED,
    )
    return {"state": changed.state}


def _check(found: Inquiry, event: str, *, of_owner: bool) -> None:
    """Refuse what the other side may not do to an inquiry, or not yet.

    Raises:
        RemoteProtocolError, ConflictError: as `receive_event`.
    """
    granted, state = found.granted is not None, found.state
    if of_owner:
        state = forms.heard(state, event, granted=granted, revised=bool(found.revision_sha256))
        if forms.is_early(found.kind, state, event, granted=granted):
            raise errors.ConflictError("no deviation was granted here yet")
    fault = forms.why_not(found.kind, state, event, of_owner=of_owner, granted=granted)
    if fault:
        raise errors.RemoteProtocolError(fault)


async def answered(connector: Connector, tx: Transaction, row: Outgoing, answer: Document) -> None:
    """Keep that a notice of ours was taken."""
    del connector, answer
    name, _ = _about(row)
    await rows.settle_step(tx, name, row.message_id, taken=True)


async def refused(connector: Connector, tx: Transaction, row: Outgoing, reason: str) -> None:
    """Keep why a notice of ours was not taken; what it was to change has not changed for the other side."""
    name, event = _about(row)
    await rows.settle_step(tx, name, row.message_id, taken=False, said=reason)
    found = await rows.find(tx, name)
    if found is None:
        return
    if event == forms.REVOKE:  # what was to be taken back is still there on the other side
        changed = msgspec.structs.replace(found, said=reason[:500], updated_at=connector.now_ms())
        await rows.save(tx, changed)
        await steps.tell(connector, tx, changed, event_forms.UNDELIVERED)
    elif event == forms.ASK and found.state in {forms.OPEN, forms.WITHDRAWN}:
        changed = msgspec.structs.replace(
            found, state=forms.UNDELIVERED, said=reason[:500], updated_at=connector.now_ms()
        )
        await rows.save(tx, changed)
        await steps.tell(connector, tx, changed, event_forms.UNDELIVERED)
        await _take_back(connector, tx, changed)
    elif event == forms.WITHDRAW and found.state == forms.WITHDRAWN:
        changed = msgspec.structs.replace(found, state=forms.OPEN, updated_at=connector.now_ms())
        await rows.save(tx, changed)


async def _take_back(connector: Connector, tx: Transaction, inquiry: Inquiry) -> None:
    """Send nothing more about an inquiry that its owner does not have."""
    for row in await outbox.find_to(tx, inquiry.counterparty_id, notices.KIND):
        if row.message == forms.EVENT_NOTICE and _about(row)[0] == inquiry.id:
            await outbox.remove(tx, row)
            await process.record_sent(
                connector, tx, row, attempt=None, outcome="given up", detail="the inquiry was not taken"
            )
            await rows.settle_step(tx, inquiry.id, row.message_id, taken=False, said=inquiry.said)


def _about(row: Outgoing) -> tuple[str, str]:
    """Return the inquiry of a notice of ours, and what it says of it."""
    if row.message == forms.NOTICE:
        return row.message_id, forms.ASK
    document = msgspec.json.decode(row.body)
    name = document.get("inquiryId")
    return (name if notices.is_name(name) else ""), str(document.get("event"))
