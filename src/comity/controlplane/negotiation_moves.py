"""Contract negotiation, both roles: our own moves, decided or asked for, and what becomes of them.

Dataspace Protocol 2025-1, "Contract Negotiation Protocol". A move is a row in the outbox until the partner
acknowledges it; then the state changes and the next move is asked for.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from comity import errors
from comity.controlplane import (
    asked,
    decide,
    framework_signing,
    offering,
    origins,
    process,
    revision_notices,
    transfer_moves,
)
from comity.controlplane.connector import Connector
from comity.controlplane.held import Released
from comity.db import agreements, exchanges, negotiations, outbox
from comity.db import partners as partner_rows
from comity.db.store import Transaction
from comity.dsp import machine, messages, negotiation, terms
from comity.dsp.negotiation import Agreement, Negotiation
from comity.management import policy as policies
from comity.management.approvals import Wanted

Document = dict[str, Any]
EVENTS = {decide.FINALIZE: terms.FINALIZED, decide.ACCEPT: terms.ACCEPTED}
OPENINGS = {decide.OFFER: negotiation.offer_message, decide.REQUEST: negotiation.request_message}


def new_record(
    connector: Connector,
    partner: partner_rows.Partner,
    role: str,
    offer: Document,
    their_pid: str | None,
    address: str,
) -> Negotiation:
    """Return a negotiation with a partner that has not begun yet; `their_pid` is None when we begin it."""
    negotiation.check_offer(offer)
    now_ms = connector.now_ms()
    return Negotiation(
        id=connector.new_id(),
        role=role,
        counterparty_id=partner.id,
        counterparty_address=address,
        counterparty_pid=their_pid,
        state=None,
        version=0,
        asset_id=offer["target"],
        offer=offer,
        offered_by=terms.other(role) if their_pid is not None else role,
        created_at=now_ms,
        updated_at=now_ms,
    )


def agreement_row(
    connector: Connector,
    record: Negotiation,
    document: Document,
    provider_id: str,
    consumer_id: str,
    message_sha256: str,
) -> Agreement:
    """Return the row of an agreement, not yet in force."""
    return Agreement(
        id=document["@id"],
        negotiation_id=record.id,
        role=record.role,
        counterparty_id=record.counterparty_id,
        provider_id=provider_id,
        consumer_id=consumer_id,
        asset_id=record.asset_id,
        document=document,
        message_sha256=message_sha256,
        created_at=connector.now_ms(),
    )


async def after_change(connector: Connector, tx: Transaction, record: Negotiation) -> None:
    """Do what a state brings with it: an agreement comes into force, an exchange goes on or ends."""
    if record.state not in {terms.FINALIZED, terms.TERMINATED}:
        return
    asked_here = record.role == terms.CONSUMER
    exchange = await exchanges.find_by_negotiation(tx, record.id) if asked_here else None
    if record.state == terms.TERMINATED:
        await asked.withdraw(connector, tx, record)
    if record.state == terms.FINALIZED:
        await agreements.finalize(tx, record.id)
        await framework_signing.finalized(connector, tx, record)
        agreement = (
            await agreements.find_by_negotiation(tx, record.id) if exchange or not asked_here else None
        )
        if agreement is not None and not asked_here:
            await revision_notices.tell_history(connector, tx, agreement)
        if exchange is not None:
            await transfer_moves.begin(connector, tx, exchange, agreement, record.counterparty_address)
    elif exchange is not None:
        await exchanges.save(tx, msgspec.structs.replace(exchange, error=record.error))


async def go_on(
    connector: Connector,
    tx: Transaction,
    record: Negotiation,
    partner: partner_rows.Partner | None = None,
    *,
    idle: bool = False,
) -> None:
    """Do what a new state brings with it, and make the next move; see `advance`."""
    await after_change(connector, tx, record)
    await advance(connector, tx, record, partner, idle=idle)


async def advance(
    connector: Connector,
    tx: Transaction,
    record: Negotiation,
    partner: partner_rows.Partner | None = None,
    named: offering.Offering | None = None,
    *,
    idle: bool = False,
) -> None:
    """Ask for the next move in a negotiation and make it.

    `partner` and `named` (by its offer) if loaded already; `idle` if it is known that nothing of ours is on its way.
    """
    if record.state in machine.TERMINAL:
        return
    standing = await _standing(connector, tx, record, partner, named)
    wanted = standing.wanted if standing else await _wanted_of_offer(tx, record, partner)
    case = decide.NegotiationCase(record, standing, bool(wanted))
    move = connector.decisions.negotiation(case)
    if move.kind == decide.WAIT:
        return
    if not idle and await process.intent(tx, record.id) is not None:  # our termination goes out
        return
    if wanted and move.kind in asked.BINDING:
        await asked.ask(connector, tx, record, move, wanted)
    else:
        await carry_out(connector, tx, record, move, standing, idle=True)


async def _wanted_of_offer(
    tx: Transaction, record: Negotiation, partner: partner_rows.Partner | None
) -> tuple[Wanted, ...]:
    """Return who has to approve an offer that a provider makes to us."""
    if record.role != terms.CONSUMER or record.state != terms.OFFERED:
        return ()
    return asked.wanted_by(partner or await partner_rows.find(tx, record.counterparty_id))


async def make_approved(
    connector: Connector, tx: Transaction, record: Negotiation, move: decide.Move
) -> None:
    """Make a move that people have approved, unless we would end the negotiation now: policy may have said no since.

    Raises:
        LocalProtocolError: the protocol does not allow it now.
    """
    standing = await _standing(connector, tx, record, None, None)
    now = connector.decisions.negotiation(decide.NegotiationCase(record, standing, True))
    chosen = now if now.kind == decide.TERMINATE else move
    await carry_out(connector, tx, record, chosen, standing)


async def _standing(
    connector: Connector,
    tx: Transaction,
    record: Negotiation,
    partner: partner_rows.Partner | None,
    named: offering.Offering | None,
) -> decide.Standing | None:
    if record.role != terms.PROVIDER or record.state not in {terms.REQUESTED, terms.ACCEPTED}:
        return None
    partner = partner or await partner_rows.find(tx, record.counterparty_id)
    if partner is None:
        return None
    now_ms = connector.now_ms()
    whose = asked.wanted_by(partner)
    if record.state == terms.ACCEPTED:  # our own offer binds us, also one that is in no catalog
        known = await offering.facts_of_use(tx, partner, record.asset_id, record.offer, now_ms)
        wanted = await _wanted_of_asset(tx, partner, record, now_ms)
        return offering.standing(record.offer, record.offer, known, (*wanted, *whose))
    named = named or await offering.find_by_offer(tx, partner, record.offer["@id"], now_ms)
    if named is not None and named.asset.id != record.asset_id:
        named = None  # a later request may carry the id of an offer for something else
    found = [named] if named else await offering.find_by_asset(tx, partner, record.asset_id, now_ms)
    standing = [
        offering.standing(
            each.policy,
            record.offer,
            await offering.facts_of_use(tx, partner, record.asset_id, each.policy, now_ms),
            (*each.wanted, *whose),
        )
        for each in found
    ]
    return min(standing, key=lambda each: len(each.differences), default=None)


async def _wanted_of_asset(
    tx: Transaction, partner: partner_rows.Partner, record: Negotiation, now_ms: int
) -> tuple[Wanted, ...]:
    """Return who has to approve what is offered for an asset; if it is no offer of it as it stands: whoever for any."""
    named = await offering.find_by_offer(tx, partner, record.offer["@id"], now_ms)
    stands = named is not None and named.asset.id == record.asset_id and named.is_said_by(record.offer)
    found = (
        [named] if named and stands else await offering.find_by_asset(tx, partner, record.asset_id, now_ms)
    )
    return tuple(wanted for each in found for wanted in each.wanted)


async def carry_out(
    connector: Connector,
    tx: Transaction,
    record: Negotiation,
    move: decide.Move,
    standing: decide.Standing | None = None,
    *,
    idle: bool = False,
) -> Negotiation:
    """Make a move: change what it changes here, and put its message in the outbox (`idle`: see `process.send`).

    Raises:
        LocalProtocolError: the protocol does not allow it now.
    """
    await asked.withdraw(connector, tx, record)
    if move.kind == decide.TERMINATE and record.counterparty_pid is None:
        return await end_here(connector, tx, record, move.reason)
    if move.kind in {decide.OFFER, decide.REQUEST}:
        record = await _put_on_table(
            connector, tx, record, move.policy or (standing.policy if standing else None)
        )
    if move.kind == decide.TERMINATE and not record.error:
        record = await negotiations.save(tx, msgspec.structs.replace(record, error=move.reason))
    message = message_of(connector, record, move, standing)
    await process.send(connector, tx, record, message, after_s=move.after_s, idle=idle)
    if isinstance(message, messages.ContractAgreementMessage):
        record = await _keep_agreement(connector, tx, record, message)
    return record


async def end_here(connector: Connector, tx: Transaction, record: Negotiation, reason: str) -> Negotiation:
    """End a negotiation that the partner has not answered yet; if it did get our request, it hears of the end then."""
    process.check_open(record)
    for row in await outbox.find_of_process(tx, record.id):
        await outbox.remove(tx, row)
    await process.record_end(connector, tx, record, reason)
    record = process.stepped(record, terms.TERMINATED, now_ms=connector.now_ms(), error=reason)
    record = await negotiations.save(tx, record)
    await after_change(connector, tx, record)
    return record


async def _put_on_table(
    connector: Connector, tx: Transaction, record: Negotiation, policy: Document | None
) -> Negotiation:
    if policy is None:
        raise errors.LocalProtocolError("there is nothing to offer: no policy was given and none stands")
    offer = negotiation.message_offer(
        policy, offer_id=policy.get("@id") or connector.new_id(), target=record.asset_id
    )
    negotiation.check_offer(offer, path="$.policy")
    if record.role == terms.PROVIDER:
        offer = await origins.complete(tx, offer)
    changed = msgspec.structs.replace(
        record, offer=offer, offered_by=record.role, updated_at=connector.now_ms()
    )
    return await negotiations.save(tx, changed)


def message_of(
    connector: Connector, record: Negotiation, move: decide.Move, standing: decide.Standing | None = None
) -> messages.Message:
    """Return the message of a move.

    Raises:
        LocalProtocolError: a negotiation has no such move.
    """
    message_id = connector.new_id()
    if move.kind == decide.AGREE:
        own = record.offer if record.offered_by == record.role else standing.policy if standing else {}
        return _agreement_message(connector, record, own, message_id)
    if move.kind in EVENTS:
        return negotiation.event_message(record, EVENTS[move.kind], message_id=message_id)
    if move.kind in OPENINGS:
        opening = OPENINGS[move.kind]
        return opening(record, callback_address=connector.dsp_address, message_id=message_id)
    if move.kind == decide.VERIFY:
        return negotiation.verification_message(record, message_id=message_id)
    if move.kind == decide.TERMINATE:
        return negotiation.termination_message(record, move.reason, code=move.code, message_id=message_id)
    raise errors.LocalProtocolError(f"a negotiation has no move {move.kind!r}")


def _agreement_message(
    connector: Connector, record: Negotiation, own: Document, message_id: str
) -> messages.Message:
    """Return the agreement to the last offer; `own` is what we said ourselves, of which all may be repeated."""
    # in the protocol's names and form, whatever spelling the offer has: `odrl:prohibition` is agreed as well
    said = policies.read_offer({"policy": record.offer}).terms
    offer = negotiation.message_offer(
        {**negotiation.repeated(said, own), "@context": record.offer.get("@context")},
        offer_id=record.offer["@id"],
        target=record.asset_id,
    )
    document = negotiation.agreement_document(
        offer,
        agreement_id=connector.new_id(),
        provider_id=connector.participant_id,
        consumer_id=record.counterparty_id,
        timestamp=_timestamp(connector.now_ms()),
    )
    return negotiation.agreement_message(record, document, message_id=message_id)


async def _keep_agreement(
    connector: Connector, tx: Transaction, record: Negotiation, message: messages.ContractAgreementMessage
) -> Negotiation:
    """Store the agreement that we send, and the digest of the message that carries it."""
    sha256 = process.sha256_hex(messages.encode(message))
    parties = (connector.participant_id, record.counterparty_id)
    row = agreement_row(connector, record, message.agreement, *parties, sha256)
    await agreements.insert(tx, row)
    changed = msgspec.structs.replace(record, agreement_id=row.id, updated_at=connector.now_ms())
    return await negotiations.save(tx, changed)


def _timestamp(now_ms: int) -> str:
    return (
        datetime.fromtimestamp(now_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )


async def request(
    connector: Connector,
    tx: Transaction,
    partner: partner_rows.Partner,
    offer: Document,
    address: str,
    *,
    by: str = "",
) -> Negotiation:
    """Begin a negotiation as consumer: ask for `offer` at the partner's DSP `address`.

    Where people have to approve what is negotiated with the partner, the request goes out when they have; `by` is the
    API key of who wants it.

    Raises:
        PolicyError: nobody could approve it.
    """
    record = new_record(connector, partner, terms.CONSUMER, offer, None, address)
    if wanted := asked.wanted_by(partner):
        move = decide.Move(kind=decide.REQUEST, policy=record.offer)
        record = await negotiations.insert(tx, record)
        return await asked.ask(connector, tx, record, move, wanted, by=by)
    return await _open(connector, tx, record, decide.REQUEST)


async def offer(
    connector: Connector, tx: Transaction, partner: partner_rows.Partner, offered: Document, address: str
) -> Negotiation:
    """Begin a negotiation as provider: offer something to a consumer at its DSP `address`."""
    record = new_record(connector, partner, terms.PROVIDER, offered, None, address)
    record = msgspec.structs.replace(record, offer=await origins.complete(tx, record.offer))
    return await _open(connector, tx, record, decide.OFFER)


async def _open(connector: Connector, tx: Transaction, record: Negotiation, kind: str) -> Negotiation:
    record = await negotiations.insert(tx, record)
    message = message_of(connector, record, decide.Move(kind=kind))
    await process.send(connector, tx, record, message, idle=True)
    return record


async def make(connector: Connector, negotiation_id: str, move: decide.Move, *, by: str = "") -> None:
    """Make a move that a person or a program asked for, with the API key `by`; people may have to approve it first.

    Raises:
        NotFoundError: there is no such negotiation.
        LocalProtocolError: the protocol does not allow it now, or it waits for people already.
        PolicyError: nobody could approve it.
    """

    async def unit(tx: Transaction) -> None:
        record = await negotiations.load(tx, negotiation_id)
        if move.kind == decide.AGREE:
            await origins.check_complete(tx, record.offer)
        wanted = await _wanted(connector, tx, record, move)
        if not wanted:
            await end(connector, tx, record, move)
            return
        connector.held.check(record.id, move.kind)
        await process.check_move(tx, record, asked.BINDING[move.kind])
        await asked.ask(connector, tx, record, move, wanted, by=by)

    await connector.database.write(unit)


async def _wanted(
    connector: Connector, tx: Transaction, record: Negotiation, move: decide.Move
) -> tuple[Wanted, ...]:
    """Return who has to approve a person's move."""
    if move.kind not in asked.BINDING:
        return ()
    partner = await partner_rows.find(tx, record.counterparty_id)
    whose = asked.wanted_by(partner)
    if partner is None or record.role != terms.PROVIDER:
        return whose
    return (*await _wanted_of_asset(tx, partner, record, connector.now_ms()), *whose)


async def end(connector: Connector, tx: Transaction, record: Negotiation, move: decide.Move) -> None:
    """Make a move, such as the end, also where the process is held after a restore: then there is only the end.

    Raises:
        LocalProtocolError: the protocol does not allow it now.
    """
    if not connector.held.check(record.id, move.kind):
        await carry_out(connector, tx, record, move)
        return
    record = await end_here(connector, tx, record, move.reason)
    if record.counterparty_pid is not None:
        await process.send_ended(connector, tx, record, message_of(connector, record, move))
    tx.announce(Released(record.id))
