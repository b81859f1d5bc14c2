"""Transfer processes, both roles: what a partner's message does.

Dataspace Protocol 2025-1, "Transfer Process Protocol". A request is answered only under an agreement in force between
the two; a repeat of a request by its consumerPid changes nothing and gets the same answer.
"""

from __future__ import annotations

from typing import Any

import msgspec

from comity import errors
from comity.controlplane import (
    authenticate,
    negotiation,
    negotiation_moves,
    process,
    reconcile,
    revision_notices,
    revision_states,
    transfer_moves,
)
from comity.controlplane.authenticate import Caller
from comity.controlplane.connector import Connector
from comity.controlplane.process import Incoming
from comity.db import agreements, negotiations, offers, outbox, pushes, retirements, transfers
from comity.db import partners as partner_rows
from comity.db.store import Transaction
from comity.dsp import machine, messages, push, terms, transfer
from comity.dsp.negotiation import Agreement
from comity.dsp.process import Step
from comity.dsp.transfer import Transfer

Document = dict[str, Any]
FILES = "comity:files"


async def receive(connector: Connector, incoming: Incoming, *, role: str) -> messages.TransferProcess:
    """Take a message for a transfer in which we have `role` (empty: either) and return the answer.

    Raises:
        NotFoundError: no such transfer, or agreement, of this caller.
        RemoteProtocolError, InvalidInputError: refused; nothing changed but the evidence.
        ConflictError: it met a message of ours; it is to be sent again, with a new token.
        IdentityError: the token was used before, or the caller is no partner.
        CrowdedError: the caller has as much of us as it may.
    """
    connector.limits.check_refusals(incoming.caller.participant_id, connector.now_ms())

    async def unit(tx: Transaction) -> messages.TransferProcess:
        partner = await authenticate.use(tx, incoming.caller)
        if incoming.process_id:
            return await _receive_next(connector, tx, incoming, partner, role)
        return await _receive_first(connector, tx, incoming, partner)

    try:
        return await connector.database.write(unit)
    except (errors.ProtocolError, errors.InvalidInputError) as error:
        await negotiation.refuse(connector, incoming, error)
        await reconcile.note_forgotten(connector, incoming)
        raise
    except errors.NotFoundError:
        await reconcile.note_forgotten(connector, incoming)
        raise
    except errors.ConflictError:
        await connector.database.write(lambda tx: authenticate.spend(tx, incoming.caller))
        raise


async def _receive_first(
    connector: Connector, tx: Transaction, incoming: Incoming, partner: partner_rows.Partner
) -> messages.TransferProcess:
    message = incoming.message
    if not isinstance(message, messages.TransferRequestMessage):
        raise errors.RemoteProtocolError(f"{incoming.key} cannot begin a transfer")
    known = await transfers.find_by_party(tx, partner.id, terms.PROVIDER, message.consumer_pid)
    repeat = await process.take_first(tx, incoming, known)
    if known is not None and repeat is not None:
        return transfer.answer(known, repeat)
    await connector.limits.take_place(tx, incoming.kind, partner.id, connector.now_ms())
    agreement = await _agreement(connector, tx, partner, message.agreement_id)
    await revision_states.check_asked(tx, agreement.asset_id, message.revision or 0)
    await revision_notices.tell_history(connector, tx, agreement)
    if message.format not in transfer.FORMATS:
        raise errors.InvalidInputError(
            f"the format must be one of the dataset's distributions: {', '.join(transfer.FORMATS)}",
            path="$.format",
        )
    step = Step(None, machine.apply(incoming.kind, None, incoming.key, terms.CONSUMER))
    record = _new(connector, message, agreement, negotiation.callback(connector, message.callback_address))
    digest = incoming.digest()
    record = process.stepped(record, step.after, now_ms=record.created_at, digest=digest)
    if message.format == transfer.PUSH:
        record = await _take_destination(connector, tx, record, message.data_address)
    record = await transfers.insert(tx, record)
    if message.format == transfer.PUSH:
        now_ms = record.created_at
        await pushes.save(tx, pushes.Push(transfer_id=record.id, moved_at=now_ms, updated_at=now_ms))
    await process.record_received(connector, tx, incoming, record, step, digest=digest)
    await transfer_moves.advance(connector, tx, record, partner)
    return transfer.answer(record, step.after)


async def _take_destination(
    connector: Connector, tx: Transaction, record: Transfer, address: Document | None
) -> Transfer:
    """Check where a push is wanted and return the record with the sealed address.

    Raises:
        InvalidInputError: it says too little or too much, is an address that is refused, or cannot take a package.
    """
    destination = push.read(address)
    try:
        connector.egress.check_url(destination.endpoint)
    except errors.PermanentDeliveryError as error:
        raise errors.InvalidInputError(
            f"this address is refused: {error.reason or error.message}", path="$.dataAddress.endpoint"
        ) from None
    asset = await offers.find(tx, offers.Asset, record.asset_id)
    packed = asset is not None and asset.content_id
    found = await revision_states.properties(tx, record.asset_id, record.revision) if packed else {}
    files = found.get(FILES, "1")
    if files != "1" and not destination.folder:
        raise errors.InvalidInputError(
            f"this is a package of {files} files, and the endpoint does not say that it takes packages"
            f" (property {push.FOLDER})",
            path="$.dataAddress.endpointProperties",
        )
    sealed = connector.seal.close(messages.encode_document(address or {}), transfer_moves.ADDRESS + record.id)
    return msgspec.structs.replace(record, data_address_sealed=sealed)


