"""Inquiries for people: ask the owner of a revision that we hold, see what was asked and what became of it.

What people decide, write and withdraw is `inquiry_decisions`; what partners say of it, `inquiry_notices`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from comity import errors
from comity.controlplane import inquiry_notices, kept, offering
from comity.controlplane import inquiry_steps as steps
from comity.controlplane.connector import Connector
from comity.dataplane.places import MANIFEST_NAME
from comity.db import agreements, deliveries, offers, partners, revisions
from comity.db import inquiries as rows
from comity.db.deliveries import Delivery
from comity.db.inquiries import Inquiry
from comity.db.partners import Partner
from comity.db.revisions import Revision, Told
from comity.db.store import Transaction
from comity.dsp import terms
from comity.dsp.negotiation import Agreement
from comity.management import inquiries as wire
from comity.management import query
from comity.techdata import inquiry as forms
from comity.techdata import manifest

Document = dict[str, Any]


async def ask(connector: Connector, form: wire.AskedForm, *, by: str = "") -> Inquiry:
    """Ask the owner of what was received under an agreement; `by` is the API key of who asks.

    Raises:
        NotFoundError: there is no such agreement, no such proposal, or the owner is no partner any more.
        InvalidInputError: it asks nothing that can be answered, until a day that is over, or about a file that what we
            hold has not; or we are the owner ourselves.
        ConflictError: nothing was received yet, or the owner cannot see the proposal.
    """
    limits = forms.read_limits(form.limits)
    forms.check_ahead(form.answer_by, connector.now_ms(), "$.answerBy")
    forms.check_ahead(limits.until if limits else "", connector.now_ms(), "$.limits.until")
    if form.files:
        await _check_files(connector, form)

    async def unit(tx: Transaction) -> Inquiry:
        agreement = await agreements.load(tx, form.agreement_id)
        if agreement.role != terms.CONSUMER or not agreement.finalized:
            raise errors.InvalidInputError(
                "who holds the revision asks its owner, and we are its provider", path="$.agreementId"
            )
        owner = await partners.load(tx, agreement.counterparty_id)
        said = forms.Asked(
            id=connector.new_id(),
            agreement_id=agreement.id,
            kind=form.kind,
            asset_id=agreement.asset_id,
            manifest_sha256=form.manifest_sha256 or await _received(tx, agreement),
            files=form.files,
            text=form.text,
            limits=limits,
            proposal=await _proposal(connector, tx, owner, form.proposal),
            answer_by=form.answer_by,
            by=by,
        )
        forms.read_asked(said.document())
        new = inquiry_notices.made(said, agreement, terms.CONSUMER, connector.now_ms())
        await rows.insert(tx, new)
        await steps.send(connector, tx, owner, new, said)
        return new

    return await connector.database.write(unit)


async def _check_files(connector: Connector, form: wire.AskedForm) -> None:
    """Refuse to ask about a file that is not in the revision, where we hold its manifest."""

    async def unit(tx: Transaction) -> tuple[Agreement, list[Delivery]]:
        agreement = await agreements.load(tx, form.agreement_id)
        return agreement, await deliveries.find_received(tx, agreement.id, agreement.counterparty_id)

    agreement, received = await connector.database.read(unit)
    sha256 = form.manifest_sha256 or next((each.sha256 for each in reversed(received) if each.sha256), "")
    there = await _paths_of(connector, agreement, sha256, received)
    missing = set(form.files).difference(there) if there else ()
    if missing:
        raise errors.InvalidInputError(
            f"the revision that you hold has no file {min(missing)[:200]}",
            path="$.files",
            hint="comity received files ID lists them, where it lies in the store",
        )


async def _paths_of(
    connector: Connector, agreement: Agreement, sha256: str, received: Sequence[Delivery]
) -> set[str]:
    """Return the paths of what we hold of a content, empty where its manifest is not at hand."""
    data = b""
    held = await kept.find(connector, agreement, sha256, MANIFEST_NAME)
    if held is not None:
        pieces = await kept.Storage(connector).open_range(held)
        data = b"".join([each async for each in pieces])
    for each in received:
        if (
            not data
            and each.sha256 == sha256
            and each.deleted_at is None
            and Path(each.destination).is_absolute()
        ):
            with contextlib.suppress(OSError):
                data = await asyncio.to_thread(Path(each.destination, MANIFEST_NAME).read_bytes)
    if manifest.digest(data) != sha256:
        return set()
    return {each.path for each in manifest.decode(data).files}


async def _received(tx: Transaction, agreement: Agreement) -> str:
    """Return the digest of what was received last under an agreement."""
    received = await deliveries.find_received(tx, agreement.id, agreement.counterparty_id)
    found = [each.sha256 for each in received if each.sha256]
    if not found:
        raise errors.ConflictError(
            "nothing was received under this agreement: name the revision by the digest of its manifest"
        )
    return found[-1]


async def _proposal(
    connector: Connector, tx: Transaction, owner: Partner, asset_id: str
) -> forms.Proposal | None:
    """Return the package that shows what is proposed, which the owner must be able to get."""
    if not asset_id:
        return None
    properties = await offers.find_properties(tx, asset_id)
    if properties is None:
        raise errors.NotFoundError(f"there is no asset {asset_id[:200]}")
    digest = properties.get("comity:manifestSha256")
    if not isinstance(digest, str):
        raise errors.InvalidInputError("a proposal is a package: publish its folder", path="$.proposal")
    if not await offering.find_by_asset(tx, owner, asset_id, connector.now_ms()):
        raise errors.ConflictError(
            f"{owner.id} may not get {asset_id}: it could not see what is proposed",
            hint="publish it for the owner, with --to",
        )
    return forms.Proposal(asset_id=asset_id, manifest_sha256=digest)


async def find(connector: Connector, spec: query.Spec) -> list[Document]:
    """Return the inquiries that a query asks for, without their threads.

    Raises:
        InvalidInputError: it asks about a field that they do not have.
    """
    wanted = query.resolve(spec, wire.FIELDS)
    now_ms = connector.now_ms()
    return await connector.database.read(
        lambda tx: rows.find_page(tx, wanted, lambda each: shown(each, now_ms))
    )


async def load(connector: Connector, name: str) -> Document:
    """Return an inquiry with its thread.

    Raises:
        NotFoundError: there is none with this id.
    """

    async def unit(tx: Transaction) -> Document:
        found = await rows.load(tx, name)
        thread = [
            wire.step(
                each.event,
                role=each.role,
                by=each.by_whom,
                text=each.text,
                delivery=each.delivery,
                error=each.said,
                at=each.at,
            )
            for each in await rows.find_steps(tx, name)
        ]
        number = await _number(tx, found)
        about = {"ofRevision": number} if number else {}
        return {**shown(found, connector.now_ms()), **about, "thread": thread}

    return await connector.database.read(unit)


async def _number(tx: Transaction, found: Inquiry) -> int:
    """Return which revision an inquiry is about, 0 where that is not known here."""
    ours = found.role == terms.PROVIDER
    listed: Sequence[Revision | Told] = (
        await revisions.find_all(tx, found.asset_id)
        if ours
        else await revisions.find_told(tx, found.counterparty_id, found.asset_id)
    )
    same = [each.number for each in listed if each.manifest_sha256 == found.manifest_sha256]
    return same[0] if same else 0


def shown(found: Inquiry, now_ms: int) -> Document:
    """Return an inquiry as a document."""
    return wire.show(
        found.id,
        role=found.role,
        kind=found.kind,
        state=found.state,
        counterparty_id=found.counterparty_id,
        agreement_id=found.agreement_id,
        asset_id=found.asset_id,
        manifest_sha256=found.manifest_sha256,
        text=found.text,
        files=found.files,
        limits=found.wanted.document() if found.wanted else None,
        proposal=msgspec.to_builtins(found.proposal) if found.proposal else None,
        answer_by=found.answer_by,
        overdue=forms.is_overdue(found.state, found.answer_by, now_ms),
        asked_by=found.by_whom,
        granted=found.granted.document() if found.granted else None,
        decided_by=found.decided_by,
        revision=found.revision,
        revision_sha256=found.revision_sha256,
        revoked_at=found.revoked_at,
        proposed=found.proposed.document() if found.proposed else None,
        waits_for=steps.waits_for(found),
        error=found.said,
        created_at=found.created_at,
        updated_at=found.updated_at,
    )


async def granted(tx: Transaction, asset_id: str, owner_id: str = "") -> list[Inquiry]:
    """Return by which inquiries deviations from an asset hold: granted by us, or by its owner, if that is a partner."""
    return await rows.find_granted(tx, asset_id, owner_id)
