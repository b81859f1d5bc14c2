"""Every endpoint of the management API: decode, one use case, encode; and the table that names them all.

Creations answer 200 with an IdResponse, changes and moves 204: EDC's clients count on it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from msgspec import Struct

from comity import errors
from comity.controlplane import catalog, decide, evidence, get, offers, partners, processes, publish
from comity.controlplane.connector import Connector
from comity.db.offers import Asset, ContractDefinition, PolicyDefinition
from comity.management import offers as offer_forms
from comity.management import partner as partner_forms
from comity.management import processes as process_forms
from comity.management import query, wire

Document = dict[str, Any]


class Call(Struct, frozen=True):
    """What an endpoint gets: the id in its path, its body as an object, its query parameters."""

    id: str
    body: Document
    parameters: dict[str, str]


Endpoint = Callable[[Connector, Call], Awaitable[Any]]


async def create_asset(connector: Connector, call: Call) -> Document:
    created = await offers.create_asset(connector, offer_forms.decode_asset(call.body))
    return wire.id_response(created.id, created.created_at)


async def change_asset(connector: Connector, call: Call) -> None:
    await offers.change_asset(connector, offer_forms.decode_asset(_with_id(call)))


async def create_policy(connector: Connector, call: Call) -> Document:
    created = await offers.create_policy(connector, offer_forms.decode_policy(call.body))
    return wire.id_response(created.id, created.created_at)


async def change_policy(connector: Connector, call: Call) -> None:
    await offers.change_policy(connector, offer_forms.decode_policy(_with_id(call)))


async def create_contract(connector: Connector, call: Call) -> Document:
    created = await offers.create_contract(connector, offer_forms.decode_contract(call.body))
    return wire.id_response(created.id, created.created_at)


async def change_contract(connector: Connector, call: Call) -> None:
    await offers.change_contract(connector, offer_forms.decode_contract(_with_id(call)))


def _with_id(call: Call) -> Document:
    """A change names its id in the path, in the body, or in both alike."""
    named = wire.identifier(call.body)
    if call.id and named and named != call.id:
        raise errors.InvalidInputError(f"the body's id is {named}, the path's {call.id}", path="$.@id")
    if not call.id and not named:
        raise errors.InvalidInputError("a change needs the id of what is changed", path="$.@id")
    return {**call.body, "@id": call.id or named}


def load(kind: Any) -> Endpoint:
    async def endpoint(connector: Connector, call: Call) -> Document:
        return await offers.load(connector, kind, call.id)

    return endpoint


def remove(kind: Any) -> Endpoint:
    async def endpoint(connector: Connector, call: Call) -> None:
        await offers.remove(connector, kind, call.id)

    return endpoint


def find(kind: Any) -> Endpoint:
    async def endpoint(connector: Connector, call: Call) -> list[Document]:
        return await offers.find(connector, kind, query.parse(call.body))

    return endpoint


async def request_catalog(connector: Connector, call: Call) -> Document:
    party = wire.text(call.body, "counterPartyId", required=True)
    spec = wire.mapping(call.body, "querySpec")
    query.parse(spec)
    return await catalog.request(
        connector,
        party,
        wire.text(call.body, "counterPartyAddress"),
        query=query.plain(spec) if spec else None,
    )


async def request_dataset(connector: Connector, call: Call) -> Document:
    party = wire.text(call.body, "counterPartyId", required=True)
    dataset_id = wire.identifier(call.body)
    if not dataset_id:
        raise errors.InvalidInputError("the dataset's @id is missing", path="$.@id")
    return await catalog.request_dataset(
        connector, party, wire.text(call.body, "counterPartyAddress"), dataset_id
    )


async def request_contract(connector: Connector, call: Call) -> Document:
    form = process_forms.decode_contract_request(call.body)
    return wire.id_response(*await processes.request_contract(connector, form))


async def offer_contract(connector: Connector, call: Call) -> Document:
    form = process_forms.decode_contract_request(call.body)
    return wire.id_response(*await processes.offer_contract(connector, form))


async def load_negotiation(connector: Connector, call: Call) -> Document:
    return await processes.load_negotiation(connector, call.id)


async def negotiation_state(connector: Connector, call: Call) -> Document:
    found = await processes.load_negotiation(connector, call.id)
    return wire.document("NegotiationState", state=found["state"])


async def negotiation_agreement(connector: Connector, call: Call) -> Document:
    return await processes.load_agreement_of(connector, call.id)


async def find_negotiations(connector: Connector, call: Call) -> list[Document]:
    return await processes.find_negotiations(connector, query.parse(call.body))


async def load_agreement(connector: Connector, call: Call) -> Document:
    return await processes.load_agreement(connector, call.id)


async def agreement_negotiation(connector: Connector, call: Call) -> Document:
    return await processes.load_negotiation_of(connector, call.id)


async def find_agreements(connector: Connector, call: Call) -> list[Document]:
    return await processes.find_agreements(connector, query.parse(call.body))


async def request_transfer(connector: Connector, call: Call) -> Document:
    form = process_forms.decode_transfer_request(call.body)
    return wire.id_response(*await processes.request_transfer(connector, form))


async def load_transfer(connector: Connector, call: Call) -> Document:
    return await processes.load_transfer(connector, call.id)


async def transfer_state(connector: Connector, call: Call) -> Document:
    found = await processes.load_transfer(connector, call.id)
    return wire.document("TransferState", state=found["state"])


async def find_transfers(connector: Connector, call: Call) -> list[Document]:
    return await processes.find_transfers(connector, query.parse(call.body))


async def data_address(connector: Connector, call: Call) -> Document:
    return {"@context": wire.CONTEXT, **await processes.load_data_address(connector, call.id)}


def move_negotiation(kind: str) -> Endpoint:
    async def endpoint(connector: Connector, call: Call) -> None:
        policy = wire.mapping(call.body, "policy") or None
        await processes.move_negotiation(connector, call.id, kind, reason=_reason(call, kind), policy=policy)

    return endpoint


def move_transfer(kind: str) -> Endpoint:
    async def endpoint(connector: Connector, call: Call) -> None:
        await processes.move_transfer(connector, call.id, kind, reason=_reason(call, kind))

    return endpoint


def _reason(call: Call, kind: str) -> str:
    """The partner always gets a reason."""
    return wire.text(call.body, "reason") or f"{kind} by the operator, without a reason"


async def add_partner(connector: Connector, call: Call) -> Document:
    form = partner_forms.decode(call.body)
    partner = await partners.add(
        connector,
        form.participant,
        name=form.name,
        address=form.address,
        purpose=form.purpose,
        spatial=form.spatial,
        keys=form.keys,
        pin=form.pin,
    )
    return _partner(partner)


def _partner(partner: Any) -> Document:
    return partner_forms.encode(
        partner.id,
        name=partner.name,
        address=partner.address,
        keys=partner.keys,
        pinned=partner.pinned,
        attributes=partner.attributes,
        created_at=partner.created_at,
    )


async def find_partners(connector: Connector, call: Call) -> list[Document]:  # noqa: ARG001  there is nothing to ask
    return [_partner(each) for each in await partners.find_all(connector)]


async def remove_partner(connector: Connector, call: Call) -> None:
    await partners.remove(connector, call.id)


async def publish_package(connector: Connector, call: Call) -> Any:
    return await publish.publish(
        connector,
        wire.text(call.body, "folder", required=True),
        asset_id=wire.text(call.body, "assetId"),
        title=wire.text(call.body, "title"),
        policy=wire.mapping(call.body, "policy") or None,
        access_policy=wire.mapping(call.body, "accessPolicy") or None,
        properties=wire.mapping(call.body, "properties") or None,
        replace=query.get(call.body, "replace", default=False) is True,
    )


async def start_exchange(connector: Connector, call: Call) -> Document:
    started = await get.start(
        connector,
        wire.text(call.body, "counterPartyId", required=True),
        wire.text(call.body, "assetId", required=True),
        wire.text(call.body, "destination"),
        offer_id=wire.text(call.body, "offerId"),
    )
    return wire.id_response(started.id, started.created_at)


async def load_exchange(connector: Connector, call: Call) -> Document:
    return {"@context": wire.CONTEXT, **await get.status(connector, call.id)}


async def find_exchanges(connector: Connector, call: Call) -> list[Document]:
    found = await get.find_all(connector)
    fields = ("@id", "counterPartyId", "assetId", "stage", "negotiationId", "transferId", "createdAt")
    return query.select(found, query.parse(call.body), fields)


async def load_evidence(connector: Connector, call: Call) -> Document:
    return await evidence.find_page(
        connector, call.parameters.get("after", "0"), call.parameters.get("limit", "100")
    )


ENDPOINTS: dict[tuple[str, str, str], Endpoint] = {
    ("POST", "assets", ""): create_asset,
    ("PUT", "assets", ""): change_asset,
    ("POST", "assets", "request"): find(Asset),
    ("GET", "assets", "{id}"): load(Asset),
    ("DELETE", "assets", "{id}"): remove(Asset),
    ("POST", "policydefinitions", ""): create_policy,
    ("PUT", "policydefinitions", ""): change_policy,
    ("PUT", "policydefinitions", "{id}"): change_policy,
    ("POST", "policydefinitions", "request"): find(PolicyDefinition),
    ("GET", "policydefinitions", "{id}"): load(PolicyDefinition),
    ("DELETE", "policydefinitions", "{id}"): remove(PolicyDefinition),
    ("POST", "contractdefinitions", ""): create_contract,
    ("PUT", "contractdefinitions", ""): change_contract,
    ("POST", "contractdefinitions", "request"): find(ContractDefinition),
    ("GET", "contractdefinitions", "{id}"): load(ContractDefinition),
    ("DELETE", "contractdefinitions", "{id}"): remove(ContractDefinition),
    ("POST", "catalog", "request"): request_catalog,
    ("POST", "catalog", "dataset/request"): request_dataset,
    ("POST", "contractnegotiations", ""): request_contract,
    ("POST", "contractnegotiations", "request"): find_negotiations,
    ("POST", "contractnegotiations", "offers"): offer_contract,
    ("GET", "contractnegotiations", "{id}"): load_negotiation,
    ("GET", "contractnegotiations", "{id}/state"): negotiation_state,
    ("GET", "contractnegotiations", "{id}/agreement"): negotiation_agreement,
    ("POST", "contractnegotiations", "{id}/terminate"): move_negotiation(decide.TERMINATE),
    ("POST", "contractnegotiations", "{id}/accept"): move_negotiation(decide.ACCEPT),
    ("POST", "contractnegotiations", "{id}/offer"): move_negotiation(decide.OFFER),
    ("POST", "contractnegotiations", "{id}/request"): move_negotiation(decide.REQUEST),
    ("POST", "contractnegotiations", "{id}/agree"): move_negotiation(decide.AGREE),
    ("POST", "contractnegotiations", "{id}/verify"): move_negotiation(decide.VERIFY),
    ("POST", "contractnegotiations", "{id}/finalize"): move_negotiation(decide.FINALIZE),
    ("POST", "contractagreements", "request"): find_agreements,
    ("GET", "contractagreements", "{id}"): load_agreement,
    ("GET", "contractagreements", "{id}/negotiation"): agreement_negotiation,
    ("POST", "transferprocesses", ""): request_transfer,
    ("POST", "transferprocesses", "request"): find_transfers,
    ("GET", "transferprocesses", "{id}"): load_transfer,
    ("GET", "transferprocesses", "{id}/state"): transfer_state,
    ("POST", "transferprocesses", "{id}/terminate"): move_transfer(decide.TERMINATE),
    ("POST", "transferprocesses", "{id}/suspend"): move_transfer(decide.SUSPEND),
    ("POST", "transferprocesses", "{id}/resume"): move_transfer(decide.START),
    ("POST", "transferprocesses", "{id}/complete"): move_transfer(decide.COMPLETE),
    ("GET", "edrs", "{id}/dataaddress"): data_address,
    ("POST", "partners", ""): add_partner,
    ("GET", "partners", ""): find_partners,
    ("DELETE", "partners", "{id}"): remove_partner,
    ("POST", "packages", ""): publish_package,
    ("POST", "exchanges", ""): start_exchange,
    ("POST", "exchanges", "request"): find_exchanges,
    ("GET", "exchanges", "{id}"): load_exchange,
    ("GET", "evidence", ""): load_evidence,
}
"""Method, noun, rest of the path -> endpoint."""
