"""Rows of negotiations: what they have of their own.

What may change is decided in `controlplane`; how it is read and written is `processes`' part.
"""

from __future__ import annotations

from comity.db import listing
from comity.db.database import Transaction
from comity.db.processes import Processes
from comity.db.table import Table
from comity.dsp.negotiation import Negotiation
from comity.management import events as forms


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
    changing=("offer", "offered_by", "agreement_id"),
    columns={"contractAgreementId": listing.Column("agreement_id")},
    family=forms.NEGOTIATION,
    data=_data,
)
find, load, find_by_party = _ROWS.find, _ROWS.load, _ROWS.find_by_party
find_open_with, find_page = _ROWS.find_open_with, _ROWS.find_page
insert, save = _ROWS.insert, _ROWS.save


async def remove(tx: Transaction, negotiation_id: str) -> None:
    """Delete a negotiation and what was received in it."""
    await tx.run("DELETE FROM inbox WHERE process_id = ?1", negotiation_id)
    await tx.run("DELETE FROM negotiation WHERE id = ?1", negotiation_id)
