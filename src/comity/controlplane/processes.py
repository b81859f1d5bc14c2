"""Negotiations, agreements and transfers for our own people and programs: started, asked about, moved on.

What a partner's messages do is `negotiation` and `transfer`; here is what people and programs ask of the same
records, shown as EDC's management API shows them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from comity import errors
from comity.controlplane import asked, decide, destinations, negotiation_moves, transfer_moves, webhooks
from comity.controlplane.connector import Connector
from comity.db import (
    agreements,
    approvals,
    negotiations,
    offers,
    outbox,
    partners,
    pulls,
    pushes,
    retirements,
    transfers,
)
from comity.db.store import OfProcess, Transaction
from comity.dsp import binding, negotiation, push, terms, transfer
from comity.dsp.negotiation import Agreement, Negotiation
from comity.dsp.transfer import Transfer
from comity.management import policy, query
from comity.management import processes as forms

Document = dict[str, Any]
Then = Callable[[Connector, Transaction, Negotiation], Awaitable[None]]


def check_address(connector: Connector, address: str, *, path: str = "$.counterPartyAddress") -> None:
    """Refuse an address of a partner, where one is given, to which no message could or may be sent.

    Raises:
        InvalidInputError: at `path`.
    """
    if not address:
        return
    binding.check_address(address, path=path)
    webhooks.check_address(connector, address, path=path)


async def request_contract(
    connector: Connector, form: forms.ContractRequest, *, then: Then | None = None, by: str = ""
) -> tuple[str, int]:
    """Begin a negotiation as consumer and return its id and time of creation (ms); `then` is done in the same step.

    `by` is the API key of who wants it.

    Raises:
        PolicyError: people have to approve it, and nobody beside this one could.
        NotFoundError: no such partner.
        InvalidInputError: the offer or the address cannot be used.
    """
    check_address(connector, form.address)
    webhooks.check_callbacks(connector, form.callbacks)

    async def unit(tx: Transaction) -> Negotiation:
        partner = await partners.load(tx, form.counterparty_id)
        offer = _message_offer(form.offer, form.offer.id)
        record = await negotiation_moves.request(
            connector, tx, partner, offer, form.address or partner.address, by=by
        )
        await webhooks.add_callbacks(connector, tx, record.id, form.callbacks)
        if then is not None:
            await then(connector, tx, record)
        return record

    record = await connector.database.write(OfProcess(connector.new_id(), unit))  # about one that is new
    return record.id, record.created_at


async def offer_contract(connector: Connector, form: forms.ContractRequest) -> tuple[str, int]:
    """Begin a negotiation as provider with an offer and return its id and time of creation (ms).

    Raises:
        NotFoundError: no such partner.
        InvalidInputError: there is no such asset, or the address cannot be used.
    """
    check_address(connector, form.address)
    webhooks.check_callbacks(connector, form.callbacks)

    async def unit(tx: Transaction) -> Negotiation:
        partner = await partners.load(tx, form.counterparty_id)
        if await offers.find(tx, offers.Asset, form.offer.target) is None:
            raise errors.InvalidInputError(f"there is no asset {form.offer.target}", path="$.policy.target")
        offer = _message_offer(form.offer, form.offer.id or connector.new_id())
        address = form.address or partner.address
        record = await negotiation_moves.offer(connector, tx, partner, offer, address)
        await webhooks.add_callbacks(connector, tx, record.id, form.callbacks)
        return record

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
    check_address(connector, form.address)
    folder = destinations.check(connector, form.destination)
    if form.properties and not form.endpoint:
        folder = destinations.of_bucket(connector, form.properties)
    await destinations.reach(connector, folder)
    webhooks.check_callbacks(connector, form.callbacks)
    wanted = transfer_moves.Wanted(
        form.transfer_type, folder, _pushed_to(form, folder), form.purpose, form.revision
    )

    async def unit(tx: Transaction) -> Transfer:
        agreement = await agreements.load(tx, form.agreement_id)
        _check_agreement(agreement, form)
        retired = await retirements.find(tx, agreement.negotiation_id)
        if retired is not None:
            raise errors.ConflictError(retired.words, hint="negotiate a new one")
        partner = await partners.load(tx, agreement.counterparty_id)
        address = form.address or partner.address
        record = await transfer_moves.request(connector, tx, agreement, address, wanted)
        await webhooks.add_callbacks(connector, tx, record.id, form.callbacks)
        if form.private_properties:
            await transfers.set_properties(tx, record.id, form.private_properties)
        return record

    record = await connector.database.write(unit)
    return record.id, record.created_at


def _pushed_to(form: forms.TransferRequest, folder: str) -> Document | None:
    """Return the data address of the endpoint that is to be pushed to, None for a folder of ours or a pull."""
    if form.transfer_type not in transfer.FORMATS:
        raise errors.InvalidInputError(
            f"the transfer type must be one of {', '.join(transfer.FORMATS)}", path="$.transferType"
        )
    if form.transfer_type == transfer.PULL:
        if form.endpoint:
            raise errors.InvalidInputError(
                f"only {transfer.PUSH} goes to an endpoint; a pull is received into a File or by you",
                path="$.dataDestination.type",
            )
        return None
    if not form.endpoint:
        if not folder:
            raise errors.InvalidInputError(
                "a push needs a destination: a File with a path, or HttpData with a baseUrl",
                path="$.dataDestination",
            )
        return None
    address = push.data_address(form.endpoint, form.properties)
    try:
        push.read(address)
    except errors.InvalidInputError as error:
        raise errors.InvalidInputError(error.message, path="$.dataDestination", hint=error.hint) from None
    return address


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
        record = await negotiations.load(tx, name)
        document = _negotiation(record, *await _intent_of(tx, name))
        if record.approval_id is not None:
            document["approval"] = asked.shown(await approvals.load(tx, record.approval_id))
        return await _with_callbacks(tx, document)

    return await connector.database.read(unit)


async def load_transfer(connector: Connector, name: str) -> Document:
    """Return a transfer as a document.

    Raises:
        NotFoundError: there is none with this id.
    """

    async def unit(tx: Transaction) -> Document:
        document = _transfer(await transfers.load(tx, name), *await _intent_of(tx, name))
        return await _with_callbacks(tx, await _with_pull(tx, document))

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
    """Return the negotiations that a query asks for.

    Raises:
        InvalidInputError: it asks about a field that they do not have.
    """
    wanted = query.resolve(spec, forms.NEGOTIATION_FIELDS, forms.NEGOTIATION_ALIASES)

    async def unit(tx: Transaction) -> list[Document]:
        found = await negotiations.find_page(tx, wanted, _negotiation)
        return [await _with_callbacks(tx, each) for each in found]

    return await connector.database.read(unit)


async def find_transfers(connector: Connector, spec: query.Spec) -> list[Document]:
    """Return the transfers that a query asks for.

    Raises:
        InvalidInputError: it asks about a field that they do not have.
    """
    wanted = query.resolve(spec, forms.TRANSFER_FIELDS, forms.TRANSFER_ALIASES)

    async def unit(tx: Transaction) -> list[Document]:
        found = [await _with_pull(tx, each) for each in await transfers.find_page(tx, wanted, _transfer)]
        return [await _with_callbacks(tx, each) for each in found]

    return await connector.database.read(unit)


async def find_agreements(connector: Connector, spec: query.Spec) -> list[Document]:
    """Return the agreements in force that a query asks for.

    Raises:
        InvalidInputError: it asks about a field that they do not have.
    """
    wanted = query.resolve(spec, forms.AGREEMENT_FIELDS)
    return await connector.database.read(lambda tx: agreements.find_page(tx, wanted, _agreement))


async def _intent_of(tx: Transaction, name: str) -> tuple[str, str]:
    rows = [row for row in await outbox.find_of_process(tx, name) if not row.implied]
    return (rows[-1].leads_to, rows[-1].last_error) if rows else ("", "")


def _negotiation(record: Negotiation, leads_to: str, error: str) -> Document:
    return forms.encode_negotiation(
        _shown(record, leads_to, error),
        agreement_id=record.agreement_id,
        offer=record.offer,
        offered_by=record.offered_by,
    )


def _transfer(record: Transfer, leads_to: str, error: str) -> Document:
    shown = _shown(record, leads_to, error)
    return forms.encode_transfer(
        shown,
        agreement_id=record.agreement_id,
        transfer_type=record.format,
        purpose=record.purpose,
        revision=record.revision,
    )


def _shown(record: Negotiation | Transfer, leads_to: str, error: str) -> forms.Shown:
    return forms.Shown(
        id=record.id,
        role=record.role,
        state=forms.state(record.state, leads_to),
        counterparty_id=record.counterparty_id,
        counterparty_address=record.counterparty_address,
        correlation_id=record.counterparty_pid,
        asset_id=record.asset_id,
        error=record.error or error,
        created_at=record.created_at,
        updated_at=record.updated_at,
    )


async def _with_pull(tx: Transaction, document: Document) -> Document:
    """Add what is said of it here only: its private properties, the folder that its data goes to, what hinders that."""
    if properties := await transfers.find_properties(tx, document["@id"]):
        document = {**document, "privateProperties": properties}
    pull = await pulls.find(tx, document["@id"])
    moved = pull or await pushes.find(tx, document["@id"])
    if moved is not None and moved.error and "errorDetail" not in document:
        document = {**document, "errorDetail": moved.error}
    folder = {"dataDestination": forms.encode_destination(pull.destination)} if pull is not None else {}
    return {**document, **folder}


async def _with_callbacks(tx: Transaction, document: Document) -> Document:
    """Add who is told of its events."""
    return {**document, "callbackAddresses": await webhooks.find_callbacks(tx, document["@id"])}


def _agreement(agreement: Agreement) -> Document:
    return forms.encode_agreement(
        agreement.id,
        agreement.document,
        negotiation_id=agreement.negotiation_id,
        created_at=agreement.created_at,
    )


async def move_negotiation(
    connector: Connector,
    name: str,
    kind: str,
    *,
    reason: str = "",
    offer: policy.Offer | None = None,
    by: str = "",
) -> None:
    """Make a person's move in a negotiation; an offer or a request has its terms in `offer`, `by` is the API key.

    Raises:
        NotFoundError: there is none with this id.
        LocalProtocolError: the protocol does not allow it now.
    """
    proposed = {**offer.terms, **({"@id": offer.id} if offer.id else {})} if offer else None
    await negotiation_moves.make(
        connector, name, decide.Move(kind=kind, reason=reason, policy=proposed), by=by
    )


async def move_transfer(connector: Connector, name: str, kind: str, *, reason: str = "") -> None:
    """Make a person's move in a transfer.

    Raises:
        NotFoundError: there is none with this id.
        LocalProtocolError: the protocol does not allow it now.
        PolicyError: a start that the agreement does not allow.
    """
    await transfer_moves.make(connector, name, decide.Move(kind=kind, reason=reason))
