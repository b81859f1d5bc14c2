"""People asked before a move that binds us: who is needed, that they were asked, and that it is over.

A move binds us where it says yes to terms: our request and our acceptance as consumer, our agreement as provider. Where
the offer or the partner has a rule, the move waits; `approvals` is how people decide, and how the time ends it.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import msgspec

from comity import errors, strict_json
from comity.controlplane import decide
from comity.controlplane.connector import Connector
from comity.db import approvals, events, evidence, negotiations
from comity.db.approvals import Approval
from comity.db.partners import Partner
from comity.db.store import Transaction
from comity.dsp import machine
from comity.dsp.negotiation import Negotiation
from comity.evidence.entry import Entry
from comity.management import approvals as forms
from comity.management import events as event_forms

BINDING = {
    decide.AGREE: machine.AGREEMENT,
    decide.ACCEPT: machine.ACCEPT,
    decide.REQUEST: machine.REQUEST,
}
"""Moves that say yes to terms -> their messages."""
ASKED = "ASKED"
KIND = "approval"


def wanted_by(partner: Partner | None) -> tuple[forms.Wanted, ...]:
    """Return what the rule of a partner wants, nothing if it has none."""
    rule = forms.stored(partner.approval) if partner is not None else None
    return (forms.Wanted(rule),) if rule is not None else ()


async def ask(
    connector: Connector,
    tx: Transaction,
    record: Negotiation,
    move: decide.Move,
    wanted: Sequence[forms.Wanted],
    *,
    by: str | None = None,
) -> Negotiation:
    """Ask people to approve a move, unless they have been asked already; it is made when enough of them have.

    `by` is the API key of who wants it here; None: nobody here did.

    Raises:
        LocalProtocolError: somebody wants here what waits for people already.
        PolicyError: nobody could approve what this person wants.
    """
    waiting = await find_waiting(tx, record)
    if waiting is not None:
        if by is None:
            return record
        raise errors.LocalProtocolError(f"it {forms.waits_for(shown(waiting))}")
    needs = [forms.need(each.rule, (each.written_by, by or "")) for each in wanted]
    if by is not None and any(len(each.may) < each.people for each in needs):
        raise errors.PolicyError(
            "four eyes need two different people beside the one who asks", hint="let somebody else ask for it"
        )
    now_ms = connector.now_ms()
    new = Approval(
        id=connector.new_id(),
        negotiation_id=record.id,
        counterparty_id=record.counterparty_id,
        asset_id=record.asset_id,
        needs=needs,
        move=msgspec.to_builtins(move),
        decisions=[],
        state=forms.WAITING,
        due_at=now_ms + 1000 * min(each.rule.within_seconds for each in wanted),
        created_at=now_ms,
    )
    await approvals.insert(tx, new)
    await note(connector, tx, record, new, outcome=ASKED, by=by or "")
    return await negotiations.save(tx, msgspec.structs.replace(record, approval_id=new.id, updated_at=now_ms))


async def find_waiting(tx: Transaction, record: Negotiation) -> Approval | None:
    """Return the approval that a negotiation waits for, or None."""
    if record.approval_id is None:
        return None
    found = await approvals.load(tx, record.approval_id)
    return found if found.state == forms.WAITING else None


async def withdraw(connector: Connector, tx: Transaction, record: Negotiation) -> None:
    """Say that nobody needs to decide any more: the negotiation has ended, or gone another way."""
    waiting = await find_waiting(tx, record)
    if waiting is not None:
        await end(connector, tx, record, waiting, forms.WITHDRAWN)


async def end(
    connector: Connector, tx: Transaction, record: Negotiation, approval: Approval, state: str
) -> None:
    """Let an approval end in a state without a person's decision."""
    changed = msgspec.structs.replace(approval, state=state)
    await approvals.save(tx, changed)
    await note(connector, tx, record, changed, outcome=state)


async def note(
    connector: Connector,
    tx: Transaction,
    record: Negotiation,
    approval: Approval,
    *,
    outcome: str,
    by: str = "",
    detail: str = "",
) -> None:
    """Keep what became of an approval in the evidence, and tell those who listen.

    The record's body is the terms that were decided on.
    """
    now_ms = connector.now_ms()
    offered = strict_json.canonical(approval.move.get("policy") or record.offer)
    await evidence.append(
        tx,
        Entry(
            at=now_ms,
            direction="here",
            message="Approval",
            message_id=approval.id,
            sha256=sha256(offered).hexdigest(),
            sender=connector.participant_id,
            receiver=connector.participant_id,
            kind=KIND,
            process_id=record.id,
            counterparty_pid=record.counterparty_pid or "",
            before=record.state or "",
            after=record.state or "",
            by=by,
            outcome=outcome.lower(),
            detail=detail,
        ),
        evidence.Beside(body=offered),
    )
    if outcome == ASKED or approval.state != forms.WAITING:
        await _tell(tx, approval, outcome, now_ms)


async def _tell(tx: Transaction, approval: Approval, outcome: str, now_ms: int) -> None:
    data = event_forms.ApprovalData(
        approval_id=approval.id,
        contract_negotiation_id=approval.negotiation_id,
        counter_party_id=approval.counterparty_id,
        asset_id=approval.asset_id,
        state=approval.state,
        approvers=sorted({name for each in approval.needs for name in each.may}),
        due_at=approval.due_at,
    )
    name = event_forms.APPROVAL + outcome.lower()
    await events.add(tx, name, approval.id, number=0, at=now_ms, data=data)


def shown(found: Approval) -> dict[str, object]:
    """Return an approval as a document."""
    return forms.show(
        found.id,
        negotiation_id=found.negotiation_id,
        counterparty_id=found.counterparty_id,
        asset_id=found.asset_id,
        needs=found.needs,
        move=str(found.move.get("kind", "")),
        decisions=found.decisions,
        state=found.state,
        due_at=found.due_at,
        created_at=found.created_at,
    )
