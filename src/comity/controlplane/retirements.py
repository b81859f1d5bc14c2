"""Retired agreements: they stay agreed and in the evidence, but nothing is transferred under them any more.

What is under way ends with the reason, which the partner gets; a new request is refused with it, whoever makes it. The
check of requests is `processes` and `transfer`, that of starts and of each access to data `transfer_moves.may_use`.
"""

from __future__ import annotations

import contextlib
from typing import Any

from comity import errors
from comity.controlplane import decide, receipts, transfer_moves
from comity.controlplane.connector import Connector
from comity.db import agreements, retirements, transfers
from comity.db.store import Transaction
from comity.dsp import machine
from comity.management import query
from comity.management import retirements as forms

Document = dict[str, Any]
RETIRED = "retired"


async def retire(connector: Connector, form: forms.Retirement) -> None:
    """Retire an agreement and end the transfers that are open under it.

    Raises:
        NotFoundError: there is no such agreement.
        ConflictError: it is retired already, or two partners use its id.
    """

    async def unit(tx: Transaction) -> None:
        agreement = await agreements.load(tx, form.agreement_id)
        new = retirements.Retirement(
            negotiation_id=agreement.negotiation_id,
            agreement_id=agreement.id,
            reason=form.reason,
            created_at=connector.now_ms(),
        )
        await retirements.insert(tx, new)
        await receipts.agreement_ended(tx, agreement, new.created_at)
        move = decide.Move(kind=decide.TERMINATE, reason=new.words, code=RETIRED)
        for each in await transfers.find_by_agreement(tx, agreement.id):
            same = (each.counterparty_id, each.role) == (agreement.counterparty_id, agreement.role)
            if same and each.state not in machine.TERMINAL:
                with contextlib.suppress(errors.LocalProtocolError):  # its end is on its way already
                    await transfer_moves.step(connector, tx, each.id, move)

    await connector.database.write(unit)


async def reactivate(connector: Connector, agreement_id: str) -> None:
    """Undo a retirement; what it ended stays ended.

    Raises:
        NotFoundError: the agreement is not retired.
        ConflictError: two partners use its id.
    """
    await connector.database.write(lambda tx: retirements.remove(tx, agreement_id))


async def find(connector: Connector, spec: query.Spec) -> list[Document]:
    """Return the retired agreements that a query asks for.

    Raises:
        InvalidInputError: it asks about a field that they do not have.
    """
    wanted = query.resolve(spec, forms.FIELDS, forms.ALIASES)
    found = await connector.database.read(lambda tx: retirements.find_page(tx, wanted, _document))
    return [forms.show(each) for each in found]


def _document(each: retirements.Retirement) -> Document:
    return forms.document(each.agreement_id, each.negotiation_id, each.reason, each.created_at)
