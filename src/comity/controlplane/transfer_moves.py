"""Transfer processes, both roles: our own moves, decided or asked for, and what becomes of them.

Dataspace Protocol 2025-1, "Transfer Process Protocol". A start carries a fresh token; suspension, completion and
termination take it back in the same transaction that decides them, before the partner has even heard.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from comity import errors
from comity.controlplane import (
    decide,
    facts,
    offering,
    origins,
    process,
    receipts,
    revision_states,
    webhooks,
)
from comity.controlplane.connector import Connector
from comity.controlplane.held import Released
from comity.dataplane import tokens
from comity.db import agreements, exchanges, outbox, pulls, pushes, received, retirements, transfers
from comity.db import partners as partner_rows
from comity.db.store import Shared, Transaction
from comity.dsp import binding, machine, messages, push, terms, transfer
from comity.dsp.negotiation import Agreement
from comity.dsp.transfer import Transfer

Document = dict[str, Any]
ADDRESS = "data-address"
INCOMPLETE = "incomplete"
COMPLETE_AFTER_S = 30.0
"""How long a consumer that was pushed everything waits for the provider's completion before it sends its own."""
CARRIED = "this transfer goes on a medium: no message is sent or taken for it; each side may terminate it for itself"
SUSPENDED_THERE = "the provider suspended this transfer, and only the provider resumes it"


class Revoked(Shared, frozen=True):
    """Announced after the commit: no byte of this transfer may be served, pushed or received any more."""

    transfer_id: str


class Wanted(Struct, frozen=True):
    """How the consumer wants the data: into `folder` (empty: it takes care itself), or pushed to a data address.

    `purpose` is what for, if anybody said; `revision` which one, 0 for the newest that is released.

    A push without an address comes into the folder through our inbox.
    """

    format: str = transfer.PULL
    folder: str = ""
    address: Document | None = None
    purpose: str = ""
    revision: int = 0


async def request(
    connector: Connector,
    tx: Transaction,
    agreement: Agreement,
    address: str,
    wanted: Wanted | None = None,
) -> Transfer:
    """Ask for the data of an agreement as consumer, at the partner's DSP `address`."""
    now_ms, wanted = connector.now_ms(), wanted or Wanted()
    record = Transfer(
        id=connector.new_id(),
        role=terms.CONSUMER,
        counterparty_id=agreement.counterparty_id,
        counterparty_address=address,
        counterparty_pid=None,
        state=None,
        version=0,
        agreement_id=agreement.id,
        asset_id=agreement.asset_id,
        format=wanted.format,
        purpose=wanted.purpose,
        revision=wanted.revision,
        created_at=now_ms,
        updated_at=now_ms,
    )
    data_address = wanted.address
    if wanted.format == transfer.PUSH and data_address is None:
        token = connector.new_token()
        record = msgspec.structs.replace(record, token_sha256=tokens.digest(token))
        endpoint = binding.join(connector.inbox_address, f"/{binding.segment(record.id)}")
        data_address = push.inbox_address(endpoint, token)
    record = await transfers.insert(tx, record)
    if wanted.folder:
        await pulls.save(tx, pulls.Pull(transfer_id=record.id, destination=wanted.folder, updated_at=now_ms))
    message = transfer.request_message(
        record,
        callback_address=connector.dsp_address,
        message_id=connector.new_id(),
        data_address=data_address,
    )
    await process.send(connector, tx, record, message, secret=data_address is not None)
    return record


async def begin(
    connector: Connector,
    tx: Transaction,
    exchange: exchanges.Exchange,
    agreement: Agreement | None,
    address: str,
) -> None:
    """Go on with an exchange whose agreement is in force: ask for its data, into its folder."""
    if agreement is None or exchange.transfer_id is not None:
        return
    wanted = Wanted(
        exchange.format, exchange.destination, purpose=exchange.purpose, revision=exchange.revision
    )
    record = await request(connector, tx, agreement, address, wanted)
    if exchange.negotiation_id is not None:
        await webhooks.inherit(connector, tx, exchange.negotiation_id, record.id)
    await exchanges.save(
        tx, msgspec.structs.replace(exchange, agreement_id=agreement.id, transfer_id=record.id)
    )


async def after_change(tx: Transaction, record: Transfer) -> None:
    """Do what a state brings with it: access ends, a pull can begin, an exchange has failed."""
    pushed = record.format == transfer.PUSH
    if record.state != terms.STARTED and (pushed or record.role == terms.PROVIDER):
        tx.announce(Revoked(record.id))
    if record.role == terms.PROVIDER:
        if record.state == terms.STARTED and pushed:
            await pushes.begin_anew(tx, record.id, at=record.updated_at)
            tx.announce(pushes.PushReady(record.id))
        elif record.state == terms.COMPLETED:
            await receipts.handed_over(tx, record)
        return
    if pushed and record.state in machine.TERMINAL:
        await received.clear(tx, record.id)
    pull = await pulls.find(tx, record.id)
    if pull is not None and record.state == terms.STARTED and not pushed:
        tx.announce(pulls.PullReady(record.id))
    failed = record.state == terms.TERMINATED
    if pull is not None and pushed and record.state == terms.COMPLETED:
        record = await _check_received(tx, record, pull)
        failed = bool(record.error)
    if failed:
        exchange = await exchanges.find_by_transfer(tx, record.id)
        if exchange is not None:
            await exchanges.save(
                tx, msgspec.structs.replace(exchange, error=record.error or "the transfer was ended")
            )