async def _agreement(
    connector: Connector, tx: Transaction, partner: partner_rows.Partner, agreement_id: str
) -> Agreement:
    """Return the agreement in force with this partner; its use shows that our finalization arrived."""
    found = await agreements.find_of_party(tx, agreement_id, partner.id, terms.PROVIDER)
    if found is not None and not found.finalized:
        for row in await outbox.find_of_process(tx, found.negotiation_id):
            if row.leads_to == terms.FINALIZED and not row.implied:
                await outbox.imply(tx, row.id)
                record = await negotiations.load(tx, found.negotiation_id)
                record = process.stepped(record, terms.FINALIZED, now_ms=connector.now_ms())
                await negotiation_moves.after_change(connector, tx, await negotiations.save(tx, record))
                return msgspec.structs.replace(found, finalized=True)
    if found is None or not found.finalized:
        raise errors.RemoteProtocolError("there is no agreement with this id in force between us")
    retired = await retirements.find(tx, found.negotiation_id)
    if retired is not None:
        raise errors.RemoteProtocolError(retired.words)
    return found


def _new(
    connector: Connector, message: messages.TransferRequestMessage, agreement: Agreement, address: str
) -> Transfer:
    now_ms = connector.now_ms()
    return Transfer(
        id=connector.new_id(),
        role=terms.PROVIDER,
        counterparty_id=agreement.counterparty_id,
        counterparty_address=address,
        counterparty_pid=message.consumer_pid,
        state=None,
        version=0,
        agreement_id=agreement.id,
        asset_id=agreement.asset_id,
        format=message.format,
        purpose=message.purpose or "",
        revision=message.revision or 0,
        created_at=now_ms,
        updated_at=now_ms,
    )


async def _receive_next(
    connector: Connector, tx: Transaction, incoming: Incoming, partner: partner_rows.Partner, role: str
) -> messages.TransferProcess:
    record = await transfers.find_with(tx, incoming.process_id, partner.id)
    if record is None or role not in {"", record.role}:
        raise negotiation.not_found()
    if record.format == transfer.CARRY:
        raise errors.RemoteProtocolError(transfer_moves.CARRIED)
    bound = negotiation.bind(record, incoming.message)
    pid = bound.counterparty_pid or ""
    if bound is not record and await transfers.find_by_party(tx, partner.id, record.role, pid):
        raise negotiation.not_found()
    record = bound
    taken = await process.take(connector, tx, incoming, record, terms.other(record.role))
    if taken.step is None:
        return transfer.answer(record, taken.repeat or "")
    changes = _effects(connector, record, incoming)
    record = process.stepped(
        record, taken.step.after, now_ms=connector.now_ms(), digest=taken.digest, **changes
    )
    record = await transfers.save(tx, record, through=taken.step.through)
    await process.record_received(connector, tx, incoming, record, taken.step, digest=taken.digest)
    await transfer_moves.after_change(tx, record)
    if incoming.key == machine.START and record.role == terms.PROVIDER:
        await transfer_moves.resume(connector, tx, record, partner)
    else:
        await transfer_moves.advance(connector, tx, record, partner)
    return transfer.answer(record, taken.step.after)


def _effects(connector: Connector, record: Transfer, incoming: Incoming) -> Document:
    """Check what the message brings and return the fields that it changes."""
    message = incoming.message
    if isinstance(message, messages.TransferStartMessage):
        return _take_address(connector, record, message)
    changes: Document = {} if record.format == transfer.PUSH else {"token_sha256": None}
    if isinstance(message, messages.TransferTerminationMessage):
        changes["error"] = (
            negotiation.said(message.reason, message.code) or "ended by the partner without a reason"
        )
    elif isinstance(message, messages.TransferSuspensionMessage):
        changes["suspended_by"] = transfer.suspender(record, terms.other(record.role))
        changes["error"] = negotiation.said(message.reason, message.code)
    return changes


def _take_address(connector: Connector, record: Transfer, message: messages.TransferStartMessage) -> Document:
    pull = record.format != transfer.PUSH
    needed = pull and record.role == terms.CONSUMER and record.data_address_sealed is None
    if needed and message.data_address is None:
        raise errors.InvalidInputError("the start of a pull must say where the data is", path="$.dataAddress")
    if record.role == terms.PROVIDER and record.suspended_by == terms.PROVIDER:
        raise errors.RemoteProtocolError(transfer_moves.SUSPENDED_THERE)
    changes: Document = {"error": "", "suspended_by": ""}
    if record.role == terms.PROVIDER or message.data_address is None or not pull:
        return changes
    transfer.access(message.data_address)
    sealed = connector.seal.close(
        messages.encode_document(message.data_address), transfer_moves.ADDRESS + record.id
    )
    return {**changes, "data_address_sealed": sealed}


async def state(connector: Connector, caller: Caller, process_id: str) -> messages.TransferProcess:
    """Return what a partner is told of the state of its process.

    Raises:
        NotFoundError: there is none, or it is another's.
    """

    async def unit(tx: Transaction) -> messages.TransferProcess:
        partner = await authenticate.use(tx, caller)
        record = await transfers.find_with(tx, process_id, partner.id)
        if record is None:
            raise negotiation.not_found()
        open_row = await process.intent(tx, record.id) if record.state is None else None
        return transfer.answer(record, record.state or (open_row.leads_to if open_row else ""))

    return await connector.database.write(unit)
