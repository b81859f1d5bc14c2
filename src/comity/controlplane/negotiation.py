"""Contract negotiation, both roles: what a partner's message does.

Dataspace Protocol 2025-1, "Contract Negotiation Protocol". One transaction a step; the answer is given after the
commit. What is not ours, or not the caller's, is not found. The next move is `negotiation_moves`' part.
"""

from __future__ import annotations

from typing import Any

import msgspec

from comity import errors
from comity.controlplane import (
    authenticate,
    framework_signing,
    negotiation_moves,
    offering,
    process,
    reconcile,
)
from comity.controlplane.authenticate import Caller
from comity.controlplane.connector import Connector
from comity.controlplane.process import Incoming
from comity.db import agreements, negotiations
from comity.db import partners as partner_rows
from comity.db.store import OfProcess, Transaction
from comity.dsp import binding, machine, messages, negotiation, spelling, terms
from comity.dsp.negotiation import Agreement, Negotiation
from comity.dsp.process import Step

Document = dict[str, Any]
MAX_SAID = 1000


async def receive(connector: Connector, incoming: Incoming, *, role: str) -> messages.ContractNegotiation:
    """Take a message for a negotiation in which we have `role` (empty: either) and return the answer.

    Raises:
        NotFoundError: no such negotiation of this caller.
        RemoteProtocolError, InvalidInputError: refused; nothing changed but the evidence.
        IdentityError: the token was used before, or the caller is no partner.
        CrowdedError: the caller has as much of us as it may.
    """
    connector.limits.check_refusals(incoming.caller.participant_id, connector.now_ms())

    async def unit(tx: Transaction) -> messages.ContractNegotiation:
        partner = await authenticate.use(tx, incoming.caller)
        if incoming.process_id:
            return await _receive_next(connector, tx, incoming, partner, role)
        return await _receive_first(connector, tx, incoming, partner)

    await reconcile.check_first(connector, incoming)
    try:
        return await connector.database.write(OfProcess(_process(incoming), unit))
    except (errors.ProtocolError, errors.InvalidInputError, errors.PermanentDeliveryError) as error:
        await refuse(connector, incoming, error)
        raise
    except errors.NotFoundError:
        await reconcile.note_forgotten(connector, incoming)
        raise


def _process(incoming: Incoming) -> str:
    """Return what names the process of a message: our pid or, where it begins one, the partner and its pid."""
    message: Any = incoming.message
    first = (incoming.caller.participant_id, message.consumer_pid, message.provider_pid)
    return incoming.process_id or " ".join(filter(None, first))


async def refuse(connector: Connector, incoming: Incoming, error: errors.ComityError) -> None:
    """Record in the evidence that a message of a partner was refused."""

    async def unit(tx: Transaction) -> None:
        await authenticate.use(tx, incoming.caller)
        await process.record_refused(connector, tx, incoming, error)

    await connector.database.write(unit)
    connector.limits.note_refusal(incoming.caller.participant_id, connector.now_ms())


async def _receive_first(
    connector: Connector, tx: Transaction, incoming: Incoming, partner: partner_rows.Partner
) -> messages.ContractNegotiation:
    message = incoming.message
    role: str
    if isinstance(message, messages.ContractRequestMessage):
        role, their_pid, our_pid = terms.PROVIDER, message.consumer_pid, message.provider_pid
    elif isinstance(message, messages.ContractOfferMessage):
        role, their_pid, our_pid = terms.CONSUMER, message.provider_pid, message.consumer_pid
    else:
        raise errors.RemoteProtocolError(f"{incoming.key} cannot begin a negotiation")
    if our_pid is not None:
        raise errors.RemoteProtocolError(
            f"a message that begins a negotiation cannot name our pid {our_pid[:200]};"
            " one for that negotiation goes below /negotiations/{pid}"
        )
    known = await negotiations.find_by_party(tx, partner.id, role, their_pid)
    repeat = await process.take_first(tx, incoming, known)
    if known is not None and repeat is not None:
        return negotiation.answer(known, repeat)
    if await negotiations.was_removed(tx, partner.id, role, their_pid):
        raise errors.RemoteProtocolError("the negotiation with this pid has ended, and was deleted here")
    await connector.limits.take_place(tx, incoming.kind, partner.id, connector.now_ms())
    offer = spelling.within(message.offer, message.context)
    record = negotiation_moves.new_record(
        connector, partner, role, offer, their_pid, callback(connector, message.callback_address)
    )
    named = None
    if role == terms.PROVIDER:
        named = await _find_offered(connector, tx, partner, message.offer)
    step = Step(None, machine.apply(incoming.kind, None, incoming.key, terms.other(role)))
    digest = incoming.digest()
    record = process.stepped(record, step.after, now_ms=record.created_at, digest=digest)
    record = await negotiations.insert(tx, record)
    await process.record_received(connector, tx, incoming, record, step, digest=digest)
    await framework_signing.note(tx, incoming, record)
    await negotiation_moves.advance(connector, tx, record, partner, named, idle=True)
    return negotiation.answer(record, step.after)


