"""Negotiations, agreements and transfers for our own people and programs: started, asked about, moved on."""

from __future__ import annotations

from typing import Any

import msgspec

from comity import errors
from comity.controlplane import decide, negotiation_moves, transfer_moves
from comity.controlplane.connector import Connector
from comity.db import agreements, negotiations, outbox, partners, pulls, transfers
from comity.db.database import Transaction
from comity.dsp import negotiation, terms, transfer
from comity.dsp.negotiation import Agreement, Negotiation
from comity.dsp.transfer import Transfer
from comity.management import processes as forms
from comity.management import query

Document = dict[str, Any]
Intents = dict[str, tuple[str, str]]


async def request_contract(connector: Connector, form: forms.ContractRequest) -> tuple[str, int]:
    """Begin a negotiation as consumer and return its id and time of creation (ms).

    Raises:
        NotFoundError: no such partner.
        InvalidInputError: the offer cannot be read.
    """

    async def unit(tx: Transaction) -> Negotiation:
        partner = await partners.load(tx, form.counterparty_id)
        offer = negotiation.message_offer(form.offer, offer_id=form.offer["@id"], target=form.offer["target"])
        return await negotiation_moves.request(connector, tx, partner, offer, form.address or partner.address)

    record = await connector.database.write(unit)
    return record.id, record.created_at


async def offer_contract(connector: Connector, form: forms.ContractRequest) -> tuple[str, int]:
    """Begin a negotiation as provider with an offer and return its id and time of creation (ms).

    Raises:
        NotFoundError: no such partner.
        InvalidInputError: the offer cannot be read.
    """

    async def unit(tx: Transaction) -> Negotiation:
        partner = await partners.load(tx, form.counterparty_id)
        offer = negotiation.message_offer(form.offer, offer_id=form.offer["@id"], target=form.offer["target"])
        return await negotiation_moves.offer(connector, tx, partner, offer, form.address or partner.address)

    record = await connector.database.write(unit)
    return record.id, record.created_at


async def request_transfer(connector: Connector, form: forms.TransferRequest) -> tuple[str, int]:
    """Ask for the data of an agreement as consumer and return the transfer's id and time of creation (ms).

    Raises:
        NotFoundError: no such agreement.
        InvalidInputError: a transfer type that is not supported, or an agreement in which we are the provider.
        StorageError: the folder is not one that may be written.
    """
    if form.transfer_type != transfer.PULL:
        raise errors.InvalidInputError(f"the transfer type must be {transfer.PULL}", path="$.transferType")
    folder = connector.files.check_destination(form.destination) if form.destination else ""

    async def unit(tx: Transaction) -> Transfer:
        agreement = await agreements.load(tx, form.agreement_id)
        if agreement.role != terms.CONSUMER or not agreement.finalized:
            raise errors.InvalidInputError(
                "this is no agreement in force in which this connector is the consumer", path="$.contractId"
            )
        partner = await partners.load(tx, agreement.counterparty_id)
        record = await transfer_moves.request(connector, tx, agreement, form.address or partner.address)
        if folder:
            pull = pulls.Pull(transfer_id=record.id, destination=folder, updated_at=connector.now_ms())
            await pulls.save(tx, pull)
        return record

    record = await connector.database.write(unit)
    return record.id, record.created_at


async def load_negotiation(connector: Connector, name: str) -> Document:
    """Return a negotiation as a document.

    Raises:
        NotFoundError: there is none with this id.
    """

    async def unit(tx: Transaction) -> Document:
        return _negotiation(await negotiations.load(tx, name), await _intents_of(tx, name))

    return await connector.database.read(unit)


async def load_transfer(connector: Connector, name: str) -> Document:
    """Return a transfer as a document.

    Raises:
        NotFoundError: there is none with this id.
    """

    async def unit(tx: Transaction) -> Document:
        return _transfer(await transfers.load(tx, name), await _intents_of(tx, name))

    return await connector.database.read(unit)


async def load_agreement(connector: Connector, name: str) -> Document:
    """Return an agreement as a document.

    Raises:
        NotFoundError: there is none with this id.
    """
    return _agreement(await connector.database.read(lambda tx: agreements.load(tx, name)))


async def load_agreement_of(connector: Connector, negotiation_id: str) -> Document:
    """Return the agreement of a negotiation.

    Raises:
        NotFoundError: it has none (yet).
    """
    found = await connector.database.read(lambda tx: agreements.find_by_negotiation(tx, negotiation_id))
    if found is None:
        raise errors.NotFoundError(f"negotiation {negotiation_id} has no agreement")
    return _agreement(found)


async def load_negotiation_of(connector: Connector, agreement_id: str) -> Document:
    """Return the negotiation that led to an agreement.

    Raises:
        NotFoundError: there is no such agreement.
    """
    agreement = await connector.database.read(lambda tx: agreements.load(tx, agreement_id))
    return await load_negotiation(connector, agreement.negotiation_id)


