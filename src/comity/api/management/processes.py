"""Endpoints of negotiations, agreements and transfers: decode, one use case, encode.

What is decided is `controlplane.processes`; the table of all endpoints is `endpoints`.
"""

from __future__ import annotations

from comity.api.management import call as calls
from comity.api.management.call import Call, Document, Endpoint
from comity.controlplane import decide, processes, removal
from comity.controlplane.connector import Connector
from comity.management import policy, query, wire
from comity.management import processes as forms


async def request_contract(connector: Connector, call: Call) -> Document:
    """POST contractnegotiations."""
    form = forms.decode_contract_request(call.body)
    calls.check_secrets(call, (each.auth_code_id for each in form.callbacks))
    return wire.id_response(*await processes.request_contract(connector, form, by=call.caller))


async def offer_contract(connector: Connector, call: Call) -> Document:
    """POST contractnegotiations/offers."""
    form = forms.decode_contract_offer(call.body)
    calls.check_secrets(call, (each.auth_code_id for each in form.callbacks))
    return wire.id_response(*await processes.offer_contract(connector, form))


async def load_negotiation(connector: Connector, call: Call) -> Document:
    """GET contractnegotiations/{id}."""
    return await processes.load_negotiation(connector, call.id)


async def negotiation_state(connector: Connector, call: Call) -> Document:
    """GET contractnegotiations/{id}/state."""
    found = await processes.load_negotiation(connector, call.id)
    return wire.document("NegotiationState", state=found["state"])


async def negotiation_agreement(connector: Connector, call: Call) -> Document:
    """GET contractnegotiations/{id}/agreement."""
    return await processes.load_agreement_of(connector, call.id)


async def find_negotiations(connector: Connector, call: Call) -> list[Document]:
    """POST contractnegotiations/request."""
    return await processes.find_negotiations(connector, query.parse(call.body))


def move_negotiation(kind: str) -> Endpoint:
    """Return the endpoint POST contractnegotiations/{id}/<move>."""

    async def endpoint(connector: Connector, call: Call) -> None:
        offer = None
        if kind in {decide.OFFER, decide.REQUEST}:
            offer = policy.read_offer(call.body, enforced=kind == decide.OFFER)
        reason = _reason(call, kind)
        await processes.move_negotiation(connector, call.id, kind, reason=reason, offer=offer, by=call.caller)

    return endpoint


async def remove_negotiation(connector: Connector, call: Call) -> None:
    """DELETE contractnegotiations/{id}."""
    await removal.remove_negotiation(connector, call.id)


async def load_agreement(connector: Connector, call: Call) -> Document:
    """GET contractagreements/{id}."""
    return await processes.load_agreement(connector, call.id)


async def agreement_negotiation(connector: Connector, call: Call) -> Document:
    """GET contractagreements/{id}/negotiation."""
    return await processes.load_negotiation_of(connector, call.id)


async def find_agreements(connector: Connector, call: Call) -> list[Document]:
    """POST contractagreements/request."""
    return await processes.find_agreements(connector, query.parse(call.body))


async def request_transfer(connector: Connector, call: Call) -> Document:
    """POST transferprocesses."""
    form = forms.decode_transfer_request(call.body)
    calls.check_secrets(call, (each.auth_code_id for each in form.callbacks))
    return wire.id_response(*await processes.request_transfer(connector, form))


async def load_transfer(connector: Connector, call: Call) -> Document:
    """GET transferprocesses/{id}."""
    return await processes.load_transfer(connector, call.id)


async def transfer_state(connector: Connector, call: Call) -> Document:
    """GET transferprocesses/{id}/state."""
    found = await processes.load_transfer(connector, call.id)
    return wire.document("TransferState", state=found["state"])


async def find_transfers(connector: Connector, call: Call) -> list[Document]:
    """POST transferprocesses/request."""
    return await processes.find_transfers(connector, query.parse(call.body))


def move_transfer(kind: str) -> Endpoint:
    """Return the endpoint POST transferprocesses/{id}/<move>."""

    async def endpoint(connector: Connector, call: Call) -> None:
        await processes.move_transfer(connector, call.id, kind, reason=_reason(call, kind))

    return endpoint


def _reason(call: Call, kind: str) -> str:
    """The partner always gets a reason."""
    return wire.text(call.body, "reason") or f"{kind} by the operator, without a reason"


async def deprovision(connector: Connector, call: Call) -> None:
    """POST transferprocesses/{id}/deprovision."""
    await removal.deprovision(connector, call.id)