async def _check_received(tx: Transaction, record: Transfer, pull: pulls.Pull) -> Transfer:
    """Take that the provider says it has pushed all; what did not arrive here makes the transfer a failure for us."""
    if pull.state in {pulls.DONE, pulls.FAILED}:
        return record
    error = "the provider completed the transfer before all of its data had arrived here"
    failed = msgspec.structs.replace(
        pull, state=pulls.FAILED, error=error, error_code=INCOMPLETE, updated_at=record.updated_at
    )
    await pulls.save(tx, failed)
    return await transfers.save(tx, msgspec.structs.replace(record, error=error))


async def go_on(
    connector: Connector, tx: Transaction, record: Transfer, partner: partner_rows.Partner | None = None
) -> None:
    """Do what a new state brings with it, and make the next move."""
    await after_change(tx, record)
    await advance(connector, tx, record, partner)


async def advance(
    connector: Connector, tx: Transaction, record: Transfer, partner: partner_rows.Partner | None = None
) -> None:
    """Ask for the next move in a transfer and make it."""
    if record.state in machine.TERMINAL or record.format == transfer.CARRY:
        return
    if record.role == terms.CONSUMER and record.format == transfer.PUSH:
        await complete_received(connector, tx, record)
    allowed, reasons = True, tuple[str, ...]()
    if record.role == terms.PROVIDER and record.state != terms.STARTED:
        allowed, reasons = await may_use(connector, tx, record, partner)
    move = connector.decisions.transfer(decide.TransferCase(record, allowed, reasons))
    if (
        move.kind != decide.WAIT and await process.intent(tx, record.id) is None
    ):  # else our termination goes out
        await carry_out(connector, tx, record, move)


async def complete_received(connector: Connector, tx: Transaction, record: Transfer) -> None:
    """Complete a push that has arrived whole, unless its provider does so within 30 s."""
    pull = await pulls.find(tx, record.id)
    received = pull is not None and pull.state == pulls.DONE and record.state == terms.STARTED
    if received and await process.intent(tx, record.id) is None:
        await carry_out(connector, tx, record, decide.Move(kind=decide.COMPLETE, after_s=COMPLETE_AFTER_S))


async def may_use(
    connector: Connector, tx: Transaction, record: Transfer, partner: partner_rows.Partner | None = None
) -> tuple[bool, tuple[str, ...]]:
    """Return whether the agreement allows the partner this transfer now, and the terms that do not."""
    partner = partner or await partner_rows.find(tx, record.counterparty_id)
    agreement = await agreements.find_of_party(tx, record.agreement_id, record.counterparty_id, record.role)
    if partner is None or agreement is None or not agreement.finalized:
        return False, ("there is no agreement in force",)
    retired = await retirements.find(tx, agreement.negotiation_id)
    if retired is not None:
        return False, (retired.words,)
    handed_out = await revision_states.handed_out(tx, record.asset_id, record.revision)
    if why := revision_states.obstacle(record.revision, handed_out):
        return False, (why,)
    begun = record.token_sha256 is not None or record.state in {terms.STARTED, terms.SUSPENDED}
    known = await offering.facts_of_use(
        tx,
        partner,
        agreement.asset_id,
        agreement.document,
        connector.now_ms(),
        begun=begun,
        purpose=record.purpose,
        since_ms=agreement.created_at,
        revision=record.revision,
        lock=not begun,
    )
    if handed_out is not None:
        known[facts.REVISION_STATUS] = handed_out.state
    decision = offering.judge(agreement.document, known)
    kept = await origins.obstacle(tx, agreement.asset_id, partner.id) if decision.allowed else ""
    return (False, (kept,)) if kept else (decision.allowed, decision.reasons)


async def resume(
    connector: Connector, tx: Transaction, record: Transfer, partner: partner_rows.Partner
) -> None:
    """Answer a consumer's start after a suspension: our own start carries the fresh address, where policy allows."""
    allowed, reasons = await may_use(connector, tx, record, partner)
    if allowed and record.format == transfer.PUSH:
        return  # the address is known already, and the consumer's start was enough
    kind = decide.START if allowed else decide.TERMINATE
    await carry_out(
        connector, tx, record, decide.Move(kind=kind, reason=decide.refusal(reasons), code="policy")
    )


async def make(connector: Connector, transfer_id: str, move: decide.Move) -> None:
    """Make a move that a person or a program asked for.

    Raises:
        NotFoundError: there is no such transfer.
        LocalProtocolError: the protocol does not allow it now.
        PolicyError: a start that the agreement does not allow any more.
    """
    await connector.database.write(lambda tx: step(connector, tx, transfer_id, move))


