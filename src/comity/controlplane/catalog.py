"""The catalog, both sides: what a partner sees of ours, page by page, and what we fetch of a partner's.

Dataspace Protocol 2025-1, "Catalog Protocol" and its HTTPS binding. Whatever way an offer is looked at (list, page 2,
by id, negotiation), `offering` gives the answer.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import AsyncGenerator
from typing import Annotated, Any

import msgspec
from msgspec import Struct

from comity import errors, strict_json
from comity.controlplane import authenticate, facts, offering
from comity.controlplane.authenticate import Caller
from comity.controlplane.connector import Connector
from comity.controlplane.process import MOST_KEPT, digest_of, sha256_hex
from comity.controlplane.signing import Attempt
from comity.db import agreements, evidence, offers, partners, public_keys
from comity.db.offers import Asset
from comity.db.store import Transaction
from comity.dsp import binding, catalog, codec, messages, terms
from comity.evidence.entry import Entry
from comity.management import query
from comity.odrl import enforcement

Document = dict[str, Any]
PAGE_DATASETS = 100
MOST_ASSETS = 500
MAX_PAGES = 1000
NOT_FOUND = 404
MAX_CATALOG_BYTES = 64 * 1024 * 1024
Place = tuple[int, str]
BEGINNING = (-1, "")
CreatedAt = Annotated[int, msgspec.Meta(ge=-1, le=2**63 - 1)]


class Page(Struct, frozen=True):
    """A page of our catalog and the tokens of its neighbours; None where there is none, empty for the first page."""

    document: Document
    next_token: str | None
    previous_token: str | None


async def serve(connector: Connector, caller: Caller, body: bytes, token: str | None) -> Page:
    """Return the page of the catalog that begins at `token` (None: the first) as the caller may see it.

    Raises:
        InvalidInputError: the message or its filter is wrong, or the token is none of ours.
        IdentityError: the caller is no partner.
    """
    message, _ = codec.decode(body, messages.CatalogRequestMessage)
    spec = _spec(message.filter)
    after = _read_token(token)

    async def unit(tx: Transaction) -> partners.Partner:
        partner = await authenticate.use(tx, caller)
        await _record_request(connector, tx, caller, message, body)
        return partner

    partner = await connector.database.write(unit)
    return await connector.database.read(lambda tx: _page(connector, tx, partner, spec, after))


async def _record_request(
    connector: Connector,
    tx: Transaction,
    caller: Caller,
    message: messages.CatalogRequestMessage,
    body: bytes,
) -> None:
    entry = _entry(connector, message, body, sender=caller.participant_id, receiver=connector.participant_id)
    entry = msgspec.structs.replace(
        entry, direction="in", token_sha256=digest_of(caller.token), request=caller.arrival.request
    )
    kept = body if len(body) <= MOST_KEPT else b""  # a partner may ask as often as it likes
    await evidence.append(tx, entry, evidence.Beside(token=caller.token, body=kept))


def _entry(
    connector: Connector, message: messages.CatalogRequestMessage, body: bytes, *, sender: str, receiver: str
) -> Entry:
    return Entry(
        at=connector.now_ms(),
        direction="out",
        message="CatalogRequestMessage",
        message_id=message.id or "",
        sha256=sha256_hex(body),
        sender=sender,
        receiver=receiver,
        kind="catalog",
        process_id="",
    )


FILTER_MEMBERS = frozenset(
    {"@context", "@type", "@id", "offset", "limit", "sortField", "sortOrder", "filterExpression"}
)


def _spec(wanted: Any) -> query.Spec:
    """Read a filter: nothing, or one query of EDC's kind; any other is refused, as the specification asks."""
    listed = wanted if isinstance(wanted, list) else [] if wanted is None else [wanted]
    if len(listed) > 1 or not all(isinstance(each, dict) for each in listed):
        raise errors.InvalidInputError("this filter is not supported: one query object is", path="$.filter")
    body = listed[0] if listed else {}
    for name in body:
        if name.removeprefix(query.EDC).removeprefix("edc:") not in FILTER_MEMBERS:
            place = f"$.filter[0].{name[:100]}"
            raise errors.InvalidInputError("this filter is not supported", path=place)
    spec = query.parse(body, path="$.filter[0]", limit=PAGE_DATASETS)
    if spec.sort_field:
        raise errors.InvalidInputError("the order cannot be chosen here", path="$.filter[0].sortField")
    return spec


