"""From a partner's catalog to files in a folder, in one request: the connector goes on over restarts by itself.

Ask for the dataset, take an agreement in force or negotiate one, ask for the data; pulling and completing are
`pulling`'s. Each stage is read from the records it left, so there is no state here that could differ from theirs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from comity import errors
from comity.controlplane import (
    asked,
    catalog,
    destinations,
    facts,
    negotiation_moves,
    offering,
    revision_states,
    seals,
    standing,
    transfer_moves,
)
from comity.controlplane.connector import Connector
from comity.dataplane.kept import STORE
from comity.db import (
    approvals,
    deliveries,
    exchanges,
    negotiations,
    outbox,
    partners,
    pulls,
    revisions,
    transfers,
)
from comity.db.exchanges import Exchange
from comity.db.store import Transaction
from comity.dsp import catalog as catalog_forms
from comity.dsp import negotiation, spelling, terms, transfer
from comity.management import policy, query
from comity.odrl import compare, duties, edc, purposes
from comity.odrl.policy import describe
from comity.techdata.effectivity import RECALLED, RELEASED

Document = dict[str, Any]
Then = Callable[[Transaction, Exchange], Awaitable[None]]
CATALOG, NEGOTIATING, REQUESTING, PULLING, COMPLETED, FAILED = (
    "CATALOG",
    "NEGOTIATING",
    "REQUESTING",
    "PULLING",
    "COMPLETED",
    "FAILED",
)


async def start(
    connector: Connector,
    counterparty_id: str,
    asset_id: str,
    destination: str,
    *,
    offer_id: str = "",
    shown: Document | None = None,
    purpose: str = "",
    revision: int = 0,
    bytes_per_s: int = 0,
    by: str = "",
    then: Then | None = None,
) -> Exchange:
    """Begin to get a partner's asset into the folder `destination`, or return the exchange that does so already.

    `shown` is the offer as a person saw it: EDC gives an offer another id each time, then its terms tell which it is.
    `purpose` is what the data is for: the partner is told, and both sides have it in the evidence. `revision` is the
    number of the one that is wanted, 0 for the newest that is released; `bytes_per_s` how fast it may come, 0 for no
    limit of its own. `by` is the API key of who wants it. With
    `then`, which runs in the unit that begins it, it is always a new exchange, and the purpose has to be named where
    the offer asks for one.

    Raises:
        NotFoundError: no such partner, dataset or offer.
        StorageError: the folder is not one that may be written.
        InvalidInputError: the partner offers the data by push only, and there is no folder.
        DeliveryError: the partner cannot be reached or refuses.
        ConflictError: the exchange that does so already is for another purpose or another revision, or the revision was
            recalled.
        PolicyError: the offer is for other purposes, or has ended; or it leaves the store, and no purpose is named.
    """
    destination = destinations.check(connector, destination)
    going_on = await connector.database.read(
        lambda tx: _find_open(tx, counterparty_id, asset_id, destination)
    )
    if going_on is not None and then is None:
        return _same(going_on, purpose, revision)
    await destinations.reach(connector, destination)
    dataset = await _dataset(connector, counterparty_id, asset_id)
    await _check_revision(connector, counterparty_id, dataset, asset_id, revision)
    offer = _choose(dataset, asset_id, offer_id, shown)
    _check_end(offer, connector.now_ms())
    _check_purpose(offer, purpose)
    if then is not None or destination not in {"", STORE}:
        _check_stated(offer, purpose, "read" if then else "taken out of the node's store")
    data_format = _choose_format(dataset, asset_id, destination)
    wanted = Exchange(
        id=connector.new_id(),
        counterparty_id=counterparty_id,
        asset_id=asset_id,
        destination=destination,
        manifest_sha256=_manifest(dataset, revision),
        format=data_format,
        purpose=purpose,
        revision=revision,
        bytes_per_s=bytes_per_s,
        created_at=connector.now_ms(),
    )
    return await connector.database.write(lambda tx: _begin(connector, tx, wanted, offer, by=by, then=then))


async def _dataset(connector: Connector, counterparty_id: str, asset_id: str) -> Document:
    try:
        return await catalog.request_dataset(connector, counterparty_id, None, asset_id)
    except errors.PermanentDeliveryError as error:
        if error.status != catalog.NOT_FOUND:
            raise
        raise errors.NotFoundError(
            f"{counterparty_id} offers you no asset {asset_id[:200]}",
            hint="see what it offers with: comity catalog PARTNER; it shows nothing whose terms you do not fulfil,"
            " such as a purpose that it has not written down for you",
        ) from error


async def _check_revision(
    connector: Connector, counterparty_id: str, dataset: Document, asset_id: str, wanted: int
) -> None:
    """Refuse a revision that is known not to be had, before anything is agreed about it.

    Raises:
        NotFoundError: the partner has none of this number.
        ConflictError: the partner told, or its catalog shows, that it is recalled.
    """
    shown = str(dataset.get("comity:revision") or "")
    newest = int(shown) if shown.isdecimal() and len(shown) < 10 else 0  # noqa: PLR2004  as large as one may be
    gone = dataset.get("comity:revisionStatus") == RECALLED
    wanted = wanted or (newest if gone else 0)
    if not wanted:
        return
    told = await connector.database.read(lambda tx: revisions.find_told(tx, counterparty_id, asset_id))
    found = next((each for each in told if each.number == wanted), None)
    if (gone and wanted == newest) or (found is not None and found.state == RECALLED):
        why = revision_states.recalled(wanted, found.reason if found is not None else "")
        raise errors.ConflictError(why, hint="get another revision")
    if found is None and 0 < newest < wanted:
        raise errors.NotFoundError(f"there is no revision {wanted} of it; the newest is {newest}")


def _manifest(dataset: Document, revision: int) -> str:
    """Return the SHA-256 of the manifest that a dataset names, empty if another revision of it is wanted."""
    named, current = dataset.get("comity:manifestSha256"), dataset.get("comity:revision")
    return named if isinstance(named, str) and str(revision) in {"0", current} else ""


async def look_again(connector: Connector, transfer_id: str) -> None:
    """Keep which package a partner's catalog shows now: it may have published another since an exchange began."""
    found = await connector.database.read(lambda tx: exchanges.find_by_transfer(tx, transfer_id))
    if found is None or found.revision or not found.manifest_sha256:
        return
    dataset = await _dataset(connector, found.counterparty_id, found.asset_id)

    async def unit(tx: Transaction) -> None:
        now = await exchanges.load(tx, found.id)
        shown = _manifest(dataset, now.revision) or now.manifest_sha256
        await exchanges.save(tx, msgspec.structs.replace(now, manifest_sha256=shown))

    await connector.database.write(unit)


