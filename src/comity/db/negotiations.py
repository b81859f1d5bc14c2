"""Rows of negotiations: what they have of their own.

What may change is decided in `controlplane`; how it is read and written is `processes`' part.
"""

from __future__ import annotations

from comity.db import listing
from comity.db.processes import Processes
from comity.db.store import Transaction
from comity.db.table import Table
from comity.dsp.negotiation import Negotiation
from comity.management import events as forms

_REMOVED = (
    "INSERT INTO removed_negotiation (counterparty_id, role, counterparty_pid) VALUES (?1, ?2, ?3)"
    " ON CONFLICT DO NOTHING"
)
_FIND_REMOVED = (
    "SELECT 1 FROM removed_negotiation WHERE counterparty_id = ?1 AND role = ?2 AND counterparty_pid = ?3"
)


def _data(record: Negotiation) -> forms.NegotiationData:
    return forms.NegotiationData(
        contract_negotiation_id=record.id,
        type=record.role.upper(),
        state=record.state or forms.INITIAL,
        counter_party_id=record.counterparty_id,
        counter_party_address=record.counterparty_address,
        correlation_id=record.counterparty_pid,
        asset_id=record.asset_id,
        contract_agreement_id=record.agreement_id,
        reason=record.error,
    )


_ROWS = Processes(
    Table("negotiation", Negotiation, documents=("offer",), copies={"told": "state"}),
    changing=("offer", "offered_by", "agreement_id", "approval_id"),
    columns={"contractAgreementId": listing.Column("agreement_id")},
    family=forms.NEGOTIATION,
    data=_data,
)
find, load, find_by_party = _ROWS.find, _ROWS.load, _ROWS.find_by_party
find_open_with, find_page, find_all = _ROWS.find_open_with, _ROWS.find_page, _ROWS.find_all
insert, save, find_with = _ROWS.insert, _ROWS.save, _ROWS.find_with
count_open_with = _ROWS.count_open_with


async def remove(tx: Transaction, record: Negotiation) -> None:
    """Delete a negotiation and what was received in it; that the partner's pid was in use stays known."""
    await tx.run("DELETE FROM inbox WHERE process_id = ?1", record.id)
    await tx.run("DELETE FROM negotiation WHERE id = ?1", record.id)
    if record.counterparty_pid is not None:
        await tx.run(_REMOVED, record.counterparty_id, record.role, record.counterparty_pid)


async def was_removed(tx: Transaction, counterparty_id: str, role: str, counterparty_pid: str) -> bool:
    """Return whether the negotiation in which we had `role` and the partner called `counterparty_pid` was deleted."""
    return await tx.one(_FIND_REMOVED, counterparty_id, role, counterparty_pid) is not None