async def _page(
    connector: Connector,
    tx: Transaction,
    partner: partners.Partner,
    spec: query.Spec,
    after: Place,
) -> Page:
    """Return a page; an offset counts from the first page on, where `after` is its beginning.

    A token names the last asset before its page that is shown, never one that is hidden from this partner.
    """
    sight = Sight(connector, tx, partner, spec)
    datasets: list[Document] = []
    previous = None if after == BEGINNING else await _previous_token(sight, after)
    shown, skipped = after, spec.offset if after == BEGINNING else 0
    async for found in sight.visible(after):
        if skipped:
            skipped -= 1
        elif len(datasets) == sight.size:
            return Page(_catalog(connector, datasets), _write_token(shown), previous)
        else:
            datasets.append(_dataset(connector, found))
            shown = _place(found[0].asset)
    return Page(_catalog(connector, datasets), None, previous)


async def _previous_token(sight: Sight, after: Place) -> str:
    """Return the token of the page that ends with the asset at `after`; the first page's is empty."""
    seen = 1
    async for found in sight.visible(after, backwards=True):
        seen += 1
        if seen > sight.size:
            return _write_token(_place(found[0].asset))
    return ""


class Sight:
    """What a partner sees of our assets through its filter, in one snapshot."""

    def __init__(
        self, connector: Connector, tx: Transaction, partner: partners.Partner, spec: query.Spec
    ) -> None:
        self._connector = connector
        self._tx = tx
        self._partner = partner
        self._spec = spec
        self.size = min(spec.limit, PAGE_DATASETS)

    async def visible(
        self, at: Place, *, backwards: bool = False
    ) -> AsyncGenerator[list[offering.Offering], None]:
        """Yield what is offered of each asset: those after the place `at`, or backwards those before it.

        As many are read at a time as a page shows, and more where most of them are hidden.
        """
        find = offers.find_assets_before if backwards else offers.find_assets_after
        limit = self.size + 1
        while assets := await find(self._tx, at, limit=limit):
            wanted = [
                each for each in assets if query.matches_all(self._spec.criteria, offering.describe(each))
            ]
            now_ms = self._connector.now_ms()
            offerings = await offering.load(self._tx, self._partner, wanted, now_ms)
            for asset in wanted:
                if found := offerings.of(asset, now_ms):
                    yield found
            at, limit = _place(assets[-1]), min(limit * 2, MOST_ASSETS)


def _place(asset: Asset) -> Place:
    return asset.created_at, asset.id


def _catalog(connector: Connector, datasets: list[Document]) -> Document:
    catalog_id = f"urn:comity:catalog:{connector.participant_id}"
    return catalog.catalog(connector.participant_id, catalog_id, datasets, connector.dsp_address)


def _dataset(connector: Connector, found: list[offering.Offering]) -> Document:
    asset, listed = found[0].asset, [catalog.offer(each.policy, each.offer_id) for each in found]
    document = catalog.dataset(asset.id, asset.properties, listed, connector.dsp_address)
    said = [
        {"comity:offer": each.offer_id, **term} for each in found for term in offering.enforced(each.policy)
    ]
    return {**document, enforcement.MEMBER: said} if said else document


def _write_token(after: Place) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(after)).rstrip(b"=").decode()


def _read_token(token: str | None) -> Place:
    if token is None:
        return BEGINNING
    try:
        return msgspec.json.decode(
            base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)), type=tuple[CreatedAt, str]
        )
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        raise errors.InvalidInputError(
            "this page is not known; follow the Link header as it was given", path="$.page"
        ) from None


async def serve_dataset(connector: Connector, caller: Caller, dataset_id: str) -> Document:
    """Return one dataset as the caller may see it.

    Raises:
        NotFoundError: there is none, or not for this caller: the same answer.
        IdentityError: the caller is no partner.
    """

    async def unit(tx: Transaction) -> Document | None:
        found = await offering.find_by_asset(tx, partner, dataset_id, connector.now_ms())
        return _dataset(connector, found) if found else None

    partner = await connector.database.write(lambda tx: authenticate.use(tx, caller))
    dataset = await connector.database.read(unit)
    if dataset is None:
        raise errors.NotFoundError("there is no such dataset")
    return {"@context": messages.CONTEXT, **dataset}


async def find_partner(connector: Connector, partner_id: str) -> partners.Partner:
    """Return a partner on the list.

    Raises:
        NotFoundError: it is not on it.
    """
    return await connector.database.read(lambda tx: partners.load(tx, partner_id))


async def is_listed(connector: Connector, counterparty_id: str, address: str | None) -> bool:
    """Return whether an address, where one is given, is the listed one of its partner.

    To any other goes a token that speaks to this partner in our name: that is for those to say who may do so.

    Raises:
        NotFoundError: it is no partner.
    """
    partner = await find_partner(connector, counterparty_id)
    return not address or address.rstrip("/") == partner.address.rstrip("/")


