"""Negotiations, agreements and transfers for our own people and programs: started, asked about, moved on.

What a partner's messages do is `negotiation` and `transfer`; here is what people and programs ask of the same
records, shown as EDC's management API shows them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec

from comity import errors
from comity.controlplane import decide, negotiation_moves, transfer_moves
from comity.controlplane.connector import Connector
from comity.db import agreements, negotiations, offers, outbox, partners, pulls, transfers
from comity.db.database import Transaction
from comity.dsp import binding, negotiation, terms, transfer
from comity.dsp.negotiation import Agreement, Negotiation
from comity.dsp.transfer import Transfer
from comity.management import policy, query
from comity.management import processes as forms

Document = dict[str, Any]
Intents = dict[str, tuple[str, str]]
T = TypeVar("T", Negotiation, Agreement, Transfer)


def check_address(connector: Connector, address: str, *, path: str = "$.counterPartyAddress") -> None:
    """Refuse an address of a partner, where one is given, to which no message could or may be sent.

    Raises:
        InvalidInputError: at `path`.
    """
    if not address:
        return
    binding.check_address(address, path=path)
    try:
        connector.egress.check_url(address)
    except errors.PermanentDeliveryError as error:
        raise errors.InvalidInputError(
            f"this address is refused: {error.message}", path=path, hint=error.hint
        ) from None


async def request_contract(connector: Connector, form: forms.ContractRequest) -> tuple[str, int]:
    """Begin a negotiation as consumer and return its id and time of creation (ms).

    Raises:
        NotFoundError: no such partner.
        InvalidInputError: the offer or the address cannot be used.
    """
    check_address(connector, form.address)

    async def unit(tx: Transaction) -> Negotiation:
        partner = await partners.load(tx, form.counterparty_id)
        offer = _message_offer(form.offer, form.offer.id)
        return await negotiation_moves.request(connector, tx, partner, offer, form.address or partner.address)

    record = await connector.database.write(unit)
    return record.id, record.created_at


async def offer_contract(connector: Connector, form: forms.ContractRequest) -> tuple[str, int]:
    """Begin a negotiation as provider with an offer and return its id and time of creation (ms).

    Raises:
        NotFoundError: no such partner.
        InvalidInputError: there is no such asset, or the address cannot be used.
    """
    check_address(connector, form.address)

    async def unit(tx: Transaction) -> Negotiation:
        partner = await partners.load(tx, form.counterparty_id)
        if await offers.find(tx, offers.Asset, form.offer.target) is None:
            raise errors.InvalidInputError(f"there is no asset {form.offer.target}", path="$.policy.target")
        offer = _message_offer(form.offer, form.offer.id or connector.new_id())
        return await negotiation_moves.offer(connector, tx, partner, offer, form.address or partner.address)

    record = await connector.database.write(unit)
    return record.id, record.created_at


def _message_offer(offer: policy.Offer, offer_id: str) -> Document:
    return negotiation.message_offer(offer.terms, offer_id=offer_id, target=offer.target)


async def request_transfer(connector: Connector, form: forms.TransferRequest) -> tuple[str, int]:
    """Ask for the data of an agreement as consumer and return the transfer's id and time of creation (ms).

    Raises:
        NotFoundError: no such agreement, or its provider is no partner any more.
        ConflictError: the agreement is not in force.
        InvalidInputError: something in the request cannot be, or contradicts the agreement.
        StorageError: the folder is not one that may be written.
    """
    if form.transfer_type != transfer.PULL:
        raise errors.InvalidInputError(
            f"the transfer type must be {transfer.PULL}; pushing comes with a later version",
            path="$.transferType",
        )
    check_address(connector, form.address)
    folder = connector.files.check_destination(form.destination) if form.destination else ""

    async def unit(tx: Transaction) -> Transfer:
        agreement = await agreements.load(tx, form.agreement_id)
        _check_agreement(agreement, form)
        partner = await partners.load(tx, agreement.counterparty_id)
        record = await transfer_moves.request(connector, tx, agreement, form.address or partner.address)
        if folder:
            pull = pulls.Pull(transfer_id=record.id, destination=folder, updated_at=connector.now_ms())
            await pulls.save(tx, pull)
        return record

    record = await connector.database.write(unit)
    return record.id, record.created_at


def _check_agreement(agreement: Agreement, form: forms.TransferRequest) -> None:
    if agreement.role != terms.CONSUMER:
        raise errors.InvalidInputError(
            "in this agreement this connector is the provider; the consumer asks for the data",
            path="$.contractId",
        )
    for name, given, agreed in (
        ("counterPartyId", form.counterparty_id, agreement.counterparty_id),
        ("assetId", form.asset_id, agreement.asset_id),
    ):
        if given and given != agreed:
            raise errors.InvalidInputError(f"the agreement says {agreed}", path=f"$.{name}")
    if not agreement.finalized:
        raise errors.ConflictError(
            f"agreement {agreement.id} is not in force", hint="its negotiation must be FINALIZED"
        )


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
        document = _transfer(await transfers.load(tx, name), await _intents_of(tx, name))
        return await _with_pull(tx, document)

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
        NotFoundError: there is no such negotiation, or it has none (yet).
    """

    async def unit(tx: Transaction) -> Agreement | None:
        await negotiations.load(tx, negotiation_id)
        return await agreements.find_by_negotiation(tx, negotiation_id)

    found = await connector.database.read(unit)
    if found is None:
        raise errors.NotFoundError(f"negotiation {negotiation_id} has no agreement yet")
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

    async def unit(tx: Transaction) -> tuple[list[Negotiation], Intents]:
        return await negotiations.find_all(tx), await _all_intents(tx, terms.NEGOTIATION)

    found, intents = await connector.database.read(unit)
    documents = _documents(found, lambda each: _negotiation(each, intents))
    return query.select(documents, spec, forms.NEGOTIATION_FIELDS, forms.NEGOTIATION_ALIASES)