def _same(going_on: Exchange, purpose: str, revision: int) -> Exchange:
    if revision != going_on.revision:
        asked = f"revision {going_on.revision}" if going_on.revision else "the newest revision"
        raise errors.ConflictError(
            f"it is being received already, {asked}", hint="wait until it has ended, or name another folder"
        )
    if purpose not in {"", going_on.purpose}:
        raise errors.ConflictError(
            f"it is being received already, {f'for {going_on.purpose}' if going_on.purpose else 'without a purpose'}",
            hint="wait until it has ended, or name another folder",
        )
    return going_on


def _check_end(offer: Document, now_ms: int) -> None:
    """Refuse an offer that has ended by EDC's `inForceDate`: it is agreed to all the same, and then gives nothing."""
    parsed, now_us = offering.parse(offer), now_ms * 1000
    said = [describe(each) for each in facts.atoms(parsed, "permission") if each.operand == edc.NAME]
    over = duties.over(parsed, now_us) if said else None
    if over is not None and over < now_us:
        raise errors.PolicyError(
            f"what is offered has ended: {'; '.join(said)}",
            hint="choose another offer of it, or ask the partner for one",
        )


def _check_stated(offer: Document, purpose: str, done: str) -> None:
    """Refuse to fetch what would be opened at once without the purpose that has to be stated for that."""
    wanted = () if purpose else purposes.wanted(offering.parse(offer))
    if wanted:
        raise errors.PolicyError(
            f"name the purpose for which it is {done}: {', '.join(wanted)}",
            hint="" if done == "read" else "say it with --purpose; or receive it into the store, without -o",
        )