def callback(connector: Connector, address: str | None) -> str:
    """Return the address where a partner wants our messages, if we could and may send there."""
    if address is None:
        raise errors.InvalidInputError("a first message must say where answers go", path="$.callbackAddress")
    binding.check_address(address, path="$.callbackAddress")
    try:
        connector.egress.check_url(address)
    except errors.PermanentDeliveryError as error:
        raise errors.InvalidInputError(error.message, path="$.callbackAddress") from None
    return address


async def _find_offered(
    connector: Connector, tx: Transaction, partner: partner_rows.Partner, offer: Document
) -> offering.Offering:
    found = await offering.find_by_offer(tx, partner, offer["@id"], connector.now_ms())
    if found is None or found.asset.id != offer["target"]:
        raise errors.RemoteProtocolError(
            "this offer is not known here for this target; take id and target from the catalog of today"
        )
    return found


async def _receive_next(
    connector: Connector, tx: Transaction, incoming: Incoming, partner: partner_rows.Partner, role: str
) -> messages.ContractNegotiation:
    record = await negotiations.find_with(tx, incoming.process_id, partner.id)
    if record is None or role not in {"", record.role}:
        raise not_found()
    bound = bind(record, incoming.message)
    pid = bound.counterparty_pid or ""
    if bound is not record and await negotiations.find_by_party(tx, partner.id, record.role, pid):
        raise not_found()
    record = bound
    taken = await process.take(connector, tx, incoming, record, terms.other(record.role))
    if taken.step is None:
        return negotiation.answer(record, taken.repeat or "")
    changes = await _effects(connector, tx, record, incoming)
    record = process.stepped(
        record, taken.step.after, now_ms=connector.now_ms(), digest=taken.digest, **changes
    )
    record = await negotiations.save(tx, record, through=taken.step.through)
    await process.record_received(connector, tx, incoming, record, taken.step, digest=taken.digest)
    await framework_signing.note(tx, incoming, record)
    await negotiation_moves.go_on(connector, tx, record, partner, idle=taken.idle)
    return negotiation.answer(record, taken.step.after)


def not_found() -> errors.NotFoundError:
    """Return the one answer for a process that is missing and for one that is another's."""
    return errors.NotFoundError("there is no such process")


def bind(record: process.Record, message: Any) -> process.Record:
    """Check both pids of a message against the record; the partner's pid is learnt from its first message."""
    ours, theirs = message.consumer_pid, message.provider_pid
    if record.role == terms.PROVIDER:
        ours, theirs = theirs, ours
    if ours != record.id or (record.counterparty_pid is not None and theirs != record.counterparty_pid):
        raise not_found()
    return record if record.counterparty_pid else msgspec.structs.replace(record, counterparty_pid=theirs)


async def _effects(
    connector: Connector, tx: Transaction, record: Negotiation, incoming: Incoming
) -> Document:
    """Check what the message brings and return the fields that it changes."""
    message = incoming.message
    if isinstance(message, messages.ContractRequestMessage | messages.ContractOfferMessage):
        negotiation.check_offer(message.offer)
        if message.offer["target"] != record.asset_id:
            raise errors.RemoteProtocolError(f"the target must stay {record.asset_id}")
        offer = spelling.within(message.offer, message.context)
        return {"offer": offer, "offered_by": terms.other(record.role)}
    if isinstance(message, messages.ContractAgreementMessage):
        document = spelling.within(message.agreement, message.context)
        agreement = await _take_agreement(connector, tx, record, document, incoming.sha256)
        return {"agreement_id": agreement.id}
    if isinstance(message, messages.ContractNegotiationTerminationMessage):
        return {"error": said(message.reason, message.code) or "ended by the partner without a reason"}
    return {}


def said(reason: Any, code: str | None = None) -> str:
    """Return a partner's reasons as one line: strings as they are, objects by their message."""
    listed = reason if isinstance(reason, list) else [reason]
    words = [
        str(each.get("message", each)) if isinstance(each, dict) else str(each) for each in listed if each
    ]
    return ("; ".join(words) or (f"code {code}" if code else ""))[:MAX_SAID]


async def _take_agreement(
    connector: Connector, tx: Transaction, record: Negotiation, document: Document, message_sha256: str
) -> Agreement:
    provider_id, consumer_id = record.counterparty_id, connector.participant_id
    negotiation.check_agreement(document, record.offer, provider_id=provider_id, consumer_id=consumer_id)
    if await agreements.exists(tx, document["@id"], record.counterparty_id):
        raise errors.RemoteProtocolError(f"the agreement id {document['@id'][:200]} was used before")
    agreement = negotiation_moves.agreement_row(
        connector, record, document, provider_id, consumer_id, message_sha256
    )
    await agreements.insert(tx, agreement)
    return agreement


async def state(connector: Connector, caller: Caller, process_id: str) -> messages.ContractNegotiation:
    """Return what a partner is told of the state of its process.

    Raises:
        NotFoundError: there is none, or it is another's.
    """

    async def unit(tx: Transaction) -> messages.ContractNegotiation:
        partner = await authenticate.use(tx, caller)
        record = await negotiations.find_with(tx, process_id, partner.id)
        if record is None:
            raise not_found()
        open_row = await process.intent(tx, record.id) if record.state is None else None
        return negotiation.answer(record, record.state or (open_row.leads_to if open_row else ""))

    return await connector.database.write(unit)