async def find_transfers(connector: Connector, spec: query.Spec) -> list[Document]:
    """Return the transfers that a query asks for."""

    async def unit(tx: Transaction) -> list[Document]:
        found, intents = await transfers.find_all(tx), await _all_intents(tx, terms.TRANSFER)
        documents = _documents(found, lambda each: _transfer(each, intents))
        chosen = query.select(documents, spec, forms.TRANSFER_FIELDS, forms.TRANSFER_ALIASES)
        return [await _with_pull(tx, each) for each in chosen]

    return await connector.database.read(unit)


async def find_agreements(connector: Connector, spec: query.Spec) -> list[Document]:
    """Return the agreements in force that a query asks for."""
    found = [each for each in await connector.database.read(agreements.find_all) if each.finalized]
    return query.select(_documents(found, _agreement), spec, forms.AGREEMENT_FIELDS)


def _documents(records: Sequence[T], write: Callable[[T], Document]) -> list[Document]:
    return [write(each) for each in records]


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
        offer=record.offer,
        offered_by=record.offered_by,
        error=record.error or error,
        created_at=record.created_at,
        updated_at=record.updated_at,
    )


def _transfer(record: Transfer, intents: Intents) -> Document:
    leads_to, error = intents.get(record.id, ("", ""))
    return forms.encode_transfer(
        record.id,
        role=record.role,
        shown_state=forms.state(record.state, leads_to),
        counterparty_id=record.counterparty_id,
        counterparty_address=record.counterparty_address,
        correlation_id=record.counterparty_pid,
        asset_id=record.asset_id,
        agreement_id=record.agreement_id,
        transfer_type=record.format,
        error=record.error or error,
        created_at=record.created_at,
        updated_at=record.updated_at,
    )


async def _with_pull(tx: Transaction, document: Document) -> Document:
    """Add into which folder the data is fetched, and what stands in the way of it."""
    pull = await pulls.find(tx, document["@id"])
    if pull is None:
        return document
    error = {"errorDetail": pull.error} if pull.error and "errorDetail" not in document else {}
    return {**document, "dataDestination": forms.encode_destination(pull.destination), **error}


def _agreement(agreement: Agreement) -> Document:
    return forms.encode_agreement(
        agreement.id,
        agreement.document,
        negotiation_id=agreement.negotiation_id,
        created_at=agreement.created_at,
    )


async def load_data_address(connector: Connector, name: str) -> Document:
    """Return where and with which token the data of a started transfer can be fetched, as EDC's clients read it.

    Raises:
        NotFoundError: there is no such transfer, or it has no data to fetch now.
    """
    record = await connector.database.read(lambda tx: transfers.load(tx, name))
    if record.data_address_sealed is None or record.state != terms.STARTED:
        raise errors.NotFoundError(
            f"transfer {name} has no data to fetch now",
            hint="it has while it is STARTED, on the consumer's side",
        )
    plain = connector.seal.open(record.data_address_sealed, transfer_moves.ADDRESS + record.id)
    access = transfer.access(msgspec.json.decode(plain))
    token = (access.authorization or "").removeprefix("Bearer ")
    return forms.encode_data_address(transfer.HTTP_ENDPOINT, access.endpoint, token)


async def move_negotiation(
    connector: Connector, name: str, kind: str, *, reason: str = "", offer: policy.Offer | None = None
) -> None:
    """Make a person's move in a negotiation; an offer or a request has its terms in `offer`.

    Raises:
        NotFoundError: there is none with this id.
        LocalProtocolError: the protocol does not allow it now.
    """
    proposed = {**offer.terms, **({"@id": offer.id} if offer.id else {})} if offer else None
    await negotiation_moves.make(connector, name, decide.Move(kind=kind, reason=reason, policy=proposed))


async def move_transfer(connector: Connector, name: str, kind: str, *, reason: str = "") -> None:
    """Make a person's move in a transfer.

    Raises:
        NotFoundError: there is none with this id.
        LocalProtocolError: the protocol does not allow it now.
        PolicyError: a start that the agreement does not allow.
    """
    await transfer_moves.make(connector, name, decide.Move(kind=kind, reason=reason))
