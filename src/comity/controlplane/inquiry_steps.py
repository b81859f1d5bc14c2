"""What every step of an inquiry leaves behind: its row in the thread, an event, evidence, and a notice if it is ours.

Each is written in the unit of the step. Records of evidence are about the agreement, so that its bundle has them: those
of notices are the channel's, and what people here decided stands beside them with their names.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Final

import msgspec

from comity import strict_json
from comity.controlplane import notify
from comity.controlplane.connector import Connector
from comity.db import events, evidence
from comity.db import inquiries as rows
from comity.db.inquiries import Inquiry, Step
from comity.db.partners import Partner
from comity.db.store import Transaction
from comity.dsp import terms
from comity.evidence.entry import Entry
from comity.management import approvals
from comity.management import events as event_forms
from comity.techdata import inquiry as forms

Document = dict[str, Any]
KIND: Final = "inquiry"
PROPOSED: Final = "proposed"
MAX_STEPS: Final = 200
"""How long a thread may be: each step is shown, for ever."""


async def send(
    connector: Connector, tx: Transaction, partner: Partner, inquiry: Inquiry, said: forms.Asked | forms.Event
) -> None:
    """Write a step of ours: the partner is told, and it is in the thread, in the evidence and among the events."""
    document = said.document()
    if isinstance(said, forms.Asked):
        event, by = forms.ASK, [said.by] if said.by else []
    else:
        event, by = said.event, said.by
    name = await notify.send(connector, tx, partner, document, inquiry.agreement_id)
    await add(connector, tx, inquiry, event, name=name, text=said.text, by=by, delivery=rows.SENT)
    await note(connector, tx, inquiry, document, outcome=event, by=", ".join(by))


async def add(
    connector: Connector,
    tx: Transaction,
    inquiry: Inquiry,
    event: str,
    *,
    name: str,
    text: str,
    by: Sequence[str],
    delivery: str,
) -> None:
    """Write a step into the thread, ours or the partner's (which was `received`), and tell those who listen."""
    role = inquiry.role if delivery != rows.RECEIVED else _other(inquiry.role)
    now_ms = connector.now_ms()
    step = Step(
        id=name,
        inquiry_id=inquiry.id,
        event=event,
        role=role,
        text=text,
        by_whom=list(by),
        delivery=delivery,
        at=now_ms,
    )
    await rows.add_step(tx, step)
    await tell(connector, tx, inquiry, event)


def _other(role: str) -> str:
    return terms.PROVIDER if role == terms.CONSUMER else terms.CONSUMER


async def tell(connector: Connector, tx: Transaction, inquiry: Inquiry, event: str) -> None:
    """Tell those who listen to events that something happened to an inquiry."""
    data = event_forms.InquiryData(
        inquiry_id=inquiry.id,
        type=inquiry.role.upper(),
        kind=inquiry.kind,
        state=inquiry.state,
        counter_party_id=inquiry.counterparty_id,
        agreement_id=inquiry.agreement_id,
        asset_id=inquiry.asset_id,
        answer_by=inquiry.answer_by,
    )
    await events.add(tx, event_forms.INQUIRY + event, inquiry.id, number=0, at=connector.now_ms(), data=data)


async def note(
    connector: Connector, tx: Transaction, inquiry: Inquiry, document: Document, *, outcome: str, by: str
) -> None:
    """Keep in the evidence what people here did; the record's body is what they said."""
    said = strict_json.canonical(document)
    entry = Entry(
        at=connector.now_ms(),
        direction="here",
        message="comity:Inquiry",
        message_id=inquiry.id,
        sha256=sha256(said).hexdigest(),
        sender=connector.participant_id,
        receiver=connector.participant_id,
        kind=KIND,
        process_id=inquiry.agreement_id,
        after=inquiry.state,
        by=by,
        outcome=outcome,
        detail=str(document.get("text", ""))[:500],
    )
    await evidence.append(tx, entry, evidence.Beside(body=said))


def waits_for(inquiry: Inquiry) -> str:
    """Return in a sentence whose decision a deviation waits for that somebody has granted; empty if nobody's."""
    if inquiry.state != forms.OPEN or inquiry.proposed is None:
        return ""
    lacking = approvals.missing(inquiry.needs, inquiry.decisions)
    who = " and ".join(f"{more} more of {', '.join(may)}" for more, may in lacking)
    return f"granted by {', '.join(each.by for each in inquiry.decisions)}; waits for {who}"


def stepped(connector: Connector, inquiry: Inquiry, said: forms.Event) -> Inquiry:
    """Return an inquiry after an event."""
    changes: dict[str, Any] = {"updated_at": connector.now_ms()}
    if said.event in forms.AFTER:
        changes |= {"state": forms.after(inquiry.state, said.event), "proposed": None}
    if said.event in {forms.ANSWER, forms.GRANT, forms.REFUSE, forms.REVISE} and not inquiry.revision_sha256:
        changes["decided_by"] = said.by
    if said.event == forms.GRANT:
        changes["granted"] = said.limits
    if said.event == forms.REVISE:
        changes |= {"revision": said.revision, "revision_sha256": said.manifest_sha256}
    if said.event == forms.REVOKE:  # by the owner's clock, but not later than it was heard of
        changes["revoked_at"] = min(said.at, connector.now_ms())
    return msgspec.structs.replace(inquiry, **changes)
