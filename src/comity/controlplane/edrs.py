"""Endpoint data references: negotiate and start in one call, ask where data is, take a new token, forget an entry.

An entry is no record of its own: it is a transfer that runs for us and the address that its start brought. What goes on
after the agreement by itself is an exchange without a folder, the same as `get` has; see `transfer_moves.begin`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from comity import errors
from comity.controlplane import get, processes, token_refresh
from comity.controlplane.connector import Connector
from comity.db import pulls, transfers
from comity.db.store import Transaction
from comity.dsp import terms, transfer
from comity.dsp.transfer import Transfer
from comity.management import edrs as forms
from comity.management import processes as process_forms
from comity.management import query

Document = dict[str, Any]


async def negotiate(
    connector: Connector, form: process_forms.ContractRequest, *, by: str = ""
) -> tuple[str, int]:
    """Begin a negotiation whose transfer begins by itself; return the negotiation's id and time of creation (ms).

    `by` is the API key of who wants it.

    Raises:
        NotFoundError: no such partner.
        InvalidInputError: the offer or the address cannot be used.
    """
    return await processes.request_contract(connector, form, then=get.follow, by=by)


async def find(connector: Connector, spec: query.Spec) -> list[Document]:
    """Return the entries that a query asks for.

    Raises:
        InvalidInputError: it asks about a field that they do not have.
    """
    wanted = query.resolve(spec, forms.FIELDS, forms.ALIASES)
    return await connector.database.read(lambda tx: transfers.find_received(tx, wanted, _entry))


def _entry(record: Transfer, negotiation_id: str) -> Document:
    return forms.encode_entry(
        record.id,
        agreement_id=record.agreement_id,
        negotiation_id=negotiation_id,
        asset_id=record.asset_id,
        provider_id=record.counterparty_id,
        created_at=record.updated_at,
    )


async def load_address(
    connector: Connector, transfer_id: str, *, auto_refresh: bool = False, force: bool = False
) -> Document:
    """Return where and with which token the data of a running transfer can be fetched.

    `auto_refresh`: with a new token where this one ends; `force`: with a new one in any case. Both change nothing where
    the token lives as long as its transfer does.

    Raises:
        NotFoundError: there is no such transfer, or it has no data to fetch now.
        DeliveryError: the provider gives no new token.
    """
    record = await connector.database.read(lambda tx: _load(tx, transfer_id))
    if auto_refresh or force:
        address = await token_refresh.current(connector, record, force=force)
    else:
        address = token_refresh.read(connector, record)
    access = transfer.access(address)
    token = (access.authorization or "").removeprefix("Bearer ")
    return forms.encode_address(transfer.HTTP_ENDPOINT, access.endpoint, token, token_refresh.told(address))


async def _load(tx: Transaction, transfer_id: str) -> Transfer:
    record = await transfers.load(tx, transfer_id)
    there = record.role == terms.CONSUMER and record.state == terms.STARTED and record.format == transfer.PULL
    if record.data_address_sealed is None or not there:
        raise errors.NotFoundError(
            f"transfer {transfer_id} has no data to fetch now",
            hint="it has while it is STARTED, on the consumer's side",
        )
    return record


async def forget(connector: Connector, transfer_id: str) -> None:
    """Drop the address and the token of a transfer here; the transfer goes on until somebody ends it.

    Raises:
        NotFoundError: there is no such transfer, or it has no data to fetch now.
        ConflictError: this connector is fetching the data with it.
    """

    async def unit(tx: Transaction) -> None:
        record = await _load(tx, transfer_id)
        pull = await pulls.find(tx, transfer_id)
        if pull is not None and pull.state in {pulls.WAITING, pulls.RUNNING}:
            raise errors.ConflictError(
                f"the data of transfer {transfer_id} is being fetched with it",
                hint="terminate the transfer to stop that",
            )
        await transfers.save(tx, msgspec.structs.replace(record, data_address_sealed=None))

    await connector.database.write(unit)