async def find_negotiations(connector: Connector, spec: query.Spec) -> list[Document]:
    """Return the negotiations that a query asks for."""

    async def unit(tx: Transaction) -> list[Document]:
        intents = await _all_intents(tx, terms.NEGOTIATION)
        return [_negotiation(each, intents) for each in await negotiations.find_all(tx)]

    return _select(await connector.database.read(unit), spec, forms.NEGOTIATION_FIELDS)


async def find_transfers(connector: Connector, spec: query.Spec) -> list[Document]:
    """Return the transfers that a query asks for."""

    async def unit(tx: Transaction) -> list[Document]:
        intents = await _all_intents(tx, terms.TRANSFER)
        return [_transfer(each, intents) for each in await transfers.find_all(tx)]

    return _select(await connector.database.read(unit), spec, forms.TRANSFER_FIELDS)


async def find_agreements(connector: Connector, spec: query.Spec) -> list[Document]:
    """Return the agreements in force that a query asks for."""
    found = [each for each in await connector.database.read(agreements.find_all) if each.finalized]
    return _select([_agreement(each) for each in found], spec, forms.AGREEMENT_FIELDS)


def _select(documents: list[Document], spec: query.Spec, fields: tuple[str, ...]) -> list[Document]:
    chosen = query.select([forms.find_fields(each) for each in documents], spec, fields)
    by_id = {each["@id"]: each for each in documents}
    return [by_id[each["@id"]] for each in chosen]


async def _intents_of(tx: Transaction, name: str) -> Intents:
    rows = [row for row in await outbox.find_of_process(tx, name) if not row.implied]
    return {name: (rows[-1].leads_to, rows[-1].last_error)} if rows else {}


async def _all_intents(tx: Transaction, kind: str) -> Intents:
    return {name: (leads_to, error) for name, leads_to, error in await outbox.find_intents(tx, kind)}


def _negotiation(record: Negotiation, intents: Intents) -> Document:
    leads_to, error = intents.get(record.id, ("", ""))
    return forms.encode_negotiation(
        record.id,
        role=record.role,
        shown_state=forms.state(record.state, leads_to),
        counterparty_id=record.counterparty_id,
        counterparty_address=record.counterparty_address,
        asset_id=record.asset_id,
        correlation_id=record.counterparty_pid,
        agreement_id=record.agreement_id,
        error=record.error or error,
        created_at=record.created_at,
    )


def _transfer(record: Transfer, intents: Intents) -> Document:
    leads_to, error = intents.get(record.id, ("", ""))
    return forms.encode_transfer(
        record.id,
        role=record.role,
        shown_state=forms.state(record.state, leads_to),
        counterparty_id=record.counterparty_id,
        correlation_id=record.counterparty_pid,
        asset_id=record.asset_id,
        agreement_id=record.agreement_id,
        transfer_type=record.format,
        error=record.error or error,
        created_at=record.created_at,
        updated_at=record.updated_at,
    )


def _agreement(agreement: Agreement) -> Document:
    return forms.encode_agreement(agreement.id, agreement.document, agreement.created_at)


async def load_data_address(connector: Connector, name: str) -> Document:
    """Return where and with which token the data of a started transfer can be fetched, as EDC's clients read it.

    Raises:
        NotFoundError: there is no such transfer with data to fetch now.
    """
    record = await connector.database.read(lambda tx: transfers.load(tx, name))
    if record.data_address_sealed is None or record.state != terms.STARTED:
        raise errors.NotFoundError(f"transfer {name} has no data to fetch now", hint="it must be STARTED")
    plain = connector.seal.open(record.data_address_sealed, transfer_moves.ADDRESS + record.id)
    access = transfer.access(msgspec.json.decode(plain))
    token = (access.authorization or "").removeprefix("Bearer ")
    return {
        "@type": "DataAddress",
        "type": transfer.HTTP_ENDPOINT,
        "endpointType": transfer.HTTP_ENDPOINT,
        "endpoint": access.endpoint,
        "authorization": token,
        "authType": "bearer",
    }


async def move_negotiation(
    connector: Connector, name: str, kind: str, *, reason: str = "", policy: Document | None = None
) -> None:
    """Make a person's move in a negotiation.

    Raises:
        NotFoundError: there is none with this id.
        LocalProtocolError: the protocol does not allow it now.
    """
    await negotiation_moves.make(connector, name, decide.Move(kind=kind, reason=reason, policy=policy))


async def move_transfer(connector: Connector, name: str, kind: str, *, reason: str = "") -> None:
    """Make a person's move in a transfer.

    Raises:
        NotFoundError: there is none with this id.
        LocalProtocolError: the protocol does not allow it now.
        PolicyError: a start that the agreement does not allow.
    """
    await transfer_moves.make(connector, name, decide.Move(kind=kind, reason=reason))