async def request(
    connector: Connector,
    counterparty_id: str,
    address: str | None = None,
    *,
    query: Document | None = None,
    max_bytes: int | None = None,
) -> Document:
    """Fetch a partner's catalog, all pages as one document of at most `max_bytes` (None: 64 MiB).

    Raises:
        NotFoundError: it is no partner.
        DeliveryError: it cannot be reached, refuses, or its answer is no catalog, or one without end.
    """
    partner = await find_partner(connector, counterparty_id)
    message = messages.CatalogRequestMessage(
        context=[*messages.CONTEXT, terms.EDC_CONTEXT] if query else messages.CONTEXT,
        id=connector.new_id(),
        filter=[query] if query else None,
    )
    body = messages.encode(message)
    url: str | None = binding.join(address or partner.address, "/catalog/request")
    merged: Document | None = None
    seen: set[str] = set()
    size_bytes, most = 0, MAX_CATALOG_BYTES if max_bytes is None else max_bytes
    while url is not None and url not in seen:
        seen.add(url)
        answer, url = await _ask_page(connector, partner, message, body, url)
        size_bytes += len(answer)
        if size_bytes > most or len(seen) > MAX_PAGES:
            raise errors.PermanentDeliveryError(
                f"{partner.id} sends a catalog of more than {most} bytes or {MAX_PAGES} pages",
                hint="ask for a part of it with a query",
            )
        merged = _merge(merged, await asyncio.to_thread(_read_catalog, partner, answer))
    return merged or {}


async def _ask_page(
    connector: Connector,
    partner: partners.Partner,
    message: messages.CatalogRequestMessage,
    body: bytes,
    url: str,
) -> tuple[bytes, str | None]:
    """Ask for a page, and keep in the evidence that and with what outcome it was asked for."""
    attempt = connector.identity.attempt(partner.id, "POST", url, body)
    entry = _entry(connector, message, body, sender=connector.participant_id, receiver=partner.id)
    entry = msgspec.structs.replace(entry, token_sha256=digest_of(attempt.token), outcome="acknowledged")
    try:
        return await connector.peers.post_page(url, body, attempt)
    except errors.DeliveryError as error:
        entry = msgspec.structs.replace(entry, outcome="failed", detail=error.message[:500])
        raise
    finally:
        kept = msgspec.structs.replace(entry, request=attempt.request, reply=attempt.reply)
        await connector.database.write(lambda tx: _keep(tx, kept, attempt, body))


async def _keep(tx: Transaction, entry: Entry, attempt: Attempt, body: bytes) -> None:
    """Keep what was asked for and the digest of what came: of a catalog that is enough."""
    if attempt.key is not None:
        await public_keys.keep(tx, attempt.key)
    await evidence.append(tx, entry, evidence.Beside(token=attempt.token, body=body))


def _read_catalog(partner: partners.Partner, answer: bytes) -> Document:
    try:
        document = strict_json.decode_object(
            answer, most=len(answer)
        )  # in a thread: it may be as long as it is
        catalog.read_datasets(document)
    except errors.InvalidInputError as error:
        raise errors.PermanentDeliveryError(
            f"{partner.id} answered with something else than a catalog: {error.message}"
        ) from None
    return document


def _merge(merged: Document | None, page: Document) -> Document:
    if merged is None:
        return page
    datasets = catalog.read_datasets(merged) + catalog.read_datasets(page)
    return {**merged, "dataset": datasets} if datasets else merged


async def request_dataset(
    connector: Connector, counterparty_id: str, address: str | None, dataset_id: str
) -> Document:
    """Fetch one dataset of a partner.

    Raises:
        NotFoundError: it is no partner.
        PolicyError: it does not have it now; we hold an agreement about it, under a framework agreement out of force.
        DeliveryError: it cannot be reached, refuses, or does not have it.
    """
    partner = await find_partner(connector, counterparty_id)
    path = f"/catalog/datasets/{binding.segment(dataset_id)}"
    url = binding.join(address or partner.address, path)
    try:
        answer = await connector.peers.get(url, connector.identity.attempt(partner.id, "GET", url, b""))
    except errors.PermanentDeliveryError as error:
        if error.status != NOT_FOUND:
            raise
        lapsed = await connector.database.read(lambda tx: _lapsed(connector, tx, partner.id, dataset_id))
        if not lapsed:
            raise
        raise errors.PolicyError(
            f"{dataset_id[:200]} is not offered now: {lapsed}", hint="comity framework shows where it stands"
        ) from error
    try:
        return strict_json.decode_object(answer)
    except errors.InvalidInputError as error:
        raise errors.PermanentDeliveryError(
            f"{partner.id} answered with something else than a dataset: {error.message}"
        ) from None


async def _lapsed(connector: Connector, tx: Transaction, counterparty_id: str, asset_id: str) -> str:
    """Return why the framework agreement above what we have agreed about an asset is not in force; empty if it is."""
    for each in await agreements.find_by_asset(tx, counterparty_id, asset_id):
        policy = offering.parse(each.document)
        for reason in (await facts.lapsed(tx, counterparty_id, [policy], connector.now_ms())).values():
            return reason
    return ""
