"""Endpoints of what is carried on a medium: decode, one use case, encode.

What is decided is `controlplane.carrying` and `carried`; the table of all endpoints is `endpoints`.
"""

from __future__ import annotations

from comity.api.management.call import Call, Document
from comity.controlplane import carried, carrying
from comity.controlplane.carrying import Outcome
from comity.controlplane.connector import Connector
from comity.management import carries as forms


async def write(connector: Connector, call: Call) -> Document:
    """POST carries/write: answers when all of it is on the medium."""
    form = forms.decode_write(call.body)
    done = await carrying.write(
        connector,
        form.medium,
        agreement_id=form.agreement_id,
        counterparty_id=form.counterparty_id,
        asset_id=form.asset_id,
        revision=form.revision,
        purpose=form.purpose,
    )
    return forms.encode_written(
        done.transfer.id,
        agreement_id=done.transfer.agreement_id,
        counterparty_id=done.transfer.counterparty_id,
        asset_id=done.transfer.asset_id,
        place=done.place,
        files=done.files,
        size_bytes=done.size_bytes,
        code=done.code,
    )


async def take(connector: Connector, call: Call) -> list[Document]:
    """POST carries/take: answers when all that could be taken is here."""
    form = forms.decode_take(call.body)
    found = await carried.take(connector, form.medium, form.destination, code=form.code)
    return [_outcome(each) for each in found]


async def read_receipts(connector: Connector, call: Call) -> list[Document]:
    """POST carries/receipts."""
    found = await carrying.read_receipts(connector, forms.decode_medium(call.body))
    return [_outcome(each) for each in found]


def _outcome(each: Outcome) -> Document:
    return forms.encode_outcome(
        each.transfer_id,
        state=each.state,
        place=each.place,
        counterparty_id=each.counterparty_id,
        asset_id=each.asset_id,
        kind=each.kind,
        why=each.why,
        hint=each.hint,
    )
