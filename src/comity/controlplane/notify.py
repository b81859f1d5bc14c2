"""Tells a partner something beside the protocol: a notice in the outbox, written with the step that it is about.

It is sent and retried as messages are. A partner that takes no notices is remembered for a day, and costs one refused
attempt; what follows for whoever sent it is the kind's part (`notices.KINDS`).
"""

from __future__ import annotations

from typing import Any

from comity import errors
from comity.controlplane import process
from comity.controlplane.connector import Connector
from comity.db import outbox
from comity.db.outbox import Outgoing
from comity.db.partners import Partner
from comity.db.store import Transaction
from comity.dsp import notice as notices

Document = dict[str, Any]
ASKED_AGAIN_MS = 24 * 3600 * 1000


async def send(
    connector: Connector, tx: Transaction, partner: Partner, notice: Document, subject: str = ""
) -> str:
    """Put a notice in the outbox and return its id; `subject` is the agreement or process that it is about."""
    name = notice.get("@id") or connector.new_id()
    document = {"@context": notices.CONTEXT, **notice, "@id": name}
    now_ms = connector.now_ms()
    await outbox.add(
        tx,
        Outgoing(
            kind=notices.KIND,
            process_id=name,  # no process of ours has it: what is open for one says what state it goes to
            subject=subject,
            counterparty_id=partner.id,
            url=notices.address(partner.address),
            message=document["@type"],
            message_id=name,
            body=notices.encode(document),
            before="",
            leads_to="",
            due_at=now_ms,
            created_at=now_ms,
        ),
    )
    return str(name)


async def withdraw(connector: Connector, tx: Transaction, partner_id: str, reason: str) -> None:
    """Take out what a partner has not been told yet: nothing more is sent to it."""
    for row in await outbox.find_to(tx, partner_id, notices.KIND):
        await outbox.remove(tx, row)
        await process.record_sent(connector, tx, row, attempt=None, outcome="given up", detail=reason)


def check_taken(connector: Connector, row: Outgoing) -> None:
    """Refuse to send a notice to a partner that takes none.

    Raises:
        PermanentDeliveryError: it takes none.
    """
    if not row.url or is_deaf(connector, row.counterparty_id):
        raise errors.PermanentDeliveryError("the partner takes no notices: it is no Comity")


def is_deaf(connector: Connector, partner_id: str) -> bool:
    """Return whether a partner refused notices as such within a day."""
    since_ms = connector.deaf.get(partner_id)
    return since_ms is not None and 0 <= connector.now_ms() - since_ms < ASKED_AGAIN_MS


def note_answer(connector: Connector, row: Outgoing, status: int) -> None:
    """Remember what the status of an answer to a notice (0: there was none) says of its partner."""
    if status in notices.NO_ENDPOINT:
        connector.deaf[row.counterparty_id] = connector.now_ms()
    elif status:
        connector.deaf.pop(row.counterparty_id, None)