async def step(connector: Connector, tx: Transaction, transfer_id: str, move: decide.Move) -> None:
    """Make a move inside a transaction of the caller's; it raises what `make` does."""
    record = await transfers.load(tx, transfer_id)
    if connector.held.check(record.id, move.kind):
        await give_up(connector, tx, record, move)
        return
    if move.kind == decide.START and record.role == terms.CONSUMER and record.suspended_by == terms.PROVIDER:
        raise errors.LocalProtocolError(SUSPENDED_THERE, hint="ask the provider to resume it")
    if move.kind == decide.START and record.role == terms.PROVIDER:
        allowed, reasons = await may_use(connector, tx, record)
        if not allowed:
            raise errors.PolicyError(decide.refusal(reasons), reasons=reasons)
    await carry_out(connector, tx, record, move)


async def give_up(connector: Connector, tx: Transaction, record: Transfer, end: decide.Move) -> None:
    """End a transfer here and now, whatever the partner takes it for, and tell the partner."""
    record = await end_here(connector, tx, record, end.reason)
    if record.counterparty_pid is not None:
        await process.send_ended(connector, tx, record, message_of(connector, record, end))
    tx.announce(Released(record.id))


async def carry_out(connector: Connector, tx: Transaction, record: Transfer, move: decide.Move) -> None:
    """Make a move: change what it changes here, and put its message in the outbox.

    Raises:
        LocalProtocolError: the protocol does not allow it now.
    """
    carried = record.format == transfer.CARRY
    if move.kind == decide.TERMINATE and (carried or record.counterparty_pid is None):
        await end_here(connector, tx, record, move.reason)
        return
    if carried:
        raise errors.LocalProtocolError(CARRIED)
    if move.kind == decide.START and record.role == terms.PROVIDER:
        await _start(connector, tx, record, move)
        return
    message = message_of(connector, record, move)
    await process.send(connector, tx, record, message, after_s=move.after_s)
    error = record.error or (move.reason if move.kind == decide.TERMINATE else "")
    suspending = move.kind == decide.SUSPEND
    suspended_by = transfer.suspender(record, record.role) if suspending else record.suspended_by
    token = record.token_sha256 if record.format == transfer.PUSH else None
    changed = msgspec.structs.replace(record, token_sha256=token, error=error, suspended_by=suspended_by)
    record = await transfers.save(tx, changed)
    stopping = record.format == transfer.PUSH and move.kind in {decide.SUSPEND, decide.TERMINATE}
    if record.role == terms.PROVIDER or stopping:
        tx.announce(Revoked(record.id))


def message_of(connector: Connector, record: Transfer, move: decide.Move) -> messages.Message:
    """Return the message of a move; of a provider's start see `_start`.

    Raises:
        LocalProtocolError: a transfer has no such move.
    """
    message_id = connector.new_id()
    if move.kind == decide.START:
        return transfer.start_message(record, None, message_id=message_id)
    if move.kind == decide.SUSPEND:
        return transfer.suspension_message(record, move.reason, message_id=message_id)
    if move.kind == decide.COMPLETE:
        return transfer.completion_message(record, message_id=message_id)
    if move.kind == decide.TERMINATE:
        return transfer.termination_message(record, move.reason, code=move.code, message_id=message_id)
    raise errors.LocalProtocolError(f"a transfer has no move {move.kind!r}")


async def _start(connector: Connector, tx: Transaction, record: Transfer, move: decide.Move) -> None:
    token, address = "", None
    if record.format != transfer.PUSH:
        token = connector.new_token()
        address = transfer.data_address(
            binding.join(connector.data_address, f"/{binding.segment(record.id)}"), token
        )
    message = transfer.start_message(record, address, message_id=connector.new_id())
    await process.send(connector, tx, record, message, after_s=move.after_s, secret=address is not None)
    if record.state == terms.REQUESTED:
        agreement = await count_use(connector, tx, record)
        await receipts.began(connector, tx, record, agreement)
    digest = tokens.digest(token) if token else None
    changed = msgspec.structs.replace(record, token_sha256=digest, suspended_by="")
    await transfers.save(tx, changed)


async def count_use(connector: Connector, tx: Transaction, record: Transfer) -> Agreement | None:
    """Count the transfer, under its agreement, which is returned, and under the licences that this names.

    Raises:
        PolicyError: a licence has ended, or less of it is left.
    """
    await agreements.count_use(tx, record.agreement_id, record.counterparty_id)
    agreement = await agreements.find_of_party(tx, record.agreement_id, record.counterparty_id, record.role)
    if agreement is not None:
        await facts.count_licences(tx, offering.parse(agreement.document), record, connector.now_ms())
    return agreement


async def end_here(connector: Connector, tx: Transaction, record: Transfer, reason: str) -> Transfer:
    """End a transfer without telling the partner: it has not answered yet, or is no partner any more."""
    process.check_open(record)
    for row in await outbox.find_of_process(tx, record.id):
        await outbox.remove(tx, row)
    await process.record_end(connector, tx, record, reason)
    record = process.stepped(
        record, terms.TERMINATED, now_ms=connector.now_ms(), error=reason, token_sha256=None
    )
    record = await transfers.save(tx, record)
    await after_change(tx, record)
    return record