def _check_purpose(offer: Document, purpose: str) -> None:
    """Refuse to ask for data for a purpose for which it is not offered: the provider would refuse it too."""
    allowed = facts.named(offering.parse(offer), facts.PURPOSE, rules="permission", operators=facts.NAMING)
    if purpose and allowed and purpose not in allowed:
        raise errors.PolicyError(
            f"it is not offered for {purpose}", hint=f"it is offered for: {', '.join(sorted(allowed))}"
        )


def _choose_format(dataset: Document, asset_id: str, destination: str) -> str:
    """Return how to get the data: by pull where the provider offers it or says nothing, else by push."""
    offered = catalog_forms.formats(dataset)
    if transfer.PUSH not in offered or transfer.PULL in offered:
        return transfer.PULL
    if not destination:
        raise errors.InvalidInputError(
            f"the partner only pushes {asset_id}: name a folder that takes it", path="$.destination"
        )
    return transfer.PUSH


def _choose(dataset: Document, asset_id: str, offer_id: str, shown: Document | None) -> Document:
    try:
        found = catalog_forms.listed(dataset, "hasPolicy", "odrl:hasPolicy")
    except errors.InvalidInputError as error:
        raise _unreadable(asset_id, error) from None
    listed = [each for each in found if isinstance(each, dict)]
    usable = [each for each in listed if offer_id in {"", each.get("@id")}]
    if not usable and shown is not None:
        usable = [each for each in listed if _has_terms_of(each, shown)]
    if not usable:
        what = f"no offer {offer_id}" if offer_id else "no offer"
        raise errors.NotFoundError(f"the partner has {what} for {asset_id}")
    try:
        chosen = policy.read_offer({"policy": usable[0]})
        offer = negotiation.message_offer(chosen.terms, offer_id=chosen.id, target=asset_id)
        negotiation.check_offer(offer)
    except errors.InvalidInputError as error:
        raise _unreadable(asset_id, error) from None
    context = [*spelling.further(dataset.get("@context")), *spelling.further(usable[0].get("@context"))]
    return spelling.within(offer, context)


def _unreadable(asset_id: str, error: errors.InvalidInputError) -> errors.PermanentDeliveryError:
    return errors.PermanentDeliveryError(
        f"the partner's offer for {asset_id} cannot be read: {error.message}"
    )


def _has_terms_of(offer: Document, shown: Document) -> bool:
    try:
        return compare.same(offer, shown)
    except errors.InvalidInputError:
        return False


async def _begin(
    connector: Connector, tx: Transaction, wanted: Exchange, offer: Document, *, by: str, then: Then | None
) -> Exchange:
    counterparty_id, asset_id = wanted.counterparty_id, wanted.asset_id
    going_on = await _find_open(tx, counterparty_id, asset_id, wanted.destination)
    if going_on is not None and then is None:  # another request may have begun it while the catalog was asked
        return _same(going_on, wanted.purpose, wanted.revision)
    partner = await partners.load(tx, counterparty_id)
    agreement = await standing.find(tx, counterparty_id, asset_id, offer, wanted.created_at)
    if agreement is not None:
        await transfer_moves.begin(connector, tx, wanted, agreement, partner.address)
    else:
        record = await negotiation_moves.request(connector, tx, partner, offer, partner.address, by=by)
        await exchanges.save(tx, msgspec.structs.replace(wanted, negotiation_id=record.id))
    exchange = await exchanges.load(tx, wanted.id)
    if then is not None:
        await then(tx, exchange)
    return exchange


async def follow(connector: Connector, tx: Transaction, record: negotiation.Negotiation) -> None:
    """Let the transfer of what is negotiated begin by itself; its data is for whoever asks for the address."""
    exchange = Exchange(
        id=connector.new_id(),
        counterparty_id=record.counterparty_id,
        asset_id=record.asset_id,
        destination="",
        negotiation_id=record.id,
        created_at=record.created_at,
    )
    await exchanges.save(tx, exchange)


async def _find_open(
    tx: Transaction, counterparty_id: str, asset_id: str, destination: str
) -> Exchange | None:
    newest = await exchanges.find_newest(tx, counterparty_id, asset_id, destination)
    ended = newest is None or (await status_of(tx, newest))["stage"] in {COMPLETED, FAILED}
    return None if ended else newest


