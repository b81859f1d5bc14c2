"""Endpoints of partners, their catalogs, what is got from them, and the evidence: decode, one use case, encode.

What is decided is `controlplane`'s; the table of all endpoints is `endpoints`.
"""

from __future__ import annotations

from comity import errors
from comity.api.management import call as calls
from comity.api.management.call import Call, Document
from comity.controlplane import catalog, catalogs, evidence, get, partners, processes
from comity.controlplane.connector import Connector
from comity.db.partners import Partner
from comity.management import catalog as catalog_forms
from comity.management import partner as forms
from comity.management import query, rates, revisions, roles, wire

EXCHANGE_FIELDS = (
    "counterPartyId", "assetId", "destination", "stage", "negotiationId", "negotiationState", "agreementId",
    "transferId", "transferState", "manifestSha256", "createdAt",
)  # fmt: skip


async def request_catalog(connector: Connector, call: Call) -> Document:
    """POST catalog/request."""
    form = catalog_forms.decode(call.body)
    processes.check_address(connector, form.address)
    if not await catalog.is_listed(connector, form.counterparty_id, form.address):
        calls.require(call, roles.OPERATOR)
    found = await catalog.request(connector, form.counterparty_id, form.address, query=form.filter)
    return catalog_forms.cut(found, form.spec)


async def request_catalogs(connector: Connector, call: Call) -> list[Document]:
    """POST catalogs/request?flatten=: those of all partners."""
    if call.parameters.get("flatten", "false").lower() != "false":
        raise errors.InvalidInputError(
            "catalogs are returned as partners wrote them: flatten is not supported", path="$.flatten"
        )
    return await catalogs.request(connector, query.parse(call.body))


async def request_dataset(connector: Connector, call: Call) -> Document:
    """POST catalog/dataset/request."""
    form = catalog_forms.decode_dataset(call.body)
    processes.check_address(connector, form.address)
    if not await catalog.is_listed(connector, form.counterparty_id, form.address):
        calls.require(call, roles.OPERATOR)
    return await catalog.request_dataset(connector, form.counterparty_id, form.address, form.dataset_id)


async def add_partner(connector: Connector, call: Call) -> Document:
    """POST partners."""
    form = forms.decode(call.body)
    processes.check_address(connector, form.address or "", path="$.address")
    partner = await partners.add(
        connector,
        form.participant,
        name=form.name,
        address=form.address,
        purpose=form.purpose,
        spatial=form.spatial,
        classes=form.classes,
        keys=form.keys,
        pin=form.pin,
        signed=form.signed,
        approval=form.approval,
        attributes=form.attributes,
    )
    return _partner(partner)


def _partner(partner: Partner) -> Document:
    return forms.encode(
        partner.id,
        name=partner.name,
        address=partner.address,
        keys=partner.keys,
        pinned=partner.pinned,
        signed=partner.signed,
        attributes=partner.attributes,
        approval=partner.approval,
        created_at=partner.created_at,
    )


async def find_partners(connector: Connector, call: Call) -> list[Document]:  # noqa: ARG001  there is nothing to ask
    """GET partners."""
    return [_partner(each) for each in await partners.find_all(connector)]


async def remove_partner(connector: Connector, call: Call) -> None:
    """DELETE partners/{id}."""
    await partners.remove(connector, call.id)


async def start_exchange(connector: Connector, call: Call) -> Document:
    """POST exchanges."""
    started = await get.start(
        connector,
        wire.party(call.body),
        wire.text(call.body, "assetId", required=True),
        wire.text(call.body, "destination"),
        offer_id=wire.text(call.body, "offerId"),
        shown=wire.mapping(call.body, "policy") or None,
        by=call.caller,
        purpose=wire.text(call.body, "purpose"),
        revision=revisions.number(call.body),
        bytes_per_s=rates.parse(wire.text(call.body, "limit"), "$.limit"),
    )
    return wire.id_response(started.id, started.created_at)


async def load_exchange(connector: Connector, call: Call) -> Document:
    """GET exchanges/{id}."""
    return {"@context": wire.CONTEXT, **await get.status(connector, call.id)}


async def find_exchanges(connector: Connector, call: Call) -> list[Document]:
    """POST exchanges/request."""
    spec = query.resolve(query.parse(call.body), EXCHANGE_FIELDS)
    return [{"@context": wire.CONTEXT, **each} for each in await get.find(connector, spec)]


async def find_evidence(connector: Connector, call: Call) -> Document:
    """GET evidence?after=&limit=&chain=."""
    after = calls.number(call, "after", 0, calls.MAX_AFTER)
    limit = calls.number(call, "limit", 100, query.MAX_LIMIT, least=1)
    tokens = roles.suffices(call.role, roles.OPERATOR)
    chain = calls.number(call, "chain", 0, calls.MAX_AFTER)
    return await evidence.find_page(connector, after=after, limit=limit, chain=chain, tokens=tokens)