async def status(connector: Connector, exchange_id: str) -> Document:
    """Return how far an exchange has come.

    Raises:
        NotFoundError: there is none with this id.
    """

    async def unit(tx: Transaction) -> Document:
        return await status_of(tx, await exchanges.load(tx, exchange_id))

    return await connector.database.read(unit)


async def find(connector: Connector, spec: query.Spec) -> list[Document]:
    """Return how far the exchanges have come that a query, with its fields as documents have them, asks for."""

    async def unit(tx: Transaction) -> list[Document]:
        return await exchanges.find_page(tx, spec, lambda each: status_of(tx, each))

    return await connector.database.read(unit)


async def status_of(tx: Transaction, exchange: Exchange) -> Document:
    """Return how far an exchange has come, as a document."""
    agreed = await negotiations.find(tx, exchange.negotiation_id) if exchange.negotiation_id else None
    handed = await transfers.find(tx, exchange.transfer_id) if exchange.transfer_id else None
    pull = await pulls.find(tx, exchange.transfer_id) if exchange.transfer_id else None
    came = await deliveries.find(tx, exchange.transfer_id) if exchange.transfer_id else None
    got = (
        await revisions.find_told_by_manifest(tx, came.counterparty_id, came.asset_id, came.sha256)
        if came
        else None
    )
    shown: Document = {
        "@id": exchange.id,
        "@type": "Exchange",
        "counterPartyId": exchange.counterparty_id,
        "assetId": exchange.asset_id,
        "destination": exchange.destination,
        "stage": _stage(exchange, handed.state if handed else None, pull),
        "negotiationId": exchange.negotiation_id,
        "negotiationState": agreed.state if agreed else None,
        "agreementId": exchange.agreement_id or (agreed.agreement_id if agreed else None),
        "transferId": exchange.transfer_id,
        "transferState": handed.state if handed else None,
        "manifestSha256": got.manifest_sha256 if got else exchange.manifest_sha256,
        "sealedBy": (seals.shown(came.seal) or {}).get("sealedBy", "") if came else None,
        "purpose": exchange.purpose,
        "revision": got.number if got else exchange.revision or None,
        "waitsFor": await _people(tx, agreed),
        "error": _error(exchange, pull) or await _waits_for(tx, exchange),
        "errorType": pull.error_code if pull else "",
        "note": pull.note if pull else "",
        "createdAt": exchange.created_at,
    }
    progress = pull or pulls.Pull(transfer_id="", destination="", updated_at=0)
    if got and got.state != RELEASED:
        since = await revision_states.became(tx, got.counterparty_id, got.asset_id, got.manifest_sha256)
        shown["became"] = since.words
    shown |= {
        "filesDone": progress.files_done,
        "filesTotal": progress.files_total,
        "bytesDone": progress.bytes_done,
        "bytesTotal": progress.bytes_total,
    }
    return shown


def _error(exchange: Exchange, pull: pulls.Pull | None) -> str:
    """Return what went wrong: why our own pull failed says more than the end that followed from it."""
    told = pull.error if pull is not None else ""
    return told if pull is not None and pull.state == pulls.FAILED and told else exchange.error or told


async def _people(tx: Transaction, agreed: negotiation.Negotiation | None) -> str:
    """Return which people here have to approve it before it goes on, in a sentence; empty if none."""
    if agreed is None or agreed.approval_id is None:
        return ""
    return str(asked.shown(await approvals.load(tx, agreed.approval_id)).get("waitsFor") or "")


async def _waits_for(tx: Transaction, exchange: Exchange) -> str:
    """Return why our message is still to be sent: the partner is away, or has said "not now"."""
    process_id = exchange.transfer_id or exchange.negotiation_id
    rows = await outbox.find_of_process(tx, process_id) if process_id else []
    return rows[-1].last_error if rows else ""


def _stage(exchange: Exchange, transfer_state: str | None, pull: pulls.Pull | None) -> str:
    if pull is not None and pull.state == pulls.DONE:
        return COMPLETED
    if exchange.error or (pull is not None and pull.state == pulls.FAILED):
        return FAILED
    if exchange.transfer_id is None:
        return NEGOTIATING
    if transfer_state in {terms.STARTED, terms.SUSPENDED}:
        return PULLING if pull is not None else COMPLETED
    return COMPLETED if transfer_state == terms.COMPLETED else REQUESTING
